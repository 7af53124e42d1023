//! A JSON Web Key Set (RFC 7517) at an address: fetched when it is needed, kept for a while.

use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::outbound::{Call, Client};
use crate::settings::ConfigurationError;

/// How long fetched keys are used without asking again.
const FRESH: Duration = Duration::from_mins(10);
/// The shortest time between two fetches, however many unknown keys tokens name.
const PAUSE: Duration = Duration::from_secs(30);
const FETCH_WITHIN: Duration = Duration::from_secs(5);
/// The most keys that are used of a set.
const MOST_KEYS: usize = 32;

pub(super) struct KeySet {
    url: Url,
    client: Client,
    /// Locked while the keys are fetched, so that they are fetched once.
    cached: Mutex<Cached>,
}

#[derive(Default)]
struct Cached {
    keys: Vec<Jwk>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

impl KeySet {
    /// The set at an address that the operator configured under this variable.
    pub(super) fn at(variable: &str, url: &str) -> Result<Self, ConfigurationError> {
        let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| ConfigurationError::new(format!("`{variable}` is not a web address")))?;
        Ok(Self { url, client: Client::trusted("nself-kit")?, cached: Mutex::default() })
    }

    /// The keys that may have signed a token with this key id and algorithm.
    pub(super) async fn keys(&self, kid: Option<&str>, algorithm: Algorithm) -> Vec<DecodingKey> {
        let mut cached = self.cached.lock().await;
        let is_fresh = cached.fetched.is_some_and(|at| at.elapsed() < FRESH);
        let found = cached.find(kid, algorithm);
        let may_try = cached.tried.is_none_or(|at| at.elapsed() >= PAUSE);
        if (is_fresh && !found.is_empty()) || !may_try {
            return found;
        }
        cached.tried = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                cached.keys = keys;
                cached.fetched = Some(Instant::now());
                cached.find(kid, algorithm)
            }
            Err(error) => {
                // The keys of before stay valid: the issuer may be away for a moment.
                tracing::warn!("could not fetch the keys of users' tokens: {error}");
                found
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<Jwk>, String> {
        let answer = self.client.send(Call::get(self.url.clone(), FETCH_WITHIN)).await?;
        if !answer.is_success() || answer.is_cut {
            return Err(format!("the answer was {}", answer.explain()));
        }
        let set: JwkSet = serde_json::from_value(answer.body).map_err(|error| error.to_string())?;
        Ok(set.keys.into_iter().take(MOST_KEYS).collect())
    }
}

impl Cached {
    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Vec<DecodingKey> {
        let fits = |jwk: &&Jwk| kid.is_none() || jwk.common.key_id.is_none() || jwk.common.key_id.as_deref() == kid;
        let keys = self.keys.iter().filter(fits).filter_map(|jwk| DecodingKey::from_jwk(jwk).ok());
        // A published key is public: it must never be taken for a shared secret.
        keys.filter(|key| key.family() != AlgorithmFamily::Hmac && key.family().algorithms().contains(&algorithm))
            .collect()
    }
}
