//! Keys of the routing table: ed25519, as 64 hexadecimal digits or PEM.

use std::path::Path;

use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey};
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("failed to understand the {what} key: {why}; give 64 hexadecimal digits, or a file with them or with PEM")]
    Bad { what: &'static str, why: String },
    #[error("failed to read the key file {path}: {source}")]
    Read { path: String, source: std::io::Error },
}

/// A new key pair, both halves as hexadecimal digits.
#[derive(Clone)]
pub struct KeyPair {
    pub signing: SigningKey,
}

impl KeyPair {
    /// From the operating system's randomness.
    pub fn generate() -> Self {
        Self { signing: SigningKey::from_bytes(&rand::random()) }
    }

    pub fn secret_hex(&self) -> String {
        hex::encode(self.signing.to_bytes())
    }

    pub fn public_hex(&self) -> String {
        hex::encode(self.signing.verifying_key().to_bytes())
    }
}

/// Names a public key: the first 16 hexadecimal digits of its SHA-256.
pub fn key_id(key: &VerifyingKey) -> String {
    hex::encode(Sha256::digest(key.as_bytes())).chars().take(16).collect()
}

fn from_hex(what: &'static str, text: &str) -> Result<[u8; 32], KeyError> {
    let bytes = hex::decode(text).map_err(|source| KeyError::Bad { what, why: source.to_string() })?;
    let length = bytes.len();
    bytes.try_into().map_err(|_| KeyError::Bad { what, why: format!("it has {length} bytes, not 32") })
}

pub fn parse_public_key(text: &str) -> Result<VerifyingKey, KeyError> {
    let bad = |why: String| KeyError::Bad { what: "public", why };
    let text = text.trim();
    if text.starts_with("-----BEGIN") {
        return VerifyingKey::from_public_key_pem(text).map_err(|source| bad(source.to_string()));
    }
    VerifyingKey::from_bytes(&from_hex("public", text)?).map_err(|source| bad(source.to_string()))
}

pub fn parse_secret_key(text: &str) -> Result<SigningKey, KeyError> {
    let text = text.trim();
    if text.starts_with("-----BEGIN") {
        let bad = |source: ed25519_dalek::pkcs8::Error| KeyError::Bad { what: "secret", why: source.to_string() };
        return SigningKey::from_pkcs8_pem(text).map_err(bad);
    }
    Ok(SigningKey::from_bytes(&from_hex("secret", text)?))
}

/// A public key given as it is, or the file that holds it.
pub fn read_public_key(key_or_file: &str) -> Result<VerifyingKey, KeyError> {
    let is_key = key_or_file.len() == 64 && key_or_file.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_key || key_or_file.starts_with("-----BEGIN") {
        return parse_public_key(key_or_file);
    }
    let text = std::fs::read_to_string(Path::new(key_or_file))
        .map_err(|source| KeyError::Read { path: key_or_file.to_owned(), source })?;
    parse_public_key(&text)
}
