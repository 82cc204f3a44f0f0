//! Whom tables are believed from: one public key, or two while they are exchanged, read again when a signature is of none of them.

use std::sync::{PoisonError, RwLock};

use ed25519_dalek::VerifyingKey;

use super::{Envelope, EnvelopeError, KeyError, Table, read_public_key, verify};

/// Trusted keys with where they come from: keys in files may be exchanged while the program runs.
#[derive(Debug)]
pub struct Trust {
    sources: Vec<String>,
    keys: RwLock<Vec<VerifyingKey>>,
}

impl Trust {
    /// `sources`: keys as they are, or files that hold one.
    pub fn read(sources: &[String]) -> Result<Self, KeyError> {
        let keys = read(sources)?;
        Ok(Self { sources: sources.to_vec(), keys: RwLock::new(keys) })
    }

    /// Checks a table. One of an unknown key is checked once more with the keys as the files hold them now.
    pub fn verify(&self, envelope: &Envelope) -> Result<Table, EnvelopeError> {
        let known = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        let first = verify(envelope, &known);
        if !matches!(first, Err(EnvelopeError::UnknownKey { .. })) {
            return first;
        }
        match read(&self.sources) {
            Ok(keys) if keys != known => {
                let second = verify(envelope, &keys);
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
                second
            }
            _ => first,
        }
    }
}

fn read(sources: &[String]) -> Result<Vec<VerifyingKey>, KeyError> {
    sources.iter().map(|source| read_public_key(source)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::table::{KeyPair, Pack, sign};

    #[test]
    fn an_exchanged_key_is_believed_without_a_restart() {
        let file = std::env::temp_dir().join(format!("endcap-trust-{}", std::process::id()));
        let (old, new, stranger) = (KeyPair::generate(), KeyPair::generate(), KeyPair::generate());
        std::fs::write(&file, old.public_hex()).unwrap();
        let trust = Trust::read(&[file.display().to_string()]).unwrap();
        let pack = Pack { uri: "file:///a".to_owned(), digest: "0".repeat(64) };
        let table = Table::single("shop", "giftshop", 3, "giftshop-v1", vec!["http://127.0.0.1:1".to_owned()], pack);
        let signed = |keys: &KeyPair| sign(&table, &keys.signing).unwrap();
        assert!(trust.verify(&signed(&old)).is_ok());
        assert!(trust.verify(&signed(&new)).is_err());
        std::fs::write(&file, new.public_hex()).unwrap();
        assert!(trust.verify(&signed(&new)).is_ok());
        assert!(trust.verify(&signed(&old)).is_err());
        std::fs::remove_file(&file).unwrap();
        // Files that are gone for a moment take nothing away.
        assert!(trust.verify(&signed(&stranger)).is_err());
        assert!(trust.verify(&signed(&new)).is_ok());
    }
}
