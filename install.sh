#!/usr/bin/env bash
# Installs nself with its plugins, completions and man pages from a release archive or by building this checkout, or
# removes them. plugins/bundle.sh, release/build.sh and tests/run.sh source this file for what they share with it.
set -eu

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
minimum_rust=1.94
rust_found=""
engine_log=/var/log/dockerd.log
# release/build.sh writes these two into the copy of this script that it publishes.
release_version=""
release_key=""
releases=${NSELF_RELEASES:-https://github.com/acamarata/nself/releases}
# Removed at the end of every run.
scratch="" new=""
# With an unset HOME neither cargo nor the default prefix has a place.
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"

usage() {
  cat <<'TEXT'
Usage: ./install.sh [--from FILE|URL | --release | --build | --only NAME...] [--with-docker] [--prefix DIR]
       ./install.sh --uninstall [--prefix DIR]

Installs nself for this user. On its own, and in a clone that is exactly a release, it downloads and verifies the
release's archive; in any other clone it builds from source. Running it again updates what has changed.

  --from FILE|URL  install this release archive; SHA256SUMS and SHA256SUMS.minisig must be beside it
  --release        install the release of this version, or fail; never build
  --build          build from this clone, even if it is exactly a release
  --only NAME...   build from this clone, and build and install only these plugins
  --with-docker    also install and start the Docker engine where none answers (needs root)
  --prefix DIR     where to install: DIR/bin, DIR/share (default: ~/.local)
  --uninstall      remove the files that this script placed, and list what stays
  --help           show this text

NSELF_RELEASES is the address of the releases, NSELF_RELEASE_KEY the minisign public key (text or file) to trust.
TEXT
}

say() { printf '%s\n' "$*"; }

# A heading; bold on a terminal only.
step() { if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then printf '\033[1m%s\033[0m\n' "$*"; else say "$*"; fi; }

# Ends the run: what is wrong, then one hint.
fail() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

# ---------------------------------------------------------------------------------------------------------------------
# Packages of the system

# Installs Debian packages, or says what to type where doing so is not this user's right.
install_packages() {
  [ "$#" -gt 0 ] || return 0
  local line="apt-get update && apt-get install -y --no-install-recommends $*"
  command -v apt-get >/dev/null || fail "missing, and this is no Debian: $*" "install them with the system's package manager, then run this again"
  [ "$(id -u)" -eq 0 ] || fail "missing: $*" "run: sudo sh -c '$line'"
  local log bundle=/etc/ssl/certs/ca-certificates.crt kept=""
  log=$(mktemp)
  # A bundle that no package owns was put there by the machine's owner; a package that drags in ca-certificates would replace it.
  if [ -s "$bundle" ] && ! dpkg -s ca-certificates >/dev/null 2>&1; then kept=$(mktemp) && cp "$bundle" "$kept"; fi
  say "installing with apt: $*"
  # --no-remove: another toolchain or engine is never thrown out. Nothing that runs is restarted.
  if ! { apt-get update && DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get install -y \
    --no-install-recommends --no-remove -o DPkg::Lock::Timeout=120 "$@"; } </dev/null >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    rm -f "$log"
    fail "apt could not install: $*" "run it by hand to see what stands in the way: $line"
  fi
  if [ -n "$kept" ]; then cp "$kept" "$bundle" && rm -f "$kept"; fi
  rm -f "$log"
}

# Prints the packages that building needs and that are missing (Rust has its own search).
missing_build_packages() {
  # Compiling and linking one program proves the compiler and the C library's development files at once.
  printf 'int main(void) { return 0; }\n' | cc -x c - -o /dev/null 2>/dev/null || say gcc libc6-dev
  command -v curl >/dev/null || say curl
  [ -s "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" ] || say ca-certificates
  # The plugin `redis` is made of Debian's own programs.
  command -v redis-check-rdb >/dev/null || say redis-tools
}

# ---------------------------------------------------------------------------------------------------------------------
# Rust

# True where cargo and rustc run as the environment stands and are new enough.
rust_works() {
  local version
  cargo --version >/dev/null 2>&1 || return 1
  version=$(cd "$checkout" && rustc --version 2>/dev/null | cut -d' ' -f2) || return 1
  [ -n "$version" ] || return 1
  rust_found="rustc $version"
  printf '%s\n%s\n' "$minimum_rust" "${version%%-*}" | sort -VC
}

# True for rustup's cargo without its folder: asking it anything would only make an empty one in HOME.
rustup_is_homeless() {
  local cargo
  cargo=$(command -v cargo) && [ "$cargo" -ef "$(dirname "$cargo")/rustup" ] && [ ! -d "${RUSTUP_HOME:-$HOME/.rustup}" ]
}

home_of() { getent passwd "$1" | cut -d: -f6; }

# Finds a cargo that works: on the PATH, else rustup's wherever it lives. With an empty HOME a rustup cargo is found
# but knows no toolchain until RUSTUP_HOME names the folder beside its own.
find_rust() {
  local cargo_home rustup_home on_path
  if ! rustup_is_homeless && rust_works; then return 0; fi
  on_path=$(dirname "$(dirname "$(command -v cargo || say /none/bin/cargo)")")
  for cargo_home in "${CARGO_HOME:-/none}" "$HOME/.cargo" "$on_path" "$(home_of "$(id -u)")/.cargo" \
    "$(home_of "${SUDO_USER:-root}")/.cargo" /root/.cargo /usr/local/cargo; do
    [ -x "$cargo_home/bin/cargo" ] || continue
    for rustup_home in "${RUSTUP_HOME:-/none}" "${cargo_home%cargo}rustup"; do
      [ -d "$rustup_home" ] || continue
      if PATH=$cargo_home/bin:$PATH RUSTUP_HOME=$rustup_home rust_works; then
        export PATH="$cargo_home/bin:$PATH" RUSTUP_HOME="$rustup_home"
        # Its crates cache and its settings belong to it, but only where this user may write there.
        if [ -z "${CARGO_HOME:-}" ] && [ -w "$cargo_home" ]; then export CARGO_HOME="$cargo_home"; fi
        return 0
      fi
    done
  done
  return 1
}

# Finds or installs what building needs, with any further packages in the same run of apt.
ensure_build_tools() {
  local packages
  packages="$(missing_build_packages) $*"
  # Debian 12 keeps a current Rust for the browsers it builds; its own rustc is too old.
  find_rust || packages="$packages cargo-web rustc-web"
  # shellcheck disable=SC2086 # a list of words
  install_packages $packages
  find_rust || PATH="/usr/bin:$PATH" find_rust || fail \
    "no Rust of at least $minimum_rust (${rust_found:-none was found})" "install one from https://rustup.rs, then run this again"
  case $packages in *rustc-web*) export PATH="/usr/bin:$PATH" ;; esac
  say "using $rust_found ($(command -v cargo))"
}

