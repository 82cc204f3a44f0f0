//! Object storage: how bytes get to a store and back, and that they are what their digest says.
//!
//! An artifact is a prefix with content-addressed objects (`objects/<sha256>`) and a manifest that is written last with a
//! conditional put: no manifest, no artifact. What the objects mean is the business of `endcap-recommender`.

mod content;
mod location;

pub use content::{MANIFEST_FILE, ObjectRef, commit, delete, fetch, put, read_beside, read_manifest, sha256_hex};
pub use location::{Location, open};

/// What can go wrong between us and a store. Every variant names the object and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "failed to understand the address {uri:?}: {why}; write file:///folder, a plain folder, or s3://bucket/prefix"
    )]
    BadUri { uri: String, why: String },
    #[error("failed to configure the store of {uri}: {source}")]
    Configure { uri: String, source: object_store::Error },
    #[error("failed to write {object}: {source}")]
    Write { object: String, source: object_store::Error },
    #[error("failed to delete {object}: {source}")]
    Delete { object: String, source: object_store::Error },
    #[error("failed to read {object}: {source}")]
    Read { object: String, source: object_store::Error },
    #[error("no artifact at {uri}: it has no manifest.json; publish one with `endcap train`, or correct the address")]
    NoManifest { uri: String },
    #[error(
        "object {object} ({name}) is corrupt: expected SHA-256 {expected}, found {found}; restore it from a copy or train again"
    )]
    Corrupt { name: String, object: String, expected: String, found: String },
    #[error(
        "object {object} ({name}) has {found} bytes, its manifest says {expected}; restore it from a copy or train again"
    )]
    WrongSize { name: String, object: String, expected: u64, found: u64 },
    #[error("object {object} ({name}) of {uri} is missing; restore it from a copy or train again")]
    Missing { name: String, object: String, uri: String },
    #[error("{uri} already holds another artifact (manifest {found}); artifacts are immutable: choose another --out")]
    Taken { uri: String, found: String },
}
