//! Users' tokens: sources, algorithms, claims, roles.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const SECRET: &str = "a secret of more than thirty-two bytes";
const FUTURE: u64 = 4_000_000_000;
/// A public key whose private key was thrown away, and a token that it signed: `{"sub": "ann", "exp": 4000000000}`.
const RSA_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAy5nhZffUX6oV3rS1XKQC\n\
    KFqQp6nxOuGTeE7Kmq9krr65LVVESwz7Q97avWAiy4GZoz6+kRxFjabv88gSt7Bp\n\
    Ofcviy6hNIUD7rOri/RlxV/6XfoUgsgfi4KjzvevtyLLR8ud7mMgPz0u9MvDAQX6\n\
    IhhdZ4Xn0PdDUa9+h8uF+7Nv0sgfAdGtztbLMZNtXKzzJBJ6L2T6A9pT3TlBlv3w\n\
    FtBwlA/M/+05lk8VFSl2lD6op56fEw1HjtwZ+5K8HPydruAsjMtyyrj5PaPgtx6V\n\
    kTIoSDJIPNs79QFnR3otL0aF1uL/1K6jcyRswJP9RY1KmXD1QnSRaw18pE38OeAy\n\
    pQIDAQAB\n\
    -----END PUBLIC KEY-----";
const RSA_MODULUS: &str = "y5nhZffUX6oV3rS1XKQCKFqQp6nxOuGTeE7Kmq9krr65LVVESwz7Q97avWAiy4GZoz6-kRxFjabv88gSt7BpOfcviy6hNIUD7rOr\
    i_RlxV_6XfoUgsgfi4KjzvevtyLLR8ud7mMgPz0u9MvDAQX6IhhdZ4Xn0PdDUa9-h8uF-7Nv0sgfAdGtztbLMZNtXKzzJBJ6L2T6\
    A9pT3TlBlv3wFtBwlA_M_-05lk8VFSl2lD6op56fEw1HjtwZ-5K8HPydruAsjMtyyrj5PaPgtx6VkTIoSDJIPNs79QFnR3otL0aF\
    1uL_1K6jcyRswJP9RY1KmXD1QnSRaw18pE38OeAypQ";
const RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6Im9uZSJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQwMDAwMDAwMDB9.psgTgi\
    6xnbBpNMTnNWjeVcPbzeccW0DpTUcteds_EXlxj4WHLNmnamw7laA2eQ1HXsA4mA2k41pw8l_tckIlDAA9qhBTA9eQpJKr6EvRVq\
    XS5cxML8T4YqQxFyLVQOwMS7LuBU6tu65mf8fObHfxgBFcEXpkINuOn2qh91H8OvfdZsR2WQhrR-HgDhSxrVgKyp8037KWdbQvEj\
    9ktUH3em1EWXe7qGC0NLUMYhHKchDqKO8G-sAl98Ww3uaUZk0L1-czBL1XNbeUQKD-Oc8Ce44HsD22vj6AEVugc9fviVdlbdvu5D\
    20bIo4UWDQcLD0_tyLZ2sW-_-0kAsn-U8qBg";

fn tokens(pairs: &[(&str, &str)]) -> Tokens {
    let environment = Environment::from_pairs(pairs.iter().copied());
    Tokens::read(&environment, "SAMPLE").expect("legal settings").expect("a source of tokens")
}

fn error(pairs: &[(&str, &str)]) -> String {
    let environment = Environment::from_pairs(pairs.iter().copied());
    Tokens::read(&environment, "SAMPLE").expect_err("settings that cannot be used").to_string()
}

fn message(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

fn signed_with(header: &Value, claims: &Value, secret: &str) -> String {
    let message = message(header, claims);
    let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(code))
}

fn signed(claims: &Value) -> String {
    signed_with(&json!({"alg": "HS256", "typ": "JWT"}), claims, SECRET)
}

async fn user(pairs: &[(&str, &str)], token: &str) -> Option<User> {
    tokens(pairs).verify(token, None).await.ok()
}

#[tokio::test]
async fn a_shared_secret_is_found_under_each_of_its_names() {
    let token = signed(&json!({"sub": "ann", "exp": FUTURE}));
    let hasura = json!({"type": "HS256", "key": SECRET}).to_string();
    let listed = json!([{"type": "HS384", "key": "x"}, {"type": "HS256", "key": SECRET}]).to_string();
    for (name, value) in [
        ("SAMPLE_JWT_SECRET", SECRET),
        ("JWT_SECRET", SECRET),
        ("HASURA_GRAPHQL_JWT_SECRET", &hasura),
        ("HASURA_GRAPHQL_JWT_SECRET", &listed),
    ] {
        let user = user(&[(name, value)], &token).await;
        assert_eq!(user.map(|user| (user.id, user.is_admin)), Some(("ann".into(), false)), "{name}");
    }
    assert!(user(&[("SAMPLE_JWT_SECRET", "another secret of thirty-two bytes and more")], &token).await.is_none());
}

