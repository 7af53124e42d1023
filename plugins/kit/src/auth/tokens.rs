//! Users' tokens: JSON Web Tokens by a shared secret (HS), a public key (RS, PS, ES, EdDSA) or a key set at an address.
//!
//! A token must expire. Its text never appears in an error or a log.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::key_set::KeySet;
use super::{User, crypto, public_key};
use crate::settings::{ConfigurationError, Environment};

/// How far the clocks of issuer and server may differ, in seconds.
const LEEWAY_SECONDS: u64 = 5;
/// The longest user id, in bytes.
const USER_ID_BYTES: usize = 200;
/// RFC 7518 wants a key of at least the hash's size.
const SECRET_BYTES: usize = 32;
const HASURA_CLAIMS: &str = "https://hasura.io/jwt/claims";
/// The role of a token that names none.
const USUAL_ROLE: &str = "user";

/// The token is not valid; why is nobody's affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidToken;

/// One source of tokens.
struct Issuer {
    keys: Keys,
    name: Option<String>,
    audiences: Vec<String>,
    leeway: u64,
    namespace: String,
}

enum Keys {
    One { key: DecodingKey, algorithms: Vec<Algorithm> },
    Set(KeySet),
}

/// Verifies users' tokens.
#[derive(Clone)]
pub struct Tokens {
    issuers: Arc<[Issuer]>,
    admin_roles: Arc<[String]>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Tokens(…)")
    }
}

impl Tokens {
    /// Reads `<NAME>_JWT_SECRET`, `<NAME>_JWT_PUBLIC_KEY`, `<NAME>_JWT_JWKS_URL` (with `_JWT_ALGORITHM`, `_JWT_ISSUER` and
    /// `_JWT_AUDIENCE`), `HASURA_GRAPHQL_JWT_SECRET`, and where there is none of them `JWT_SECRET`; `None` where nothing is
    /// set. `<NAME>_ADMIN_ROLES` lists the roles with power over others.
    pub(crate) fn read(environment: &Environment, prefix: &str) -> Result<Option<Self>, ConfigurationError> {
        crypto::install();
        let mut issuers = own_issuers(environment, prefix)?;
        issuers.extend(hasura_issuers(environment)?);
        if issuers.is_empty()
            && let Some(secret) = environment.secret(&["JWT_SECRET"])?
        {
            let algorithms =
                vec![own_algorithm(environment, prefix, AlgorithmFamily::Hmac)?.unwrap_or(Algorithm::HS256)];
            issuers.push(Issuer::of(Keys::One { key: shared_secret("JWT_SECRET", &secret), algorithms }));
        }
        if issuers.is_empty() {
            return Ok(None);
        }
        let admin_roles = environment.list(&[&format!("{prefix}_ADMIN_ROLES")]);
        let admin_roles = admin_roles.unwrap_or_else(|| vec!["admin".to_owned()]);
        Ok(Some(Self { issuers: issuers.into(), admin_roles: admin_roles.into() }))
    }

    /// The user of a token; `wanted` is the role that the request asks for, taken where the token allows it.
    pub async fn verify(&self, token: &str, wanted: Option<&str>) -> Result<User, InvalidToken> {
        let header = decode_header(token).map_err(|_| InvalidToken)?;
        for issuer in self.issuers.iter() {
            if let Some(claims) = issuer.claims(token, header.alg, header.kid.as_deref()).await {
                return self.user(claims, &issuer.namespace, wanted).ok_or(InvalidToken);
            }
        }
        Err(InvalidToken)
    }

    fn user(&self, claims: Map<String, Value>, namespace: &str, wanted: Option<&str>) -> Option<User> {
        let hasura = hasura_claims(&claims, namespace);
        let id = user_id(&claims, hasura.as_ref())?;
        let role = role(&claims, hasura.as_ref(), wanted);
        let expires_at = claims.get("exp").and_then(seconds);
        let is_admin = self.admin_roles.contains(&role);
        Some(User { id: id.into(), role: role.into(), is_admin, expires_at, claims: Arc::new(claims) })
    }
}

impl Issuer {
    fn of(keys: Keys) -> Self {
        let namespace = HASURA_CLAIMS.to_owned();
        Self { keys, name: None, audiences: Vec::new(), leeway: LEEWAY_SECONDS, namespace }
    }

