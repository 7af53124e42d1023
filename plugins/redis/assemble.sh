#!/usr/bin/env bash
# Puts Debian's Redis together: `assemble.sh ROOTFS` fills the folder with the server, its client and what they load. The
# server's package holds no more than a link: the program itself lies in redis-tools as redis-check-rdb, and what it does
# depends on the name that it is called by.
set -eu

server=$(command -v redis-check-rdb) || {
  printf 'error: redis-check-rdb is missing\nhint: apt-get install redis-tools\n' >&2
  exit 1
}
client=$(command -v redis-cli)
install -D -m 755 "$server" "$1/redis-server"
install -D -m 755 "$client" "$1/redis-cli"
for library in $(ldd "$server" "$client" | grep -o '/[^ ]*\.so[^ ]*' | sort -u); do
  install -D -m 755 "$library" "$1$library"
done
