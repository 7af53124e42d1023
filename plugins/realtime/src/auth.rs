//! Who connects: the kit verifies tokens; the rules for servers that admit anybody are here.
//!
//! It must not know sockets or rooms. A token's text never appears in an error or a log.

use std::fmt::Display;
use std::sync::Arc;

use kit::{Tokens, User};
use serde_json::Value;

/// How far the clocks of issuer and server may differ, in seconds.
pub(crate) const LEEWAY_SECONDS: u64 = 5;
/// The longest user id that is accepted, in bytes.
const USER_ID_BYTES: usize = 200;

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
#[derive(Clone)]
pub(crate) struct Gate {
    tokens: Option<Tokens>,
    allow_anonymous: bool,
}

impl Gate {
    pub(crate) fn new(tokens: Option<Tokens>, allow_anonymous: bool) -> Self {
        Self { tokens, allow_anonymous }
    }

    /// Reads a handshake: `{token, userId?, …}`.
    pub(crate) async fn identify(&self, auth: &Value) -> Result<Identity, Refusal> {
        let token = auth.get("token").and_then(Value::as_str).map_or("", str::trim);
        let verified = match &self.tokens {
            Some(tokens) if !token.is_empty() => tokens.verify(token, None).await.ok(),
            _ => None,
        };
        if let Some(user) = verified {
            return Ok(self.identity(&user));
        }
        if !self.allow_anonymous {
            return Err(if token.is_empty() { Refusal::Required } else { Refusal::Invalid });
        }
        let named = token.strip_prefix("user:").filter(|id| !id.is_empty());
        let claimed = || auth.get("userId").and_then(Value::as_str);
        let user_id = named.or_else(claimed).filter(|id| is_user_id(id)).map(Arc::from);
        Ok(Identity { user_id, ..Identity::default() })
    }

    fn identity(&self, user: &User) -> Identity {
        let text = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| user.claims.get(*name)?.as_str());
            values.next().map(str::to_owned)
        };
        Identity {
            user_id: Some(user.id.clone()),
            session_id: text(&["sessionId", "session_id", "sid"]),
            name: text(&["displayName", "username", "name"]),
            avatar: text(&["avatarUrl", "picture"]),
            ends_at: user.expires_at.filter(|_| !self.allow_anonymous),
        }
    }
}

/// Whether an id can name a user: not empty, not huge, printable.
pub(crate) fn is_user_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= USER_ID_BYTES && !id.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use hmac::{Hmac, KeyInit, Mac};
    use kit::{Environment, Settings};
    use serde_json::json;
    use sha2::Sha256;

    const SECRET: &str = "a secret of more than thirty-two bytes";
    const FUTURE: u64 = 4_000_000_000;

    fn gate(secret: &str, allow_anonymous: bool) -> Gate {
        let environment = Environment::from_pairs([("REALTIME_JWT_SECRET", secret)]);
        let settings = Settings::read(&environment, "realtime", 1, 1).expect("legal settings");
        Gate::new(settings.access.tokens().cloned(), allow_anonymous)
    }

    fn signed(claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(claims));
        let code: Hmac<Sha256> = Hmac::new_from_slice(SECRET.as_bytes()).expect("any key fits");
        let code = code.chain_update(&message).finalize().into_bytes();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(code))
    }

    #[tokio::test]
    async fn the_user_comes_from_the_token_and_never_from_the_handshake() {
        let claims = json!({"sub": "s", "exp": FUTURE, "sid": "7", "name": "Sam", "picture": "p.png"});
        let auth = json!({"token": signed(&claims), "userId": "mallory"});
        let identity = gate(SECRET, false).identify(&auth).await.expect("a good token");
        assert_eq!((identity.user_id.as_deref(), identity.ends_at), (Some("s"), Some(FUTURE)));
        let texts = [identity.session_id, identity.name, identity.avatar];
        assert_eq!(texts, [Some("7".to_owned()), Some("Sam".to_owned()), Some("p.png".to_owned())]);
        let open = gate(SECRET, true).identify(&auth).await.expect("anybody");
        assert_eq!(open.ends_at, None, "nobody needs a token there");
    }

    #[tokio::test]
    async fn a_missing_token_is_told_from_a_bad_one() {
        let gate = gate(SECRET, false);
        for auth in [json!(null), json!({}), json!({"token": ""}), json!({"token": 7}), json!("x")] {
            assert_eq!(gate.identify(&auth).await, Err(Refusal::Required), "{auth}");
        }
        let good = signed(&json!({"sub": "s", "exp": FUTURE}));
        let (unsigned, _) = good.rsplit_once('.').expect("three parts");
        let expired = signed(&json!({"sub": "s", "exp": 1000}));
        let unbounded = signed(&json!({"sub": "s"}));
        for token in ["not.a.token", "user:alice", &format!("{unsigned}."), &expired, &unbounded] {
            assert_eq!(gate.identify(&json!({"token": token})).await, Err(Refusal::Invalid), "{token}");
        }
        let other = self::gate("another secret of more than thirty-two bytes", false);
        assert_eq!(other.identify(&json!({"token": good})).await, Err(Refusal::Invalid));
    }

    #[tokio::test]
    async fn an_open_server_prefers_the_token_then_the_name_in_it_then_the_handshake() {
        let good = signed(&json!({"sub": "s", "exp": FUTURE}));
        for (auth, expected) in [
            (json!({"token": good, "userId": "x"}), Some("s")),
            (json!({"token": "user:alice", "userId": "x"}), Some("alice")),
            (json!({"token": "opaque", "userId": "x"}), Some("x")),
            (json!({}), None),
        ] {
            let identity = gate(SECRET, true).identify(&auth).await.expect("anybody");
            assert_eq!(identity.user_id.as_deref(), expected, "{auth}");
        }
        let identity = Gate::new(None, true).identify(&json!({"token": "user:bob"})).await;
        assert_eq!(identity.expect("anybody").user_id.as_deref(), Some("bob"));
    }
}
