//! Signatures of what plugins post to other servers, and of what others post to them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::clock;

/// HMAC-SHA256 (RFC 2104) of a body, in lower-case hexadecimal digits without a prefix: the header `x-signature`.
pub fn signature(secret: &str, body: &[u8]) -> String {
    use std::fmt::Write;
    code(secret.as_bytes(), &[body]).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The headers of Standard Webhooks (standardwebhooks.com): the time of the attempt and a signature that covers it.
pub struct StandardWebhook {
    /// `webhook-timestamp`: seconds since 1970.
    pub timestamp: String,
    /// `webhook-signature`: `v1,` and the code in base64.
    pub signature: String,
}

impl StandardWebhook {
    /// Signs an attempt that is made now. A secret that begins with `whsec_` is base64; any other is taken as it is.
    pub fn sign(secret: &str, id: &str, body: &[u8]) -> Self {
        let timestamp = (clock::milliseconds(clock::now()) / 1000).to_string();
        Self { signature: standard_signature(secret, id, &timestamp, body), timestamp }
    }
}

fn standard_signature(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let decoded = secret.strip_prefix("whsec_").and_then(|secret| BASE64_STANDARD.decode(secret).ok());
    let key = decoded.as_deref().unwrap_or(secret.as_bytes());
    let code = code(key, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
    format!("v1,{}", BASE64_STANDARD.encode(code))
}

fn code(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut code = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length fits");
    for part in parts {
        code.update(part);
    }
    code.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature("Jefe", b"what do ya want for nothing?"), expected);
    }

    #[test]
    fn standard_signatures_are_those_of_the_specification() {
        // The example of the Standard Webhooks specification's own libraries.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = br#"{"test": 2432232314}"#;
        let signature = standard_signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
