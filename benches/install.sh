#!/usr/bin/env bash
# Time from command to healthy with the image already present: `nself plugin install realtime` against `docker run -d`
# of the same image plus a curl loop, once on the same kind of network (which the plugin needs, and where the engine
# also sets up name resolution) and once on Docker's default bridge. Interleaved in one run; medians, spread and ratios.
#
#   benches/install.sh [PAIRS]      (default 30; needs nself, the bundled registry, docker, curl and a free port 3101)
set -eu

# shellcheck source=benches/pairs.sh
. "$(dirname "${BASH_SOURCE[0]}")/pairs.sh"

pairs=${1:-30}
port=3101
nself=${NSELF:-nself}
project=bench$$
work=$(mktemp -d)
url=http://127.0.0.1:$port/health
export NSELF_REGISTRY_CACHE_TTL=86400
plugin() { "$nself" plugin --project "$project" --project-dir "$work" --quiet "$@"; }

cleanup() {
  docker rm -f "bench-$$" >/dev/null 2>&1 || :
  plugin remove realtime --delete-data --yes >/dev/null 2>&1 || :
  docker network rm "${project}_plugins" >/dev/null 2>&1 || :
  rm -rf "$work"
}
trap cleanup EXIT

run_nself() {
  local from
  from=$(now)
  plugin install realtime --offline >/dev/null
  milliseconds "$from" "$(now)" >>"$work/nself"
  plugin remove realtime --keep-image >/dev/null
}

run_docker() {
  local from network=$1
  from=$(now)
  docker run -d --network "$network" --name "bench-$$" -p "127.0.0.1:$port:$port" -e REALTIME_JWT_SECRET=0123456789abcdef0123456789abcdef \
    "$image" >/dev/null
  until curl -fs -o /dev/null "$url"; do sleep 0.01; done
  milliseconds "$from" "$(now)" >>"$work/$2"
  docker rm -f "bench-$$" >/dev/null
}

plugin install realtime --offline >/dev/null
image=$(docker inspect --format '{{.Image}}' "${project}_plugin_realtime")
plugin remove realtime --keep-image >/dev/null
# A project has its network from its first plugin on; making it is measured apart, in the last line.
run_nself && mv "$work/nself" "$work/first"
docker network create --label org.nself.benchmark=1 "${project}_plugins" >/dev/null
same=${project}_plugins
run_nself && run_docker "$same" network && run_docker bridge bridge && rm "$work/nself" "$work/network" "$work/bridge"

for pair in $(seq "$pairs"); do
  # Each goes first in turn, so that none always profits from what another warmed.
  case $((pair % 3)) in
    0) run_nself && run_docker "$same" network && run_docker bridge bridge ;;
    1) run_docker "$same" network && run_docker bridge bridge && run_nself ;;
    2) run_docker bridge bridge && run_nself && run_docker "$same" network ;;
  esac
done

summary nself
summary network
summary bridge
ratio nself network "docker run on the same network"
ratio nself bridge "docker run on the default bridge"
printf 'with the project network still to be made: %s ms\n' "$(cat "$work/first")"
