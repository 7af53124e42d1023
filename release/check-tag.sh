#!/usr/bin/env bash
# Fails unless the tag is that of the version in Cargo.toml: `release/check-tag.sh TAG`.
set -eu

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=install.sh
. "$root/install.sh"

[ "${1:-}" = "v$(own_version)" ] || fail "the tag ${1:-(none)} is not v$(own_version), the version in Cargo.toml" \
  "change the version, or push the tag v$(own_version)"
