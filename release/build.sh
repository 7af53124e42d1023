#!/usr/bin/env bash
# Builds the files of a release for this machine's platform from this checkout:
#
#   release/build.sh --output DIR [--key FILE]
#
# The archive, a Debian package, a Homebrew formula, install.sh for this version, SHA256SUMS and, with a key,
# SHA256SUMS.minisig. The same commit gives the same bytes wherever it is checked out. release/README.md describes the
# files, the key and the signature.
set -eu

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=install.sh
. "$root/install.sh"
# shellcheck source=release/sign.sh
. "$root/release/sign.sh"

wrong_words() { fail "$1" "release/build.sh --output DIR [--key FILE]"; }

# Compiles without a path of this machine in the programs, into a directory beside the builds that have them.
compile() {
  local cargo_home=${CARGO_HOME:-$HOME/.cargo} target
  target=$(target_folder)/dist
  export CARGO_TARGET_DIR="$target" CARGO_INCREMENTAL=0
  # rustc takes the last one that matches.
  export RUSTFLAGS="--remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$root=/nself --remap-path-prefix=$target=/target"
  local map="-ffile-prefix-map=$cargo_home=/cargo -ffile-prefix-map=$root=/nself -ffile-prefix-map=$target=/target"
  export CFLAGS="${CFLAGS:-} $map" CXXFLAGS="${CXXFLAGS:-} $map"
  # Programs verify updates of themselves with the public key that they were built with.
  if [ -n "$key" ]; then
    NSELF_RELEASE_KEY=$(public_key_of "$key")
    export NSELF_RELEASE_KEY
  fi
  "$root/plugins/bundle.sh" "$target/bundle"
  built=$target
}

# Lays the archive's files out in a directory: that of the prefix, and install.sh beside it.
lay_out() {
  local tree=$1 mode source path
  unpacked=""
  wanted_files "$built" | while IFS=$'\t' read -r mode source path; do
    [ "$mode" != link ] || continue
    install -D -m "$mode" "$source" "$tree/$path"
  done
  for source in README.md CHANGELOG.md LICENSE; do install -D -m 644 "$root/$source" "$tree/share/doc/nself/$source"; done
  "$root/release/licences.sh" "$built" >"$tree/share/doc/nself/LICENCES"
  publish_install_script "$tree/install.sh"
}

# The script knows which release it belongs to and whom to trust.
publish_install_script() {
  sed -e "s|^release_version=\"\"|release_version=\"$version\"|" -e "s|^release_key=\"\"|release_key=\"${NSELF_RELEASE_KEY:-}\"|" \
    "$root/install.sh" >"$1"
  chmod 755 "$1"
}

# Packs NAME of the current directory into NAME.tar.gz; only names, modes and bytes decide the result.
pack() {
  tar --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$1" | gzip -9n >"$1.tar.gz"
}

# The architecture as Debian calls it; fails where this machine's is unknown.
debian_architecture() { case $(uname -m) in x86_64) say amd64 ;; aarch64) say arm64 ;; *) return 1 ;; esac; }

debian_package() {
  local tree=$1 package=$2/deb libc
  libc=$(ldd --version | head -n 1 | grep -o '[0-9.]*$')
  install -d -m 755 "$package/DEBIAN" "$package/usr"
  cp -r "$tree/bin" "$tree/share" "$package/usr"
  ln -s nself "$package/usr/bin/nself-plugin"
  # Debian reads bash and zsh completions there, fish's here; policy wants the licence under this name.
  install -d -m 755 "$package/usr/share/zsh/vendor-completions"
  mv "$package/usr/share/zsh/site-functions/_nself" "$package/usr/share/zsh/vendor-completions/_nself"
  rmdir "$package/usr/share/zsh/site-functions"
  mv "$package/usr/share/doc/nself/LICENSE" "$package/usr/share/doc/nself/copyright"
  cat >"$package/DEBIAN/control" <<TEXT
Package: nself-plugin
Version: $version
Architecture: $(debian_architecture)
Maintainer: nself contributors <https://github.com/acamarata/nself>
Depends: libc6 (>= $libc), libgcc-s1
Recommends: docker.io | docker-ce, ca-certificates
Section: admin
Priority: optional
Homepage: https://nself.org
Description: plugin manager for nself, the self-hosted backend
 Installs plugins of a self-hosted backend on Docker and waits until they are
 healthy, or rolls everything back. Comes with the core plugins.
TEXT
  dpkg-deb --root-owner-group -Zgzip --build "$package" "$output/nself-plugin_${version}_$(debian_architecture).deb" >/dev/null
}

# Written for this release's archive: there is one for Linux on x86-64 only.
homebrew_formula() {
  local archive=$1
  sed -e "s|@VERSION@|$version|g" -e "s|@ARCHIVE@|$archive|g" -e "s|@SHA256@|$(sha256sum <"$output/$archive" | cut -d' ' -f1)|g" \
    "$root/release/nself.rb.in" >"$output/nself.rb"
}

build() {
  local name folder
  version=$(own_version)
  name=nself-$version-$(platform)
  : "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct)}"
  export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
  umask 022
  scratch=$(mktemp -d)
  step "[1/3] building nself and its plugins"
  compile
  step "[2/3] packing"
  mkdir -p "$output"
  lay_out "$scratch/$name"
  (cd "$scratch" && pack "$name")
  mv "$scratch/$name.tar.gz" "$output/"
  publish_install_script "$output/install.sh"
  homebrew_formula "$name.tar.gz"
  if command -v dpkg-deb >/dev/null && debian_architecture >/dev/null; then debian_package "$scratch/$name" "$scratch"; else say "no dpkg-deb: no Debian package"; fi
  step "[3/3] sums and signature"
  (cd "$output" && rm -f SHA256SUMS SHA256SUMS.minisig && sha256sum ./*"$version"* install.sh nself.rb | sed 's|  \./|  |' | sort -k 2 >"$scratch/sums" && mv "$scratch/sums" SHA256SUMS)
  if [ -n "$key" ]; then sign "$key" "$output/SHA256SUMS" "nself $version"; else say "no key: SHA256SUMS is not signed, and install.sh will refuse these files"; fi
  (cd "$output" && ls -l)
}

main_build() {
  output="" key=""
  while [ "$#" -gt 0 ]; do
    case $1 in
      --output) output=${2:-} ;;
      --key) key=${2:-} ;;
      *) wrong_words "unexpected argument \`$1\`" ;;
    esac
    [ "$#" -ge 2 ] || wrong_words "$1 needs a value"
    shift 2
  done
  [ -n "$output" ] || wrong_words "--output is missing"
  if [ -n "$key" ]; then key=$(cd "$(dirname "$key")" && pwd)/${key##*/} && check_key "$key"; fi
  mkdir -p "$output"
  output=$(cd "$output" && pwd)
  find_rust || fail "no Rust of at least $minimum_rust was found" "run ./install.sh --build, which installs one"
  trap clean_up EXIT
  build
}

main_build "$@"