# The folder that cargo builds into, after its own reading of CARGO_TARGET_DIR and its settings files.
target_folder() {
  (cd "$checkout" && cargo metadata --no-deps --offline --format-version 1) |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}

# Builds the manager and the programs of the named plugins, of all without a name. Always the whole workspace where
# nothing else was asked for: cargo builds shared crates again for another selection of packages.
build_release() {
  local name
  local -a packages=(--workspace)
  if [ "$#" -gt 0 ]; then
    packages=(--package nself)
    for name in "$@"; do
      [ ! -f "$checkout/plugins/$name/Cargo.toml" ] || packages+=(--package "nself-plugin-$name")
    done
  fi
  (cd "$checkout" && cargo build --release --locked "${packages[@]}")
}

# ---------------------------------------------------------------------------------------------------------------------
# Release archives: `release/README.md` describes their files, key and signature.

# What the archives call this machine.
platform() { say "$(uname -m)-$(uname -s | tr '[:upper:]' '[:lower:]')"; }

# The version that this script belongs to.
own_version() {
  if [ -n "$release_version" ]; then say "$release_version"; else sed -n '/^\[workspace.package\]/,/^version/s/^version = "\(.*\)"/\1/p' "$checkout/Cargo.toml"; fi
}

in_clone() { [ -f "$checkout/Cargo.toml" ] && [ -f "$checkout/plugins/bundle.sh" ]; }

# True where this script lies in an unpacked archive, beside the files that it places.
in_archive() { [ -f "$checkout/bin/nself" ] && [ -f "$checkout/share/nself/registry/registry.json" ]; }

# Prints why this clone is not exactly a release; nothing where it is one.
not_a_release() {
  local tag
  tag=v$(own_version)
  if ! command -v git >/dev/null; then
    say "git is missing, so the clone's version is unknown"
  elif ! git -C "$checkout" rev-parse --verify --quiet HEAD >/dev/null 2>&1; then
    say "this is not a git clone"
  elif ! git -C "$checkout" tag --points-at HEAD | grep -Fxq "$tag"; then
    say "the clone is not at the tag $tag"
  elif [ -n "$(git -C "$checkout" --no-optional-locks status --porcelain | head -n 1)" ]; then
    say "the clone has local changes"
  fi
}

