//! Who connects: checks HS256 tokens and applies the rules for anonymous servers.
//!
//! It must not know sockets or rooms. A token's text never appears in an error or a log.

use std::fmt::Display;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{Error as SignatureError, Verifier as VerifySignature};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde_json::Value;
use sha2::Sha256;

/// How far the clocks of issuer and server may differ, in seconds.
pub(crate) const LEEWAY_SECONDS: u64 = 5;
/// The longest user id that is accepted, in bytes.
pub(crate) const USER_ID_BYTES: usize = 200;
const HASURA_CLAIMS: &str = "https://hasura.io/jwt/claims";

/// HS256 and nothing else: any other algorithm fails before a key is looked at.
static HS256_ONLY: CryptoProvider = CryptoProvider {
    signer_factory: refuse_signing,
    verifier_factory: hs256_verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(Hmac<Sha256>);

impl VerifySignature<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        // Compares in constant time.
        let code = self.0.clone().chain_update(message);
        code.verify_slice(signature).map_err(SignatureError::from_source)
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the provider's signature")]
fn hs256_verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if *algorithm != Algorithm::HS256 {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let code = Hmac::new_from_slice(key.try_get_as_bytes()?);
    let code = code.map_err(|_| Error::from(ErrorKind::InvalidKeyFormat))?;
    Ok(Box::new(Hs256(code)))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the provider's signature")]
fn refuse_signing(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

/// Why a connection is refused; the texts are part of the wire contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Required,
    Invalid,
}

impl Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Required => "Authentication required",
            Self::Invalid => "Invalid token",
        })
    }
}

/// What is known of whoever opened a socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `None` only on a server that admits anybody.
    pub(crate) user_id: Option<Arc<str>>,
    pub(crate) session_id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) avatar: Option<String>,
    /// When the token ends, in seconds since 1970; `None` where nobody needs one.
    pub(crate) ends_at: Option<u64>,
}

/// Decides who a handshake's `auth` object stands for.
pub(crate) struct Gate {
    key: Option<DecodingKey>,
    validation: Validation,
    allow_anonymous: bool,
}

impl Gate {
    pub(crate) fn new(secret: Option<&str>, allow_anonymous: bool) -> Self {
        // Fails only where it is installed already, as in tests.
        let _ = HS256_ONLY.install_default();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        // Which audiences a project issues for is its own affair; the secret is the proof.
        validation.validate_aud = false;
        let key = secret.map(|secret| DecodingKey::from_secret(secret.as_bytes()));
        Self { key, validation, allow_anonymous }
    }

    /// Reads a handshake: `{token, userId?, …}`.
    pub(crate) fn identify(&self, auth: &Value) -> Result<Identity, Refusal> {
        let token = auth.get("token").and_then(Value::as_str).map_or("", str::trim);
        let verified = self.verify(token);
        if !self.allow_anonymous {
            return if token.is_empty() { Err(Refusal::Required) } else { verified };
        }
        if verified.is_ok() {
            return verified;
        }
        let named = token.strip_prefix("user:").filter(|id| !id.is_empty());
        let claimed = || auth.get("userId").and_then(Value::as_str);
        let user_id = named.or_else(claimed).filter(|id| is_user_id(id)).map(Arc::from);
        Ok(Identity { user_id, ..Identity::default() })
    }

    fn verify(&self, token: &str) -> Result<Identity, Refusal> {
        let key = self.key.as_ref().ok_or(Refusal::Invalid)?;
        let decoded = jsonwebtoken::decode::<Value>(token, key, &self.validation);
        let claims = decoded.map_err(|_| Refusal::Invalid)?.claims;
        let user_id = user_id(&claims).ok_or(Refusal::Invalid)?;
        let text = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| claims.get(name)?.as_str());
            values.next().map(str::to_owned)
        };
        Ok(Identity {
            user_id: Some(user_id),
            session_id: text(&["sessionId", "session_id", "sid"]),
            name: text(&["displayName", "username", "name"]),
            avatar: text(&["avatarUrl", "picture"]),
            ends_at: claims.get("exp").and_then(seconds).filter(|_| !self.allow_anonymous),
        })
    }
}

/// A time in a token, which may have a fraction.
fn seconds(claim: &Value) -> Option<u64> {
    let whole = claim.as_u64();
    // Far beyond any clock where it does not fit.
    whole.or_else(|| claim.as_f64()?.ceil().to_string().parse().ok())
}

/// Whether an id can name a user: not empty, not huge, printable.
pub(crate) fn is_user_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= USER_ID_BYTES && !id.chars().any(char::is_control)
}

