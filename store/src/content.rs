//! Content-addressed objects and the manifest that commits them.

use bytes::Bytes;
use futures::StreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Location, StoreError};

pub const MANIFEST_FILE: &str = "manifest.json";

/// An object as a manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    pub sha256: String,
    pub bytes: u64,
}

impl ObjectRef {
    pub fn of(bytes: &[u8]) -> Self {
        Self { sha256: sha256_hex(bytes), bytes: bytes.len() as u64 }
    }

    /// Where the object lies below the artifact's prefix.
    pub fn path(&self) -> String {
        format!("objects/{}", self.sha256)
    }

    fn is_sane(&self) -> bool {
        self.sha256.len() == 64 && self.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }
}

pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Writes an object under its digest. One that is already there in full length is left as it is, so that a publish can be resumed.
pub async fn put(to: &Location, bytes: Bytes) -> Result<ObjectRef, StoreError> {
    let object = ObjectRef::of(&bytes);
    let path = to.at(&object.path());
    if to.store.head(&path).await.is_ok_and(|meta| meta.size == object.bytes) {
        return Ok(object);
    }
    to.store
        .put(&path, PutPayload::from_bytes(bytes))
        .await
        .map_err(|source| StoreError::Write { object: path.to_string(), source })?;
    Ok(object)
}

/// Commits an artifact: writes its manifest unless there is one. The same bytes again are fine; others are refused.
pub async fn commit(to: &Location, manifest: Bytes) -> Result<ObjectRef, StoreError> {
    let path = to.at(MANIFEST_FILE);
    let object = ObjectRef::of(&manifest);
    let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    match to.store.put_opts(&path, PutPayload::from_bytes(manifest), create).await {
        Ok(_) => Ok(object),
        Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
            let (_, found) = read_manifest(to).await?;
            if found == object {
                Ok(object)
            } else {
                Err(StoreError::Taken { uri: to.uri.clone(), found: found.sha256 })
            }
        }
        Err(source) => Err(StoreError::Write { object: path.to_string(), source }),
    }
}

/// Reads a manifest and its digest, which is the artifact's.
pub async fn read_manifest(from: &Location) -> Result<(Bytes, ObjectRef), StoreError> {
    let path = from.at(MANIFEST_FILE);
    let read_error = |source| match source {
        object_store::Error::NotFound { .. } => StoreError::NoManifest { uri: from.uri.clone() },
        source => StoreError::Read { object: path.to_string(), source },
    };
    let bytes = from.store.get(&path).await.map_err(read_error)?.bytes().await.map_err(read_error)?;
    let object = ObjectRef::of(&bytes);
    Ok((bytes, object))
}

/// Reads something that lies beside an artifact's objects, such as the baseline state; none where there is none.
pub async fn read_beside(from: &Location, relative: &str) -> Result<Option<Bytes>, StoreError> {
    let path = from.at(relative);
    let read_error = |source| StoreError::Read { object: path.to_string(), source };
    match from.store.get(&path).await {
        Ok(answer) => answer.bytes().await.map(Some).map_err(read_error),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(source) => Err(read_error(source)),
    }
}

/// Deletes everything below a prefix, manifests first: without its manifest an artifact is none, whatever is left of it. Returns how many
/// objects there were; what is gone already is no error, so that a deletion can be taken up again.
pub async fn delete(from: &Location) -> Result<usize, StoreError> {
    let error = |object: &object_store::path::Path, source| StoreError::Delete { object: object.to_string(), source };
    let mut paths: Vec<object_store::path::Path> = Vec::new();
    let mut list = from.store.list(Some(&from.prefix));
    while let Some(meta) = list.next().await {
        paths.push(meta.map_err(|source| error(&from.prefix, source))?.location);
    }
    paths.sort_by_key(|path| path.filename() != Some(MANIFEST_FILE));
    for path in &paths {
        match from.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(error(path, source)),
        }
    }
    Ok(paths.len())
}