# Prints the public key to trust as one line of base64: the user's, that of this script, or that of the clone.
public_key() {
  local key=${NSELF_RELEASE_KEY:-$release_key}
  if [ -z "$key" ] && [ -f "$checkout/release/minisign.pub" ]; then key=$checkout/release/minisign.pub; fi
  if [ -f "$key" ]; then key=$(grep -v '^untrusted comment:' "$key" | head -n 1); fi
  printf '%s' "$key"
}

# Downloads URL to FILE; where that fails, prints why.
download() {
  local kind
  if ! kind=$(curl -sSfL --proto '=http,https' --connect-timeout 10 --speed-limit 1024 --speed-time 30 --retry 2 \
    -w '%{content_type}' -o "$2" "$1" 2>"$scratch/curl"); then
    sed -n 's/^curl: ([0-9]*) //p' "$scratch/curl" | tail -n 1
    return 1
  fi
  case $kind in text/html* | application/xhtml*) say "the server answers with a web page" && return 2 ;; esac
  [ -s "$2" ] || { say "the server's answer is empty" && return 2; }
}

# True for Ed25519's signature of a file with a raw public key of 32 bytes: verify_ed25519 KEY FILE SIGNATURE.
verify_ed25519() {
  # A public key in DER is these 12 bytes and the key.
  { printf '\060\052\060\005\006\003\053\145\160\003\041\000' && cat "$1"; } >"$scratch/key.der"
  openssl pkeyutl -verify -pubin -keyform DER -inkey "$scratch/key.der" -rawin -in "$2" -sigfile "$3" >/dev/null 2>&1
}

# True where SIGNATURE is KEY's minisign signature of FILE, checked with openssl: of the file's BLAKE2b digest, then of
# that signature and the trusted comment.
verify_with_openssl() {
  local file=$1 signature=$2 key=$3 part=$scratch/part
  printf '%s' "$key" | base64 -d >"$part.key" 2>/dev/null || return 1
  sed -n 2p "$signature" | base64 -d >"$part.signature" 2>/dev/null || return 1
  sed -n 4p "$signature" | base64 -d >"$part.global" 2>/dev/null || return 1
  [ "$(stat -c %s "$part.key" "$part.signature" "$part.global" | tr '\n' ' ')" = "42 74 64 " ] || return 1
  [ "$(head -c 2 "$part.key") $(head -c 2 "$part.signature")" = "Ed ED" ] || return 1
  tail -c +3 "$part.key" | head -c 8 >"$part.key-id"
  tail -c +3 "$part.signature" | head -c 8 | cmp -s - "$part.key-id" || return 1
  tail -c 32 "$part.key" >"$part.raw-key"
  tail -c 64 "$part.signature" >"$part.raw"
  { cat "$part.raw" && sed -n '3s/^trusted comment: //p' "$signature" | tr -d '\n'; } >"$part.commented"
  openssl dgst -blake2b512 -binary "$file" >"$part.digest" || return 1
  verify_ed25519 "$part.raw-key" "$part.digest" "$part.raw" &&
    verify_ed25519 "$part.raw-key" "$part.commented" "$part.global"
}

# Ends the run unless SHA256SUMS in the scratch directory is signed by the trusted key.
verify_sums() {
  local sums=$scratch/SHA256SUMS key where=$1
  key=$(public_key)
  [ -n "$key" ] || fail "could not verify $where: no public key is known" \
    "set NSELF_RELEASE_KEY to the release's minisign public key"
  if command -v minisign >/dev/null; then
    minisign -Vqm "$sums" -x "$sums.minisig" -P "$key" >/dev/null 2>&1 && return 0
  else
    case $(openssl version 2>/dev/null) in
      "OpenSSL "[3-9]*) ;;
      *) fail "could not verify $where: neither minisign nor openssl 3 is installed" \
        "run: apt-get install minisign (as root), or install openssl 3" ;;
    esac
    verify_with_openssl "$sums" "$sums.minisig" "$key" && return 0
  fi
  fail "could not verify $where: SHA256SUMS is not signed by the key $key" \
    "get the archive, SHA256SUMS and SHA256SUMS.minisig of one release again from $releases"
}

# Gets one file from beside the archive: near FOLDER|ADDRESS NAME. Prints why it could not.
near() {
  case $1 in
    http://* | https://*) download "$1/$2" "$scratch/$2" ;;
    *) if [ -f "$1/$2" ]; then cp "$1/$2" "$scratch/$2"; else say "no such file" && return 1; fi ;;
  esac
}

