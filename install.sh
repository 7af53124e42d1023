#!/usr/bin/env bash
# Builds nself from this checkout and installs it with its plugins, completions and man pages, or takes it away again.
# plugins/bundle.sh and tests/run.sh source this file for what they share with it: Rust, apt, the build, the engine.
set -eu

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
minimum_rust=1.94
rust_found=""
engine_log=/var/log/dockerd.log
# With an unset HOME neither cargo nor the default prefix has a place.
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"

usage() {
  cat <<'TEXT'
Usage: ./install.sh [--with-docker] [--prefix DIR] [--uninstall] [--help]

Builds nself from this checkout and installs it for this user. Running it again updates what has changed.

  --with-docker   also install and start the Docker engine where none answers (needs root)
  --prefix DIR    where to install: DIR/bin, DIR/share (default: ~/.local)
  --uninstall     remove the files that this script placed, and list what stays
  --help          show this text
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

# One selection of packages everywhere: cargo builds shared crates again for another one.
build_release() { (cd "$checkout" && cargo build --release --locked --workspace); }

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
  printf 'link\tnself\tbin/nself-plugin\n'
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
    trap 'rm -f "$new"' EXIT
    if [ "$mode" = link ]; then ln -s "$source" "$new"; else install -m "$mode" "$source" "$new"; fi
    mv -fT "$new" "$target"
    trap - EXIT
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
    [ "$mode" = link ] || [ -f "$source" ] || fail "$source is missing" "this checkout is not complete: clone it again"
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

install_all() {
  refuse_foreign_program
  local engine_packages="" built
  step "[1/5] looking for what building needs"
  if [ "$with_docker" = yes ]; then engine_packages=$(missing_engine_packages); fi
  # shellcheck disable=SC2086 # a list of words
  ensure_build_tools $engine_packages
  step "[2/5] looking for a Docker engine"
  if [ "$with_docker" = yes ]; then
    ensure_engine
  elif engine_answers; then
    say "the Docker engine answers"
  else
    say "no Docker engine answers; plugins need one, installing this program does not"
    say "hint: $(engine_hint)"
  fi
  built=$(target_folder)
  if [ -x "$built/release/nself" ]; then
    step "[3/5] building what has changed since the last build"
  else
    step "[3/5] building nself and its plugins: the first time takes 10 to 14 minutes on two cores"
  fi
  build_release
  step "[4/5] packing the plugins that ship with nself"
  "$checkout/plugins/bundle.sh" "$built/bundle"
  step "[5/5] placing files in $prefix"
  place_all "$built"
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
  say "  this checkout and its build: rm -rf '$checkout'"
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

main() {
  prefix="$HOME/.local" with_docker=no run=install_all
  while [ "$#" -gt 0 ]; do
    case $1 in
      --with-docker) with_docker=yes ;;
      --uninstall) run=uninstall_all ;;
      --prefix)
        case ${2:-} in -*) wrong_usage "--prefix needs a folder" ;; esac
        prefix=${2:-} && shift
        ;;
      --prefix=*) prefix=${1#*=} ;;
      -h | --help) usage && exit 0 ;;
      *) wrong_usage "unexpected argument \`$1\`" ;;
    esac
    shift || break
  done
  case $prefix in
    "") wrong_usage "--prefix needs a folder" ;;
    /?*) prefix=${prefix%/} ;;
    /) ;;
    *) prefix=$PWD/$prefix ;;
  esac
  record="$prefix/share/nself/installed-files"
  "$run"
}

# shellcheck disable=SC2317 # the functions above are also used by the scripts that source this file
if [ "${BASH_SOURCE[0]}" = "$0" ]; then main "$@"; fi