fn user_id(claims: &Value) -> Option<Arc<str>> {
    let hasura = claims.get(HASURA_CLAIMS).and_then(|claims| claims.get("x-hasura-user-id"));
    let candidates = [claims.get("userId"), claims.get("sub"), hasura];
    let id = candidates.into_iter().flatten().find_map(|value| match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })?;
    is_user_id(&id).then(|| Arc::from(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    const SECRET: &str = "a secret of more than thirty-two bytes";
    const FUTURE: u64 = 4_000_000_000;

    fn token(header: &Value, claims: &Value, secret: &str) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let code: Hmac<Sha256> = Hmac::new_from_slice(secret.as_bytes()).expect("any key fits");
        let code = code.chain_update(&message).finalize().into_bytes();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(code))
    }

    fn signed(claims: &Value) -> String {
        token(&json!({"alg": "HS256", "typ": "JWT"}), claims, SECRET)
    }

    fn strict(token: &str) -> Result<Identity, Refusal> {
        Gate::new(Some(SECRET), false).identify(&json!({"token": token, "userId": "mallory"}))
    }

    fn id(identity: &Identity) -> Option<&str> {
        identity.user_id.as_deref()
    }

    #[test]
    fn the_user_comes_from_the_claims_in_their_order_and_never_from_the_handshake() {
        let hasura = json!({"x-hasura-user-id": "h"});
        let all = json!({"userId": "u", "sub": "s", HASURA_CLAIMS: hasura, "exp": FUTURE});
        let sub = json!({"sub": "s", HASURA_CLAIMS: hasura, "exp": FUTURE});
        let last = json!({HASURA_CLAIMS: hasura, "exp": FUTURE});
        for (claims, expected) in [(all, "u"), (sub, "s"), (last, "h")] {
            assert_eq!(id(&strict(&signed(&claims)).expect("a good token")), Some(expected));
        }
    }

    #[test]
    fn the_end_of_a_token_is_known_where_one_is_needed() {
        let exp = |exp: Value| strict(&signed(&json!({"sub": "s", "exp": exp}))).expect("a good token").ends_at;
        assert_eq!((exp(json!(FUTURE)), exp(json!(4_000_000_000.5))), (Some(FUTURE), Some(FUTURE + 1)));
        let token = signed(&json!({"sub": "s", "exp": FUTURE}));
        let open = Gate::new(Some(SECRET), true).identify(&json!({"token": token})).expect("anybody");
        assert_eq!(open.ends_at, None);
    }

    #[test]
    fn a_token_that_names_nobody_is_refused() {
        assert_eq!(strict(&signed(&json!({"exp": FUTURE}))), Err(Refusal::Invalid));
    }

    #[test]
    fn a_missing_token_is_told_from_a_bad_one() {
        let gate = Gate::new(Some(SECRET), false);
        for auth in [json!(null), json!({}), json!({"token": ""}), json!({"token": 7}), json!("x")] {
            assert_eq!(gate.identify(&auth), Err(Refusal::Required), "{auth}");
        }
        assert_eq!(strict("not.a.token"), Err(Refusal::Invalid));
        assert_eq!(strict("user:alice"), Err(Refusal::Invalid));
    }

    #[test]
    fn expired_unbounded_and_foreign_tokens_are_refused() {
        let header = json!({"alg": "HS256"});
        let good = json!({"sub": "s", "exp": FUTURE});
        assert_eq!(strict(&signed(&json!({"sub": "s", "exp": 1000}))), Err(Refusal::Invalid));
        assert_eq!(strict(&signed(&json!({"sub": "s"}))), Err(Refusal::Invalid));
        assert_eq!(strict(&token(&header, &good, "another secret")), Err(Refusal::Invalid));
        let early = json!({"sub": "s", "exp": FUTURE, "nbf": FUTURE - 1});
        assert_eq!(strict(&signed(&early)), Err(Refusal::Invalid));
    }

    #[test]
    fn no_other_algorithm_is_accepted() {
        let claims = json!({"sub": "s", "exp": FUTURE});
        for algorithm in ["none", "None", "HS512", "RS256", "EdDSA"] {
            let token = token(&json!({"alg": algorithm}), &claims, SECRET);
            assert_eq!(strict(&token), Err(Refusal::Invalid), "{algorithm}");
            let (unsigned, _) = token.rsplit_once('.').expect("three parts");
            assert_eq!(strict(&format!("{unsigned}.")), Err(Refusal::Invalid), "{algorithm}");
        }
    }

    #[test]
    fn an_open_server_prefers_the_token_then_the_name_in_it_then_the_handshake() {
        let gate = Gate::new(Some(SECRET), true);
        let user = |auth: Value| gate.identify(&auth).expect("anybody").user_id;
        let good = signed(&json!({"sub": "s", "exp": FUTURE}));
        assert_eq!(user(json!({"token": good, "userId": "x"})).as_deref(), Some("s"));
        assert_eq!(user(json!({"token": "user:alice", "userId": "x"})).as_deref(), Some("alice"));
        assert_eq!(user(json!({"token": "opaque", "userId": "x"})).as_deref(), Some("x"));
        assert_eq!(user(json!({})), None);
        let open = Gate::new(None, true);
        let auth = json!({"token": "user:bob"});
        assert_eq!(id(&open.identify(&auth).expect("anybody")), Some("bob"));
    }
}