# Gets and verifies the archive NAME that lies at PLACE, then unpacks it; sets `unpacked`. SHA256SUMS may be there already.
get_archive() {
  local place=$1 name=$2 wanted got why again="get the archive and SHA256SUMS again from $releases"
  local where=$place/$name
  [ -f "$scratch/SHA256SUMS" ] || why=$(near "$place" SHA256SUMS) ||
    fail "could not verify $where: $place/SHA256SUMS: $why" "download SHA256SUMS and SHA256SUMS.minisig of the release to the same place"
  why=$(near "$place" SHA256SUMS.minisig) ||
    fail "could not verify $where: $place/SHA256SUMS.minisig: $why" "download SHA256SUMS.minisig of the release to the same place"
  verify_sums "$where"
  wanted=$(awk -v name="$name" '$2 == name { print $1 }' "$scratch/SHA256SUMS")
  [ -n "$wanted" ] || fail "could not verify $where: SHA256SUMS does not list $name" "$again"
  case $name in
    nself-*-"$(platform)".tar.gz) ;;
    *) fail "could not install $where: it is not for this machine, which is $(platform)" "choose the archive whose name ends in $(platform).tar.gz" ;;
  esac
  why=$(near "$place" "$name") || fail "could not get $where: $why" "check the address, or download the archive by hand and use --from FILE"
  got=$(sha256sum <"$scratch/$name" | cut -d' ' -f1)
  [ "$got" = "$wanted" ] || fail "could not verify $where: its SHA-256 is $got, but SHA256SUMS lists $wanted" "$again"
  tar -xzf "$scratch/$name" -C "$scratch" --no-same-owner || fail "could not unpack $where" "$again"
  unpacked=$scratch/${name%.tar.gz}
  say "verified: $name"
}

# Looks for the release of this version. False where it cannot be had, with the reason in `why`; a release that is there
# but cannot be verified ends the run.
find_release() {
  local version place name status=0
  version=$(own_version)
  place=$releases/download/v$version name=nself-$version-$(platform).tar.gz
  if ! command -v curl >/dev/null; then why="curl is missing" && return 1; fi
  if [ -z "$(public_key)" ]; then why="no public key is known to verify releases with" && return 1; fi
  say "looking for $place/$name"
  why=$(near "$place" SHA256SUMS) || status=$?
  case $status in
    0) get_archive "$place" "$name" ;;
    1) return 1 ;;
    *) fail "could not verify the release: $place/SHA256SUMS: $why" "check the address in NSELF_RELEASES, or use --from FILE" ;;
  esac
}

# ---------------------------------------------------------------------------------------------------------------------
# The Docker engine

# True where an engine answers on its socket; a docker client alone is none.
engine_answers() {
  local host=${DOCKER_HOST:-unix:///var/run/docker.sock}
  case $host in
    unix://*) [ -S "${host#unix://}" ] && curl -fs --max-time 5 --unix-socket "${host#unix://}" http://localhost/_ping >/dev/null ;;
    tcp://* | http://*) curl -fs --max-time 5 "http://${host#*://}/_ping" >/dev/null ;;
    *) return 1 ;;
  esac
}

dockerd_path() { PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v dockerd; }

# True where process PID is a NAME that has not ended (an ended one that nobody collected keeps its number).
is_running() {
  local name state
  { read -r _ name state _ <"/proc/$1/stat"; } 2>/dev/null && [ "$name" = "($2)" ] && [ "$state" != Z ]
}

# True where a dockerd runs in this process namespace: one inside a container does not count.
dockerd_runs() {
  local process
  for process in /proc/[0-9]*; do
    is_running "${process#/proc/}" dockerd || continue
    [ "$(readlink "$process/ns/pid")" != "$(readlink /proc/self/ns/pid)" ] || return 0
  done
  return 1
}

# Removes the notes of an engine that was killed: a new one refuses to start while any process has those numbers. A
# containerd that outlived its engine is taken over, so its note stays.
remove_stale_notes() {
  local note=/var/run/docker/containerd/containerd.pid
  rm -f /var/run/docker.pid
  if [ -f "$note" ] && ! is_running "$(cat "$note")" containerd; then rm -f "$note"; fi
}

# Prints the packages that an engine needs and that are missing.
missing_engine_packages() {
  if [ -n "${DOCKER_HOST:-}" ] || engine_answers 2>/dev/null; then return 0; fi
  dockerd_path >/dev/null || say docker.io
  # Where the kernel enforces AppArmor the engine loads a profile with this program, which docker.io only recommends.
  if grep -qs Y /sys/module/apparmor/parameters/enabled && [ ! -x /usr/sbin/apparmor_parser ]; then say apparmor; fi
}

