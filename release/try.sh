#!/usr/bin/env bash
# Installs the archive of a release as a new user without Rust does, and brings the core plugins up:
# `release/try.sh DIR`. Prints how long it took, and removes everything again. Needs a Docker engine and free ports.
set -eu

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=install.sh
. "$root/install.sh"
output=$(cd "$1" && pwd)
archive=$(cd "$output" && ls nself-*-"$(platform)".tar.gz)
HOME=$(mktemp -d)
export HOME
unset CARGO_HOME RUSTUP_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME NSELF_HOME

finish() {
  # A failure before the plugins were there leaves nothing to remove.
  if [ -x "$HOME/.local/bin/nself" ]; then
    "$HOME/.local/bin/nself" plugin remove realtime notifications jobs file-processing redis --delete-data --yes || :
  fi
  rm -rf "$HOME"
}
trap finish EXIT

# The system's directories hold no Rust of rustup's; cargo must not be found in them either.
export PATH="$HOME/.local/bin:/usr/bin:/bin"
if command -v cargo >/dev/null; then fail "cargo is on the PATH: $(command -v cargo)" "remove Debian's cargo to try this"; fi
read -r load _ </proc/loadavg
begun=$(date +%s%N)
"$output/install.sh" --from "$output/$archive"
installed=$(date +%s%N)
cd "$HOME"
nself plugin install --core-only
ended=$(date +%s%N)
nself plugin health
printf 'load %s: installed in %d ms, the core plugins healthy after %d ms in all\n' "$load" \
  $(((installed - begun) / 1000000)) $(((ended - begun) / 1000000))