/// Reads an object, hashing as it reads. A mismatch is downloaded once more, then refused.
pub async fn fetch(from: &Location, name: &str, object: &ObjectRef) -> Result<Vec<u8>, StoreError> {
    match fetch_once(from, name, object).await {
        Err(StoreError::Corrupt { .. } | StoreError::WrongSize { .. }) => {
            tracing::warn!(object = name, "object is not what its manifest says; reading it once more");
            fetch_once(from, name, object).await
        }
        result => result,
    }
}

async fn fetch_once(from: &Location, name: &str, object: &ObjectRef) -> Result<Vec<u8>, StoreError> {
    let name_of = || name.to_owned();
    if !object.is_sane() {
        let (expected, found) = ("64 hexadecimal digits".to_owned(), object.sha256.clone());
        return Err(StoreError::Corrupt { name: name_of(), object: "manifest.json".to_owned(), expected, found });
    }
    let path = from.at(&object.path());
    let read_error = |source| match source {
        object_store::Error::NotFound { .. } => {
            StoreError::Missing { name: name_of(), object: path.to_string(), uri: from.uri.clone() }
        }
        source => StoreError::Read { object: path.to_string(), source },
    };
    let answer = from.store.get(&path).await.map_err(read_error)?;
    let wrong_size =
        |found| StoreError::WrongSize { name: name_of(), object: path.to_string(), expected: object.bytes, found };
    if answer.meta.size != object.bytes {
        return Err(wrong_size(answer.meta.size));
    }
    let mut all = Vec::with_capacity(object.bytes as usize);
    let mut hasher = Sha256::new();
    let mut stream = answer.into_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(read_error)?;
        hasher.update(&chunk);
        all.extend_from_slice(&chunk);
        if all.len() as u64 > object.bytes {
            return Err(wrong_size(all.len() as u64));
        }
    }
    let found = hex::encode(hasher.finalize());
    if found == object.sha256 {
        Ok(all)
    } else {
        Err(StoreError::Corrupt { name: name_of(), object: path.to_string(), expected: object.sha256.clone(), found })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::open;

    #[tokio::test]
    async fn a_manifest_commits_once_and_every_flipped_bit_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let place = open(folder.path().to_str().unwrap()).unwrap();
        assert!(matches!(read_manifest(&place).await, Err(StoreError::NoManifest { .. })));
        let object = put(&place, Bytes::from_static(b"some rules")).await.unwrap();
        assert_eq!(put(&place, Bytes::from_static(b"some rules")).await.unwrap(), object);
        commit(&place, Bytes::from_static(b"{}")).await.unwrap();
        commit(&place, Bytes::from_static(b"{}")).await.unwrap();
        assert!(matches!(commit(&place, Bytes::from_static(b"{1}")).await, Err(StoreError::Taken { .. })));
        assert_eq!(fetch(&place, "rules", &object).await.unwrap(), b"some rules");

        let file = folder.path().join(object.path());
        let whole = std::fs::read(&file).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&file, &flipped).unwrap();
            let error = fetch(&place, "rules", &object).await.unwrap_err();
            assert!(matches!(error, StoreError::Corrupt { .. }));
            assert!(error.to_string().contains("(rules)"), "{error}");
        }
        std::fs::write(&file, &whole[1..]).unwrap();
        assert!(matches!(fetch(&place, "rules", &object).await, Err(StoreError::WrongSize { .. })));
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(fetch(&place, "rules", &object).await, Err(StoreError::Missing { .. })));
    }

    #[tokio::test]
    async fn a_deletion_takes_all_and_can_be_taken_up_again() {
        let folder = tempfile::tempdir().unwrap();
        let to = crate::open(&folder.path().join("shop-v1").display().to_string()).unwrap();
        let beside = crate::open(&folder.path().join("shop-v10").display().to_string()).unwrap();
        for place in [to.below("0"), to.below("1"), beside.below("0")] {
            put(&place, Bytes::from_static(b"numbers")).await.unwrap();
            commit(&place, Bytes::from_static(b"{}")).await.unwrap();
        }
        assert_eq!(delete(&to).await.unwrap(), 4);
        assert_eq!(delete(&to).await.unwrap(), 0);
        assert!(matches!(read_manifest(&to.below("0")).await, Err(StoreError::NoManifest { .. })));
        read_manifest(&beside.below("0")).await.unwrap();
    }
}
