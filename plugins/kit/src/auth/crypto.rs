//! The cryptography of tokens, by ring, which the TLS of this workspace uses too. Verifies; signs nothing.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{Error as SignatureError, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::{hmac, signature};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: refuse_signing,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes it the cryptography of all tokens of this process.
pub(super) fn install() {
    // Fails only where it is installed already.
    let _ = PROVIDER.install_default();
}

struct Ring {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Ring {
    fn is_valid(&self, message: &[u8], given: &[u8]) -> bool {
        let key = match self.key.kind() {
            DecodingKeyKind::SecretOrDer(key) => key,
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                let key = signature::RsaPublicKeyComponents { n, e };
                return rsa(self.algorithm).is_some_and(|rsa| key.verify(rsa, message, given).is_ok());
            }
        };
        if let Some(algorithm) = hmac_algorithm(self.algorithm) {
            // Compares in constant time.
            return hmac::verify(&hmac::Key::new(algorithm, key), message, given).is_ok();
        }
        let algorithm: Option<&'static dyn signature::VerificationAlgorithm> = match self.algorithm {
            Algorithm::ES256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
            Algorithm::ES384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDSA => Some(&signature::ED25519),
            other => rsa(other).map(|rsa| rsa as &dyn signature::VerificationAlgorithm),
        };
        algorithm
            .is_some_and(|algorithm| signature::UnparsedPublicKey::new(algorithm, key).verify(message, given).is_ok())
    }
}

impl Verifier<Vec<u8>> for Ring {
    fn verify(&self, message: &[u8], given: &Vec<u8>) -> Result<(), SignatureError> {
        if self.is_valid(message, given) { Ok(()) } else { Err(SignatureError::new()) }
    }
}

impl JwtVerifier for Ring {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

fn hmac_algorithm(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    match algorithm {
        Algorithm::HS256 => Some(hmac::HMAC_SHA256),
        Algorithm::HS384 => Some(hmac::HMAC_SHA384),
        Algorithm::HS512 => Some(hmac::HMAC_SHA512),
        _ => None,
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static signature::RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the provider's signature")]
#[expect(clippy::unnecessary_wraps, reason = "the provider's signature")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    Ok(Box::new(Ring { algorithm: *algorithm, key: key.clone() }))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the provider's signature")]
fn refuse_signing(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::InvalidAlgorithm.into())
}
