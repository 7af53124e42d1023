#!/usr/bin/env bash
# Every check of this repository in one command. Installs and starts what the tests need (as root on Debian), builds
# the bundled registry that they install from, runs all tests and prints where the time went. With arguments it runs
# `cargo test` with these.
set -eu

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=install.sh
. "$root/install.sh"
# shellcheck source=tests/times.sh
. "$root/tests/times.sh"
cd "$root"
trap end_times EXIT
moto=5.2.1

node_is_enough() {
  command -v npm >/dev/null && [ "$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')" -ge 18 ] 2>/dev/null
}

missing_packages() {
  missing_engine_packages
  # Real clients, real servers beside the plugins, and real readers of what the plugins make.
  node_is_enough || say nodejs npm
  command -v git >/dev/null || say git
  command -v chromium >/dev/null || say chromium
  # What install.sh and release/build.sh verify and sign with.
  command -v minisign >/dev/null || say minisign
  command -v openssl >/dev/null || say openssl
  command -v exiftool >/dev/null || say libimage-exiftool-perl
  command -v promtool >/dev/null || say prometheus
  command -v setpriv >/dev/null || say util-linux
  command -v strace >/dev/null || say strace
  /usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null || say python3-aiosmtpd
  /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || say python3-venv
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || say postgresql
}

# An S3-compatible server, in a folder of its own beside the build.
install_moto() {
  local folder
  folder="$(target_folder)/moto-$moto"
  if [ ! -x "$folder/bin/moto_server" ]; then
    rm -rf "$folder.new" && /usr/bin/python3 -m venv "$folder.new"
    "$folder.new/bin/python" -m pip install --quiet --disable-pip-version-check "moto[server]==$moto"
    mv "$folder.new" "$folder"
    # The scripts of a virtual environment name the folder that it was made in.
    sed -i "1s|$folder.new|$folder|" "$folder"/bin/moto_server
  fi
  NSELF_TEST_MOTO="$folder/bin/moto_server"
  export NSELF_TEST_MOTO
}

# The lock file's digest beside the modules tells whether they are still what it asks for.
install_clients() {
  local stamp=tests/clients/node_modules/.lock-digest wanted
  wanted=$(sha256sum <tests/clients/package-lock.json)
  [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
  # Not `npm ci`: it refuses a lock file without the optional packages of other platforms, which not every registry has.
  (cd tests/clients && rm -rf node_modules && npm install --no-save --no-audit --no-fund --loglevel=error)
  say "$wanted" >"$stamp"
}

timed_step "what the tests need"
# shellcheck disable=SC2046 # a list of words
ensure_build_tools $(missing_packages)
ensure_engine
install_clients
install_moto
NSELF_TEST_NODE=$(command -v node)
export NSELF_TEST_NODE

timed_step "shell"
if command -v shellcheck >/dev/null; then
  shellcheck -x install.sh plugins/*.sh plugins/*/*.sh release/*.sh benches/*.sh tests/*.sh .ci/run
else
  say "shellcheck is not installed: the scripts are only parsed"
  for script in install.sh plugins/*.sh plugins/*/*.sh release/*.sh benches/*.sh tests/*.sh .ci/run; do bash -n "$script"; done
fi

timed_step "format"
if cargo fmt --version >/dev/null 2>&1; then cargo fmt --all --check; else say "this Rust has no rustfmt: not checked"; fi

timed_step "bundled registry (a release build)"
NSELF_TEST_BUNDLE="$(target_folder)/bundle"
export NSELF_TEST_BUNDLE
plugins/bundle.sh "$NSELF_TEST_BUNDLE"

lint() {
  if cargo clippy --version >/dev/null 2>&1; then
    cargo clippy --workspace --all-targets --locked -- -D warnings
  else
    say "this Rust has no clippy: not checked"
  fi
}

# Builds every test program; prints for each, with tabs between: program, its package's directory, name.
build_tests() {
  cargo test --workspace --locked --no-run --message-format=json-render-diagnostics >"$NSELF_TEST_TIMES/built"
  sed -n '/"overflow_checks":[a-z]*,"test":true/s/.*"manifest_path":"\([^"]*\)\/Cargo.toml".*"name":"\([^"]*\)".*"executable":"\([^"]*\)".*/\3\t\1\t\2/p' "$NSELF_TEST_TIMES/built"
}

# Runs one test program as cargo does. Its times need an option that is unstable, which only the test program is told.
run_program() {
  say "     Running $3 ($1)"
  (cd "$2" && CARGO_MANIFEST_DIR=$2 RUSTC_BOOTSTRAP=1 "$1" -Zunstable-options --report-time) || say "$3" >>"$NSELF_TEST_TIMES/failed"
}

# The programs other than the main suite, one after another, then clippy.
run_the_rest() {
  local program folder name
  while IFS=$'\t' read -r program folder name; do
    if [ "$name" != it ]; then run_program "$program" "$folder" "$name" </dev/null; fi
  done <"$NSELF_TEST_TIMES/programs"
  cargo test --workspace --locked --doc || say documentation >>"$NSELF_TEST_TIMES/failed"
  lint || say clippy >>"$NSELF_TEST_TIMES/failed"
}

# The main suite waits for the engine most of the time: all else runs beside it, and is printed after it.
run_all_tests() {
  local program folder name rest
  run_the_rest >"$NSELF_TEST_TIMES/rest.log" 2>&1 &
  rest=$!
  while IFS=$'\t' read -r program folder name; do
    if [ "$name" = it ]; then run_program "$program" "$folder" "$name" </dev/null 2>&1 | tee "$NSELF_TEST_TIMES/it.log"; fi
  done <"$NSELF_TEST_TIMES/programs"
  timed_step "tests other than the main suite, and clippy (what was left of them)"
  wait "$rest" || :
  cat "$NSELF_TEST_TIMES/rest.log"
}

if [ "$#" -gt 0 ]; then
  timed_step "clippy"
  lint
  timed_step "tests"
  cargo test --workspace --locked --no-fail-fast "$@"
else
  timed_step "building the tests"
  build_tests >"$NSELF_TEST_TIMES/programs"
  grep -q "	it$" "$NSELF_TEST_TIMES/programs" || fail "cargo built no test program \`it\`"
  timed_step "tests"
  run_all_tests
  if [ -s "$NSELF_TEST_TIMES/failed" ]; then fail "failed: $(paste -sd ' ' "$NSELF_TEST_TIMES/failed")" "the lines above that end in FAILED name the tests"; fi
fi
step "== everything passed"