# What to type for an engine, in this situation.
engine_hint() {
  if [ -n "${DOCKER_HOST:-}" ]; then
    say "DOCKER_HOST is $DOCKER_HOST, where no engine answers: start that one, or unset DOCKER_HOST"
  elif [ -S /var/run/docker.sock ] && [ ! -w /var/run/docker.sock ]; then
    say "this user may not open /var/run/docker.sock: run \`sudo usermod -aG docker $(id -un)\` and log in again"
  elif [ "$(id -u)" -eq 0 ]; then
    say "run: ./install.sh --with-docker"
  elif dockerd_path >/dev/null; then
    say "run: sudo $(ways_to_start | head -n 1)"
  else
    say "run: sudo sh -c 'apt-get update && apt-get install -y docker.io && service docker start && usermod -aG docker $(id -un)', then log in again"
  fi
}

# Waits up to a minute; gives up early once the engine's process has gone.
wait_for_engine() {
  local waited=0
  while ! engine_answers; do
    [ "$waited" -lt 240 ] || return 1
    [ "$waited" -lt 12 ] || dockerd_runs || return 1
    [ "$waited" -ne 12 ] || say "waiting up to 60 s for the Docker engine to answer"
    sleep 0.25
    waited=$((waited + 1))
  done
}

# Prints the ways to start dockerd that this machine knows, the best first.
ways_to_start() {
  if [ -d /run/systemd/system ]; then say "systemctl start docker"; fi
  if [ -x /etc/init.d/docker ]; then say "service docker start"; fi
  # In a session of its own it outlives this script and its terminal.
  say "setsid $(dockerd_path)"
}

engine_failed() {
  if [ -d /run/systemd/system ]; then
    journalctl -u docker -n 15 --no-pager >&2 || :
  else
    # Whichever of the two ways to start it wrote last.
    [ /var/log/docker.log -nt "$engine_log" ] && engine_log=/var/log/docker.log
    tail -n 15 "$engine_log" >&2 || :
  fi
  fail "the Docker engine does not answer" "its last lines are above; once it runs, run this again"
}

# Brings up the engine where none answers. One that runs is waited for, never doubled.
ensure_engine() {
  engine_answers && say "the Docker engine answers" && return 0
  if [ -n "${DOCKER_HOST:-}" ] || [ "$(id -u)" -ne 0 ]; then fail "no Docker engine answers" "$(engine_hint)"; fi
  local ways way
  if dockerd_runs; then
    wait_for_engine || engine_failed
  else
    ways=$(ways_to_start)
    while read -r way; do
      dockerd_runs && engine_failed
      remove_stale_notes
      say "starting the Docker engine: $way"
      case $way in
        setsid*) $way </dev/null >"$engine_log" 2>&1 & ;;
        *) $way </dev/null >/dev/null 2>&1 || continue ;;
      esac
      wait_for_engine && break
    done <<<"$ways"
    engine_answers || engine_failed
  fi
  say "the Docker engine answers"
}

# Prints the command that removes every KIND (container, network, volume, image) with a label, or nothing.
removal_of() {
  local ids
  case $1 in
    container) ids=$(docker container ls -aq --filter "label=$2") ;;
    *) ids=$(docker "$1" ls -q --filter "label=$2" | sort -u) ;;
  esac
  [ -n "$ids" ] || return 0
  # An older client knows no -f for networks.
  # shellcheck disable=SC2086 # a list of words
  if [ "$1" = network ]; then say "docker network rm" $ids; else say "docker $1 rm -f" $ids; fi
}

# ---------------------------------------------------------------------------------------------------------------------
# Placing files. The record below the prefix has one line a thing: `folder PATH`, `link:TARGET PATH`, `SHA256 PATH`.

# What a path holds, as the record spells it; nothing where it does not exist.
state_of() {
  if [ -L "$1" ]; then say "link:$(readlink "$1")"; elif [ -f "$1" ]; then sha256sum <"$1" | cut -d' ' -f1; fi
}

is_ours() { [ -f "$record" ] && grep -Fxq "$(state_of "$prefix/$1") $1" "$record"; }

# Also told by its words: a copy from before this record existed, or one built and copied by hand.
is_plugin_manager() {
  case $(timeout 5 "$1" --version </dev/null 2>/dev/null || :) in "nself "*"plugin manager"*) return 0 ;; esac
  return 1
}

# Runs before anything is changed or built: a program of another maker is never replaced.
refuse_foreign_program() {
  local name path
  for name in nself nself-plugin; do
    path=$prefix/bin/$name
    if [ ! -e "$path" ] && [ ! -L "$path" ]; then continue; fi
    is_ours "bin/$name" || is_plugin_manager "$path" || fail \
      "$path is another program, not placed by this script; nothing was changed" \
      "choose another place with --prefix DIR, or move that program away"
  done
}

