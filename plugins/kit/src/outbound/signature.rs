//! The signature of what plugins post to other servers, and of what others post to them: `x-signature`.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA256 (RFC 2104) of a body, in lower-case hexadecimal digits without a prefix.
#[expect(clippy::missing_panics_doc, reason = "HMAC takes a key of any length")]
pub fn signature(secret: &str, body: &[u8]) -> String {
    use std::fmt::Write;
    let mut code = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length fits");
    code.update(body);
    code.finalize().into_bytes().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature("Jefe", b"what do ya want for nothing?"), expected);
    }
}
