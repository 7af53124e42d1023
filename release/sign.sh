# shellcheck shell=bash
# Signs files in minisign's format. Sourced by release/build.sh. A key is minisign's own secret key, without a password or
# with one that minisign asks for, or an Ed25519 private key in PEM (`openssl genpkey -algorithm ed25519`).

# True for a key in PEM; the other kind is minisign's.
is_pem() { grep -q '^-----BEGIN PRIVATE KEY-----' "$1"; }

# Ends the run where the key cannot sign, before anything is built.
check_key() {
  [ -r "$1" ] || fail "could not read the key $1" "make one with: openssl genpkey -algorithm ed25519 -out FILE"
  if is_pem "$1"; then
    openssl pkey -in "$1" -noout -text 2>/dev/null | grep -q '^ED25519 ' || fail "could not use the key $1: it is not an Ed25519 key" \
      "make one with: openssl genpkey -algorithm ed25519 -out FILE"
  else
    command -v minisign >/dev/null || fail "could not use the key $1: it is minisign's, and minisign is not installed" "run: apt-get install minisign"
    [ -n "$(public_key_of "$1")" ] || fail "could not use the key $1" \
      "make one without a password: minisign -G -W -s FILE -p FILE.pub"
  fi
}

# The public key in 32 bytes.
raw_public_key() { openssl pkey -in "$1" -pubout -outform DER | tail -c 32; }

# A PEM key has no number of its own: the start of its public key's digest.
key_number() { raw_public_key "$1" | openssl dgst -blake2b512 -binary | head -c 8; }

# Prints the public key as minisign writes it: one line of base64.
public_key_of() {
  if is_pem "$1"; then
    { printf Ed && key_number "$1" && raw_public_key "$1"; } | base64 -w 0
  else
    local file
    file=$(mktemp)
    minisign -R -f -s "$1" -p "$file" >/dev/null 2>&1 && sed -n 2p "$file"
    rm -f "$file"
  fi
}

# Writes FILE.minisig: sign KEY FILE COMMENT.
sign() {
  if is_pem "$1"; then
    sign_with_openssl "$@"
  else
    minisign -S -s "$1" -m "$2" -x "$2.minisig" -c "nself release" -t "$3" >/dev/null
  fi
}

# The signature is of the file's BLAKE2b digest; a second one covers it and the trusted comment.
sign_with_openssl() {
  local key=$1 file=$2 comment=$3 part
  part=$(mktemp -d)
  openssl dgst -blake2b512 -binary "$file" >"$part/digest"
  openssl pkeyutl -sign -inkey "$key" -rawin -in "$part/digest" -out "$part/signature"
  { cat "$part/signature" && printf %s "$comment"; } >"$part/commented"
  openssl pkeyutl -sign -inkey "$key" -rawin -in "$part/commented" -out "$part/global"
  {
    printf 'untrusted comment: nself release\n'
    { printf ED && key_number "$key" && cat "$part/signature"; } | base64 -w 0
    printf '\ntrusted comment: %s\n' "$comment"
    base64 -w 0 "$part/global"
    printf '\n'
  } >"$file.minisig"
  rm -rf "$part"
}
