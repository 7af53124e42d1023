#!/usr/bin/env bash
# Builds the registry that ships with nself: `plugins/bundle.sh DIR [NAME...]` packs every plugin, or the named ones and
# those that need no compiler, into DIR/NAME-VERSION.tar.gz and writes DIR/registry.json. The same inputs give the same
# bytes.
set -eu

plugins=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=install.sh
. "$plugins/../install.sh"

# What a plugin's server needs to run in an image that holds nothing else: itself, its loader and libraries, the
# machine's certificate authorities. A plugin that needs more has its own assemble.sh. Links become the files that
# they point to, and modes are fixed, so that nothing but the bytes decides the digest.
assemble() {
  local name=$1 rootfs=$2 program="$built/release/$1" library
  [ -x "$program" ] || fail "$program is missing" "the program of plugins/$name must be called $name"
  install -D -m 755 "$program" "$rootfs/$name"
  # ldd names the loader too, and nothing for a statically linked program.
  for library in $(ldd "$program" | grep -o '/[^ ]*'); do install -D -m 755 "$library" "$rootfs$library"; done
  install -D -m 644 "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$rootfs/etc/ssl/certs/ca-certificates.crt"
}

[ "$#" -ge 1 ] || fail "a directory is expected" "plugins/bundle.sh DIR [NAME...]"
mkdir -p "$1"
output=$(cd "$1" && pwd)
shift
find_rust || fail "no Rust of at least $minimum_rust" "run ./install.sh, which installs one"
build_release "$@"
built=$(target_folder)
scratch=$(mktemp -d "$output/.new.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
umask 022

for manifest in "$plugins"/*/plugin.json; do
  source=$(dirname "$manifest")
  name=${source##*/}
  if [ "$#" -gt 0 ] && [ -f "$source/Cargo.toml" ]; then case " $* " in *" $name "*) ;; *) continue ;; esac; fi
  package="$scratch/$name"
  mkdir -p "$package/rootfs"
  for file in plugin.json Dockerfile README.md; do install -m 644 "$source/$file" "$package/$file"; done
  # Folders that the image owns for its user; a new volume takes its owner from them.
  if [ -d "$source/data" ]; then cp -r "$source/data" "$package/data"; fi
  if [ -x "$source/assemble.sh" ]; then "$source/assemble.sh" "$package/rootfs"; else assemble "$name" "$package/rootfs"; fi
done

mkdir "$scratch/.packed"
(cd "$scratch" && "$built/release/nself" plugin pack ./* --output .packed)
# The document comes after the archives that it names; archives that it no longer names go last.
mv -f "$scratch"/.packed/*.tar.gz "$output/"
mv -f "$scratch/.packed/registry.json" "$output/registry.json"
for archive in "$output"/*.tar.gz; do
  grep -Fq "${archive##*/}" "$output/registry.json" || rm -f "$archive"
done
