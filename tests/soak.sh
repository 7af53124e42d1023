#!/usr/bin/env bash
# The long tests, in full: random kills, every state of an old version times every end of its replacement.
#   tests/soak.sh [SEED]
# NSELF_SOAK_KILLS and NSELF_SOAK_STATES change the counts. Needs what tests/run.sh has put in place: the engine and
# the bundled registry.
set -eu

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
export NSELF_SOAK_SEED="${1:-1}" NSELF_SOAK_KILLS="${NSELF_SOAK_KILLS:-1000}" NSELF_SOAK_STATES="${NSELF_SOAK_STATES:-48}"

printf '== %s random kills and %s combinations, seed %s\n' "$NSELF_SOAK_KILLS" "$NSELF_SOAK_STATES" "$NSELF_SOAK_SEED"
cargo test --locked -p nself --test it -- --nocapture soak:: states::

export NSELF_SOAK_MAIL_KILLS="${NSELF_SOAK_MAIL_KILLS:-60}"
printf '== %s kills of notifications while mails arrive\n' "$NSELF_SOAK_MAIL_KILLS"
cargo test --locked -p nself-plugin-notifications --test server -- --nocapture kills_while_mails_arrive
