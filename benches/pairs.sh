# What the scripts of this folder share that time two things in pairs: the clock, and medians with their spread. Sourced;
# each writes its times in milliseconds, one a line, to a file of its own in $work.
# shellcheck shell=bash disable=SC2154 # $work is the sourcing script's

now() { date +%s%N; }
milliseconds() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f\n", (b - a) / 1e6 }'; }

# Prints median, quartiles and extremes of the file named.
summary() {
  sort -n "$work/$1" | awk -v name="$1" '{ v[NR] = $1 } END {
    m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
    printf "%-8s median %7.1f ms   min %7.1f   quartiles %7.1f %7.1f   max %7.1f   (%d runs)\n", name, m, v[1], v[int((NR + 3) / 4)], v[int((3 * NR + 3) / 4)], v[NR], NR
  }'
}

# Prints the ratio of the first file's times to the second's, pair by pair; the third word says what the second is.
ratio() {
  paste "$work/$1" "$work/$2" | awk '{ print $1 / $2 }' | sort -n | awk -v name="$1 / $3" '{ v[NR] = $1 } END {
    m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
    printf "%s: median %.2f   quartiles %.2f %.2f   (below 1: nself is faster)\n", name, m, v[int((NR + 3) / 4)], v[int((3 * NR + 3) / 4)] }'
}
