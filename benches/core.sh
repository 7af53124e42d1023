#!/usr/bin/env bash
# Time from command to four healthy core plugins (and the redis that one of them needs) with the images already present:
# `nself plugin install --core-only` against `docker run -d` of the same images, all at once, plus a curl loop for each,
# on the same kind of network. Interleaved in one run; medians, spread and ratios.
#
#   benches/core.sh [PAIRS]      (default 10; needs nself, the bundled registry, docker, curl and the ports of the plugins)
set -eu

# shellcheck source=benches/pairs.sh
. "$(dirname "${BASH_SOURCE[0]}")/pairs.sh"

pairs=${1:-10}
nself=${NSELF:-nself}
project=bench$$
work=$(mktemp -d)
network=${project}_plugins
plugins="realtime notifications jobs file-processing"
export NSELF_REGISTRY_CACHE_TTL=86400
plugin() { "$nself" plugin --project "$project" --project-dir "$work" --quiet "$@"; }

cleanup() {
  local name
  for name in $plugins redis; do docker rm -fv "bench-$$-$name" >/dev/null 2>&1 || :; done
  # shellcheck disable=SC2086 # a list of words
  plugin remove $plugins redis --delete-data --yes >/dev/null 2>&1 || :
  docker network rm "$network" >/dev/null 2>&1 || :
  rm -rf "$work"
}
trap cleanup EXIT

run_nself() {
  local from
  from=$(now)
  plugin install --core-only --offline >/dev/null
  milliseconds "$from" "$(now)" >>"$work/nself"
  # shellcheck disable=SC2086 # a list of words
  plugin remove $plugins redis --keep-image >/dev/null
}

# One container and the loop that waits for it; redis is waited for by what needs it.
run_one() {
  local name=$1 port=$2
  shift 2
  docker run -d --network "$network" --name "bench-$$-$name" -p "127.0.0.1:$port:$port" "$@" "$(cat "$work/image-$name")" >/dev/null
  [ "$name" = redis ] || until curl -fs -o /dev/null "http://127.0.0.1:$port/health"; do sleep 0.01; done
}

run_docker() {
  local from name
  from=$(now)
  run_one redis 6379 &
  run_one realtime 3101 -e REALTIME_JWT_SECRET=0123456789abcdef0123456789abcdef &
  run_one notifications 3102 &
  run_one jobs 3105 -p 127.0.0.1:4200:4200 -e "JOBS_REDIS_URL=redis://bench-$$-redis:6379/0" -e JOBS_DASHBOARD_PASSWORD=0123456789abcdef &
  run_one file-processing 3104 &
  wait
  milliseconds "$from" "$(now)" >>"$work/docker"
  for name in $plugins redis; do docker rm -fv "bench-$$-$name" >/dev/null; done
}

plugin install --core-only --offline >/dev/null
for name in $plugins redis; do docker inspect --format '{{.Image}}' "${project}_plugin_$name" >"$work/image-$name"; done
# shellcheck disable=SC2086 # a list of words
plugin remove $plugins redis --keep-image >/dev/null
docker network create --label org.nself.benchmark=1 "$network" >/dev/null
run_nself && run_docker && rm "$work/nself" "$work/docker"

for pair in $(seq "$pairs"); do
  # Each goes first in turn, so that none always profits from what another warmed.
  if [ $((pair % 2)) -eq 0 ]; then run_nself && run_docker; else run_docker && run_nself; fi
done

summary nself
summary docker
ratio nself docker "docker run"
