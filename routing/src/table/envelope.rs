//! The signed form in which a table travels and lies on disk.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{Table, key_id};
use endcap_recommender::request::FieldError;

/// Signed before the payload, so that a signature over something else is never one over a table.
const DOMAIN: &[u8] = b"endcap.routing-table/v1\n";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The table as JSON, in base64.
    pub payload: String,
    /// SHA-256 of the payload's bytes, hexadecimal: the table's hash.
    pub sha256: String,
    /// First 16 hexadecimal digits of the SHA-256 of the public key.
    pub key_id: String,
    /// ed25519 over `endcap.routing-table/v1`, a line feed and the payload's bytes; base64.
    pub signature: String,
}

#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    #[error(
        "failed to read the envelope: {0}; send {{\"payload\", \"sha256\", \"keyId\", \"signature\"}} as `table::sign` writes it"
    )]
    NotAnEnvelope(String),
    #[error(
        "the table is signed with key {found}, this router trusts {trusted}; sign with the operator's key, or give the router its public key with --public-key"
    )]
    UnknownKey { found: String, trusted: String },
    #[error("the signature does not belong to this table; sign it again")]
    BadSignature,
    #[error("the hash {named} is not that of the payload ({found}); send the envelope as it was signed")]
    WrongHash { named: String, found: String },
    #[error("failed to read the signed table: {0}")]
    NotATable(serde_json::Error),
    #[error("the signed table is not valid: {}", list(.0))]
    Invalid(Vec<FieldError>),
}

fn list(errors: &[FieldError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl EnvelopeError {
    /// Whether the sender is not who it must be, as against a mistake of the right sender.
    pub fn is_forgery(&self) -> bool {
        matches!(self, Self::UnknownKey { .. } | Self::BadSignature | Self::WrongHash { .. })
    }
}

fn message(payload: &[u8]) -> Vec<u8> {
    [DOMAIN, payload].concat()
}

/// Signs a table.
pub fn sign(table: &Table, key: &SigningKey) -> Result<Envelope, serde_json::Error> {
    let payload = serde_json::to_vec(table)?;
    Ok(Envelope {
        sha256: hex::encode(Sha256::digest(&payload)),
        key_id: key_id(&key.verifying_key()),
        signature: STANDARD.encode(key.sign(&message(&payload)).to_bytes()),
        payload: STANDARD.encode(payload),
    })
}

/// Checks signature, hash and content; `keys` are those that are trusted.
pub fn verify(envelope: &Envelope, keys: &[VerifyingKey]) -> Result<Table, EnvelopeError> {
    let unreadable = |what: &str| EnvelopeError::NotAnEnvelope(format!("{what} is not base64"));
    let payload = STANDARD.decode(&envelope.payload).map_err(|_| unreadable("payload"))?;
    let signature = STANDARD.decode(&envelope.signature).map_err(|_| unreadable("signature"))?;
    let signature = Signature::from_slice(&signature).map_err(|_| EnvelopeError::BadSignature)?;
    let Some(key) = keys.iter().find(|key| key_id(key) == envelope.key_id) else {
        let trusted = keys.iter().map(key_id).collect::<Vec<_>>().join(", ");
        return Err(EnvelopeError::UnknownKey { found: envelope.key_id.clone(), trusted });
    };
    key.verify_strict(&message(&payload), &signature).map_err(|_| EnvelopeError::BadSignature)?;
    let found = hex::encode(Sha256::digest(&payload));
    if found != envelope.sha256 {
        return Err(EnvelopeError::WrongHash { named: envelope.sha256.clone(), found });
    }
    let table: Table = serde_json::from_slice(&payload).map_err(EnvelopeError::NotATable)?;
    table.validate().map_err(EnvelopeError::Invalid)?;
    Ok(table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::table::{KeyPair, Pack};

    fn table() -> Table {
        let pack = Pack { uri: "file:///a".to_owned(), digest: "0".repeat(64) };
        Table::single("shop", "giftshop", 3, "giftshop-v1", vec!["http://127.0.0.1:1".to_owned()], pack)
    }

    #[test]
    fn a_table_is_read_as_it_was_signed_with_either_key() {
        let (old, new) = (KeyPair::generate(), KeyPair::generate());
        let trusted = [old.signing.verifying_key(), new.signing.verifying_key()];
        for pair in [&old, &new] {
            assert_eq!(verify(&sign(&table(), &pair.signing).unwrap(), &trusted).unwrap(), table());
        }
        let stranger = KeyPair::generate();
        let error = verify(&sign(&table(), &stranger.signing).unwrap(), &trusted).unwrap_err();
        assert!(matches!(error, EnvelopeError::UnknownKey { .. }));
    }

    #[test]
    fn no_byte_of_an_envelope_can_be_changed() {
        let pair = KeyPair::generate();
        let keys = [pair.signing.verifying_key()];
        let whole = serde_json::to_vec(&sign(&table(), &pair.signing).unwrap()).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            *changed.get_mut(at).unwrap() ^= 1;
            if let Ok(envelope) = serde_json::from_slice::<Envelope>(&changed) {
                assert!(verify(&envelope, &keys).is_err(), "byte {at}");
            }
        }
    }
}
