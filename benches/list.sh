#!/usr/bin/env bash
# `nself plugin list` from a warm cache as a whole process, against /bin/true. Needs hyperfine and a registry document.
#
#   benches/list.sh [REGISTRY.json]     (default: the bundled registry alone)
set -eu

nself=${NSELF:-nself}
work=$(mktemp -d)
server=""
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || :; fi; rm -rf "$work"' EXIT
export NSELF_PLUGIN_CACHE="$work/cache"
if [ -n "${1:-}" ]; then
  # Served once over loopback, so that the cache is as a registry would leave it.
  mkdir "$work/served" && cp "$1" "$work/served/registry.json"
  (cd "$work/served" && exec python3 -m http.server --bind 127.0.0.1 18971) >/dev/null 2>&1 &
  server=$!
  until curl -fs -o /dev/null http://127.0.0.1:18971/registry.json; do sleep 0.05; done
  export NSELF_PLUGIN_REGISTRY=http://127.0.0.1:18971/
else
  export NSELF_PLUGIN_REGISTRY="$work/empty.json"
  printf '{"plugins":{}}' >"$work/empty.json"
fi
export NSELF_REGISTRY_CACHE_TTL=86400
"$nself" plugin list >/dev/null
hyperfine --shell none --warmup 20 --runs 200 /bin/true "$nself plugin list" "$nself plugin list --installed" "$nself --version" \
  --export-json "$work/times.json"
awk -F: '/"median"/ { gsub(/[ ,]/, "", $2); print $2 * 1000 }' "$work/times.json" | awk '
  NR == 1 { base = $1; next }
  { split("list,list --installed,--version", name, ","); printf "nself %-22s %5.2f ms more than /bin/true\n", (NR == 4 ? "" : "plugin ") name[NR - 1], $1 - base }'