# Prints what to place, in order: mode, source, path below the prefix. The program comes last: it is what switches.
wanted_files() {
  if in_clone && [ -z "$unpacked" ]; then wanted_of_clone "$1"; else wanted_of_archive "$1"; fi
  printf 'link\tnself\tbin/nself-plugin\n'
}

wanted_of_clone() {
  local built=$1 file
  for file in "$built"/bundle/*.tar.gz "$built"/bundle/registry.json; do
    printf '644\t%s\tshare/nself/registry/%s\n' "$file" "${file##*/}"
  done
  printf '644\t%s\t%s\n' \
    "$checkout/completions/nself.bash" share/bash-completion/completions/nself \
    "$checkout/completions/_nself" share/zsh/site-functions/_nself \
    "$checkout/completions/nself.fish" share/fish/vendor_completions.d/nself.fish
  for file in "$checkout"/man/*.1; do
    printf '644\t%s\tshare/man/man1/%s\n' "$file" "${file##*/}"
  done
  printf '755\t%s\tbin/nself\n' "$built/release/nself"
}

# An archive has the layout of the prefix.
wanted_of_archive() {
  local unpacked=$1 file
  if [ "$keep_previous" = yes ] && [ -f "$prefix/bin/nself" ]; then
    printf '755\t%s\tshare/nself/previous/nself\n' "$prefix/bin/nself"
  fi
  (cd "$unpacked" && find share -type f | LC_ALL=C sort) | while read -r file; do
    printf '644\t%s\t%s\n' "$unpacked/$file" "$file"
  done
  printf '755\t%s\tbin/nself\n' "$unpacked/bin/nself"
}

# Prints the record lines of the wanted files and of the folders that must be made for them.
wanted_record() {
  local mode source path folder
  while IFS=$'\t' read -r mode source path; do
    folder=$(dirname "$path")
    while [ ! -d "$prefix/$folder" ]; do
      say "folder $folder"
      [ "$folder" != . ] || break
      folder=$(dirname "$folder")
    done
    if [ "$mode" = link ]; then say "link:$source $path"; else say "$(state_of "$source") $path"; fi
  done <"$1"
}

# Replaces one file in one step, so that a reader sees the old one or the new one.
place() {
  local mode=$1 source=$2 path=$3 target="$prefix/$3" wanted
  new="$prefix/$3.new.$$"
  # What a killed run left.
  rm -f "$target".new.[0-9]*
  if [ "$mode" = link ]; then wanted="link:$source"; else wanted=$(state_of "$source"); fi
  if [ "$(state_of "$target")" = "$wanted" ] && { [ "$mode" = link ] || [ "$(stat -c %a "$target")" = "$mode" ]; }; then
    unchanged=$((unchanged + 1))
  elif { [ -e "$target" ] || [ -L "$target" ]; } && ! is_ours "$path" && [ "${path%/*}" != bin ]; then
    say "  kept $target: it is not as this script placed it"
    # What an earlier run placed there stays on record, so that --uninstall names it.
    awk -v path="$path" '$2 == path' "$old" >>"$fresh"
    return 0
  else
    mkdir -p "$(dirname "$target")"
    if [ "$mode" = link ]; then ln -s "$source" "$new"; else install -m "$mode" "$source" "$new"; fi
    mv -fT "$new" "$target"
    say "  $target"
  fi
  say "$wanted $path" >>"$fresh"
}

# Removes the files of the given record lines that are still as they were placed.
remove_recorded() {
  local lines state path now
  lines=$(cat "$1")
  while read -r state path; do
    rm -f "$prefix/$path".new.[0-9]*
    now=$(state_of "$prefix/$path")
    if [ "$state" = folder ] || [ -z "$now" ]; then continue; fi
    if [ "$now" = "$state" ]; then
      rm -f "$prefix/$path"
      say "  removed $prefix/$path"
    elif ! grep -Fxq "$now $path" <<<"$lines"; then
      say "  kept $prefix/$path: it was changed after it was placed"
    fi
  done <<<"$lines"
}

write_record() {
  mkdir -p "$(dirname "$record")" && rm -f "$record".new.[0-9]*
  sort -u >"$record.new.$$" && mv -f "$record.new.$$" "$record"
}

