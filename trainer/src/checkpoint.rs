//! What is done survives a kill: each phase's result in a file of its own, written beside its place, synced, then renamed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use endcap_store::sha256_hex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::TrainError;

/// The checkpoints of one training. Another dataset, seed, setting or program has another key and sees none of them.
#[derive(Debug)]
pub struct Checkpoints {
    work: PathBuf,
    dir: PathBuf,
}

const DIGEST_HEX: usize = 64;

impl Checkpoints {
    pub fn open(work: &Path, key: &str) -> Result<Self, TrainError> {
        let dir = work.join(key);
        let write = |source| TrainError::Write { path: dir.clone(), flag: "--work", source };
        std::fs::create_dir_all(&dir).map_err(write)?;
        Ok(Self { work: work.to_owned(), dir })
    }

    /// A result that was written whole; anything else (none, torn, flipped bits) is none and is computed again.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let mut bytes = std::fs::read(self.dir.join(name)).ok()?;
        if bytes.len() < DIGEST_HEX {
            return None;
        }
        let payload = bytes.split_off(DIGEST_HEX);
        if bytes == sha256_hex(&payload).as_bytes() {
            return Some(payload);
        }
        tracing::warn!(checkpoint = name, "checkpoint is damaged; computing it again");
        None
    }

    pub fn write(&self, name: &str, payload: &[u8]) -> Result<(), TrainError> {
        let path = self.dir.join(name);
        let unfinished = self.dir.join(format!("{name}.part"));
        let write = |source| TrainError::Write { path: path.clone(), flag: "--work", source };
        let mut file = File::create(&unfinished).map_err(write)?;
        file.write_all(sha256_hex(payload).as_bytes()).map_err(write)?;
        file.write_all(payload).map_err(write)?;
        file.sync_all().map_err(write)?;
        std::fs::rename(&unfinished, &path).map_err(write)
    }

    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&self.read(name)?).ok()
    }

    pub fn write_json<T: Serialize>(&self, name: &'static str, value: &T) -> Result<(), TrainError> {
        let bytes = serde_json::to_vec(value).map_err(|source| TrainError::Json { what: name, source })?;
        self.write(name, &bytes)
    }

    /// Removes them once the artifact stands; what cannot be removed is only waste.
    pub fn clear(self) {
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            tracing::warn!(%error, folder = %self.dir.display(), "failed to remove finished checkpoints");
        }
        // Only when no other training left something there.
        let _ = std::fs::remove_dir(&self.work);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn torn_and_flipped_checkpoints_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        let checkpoints = Checkpoints::open(&work, "key").unwrap();
        assert_eq!(checkpoints.read("fit"), None);
        checkpoints.write("fit", b"numbers").unwrap();
        assert_eq!(checkpoints.read("fit").unwrap(), b"numbers");
        assert_eq!(Checkpoints::open(&work, "other").unwrap().read("fit"), None);
        let file = work.join("key/fit");
        let whole = std::fs::read(&file).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&file, &whole[..cut]).unwrap();
            assert_eq!(checkpoints.read("fit"), None);
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&file, &flipped).unwrap();
            assert_eq!(checkpoints.read("fit"), None);
        }
    }
}
