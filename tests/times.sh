# shellcheck shell=bash
# Where the time of a test run goes. Sourced by tests/run.sh and .ci/run; the outermost script prints the times when it
# ends, also when it fails.

if [ -z "${NSELF_TEST_TIMES:-}" ]; then
  NSELF_TEST_TIMES=$(mktemp -d)
  export NSELF_TEST_TIMES
  prints_times=yes
fi

# A heading that is also the start of a measured step.
timed_step() {
  printf '%s\t%s\n' "$(date +%s)" "$*" >>"$NSELF_TEST_TIMES/steps"
  step "== $*"
}

# Prints how long each step took, then the ten slowest tests of all logs.
print_times() {
  step "== where the time went (seconds)"
  printf '%s\t\n' "$(date +%s)" >>"$NSELF_TEST_TIMES/steps"
  awk -F '\t' 'NR > 1 { printf "%6d  %s\n", $1 - start, title } NR == 1 { first = $1 } { start = $1; title = $2 } END { printf "%6d  in all\n", start - first }' \
    "$NSELF_TEST_TIMES/steps"
  if compgen -G "$NSELF_TEST_TIMES/*.log" >/dev/null; then
    step "== the ten slowest tests (seconds)"
    cat "$NSELF_TEST_TIMES"/*.log | sed -n 's/^test \([^ ]*\) .*<\([0-9.]*\)s>$/\2\t\1/p' | sort -rn | head -n 10 |
      awk -F '\t' '{ printf "%8.1f  %s\n", $1, $2 }'
  fi
}

# Called at the end of the script that began the measurement; nothing for those that it runs.
end_times() {
  if [ "${prints_times:-no}" = yes ]; then
    print_times
    rm -rf "$NSELF_TEST_TIMES"
  fi
}