# Places everything. The record is written first with old and new lines, so that a run that is cut off knows its own files.
place_all() {
  local list old mode source path
  list=$(mktemp) old=$(mktemp) fresh=$(mktemp) unchanged=0
  wanted_files "$1" >"$list"
  while IFS=$'\t' read -r mode source path; do
    [ "$mode" = link ] || [ -f "$source" ] || fail "$source is missing" "this checkout or archive is incomplete: get it again"
  done <"$list"
  if [ -f "$record" ]; then cat "$record" >"$old"; fi
  wanted_record "$list" | cat "$old" - | sort -u >"$fresh"
  write_record <"$fresh"
  grep '^folder ' "$fresh" >"$fresh.folders" || :
  mv "$fresh.folders" "$fresh"
  while IFS=$'\t' read -r mode source path; do place "$mode" "$source" "$path"; done <"$list"
  write_record <"$fresh"
  # What an earlier version placed and this one does not.
  cut -f3 "$list" | awk 'NR == FNR { wanted[$1]; next } !($2 in wanted)' - "$old" >"$fresh"
  remove_recorded "$fresh"
  [ "$unchanged" -eq 0 ] || say "  already up to date: $unchanged files"
  rm -f "$list" "$old" "$fresh"
}

# ---------------------------------------------------------------------------------------------------------------------
# The two runs

last_words() {
  local other
  other=$(command -v nself || :)
  say "installed: $("$prefix/bin/nself" --version) in $prefix/bin/nself"
  case ":$PATH:" in
    *":$prefix/bin:"*)
      [ "$other" -ef "$prefix/bin/nself" ] ||
        say "another nself comes first on the PATH ($other); to put this one before it: export PATH=\"$prefix/bin:\$PATH\""
      ;;
    *) say "$prefix/bin is not on the PATH; add it with: export PATH=\"$prefix/bin:\$PATH\"" ;;
  esac
  say "next: nself plugin install --core-only"
}

# Decides between archive and source, says which and why; leaves `unpacked` empty for the source.
choose_source() {
  local why=""
  case $source in
    archive) return 0 ;;
    from)
      step "verifying $from"
      get_archive "${from%/*}" "${from##*/}"
      return 0
      ;;
    build)
      in_clone || fail "could not build: this script is not in a clone of the repository" "run it in a clone, or use --from FILE|URL"
      say "building from source: --build or --only was given"
      return 0
      ;;
  esac
  if [ "$source" = release ] || ! in_clone; then
    step "looking for the release $(own_version)"
    find_release && return 0
    fail "could not get $releases/download/v$(own_version)/nself-$(own_version)-$(platform).tar.gz: $why" \
      "download the archive, SHA256SUMS and SHA256SUMS.minisig to one place and run: $0 --from FILE"
  fi
  why=$(not_a_release)
  if [ -z "$why" ]; then
    step "looking for the release $(own_version): this clone is exactly its tag"
    find_release && return 0
    why="the release could not be had ($why)"
  fi
  say "building from source: $why"
}

# Looks for an engine, and installs one only if that was asked for.
look_for_engine() {
  if [ "$with_docker" = yes ]; then
    ensure_engine
  elif engine_answers; then
    say "the Docker engine answers"
  else
    say "no Docker engine answers; plugins need one, but installing this program does not"
    say "hint: $(engine_hint)"
  fi
}

install_from_archive() {
  local engine_packages=""
  step "[1/2] looking for a Docker engine"
  if [ "$with_docker" = yes ]; then
    engine_packages=$(missing_engine_packages)
    # shellcheck disable=SC2086 # a list of words
    install_packages $engine_packages
  fi
  look_for_engine
  step "[2/2] placing files in $prefix"
  place_all "$unpacked"
}

install_from_source() {
  local engine_packages="" built
  step "[1/5] looking for what building needs"
  if [ "$with_docker" = yes ]; then engine_packages=$(missing_engine_packages); fi
  # shellcheck disable=SC2086 # a list of words
  ensure_build_tools $engine_packages
  step "[2/5] looking for a Docker engine"
  look_for_engine
  built=$(target_folder)
  if [ -x "$built/release/nself" ]; then
    step "[3/5] building what has changed since the last build"
  else
    step "[3/5] building nself and its plugins: up to 10 minutes on two cores the first time"
  fi
  build_release "${only[@]}"
  step "[4/5] packing the plugins that ship with nself"
  "$checkout/plugins/bundle.sh" "$built/bundle" "${only[@]}"
  step "[5/5] placing files in $prefix"
  place_all "$built"
}

install_all() {
  refuse_foreign_program
  choose_source
  if [ -n "$unpacked" ]; then install_from_archive; else install_from_source; fi
  last_words
}

