#!/usr/bin/env bash
# Builds a release with the signing key from the variable NSELF_SIGNING_KEY: `release/ci.sh DIR`. The key is in a file
# only while this runs.
set -eu

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=install.sh
. "$root/install.sh"

[ -n "${NSELF_SIGNING_KEY:-}" ] || fail "NSELF_SIGNING_KEY is not set" "give it the Ed25519 key that signs releases, in PEM"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(umask 077 && printf '%s\n' "$NSELF_SIGNING_KEY" >"$folder/key")
unset NSELF_SIGNING_KEY
"$root/release/build.sh" --output "$1" --key "$folder/key"
