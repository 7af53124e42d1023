#!/usr/bin/env bash
# How much the notifications server takes: `benches/notifications.sh [PROGRAM]`. Starts the server (the release build
# unless another is named) and a mail server that keeps everything, then
#   1. sends 200 e-mails over a minute and counts what arrived,
#   2. sends 3,000 as fast as it can,
#   3. asks 20 times a second for half a minute and measures the answers,
#   4. reads the memory.
# Needs Node and Debian's python3-aiosmtpd.
set -eu

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=${1:-$root/target/release/notifications}
[ -x "$program" ] || { echo "$program is missing: cargo build --release -p nself-plugin-notifications" >&2; exit 1; }
work=$(mktemp -d)
port=${PORT:-28102}
mail_port=${MAIL_PORT:-28025}
/usr/bin/python3 "$root/tests/clients/smtp_sink.py" "$work/mails" --port "$mail_port" >/dev/null &
sink=$!
# The allocator's settings of the image.
# shellcheck disable=SC2046 # a list of settings
env $(sed -n 's/^ENV //p' "$root/plugins/notifications/Dockerfile") NOTIFICATIONS_PORT="$port" NOTIFICATIONS_HOST=127.0.0.1 \
  NOTIFICATIONS_DATA_DIR="$work/data" ${DATABASE_URL:+DATABASE_URL="$DATABASE_URL"} REALTIME_URL=off NOTIFICATIONS_SMTP_HOST=127.0.0.1 \
  NOTIFICATIONS_SMTP_PORT="$mail_port" LOG_LEVEL=warn "$program" >"$work/log" &
server=$!
trap 'kill $server $sink 2>/dev/null; wait; rm -rf "$work"' EXIT
until curl -fs -o /dev/null "http://127.0.0.1:$port/live"; do sleep 0.05; done
echo "machine: $(nproc) cores, $(awk '/MemTotal/ { printf "%.0f GB", $2 / 1e6 }' /proc/meminfo)"
awk '/VmRSS/ { printf "memory idle: %.1f MB\n", $2 / 1000 }' "/proc/$server/status"
node "$root/benches/notifications.mjs" "http://127.0.0.1:$port" "$work/mails"
awk '/VmHWM/ { printf "memory at most: %.1f MB\n", $2 / 1000 }' "/proc/$server/status"
awk '{ printf "processor: %.1f s in all\n", ($14 + $15) / 100 }' "/proc/$server/stat"
