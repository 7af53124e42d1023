#!/usr/bin/env bash
# The step of the action: installs the release of this version, then the plugins. Inputs come by environment, never as
# words of this script; GITHUB_PATH and GITHUB_OUTPUT are files that the runner reads.
set -eu

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$folder/../../.." && pwd)
prefix=$HOME/.local

if [ -n "${INPUT_RELEASES:-}" ]; then export NSELF_RELEASES="$INPUT_RELEASES"; fi
if [ -n "${INPUT_PUBLIC_KEY:-}" ]; then export NSELF_RELEASE_KEY="$INPUT_PUBLIC_KEY"; fi
# A job cannot wait for a compiler: a release, or an error.
"$root/install.sh" --release --prefix "$prefix"
printf '%s\n' "$prefix/bin" >>"$GITHUB_PATH"
version=$("$prefix/bin/nself" --version | cut -d' ' -f2)
printf 'version=%s\n' "$version" >>"$GITHUB_OUTPUT"
read -ra plugins <<<"${INPUT_PLUGINS:-}"
if [ "${#plugins[@]}" -gt 0 ]; then
  for name in "${plugins[@]}"; do
    case $name in -*) printf 'error: %s is not the name of a plugin\n' "$name" >&2 && exit 1 ;; esac
  done
  "$prefix/bin/nself" plugin install "${plugins[@]}"
fi
