//! Public keys in PEM: SubjectPublicKeyInfo (`PUBLIC KEY`, RFC 5280) and PKCS #1 (`RSA PUBLIC KEY`).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jsonwebtoken::DecodingKey;

/// Object identifiers, as DER writes them.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const ELLIPTIC_CURVE: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

const OID: u8 = 0x06;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// Reads a key; the error says what is wrong with it.
pub(super) fn from_pem(text: &str) -> Result<DecodingKey, &'static str> {
    // Env files often hold the line breaks as two characters.
    let text = text.replace("\\n", "\n");
    let (label, body) =
        text.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----")).ok_or("is not PEM")?;
    let (body, _) = body.split_once("-----END ").ok_or("is not PEM")?;
    let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let der = BASE64_STANDARD.decode(body).map_err(|_| "is not PEM")?;
    match label {
        "RSA PUBLIC KEY" => Ok(DecodingKey::from_rsa_der(&der)),
        "PUBLIC KEY" => from_spki(&der).ok_or("is not an RSA, P-256, P-384 or Ed25519 key"),
        "CERTIFICATE" => Err("is a certificate: extract its key with `openssl x509 -pubkey -noout`"),
        _ => Err("is not a public key"),
    }
}

/// `SEQUENCE { SEQUENCE { OID, parameters }, BIT STRING }`.
fn from_spki(der: &[u8]) -> Option<DecodingKey> {
    let (outer, _) = element(der, SEQUENCE)?;
    let (algorithm, rest) = element(outer, SEQUENCE)?;
    let (oid, _) = element(algorithm, OID)?;
    let (bits, _) = element(rest, BIT_STRING)?;
    // The first byte counts the bits that are not used.
    let key = bits.split_first().filter(|(unused, _)| **unused == 0).map(|(_, key)| key)?;
    match oid {
        RSA => Some(DecodingKey::from_rsa_der(key)),
        ELLIPTIC_CURVE => Some(DecodingKey::from_ec_der(key)),
        ED25519 => Some(DecodingKey::from_ed_der(key)),
        _ => None,
    }
}

/// The content of the element at the start, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let rest = der.strip_prefix(&[tag])?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (digits, rest) =
            rest.split_at_checked(usize::from(first & 0x7f)).filter(|(digits, _)| digits.len() <= 3)?;
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    rest.split_at_checked(length)
}
