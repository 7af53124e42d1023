#!/usr/bin/env bash
# Prints the licences of everything that is linked into the programs or packed into the plugins' images:
# `release/licences.sh BUILD` reads the crates from Cargo.lock and the system's libraries from the bundled archives of
# that build. Each text is printed once, below the names that it holds for.
set -eu

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=$(uname -m)-unknown-linux-gnu
list=$(mktemp)
texts=$(mktemp -d)
trap 'rm -rf "$list" "$texts"' EXIT

# Files NAME's licence text: note NAME FILE.
note() {
  local digest
  digest=$(sha256sum <"$2" | cut -d' ' -f1)
  [ -f "$texts/$digest" ] || cp "$2" "$texts/$digest"
  printf '%s\n' "$1" >>"$texts/$digest.names"
}

# The directories of the crates that are linked, from what cargo downloaded.
crates() {
  (cd "$root" && cargo tree --workspace --locked --edges normal,no-proc-macro --target "$target" --prefix none --format '{p}|{l}') |
    sed -e 's/ (\*)//' -e 's/ (proc-macro)//' | grep -v -e '(/' -e '^|*$' | sort -u
}

while IFS='|' read -r crate licence; do
  name=${crate%% *} number=${crate##* v}
  printf '%s %s: %s\n' "$name" "$number" "${licence:-no licence named}" >>"$list"
  for file in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$name-$number"/{,*/}{LICEN[CS]E,license,COPYING,NOTICE}*; do
    if [ -f "$file" ]; then note "$name $number" "$file"; fi
  done
done < <(crates)

# What the images hold beside the programs comes from Debian's packages.
libraries() {
  local archive
  for archive in "$1"/bundle/*.tar.gz; do tar -tzf "$archive" 2>/dev/null | sed -n 's|^\([^/]*/\)*rootfs\(/.*\.so[^/]*\)$|\2|p'; done | sort -u
}

if command -v dpkg >/dev/null; then
  for library in $(libraries "$1") /usr/bin/redis-check-rdb; do
    package=$(dpkg -S "$library" 2>/dev/null || dpkg -S "/usr$library" 2>/dev/null || :)
    package=${package%%:*}
    file=/usr/share/doc/$package/copyright
    if [ -n "$package" ] && [ -f "$file" ] && ! grep -qs "^Debian's $package:" "$list"; then
      printf "Debian's %s: %s\n" "$package" "see its text below" >>"$list"
      note "Debian's $package" "$file"
    fi
  done
fi

printf 'nself is licensed under the MIT licence (LICENSE). It and its plugins contain:\n\n'
sort -u "$list"
for names in $(cd "$texts" && printf '%s\n' ./*.names | LC_ALL=C sort); do
  [ -f "$texts/$names" ] || continue
  printf '\n%s\n' "$(printf '%.0s=' {1..100})"
  sort -u "$texts/$names" | paste -sd, - | sed 's/,/, /g' | fold -s -w 120
  printf '%s\n\n' "$(printf '%.0s-' {1..100})"
  cat "$texts/${names%.names}"
done
