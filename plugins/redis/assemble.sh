#!/usr/bin/env bash
# Puts Debian's Redis together: `assemble.sh ROOTFS` fills the folder with the server, its client, what starts them and
# what they load. The server's package holds no more than a link: the program itself lies in redis-tools as
# redis-check-rdb, and what it does depends on the name that it is called by.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
server=$(command -v redis-check-rdb) || {
  printf 'error: redis-check-rdb is missing\nhint: apt-get install redis-tools\n' >&2
  exit 1
}
client=$(command -v redis-cli)
mkdir -p "$1"
install -D -m 755 "$server" "$1/redis-server"
install -D -m 755 "$client" "$1/redis-cli"
rustc --edition 2024 --crate-name entry -C opt-level=s -C panic=abort -C strip=symbols \
  --remap-path-prefix "$here"=. -o "$1/entry" "$here/entry.rs"
for library in $(ldd "$server" "$client" "$1/entry" | grep -o '/[^ ]*\.so[^ ]*' | sort -u); do
  install -D -m 755 "$library" "$1$library"
done