    async fn claims(&self, token: &str, algorithm: Algorithm, kid: Option<&str>) -> Option<Map<String, Value>> {
        match &self.keys {
            Keys::One { key, algorithms } => {
                algorithms.contains(&algorithm).then(|| self.checked(token, key, algorithm)).flatten()
            }
            Keys::Set(set) => {
                let keys = set.keys(kid, algorithm).await;
                keys.iter().find_map(|key| self.checked(token, key, algorithm))
            }
        }
    }

    fn checked(&self, token: &str, key: &DecodingKey, algorithm: Algorithm) -> Option<Map<String, Value>> {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.leeway;
        validation.validate_nbf = true;
        validation.validate_aud = !self.audiences.is_empty();
        if validation.validate_aud {
            validation.set_audience(&self.audiences);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        if let Some(issuer) = &self.name {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        Some(decode::<Map<String, Value>>(token, key, &validation).ok()?.claims)
    }
}

fn own_issuers(environment: &Environment, prefix: &str) -> Result<Vec<Issuer>, ConfigurationError> {
    let own = |suffix: &str| format!("{prefix}_JWT_{suffix}");
    let mut keys = Vec::new();
    if let Some(secret) = environment.secret(&[&own("SECRET")])? {
        let algorithm = own_algorithm(environment, prefix, AlgorithmFamily::Hmac)?.unwrap_or(Algorithm::HS256);
        keys.push(Keys::One { key: shared_secret(&own("SECRET"), &secret), algorithms: vec![algorithm] });
    }
    if let Some(pem) = environment.secret(&[&own("PUBLIC_KEY")])? {
        let name = own("PUBLIC_KEY");
        let key = public_key::from_pem(&pem).map_err(|why| ConfigurationError::new(format!("`{name}` {why}")))?;
        let algorithms = match own_algorithm(environment, prefix, key.family())? {
            Some(algorithm) => vec![algorithm],
            None => key.family().algorithms().to_vec(),
        };
        keys.push(Keys::One { key, algorithms });
    }
    if let Some(url) = environment.text(&[&own("JWKS_URL")]) {
        keys.push(Keys::Set(KeySet::at(&own("JWKS_URL"), &url)?));
    }
    let issuer = environment.text(&[&own("ISSUER")]);
    let audiences = environment.list(&[&own("AUDIENCE")]).unwrap_or_default();
    let make = |keys| Issuer { name: issuer.clone(), audiences: audiences.clone(), ..Issuer::of(keys) };
    Ok(keys.into_iter().map(make).collect())
}

/// `<NAME>_JWT_ALGORITHM`, where it is of the family of the key.
fn own_algorithm(
    environment: &Environment,
    prefix: &str,
    family: AlgorithmFamily,
) -> Result<Option<Algorithm>, ConfigurationError> {
    let name = format!("{prefix}_JWT_ALGORITHM");
    let Some(text) = environment.text(&[&name]) else { return Ok(None) };
    let algorithm: Algorithm = text.parse().map_err(|_| {
        ConfigurationError::new(format!(
            "`{name}` is `{text}`, which is not one of HS256, RS256, PS256, ES256, EdDSA, …"
        ))
    })?;
    if family.algorithms().contains(&algorithm) {
        return Ok(Some(algorithm));
    }
    if family == AlgorithmFamily::Hmac && environment.text(&[&format!("{prefix}_JWT_PUBLIC_KEY")]).is_some() {
        return Ok(None);
    }
    let needed = if family == AlgorithmFamily::Hmac { "_JWT_PUBLIC_KEY` or `_JWT_JWKS_URL" } else { "_JWT_SECRET" };
    let message = format!("`{name}` is `{text}`, which does not fit the key; it needs `{prefix}{needed}`");
    Err(ConfigurationError::new(message))
}

fn shared_secret(name: &str, secret: &str) -> DecodingKey {
    if secret.len() < SECRET_BYTES {
        tracing::warn!("`{name}` has fewer than {SECRET_BYTES} bytes and could be guessed");
    }
    DecodingKey::from_secret(secret.as_bytes())
}

/// `HASURA_GRAPHQL_JWT_SECRET`: one object, or a list of them, as Hasura documents it.
fn hasura_issuers(environment: &Environment) -> Result<Vec<Issuer>, ConfigurationError> {
    const NAME: &str = "HASURA_GRAPHQL_JWT_SECRET";
    let Some(text) = environment.secret(&[NAME])? else { return Ok(Vec::new()) };
    // The value is a secret and is not repeated.
    let value: Value = serde_json::from_str(&text).map_err(|_| {
        ConfigurationError::new(format!("`{NAME}` is not JSON such as `{{\"type\": \"HS256\", \"key\": …}}`"))
    })?;
    let entries = if let Value::Array(entries) = value { entries } else { vec![value] };
    let read = |entry: &Value| hasura_issuer(entry).map_err(|why| ConfigurationError::new(format!("`{NAME}` {why}")));
    entries.iter().map(read).collect()
}

fn hasura_issuer(entry: &Value) -> Result<Issuer, String> {
    let text = |name: &str| entry[name].as_str().filter(|text| !text.is_empty());
    let keys = match (text("jwk_url"), text("key")) {
        (Some(url), _) => Keys::Set(
            KeySet::at("HASURA_GRAPHQL_JWT_SECRET", url).map_err(|_| "has a `jwk_url` that is not a web address")?,
        ),
        (None, Some(key)) => {
            let kind = text("type").unwrap_or("HS256");
            let kind = if kind == "Ed25519" { "EdDSA" } else { kind };
            let algorithm: Algorithm =
                kind.parse().map_err(|_| format!("has the type `{kind}`, which is not known"))?;
            let key = if AlgorithmFamily::Hmac.algorithms().contains(&algorithm) {
                DecodingKey::from_secret(key.as_bytes())
            } else {
                public_key::from_pem(key).map_err(|why| format!("has a key that {why}"))?
            };
            Keys::One { key, algorithms: vec![algorithm] }
        }
        (None, None) => return Err("has neither `key` nor `jwk_url`".to_owned()),
    };
    let audiences = match &entry["audience"] {
        Value::String(audience) => vec![audience.clone()],
        Value::Array(list) => list.iter().filter_map(|entry| entry.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    let leeway = entry["allowed_skew"].as_u64().unwrap_or(LEEWAY_SECONDS);
    let namespace = text("claims_namespace").unwrap_or(HASURA_CLAIMS).to_owned();
    Ok(Issuer { keys, name: text("issuer").map(str::to_owned), audiences, leeway, namespace })
}

/// Hasura's claims, which may be an object or a JSON text (`claims_format: stringified_json`).
fn hasura_claims(claims: &Map<String, Value>, namespace: &str) -> Option<Map<String, Value>> {
    match claims.get(namespace)? {
        Value::Object(claims) => Some(claims.clone()),
        Value::String(text) => serde_json::from_str(text).ok(),
        _ => None,
    }
}

/// Whether an id can name a user: not empty, not huge, printable.
fn is_user_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= USER_ID_BYTES && !id.chars().any(char::is_control)
}

fn user_id(claims: &Map<String, Value>, hasura: Option<&Map<String, Value>>) -> Option<String> {
    let of_hasura = hasura.and_then(|claims| claims.get("x-hasura-user-id"));
    let candidates = [claims.get("userId"), claims.get("sub"), of_hasura];
    let id = candidates.into_iter().flatten().find_map(|value| match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })?;
    is_user_id(&id).then_some(id)
}

/// The role that is asked for where Hasura's claims allow it, else their default, else the claim `role`.
fn role(claims: &Map<String, Value>, hasura: Option<&Map<String, Value>>, wanted: Option<&str>) -> String {
    if let Some(hasura) = hasura {
        let allowed = hasura.get("x-hasura-allowed-roles").and_then(Value::as_array);
        let is_allowed = |role: &&str| allowed.is_some_and(|allowed| allowed.iter().any(|entry| entry == role));
        if let Some(role) = wanted.filter(is_allowed) {
            return role.to_owned();
        }
        let default = hasura.get("x-hasura-default-role").and_then(Value::as_str);
        return default.unwrap_or(USUAL_ROLE).to_owned();
    }
    claims.get("role").and_then(Value::as_str).unwrap_or(USUAL_ROLE).to_owned()
}

/// A time in a token, which may have a fraction.
fn seconds(claim: &Value) -> Option<u64> {
    // Far beyond any clock where it does not fit.
    claim.as_u64().or_else(|| claim.as_f64()?.ceil().to_string().parse().ok())
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