#[tokio::test]
async fn expired_unbounded_early_and_nameless_tokens_are_refused() {
    for claims in [
        json!({"sub": "s", "exp": 1000}),
        json!({"sub": "s"}),
        json!({"sub": "s", "exp": FUTURE, "nbf": FUTURE - 1}),
        json!({"exp": FUTURE}),
        json!({"sub": "", "exp": FUTURE}),
        json!({"sub": "a\nb", "exp": FUTURE}),
    ] {
        assert!(user(&[("JWT_SECRET", SECRET)], &signed(&claims)).await.is_none(), "{claims}");
    }
    for garbage in ["", "x", "a.b.c", "user:ann"] {
        assert!(user(&[("JWT_SECRET", SECRET)], garbage).await.is_none(), "{garbage}");
    }
}

#[tokio::test]
async fn no_algorithm_but_the_keys_own_is_accepted() {
    let claims = json!({"sub": "s", "exp": FUTURE});
    for algorithm in ["none", "None", "HS512", "RS256", "EdDSA"] {
        let token = signed_with(&json!({"alg": algorithm}), &claims, SECRET);
        assert!(user(&[("JWT_SECRET", SECRET)], &token).await.is_none(), "{algorithm}");
        let (unsigned, _) = token.rsplit_once('.').expect("three parts");
        assert!(user(&[("JWT_SECRET", SECRET)], &format!("{unsigned}.")).await.is_none(), "{algorithm}");
    }
    // The public key is no shared secret.
    let confused = signed_with(&json!({"alg": "HS256"}), &claims, RSA_KEY);
    assert!(user(&[("SAMPLE_JWT_PUBLIC_KEY", RSA_KEY)], &confused).await.is_none());
}

#[tokio::test]
async fn rsa_keys_verify_what_they_signed() {
    let hasura = json!({"type": "RS256", "key": RSA_KEY}).to_string();
    let one_line = RSA_KEY.replace('\n', "\\n");
    for (name, value) in [
        ("SAMPLE_JWT_PUBLIC_KEY", RSA_KEY),
        ("SAMPLE_JWT_PUBLIC_KEY", &one_line),
        ("HASURA_GRAPHQL_JWT_SECRET", &hasura),
    ] {
        assert_eq!(user(&[(name, value)], RSA_TOKEN).await.map(|user| user.id), Some("ann".into()), "{name}");
    }
    let mut changed = RSA_TOKEN.to_owned();
    changed.replace_range(changed.len() - 12..changed.len() - 8, "AAAA");
    assert!(user(&[("SAMPLE_JWT_PUBLIC_KEY", RSA_KEY)], &changed).await.is_none());
}

/// A key in PEM, as its DER prefix and its raw bytes make it.
fn pem(prefix: &[u8], key: &[u8]) -> String {
    let der = base64::prelude::BASE64_STANDARD.encode([prefix, key].concat());
    format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n")
}

#[tokio::test]
async fn elliptic_curves_verify_what_they_signed() {
    let random = SystemRandom::new();
    let claims = json!({"sub": "ann", "exp": FUTURE});
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).expect("a key");
    let prefix = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
        0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let es_key = pem(&prefix, key.public_key().as_ref());
    let message = message(&json!({"alg": "ES256"}), &claims);
    let signature = key.sign(&random, message.as_bytes()).expect("a signature");
    let es_token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
    assert!(user(&[("SAMPLE_JWT_PUBLIC_KEY", &es_key)], &es_token).await.is_some());
    assert!(user(&[("SAMPLE_JWT_PUBLIC_KEY", RSA_KEY)], &es_token).await.is_none());

    let document = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
    let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
    let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let edwards_key = pem(&prefix, key.public_key().as_ref());
    let message = self::message(&json!({"alg": "EdDSA"}), &claims);
    let edwards_token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes())));
    let hasura = json!({"type": "Ed25519", "key": edwards_key}).to_string();
    assert!(user(&[("HASURA_GRAPHQL_JWT_SECRET", &hasura)], &edwards_token).await.is_some());
    assert!(user(&[("SAMPLE_JWT_PUBLIC_KEY", &es_key)], &edwards_token).await.is_none());
}