# Lists what this script did not place, each with the command that removes it.
list_what_stays() {
  local folder kind command label=org.nself.home whose="some installation's" id="${NSELF_HOME:-$HOME/.nself}/home-id"
  if [ -s "$id" ]; then label="$label=$(cat "$id")" whose="this installation's"; fi
  say "this stays:"
  for folder in "${NSELF_HOME:-$HOME/.nself}" "${XDG_CONFIG_HOME:-$HOME/.config}/nself"; do
    if [ -e "$folder" ]; then say "  $folder (plugins, receipts, settings, secrets): rm -rf '$folder'"; fi
  done
  if command -v docker >/dev/null && engine_answers; then
    for kind in container network volume image; do
      command=$(removal_of "$kind" "$label")
      [ -z "$command" ] || say "  $whose ${kind}s: $command"
    done
  fi
  if dpkg -s docker.io >/dev/null 2>&1; then
    say "  the Docker engine: apt-get purge docker.io containerd runc"
  elif dockerd_path >/dev/null; then
    say "  the Docker engine ($(dockerd_path)): remove it with what installed it"
  fi
  if in_clone; then say "  this checkout and its build: rm -rf '$checkout'"; fi
}

uninstall_all() {
  if [ ! -f "$record" ]; then
    say "nothing that this script placed is in $prefix"
  else
    remove_recorded "$record"
    local folders folder
    folders=$(sed -n 's/^folder //p' "$record" | sort -r)
    # Twice, with the record between: a run that is cut off still knows which folders are its own.
    for _ in 1 2; do
      for folder in $folders; do
        if [ -d "$prefix/$folder" ]; then rmdir "$(cd "$prefix/$folder" && pwd)" 2>/dev/null || :; fi
      done
      rm -f "$record" "$record".new.[0-9]*
    done
  fi
  list_what_stays
}

wrong_usage() {
  printf 'error: %s\n' "$1" >&2
  usage >&2
  exit 2
}

clean_up() {
  [ -z "$new" ] || rm -f "$new"
  [ -z "$scratch" ] || rm -rf "$scratch"
}

# Takes the names after --only; sets `only`, and `taken` to their number.
read_names() {
  taken=0
  while [ "$#" -gt 0 ]; do
    case $1 in
      -*) break ;;
      */* | .*) wrong_usage "\`$1\` is not a plugin of this clone" ;;
    esac
    [ -f "$checkout/plugins/$1/plugin.json" ] || wrong_usage "\`$1\` is not a plugin of this clone"
    only+=("$1")
    taken=$((taken + 1)) && shift
  done
  [ "$taken" -gt 0 ] || wrong_usage "--only needs the name of a plugin"
}

# Two of --from, --release, --build and --only contradict each other.
choose() {
  [ -z "$source" ] || [ "$source" = "$1" ] || wrong_usage "only one of --from, --release, --build and --only can be given"
  source=$1
}

read_arguments() {
  while [ "$#" -gt 0 ]; do
    case $1 in
      --with-docker) with_docker=yes ;;
      --uninstall) run=uninstall_all ;;
      --build) choose build ;;
      --release) choose release ;;
      --from)
        case ${2:-} in "" | -*) wrong_usage "--from needs a file or an address" ;; esac
        choose from && from=$2 && shift
        ;;
      --only)
        choose build && shift
        read_names "$@"
        shift "$taken" && continue
        ;;
      # Used by `nself self-update`.
      --keep-previous) keep_previous=yes ;;
      --prefix)
        case ${2:-} in -*) wrong_usage "--prefix needs a directory" ;; esac
        prefix=${2:-} && shift
        ;;
      --prefix=*) prefix=${1#*=} ;;
      -h | --help) usage && exit 0 ;;
      *) wrong_usage "unexpected argument \`$1\`" ;;
    esac
    shift || break
  done
}

main() {
  prefix="$HOME/.local" with_docker=no run=install_all source="" from="" only=() keep_previous=no unpacked=""
  read_arguments "$@"
  case $prefix in
    "") wrong_usage "--prefix needs a directory" ;;
    /?*) prefix=${prefix%/} ;;
    /) ;;
    *) prefix=$PWD/$prefix ;;
  esac
  case $from in "" | /* | http://* | https://*) ;; *) from=$PWD/$from ;; esac
  if in_archive && [ -z "$source" ]; then source=archive unpacked=$checkout; fi
  record="$prefix/share/nself/installed-files"
  trap clean_up EXIT
  scratch=$(mktemp -d)
  "$run"
}

# shellcheck disable=SC2317 # the functions above are also used by the scripts that source this file
if [ "${BASH_SOURCE[0]}" = "$0" ]; then main "$@"; fi