#[tokio::test]
async fn keys_of_an_address_are_fetched_once_and_matched_by_their_id() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/jwks", listener.local_addr().expect("an address"));
    let secret = json!({"kty": "oct", "kid": "shared", "k": URL_SAFE_NO_PAD.encode(SECRET)});
    let body = json!({"keys": [secret, {"kty": "RSA", "kid": "one", "n": RSA_MODULUS, "e": "AQAB"}]}).to_string();
    let asked = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let _ = stream.read(&mut [0_u8; 4096]).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    let tokens = tokens(&[("SAMPLE_JWT_JWKS_URL", &url)]);
    for _ in 0..3 {
        assert_eq!(tokens.verify(RSA_TOKEN, None).await.map(|user| user.id), Ok("ann".into()));
    }
    let claims = json!({"sub": "mallory", "exp": FUTURE});
    // A published key is no secret, and an unknown id does not make the set be fetched again and again.
    let published = signed_with(&json!({"alg": "HS256", "kid": "shared"}), &claims, SECRET);
    assert_eq!(tokens.verify(&published, None).await, Err(InvalidToken));
    let (_, rest) = RSA_TOKEN.split_once('.').expect("parts");
    for number in 0..20 {
        let head = URL_SAFE_NO_PAD.encode(json!({"alg": "RS256", "kid": number.to_string()}).to_string());
        assert_eq!(tokens.verify(&format!("{head}.{rest}"), None).await, Err(InvalidToken));
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn issuer_and_audience_are_checked_where_they_are_configured() {
    let good = json!({"sub": "s", "exp": FUTURE, "iss": "us", "aud": ["app", "x"]});
    let settings = [("SAMPLE_JWT_SECRET", SECRET), ("SAMPLE_JWT_ISSUER", "us"), ("SAMPLE_JWT_AUDIENCE", "app")];
    assert!(user(&settings, &signed(&good)).await.is_some());
    for (claim, value) in [("iss", json!("them")), ("iss", json!(null)), ("aud", json!("other")), ("aud", json!(null))]
    {
        let mut claims = good.clone();
        claims[claim] = value;
        assert!(user(&settings, &signed(&claims)).await.is_none(), "{claims}");
    }
    assert!(user(&settings, &signed(&json!({"sub": "s", "exp": FUTURE}))).await.is_none());
}

#[tokio::test]
async fn roles_come_from_hasuras_claims_and_only_allowed_ones_can_be_asked_for() {
    let hasura = json!({
        "x-hasura-user-id": "h", "x-hasura-default-role": "user", "x-hasura-allowed-roles": ["user", "admin"],
    });
    let token = signed(&json!({HASURA_CLAIMS: hasura, "exp": FUTURE, "role": "admin"}));
    let tokens = tokens(&[("JWT_SECRET", SECRET)]);
    for (wanted, role, is_admin) in
        [(None, "user", false), (Some("admin"), "admin", true), (Some("root"), "user", false)]
    {
        let user = tokens.verify(&token, wanted).await.expect("a good token");
        assert_eq!((&*user.id, &*user.role, user.is_admin), ("h", role, is_admin), "{wanted:?}");
    }
    let plain = signed(&json!({"sub": "s", "exp": FUTURE, "role": "moderator"}));
    let settings = [("JWT_SECRET", SECRET), ("SAMPLE_ADMIN_ROLES", "owner, moderator")];
    assert_eq!(user(&settings, &plain).await.map(|user| user.is_admin), Some(true));
    let all = json!({"userId": "u", "sub": "s", HASURA_CLAIMS: hasura, "exp": FUTURE});
    assert_eq!(user(&settings, &signed(&all)).await.map(|user| user.id), Some("u".into()));
}

#[test]
fn settings_that_cannot_be_used_are_named_without_their_values() {
    let secret = r#"{"type": "HS256", "key": "kept"#;
    for (pairs, part) in [
        (&[("HASURA_GRAPHQL_JWT_SECRET", secret)][..], "`HASURA_GRAPHQL_JWT_SECRET` is not JSON"),
        (&[("HASURA_GRAPHQL_JWT_SECRET", "{}")], "neither `key` nor `jwk_url`"),
        (&[("HASURA_GRAPHQL_JWT_SECRET", r#"{"type": "RS256", "key": "kept"}"#)], "is not PEM"),
        (&[("SAMPLE_JWT_PUBLIC_KEY", "kept")], "`SAMPLE_JWT_PUBLIC_KEY` is not PEM"),
        (&[("SAMPLE_JWT_JWKS_URL", "kept")], "`SAMPLE_JWT_JWKS_URL` is not a web address"),
        (&[("SAMPLE_JWT_SECRET", "kept"), ("SAMPLE_JWT_ALGORITHM", "RS256")], "`SAMPLE_JWT_ALGORITHM` is `RS256`"),
        (&[("SAMPLE_JWT_SECRET", "kept"), ("SAMPLE_JWT_ALGORITHM", "XY")], "`SAMPLE_JWT_ALGORITHM` is `XY`"),
    ] {
        let error = error(pairs);
        assert!(error.contains(part) && !error.contains("kept"), "{error}");
    }
}
