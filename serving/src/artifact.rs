//! Reads an artifact from its store: every object is hashed as it is read, and what is not what its digest says is never served.

use std::collections::BTreeMap;

use bytes::Bytes;
use endcap_recommender::artifact::{ArtifactError, ArtifactManifest};
use endcap_recommender::fitted::{Model, OBJECTS, PACK_PREFIX};
use endcap_recommender::live::{BaselineState, ShelfState};
use endcap_store::{Location, ObjectRef, StoreError};
use object_store::ObjectStoreExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Where the trainer puts what happened before the first event, below the artifact.
pub const BASELINE: &str = "state/baseline.json.zst";
/// Its SHA-256, hexadecimal.
const BASELINE_SUM: &str = "state/baseline.sha256";

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{uri}: {source}")]
    Artifact { uri: String, source: ArtifactError },
    #[error("the artifact at {uri} has digest {found}, asked for was {expected}; correct the address or the digest")]
    WrongDigest { uri: String, expected: String, found: String },
    #[error("failed to read the baseline state of {uri}: {why}; train again, or restore state/ from a copy")]
    Baseline { uri: String, why: String },
    #[error("failed to decode the artifact: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A verified version in memory.
#[derive(Debug)]
pub struct Loaded {
    pub manifest: ArtifactManifest,
    /// SHA-256 of the manifest: the artifact's identity.
    pub digest: String,
    pub model: Model,
}

/// Which of an artifact's two models is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    /// The router's small pack.
    Pack,
}

impl Part {
    fn prefix(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Pack => PACK_PREFIX,
        }
    }
}

/// The bytes of an artifact's part, verified.
#[derive(Debug)]
pub struct Fetched {
    pub manifest_bytes: Bytes,
    pub manifest: ArtifactManifest,
    pub digest: String,
    pub objects: BTreeMap<String, Vec<u8>>,
    uri: String,
    part: Part,
}

/// Reads the manifest and a part's objects. `digest`, where given, is what the manifest must hash to.
pub async fn fetch(from: &Location, digest: Option<&str>, part: Part) -> Result<Fetched, LoadError> {
    let (manifest_bytes, identity) = endcap_store::read_manifest(from).await?;
    if let Some(expected) = digest
        && expected != identity.sha256
    {
        let (uri, expected) = (from.uri.clone(), expected.to_owned());
        return Err(LoadError::WrongDigest { uri, expected, found: identity.sha256 });
    }
    let unreadable = |source| LoadError::Artifact { uri: from.uri.clone(), source };
    let manifest = ArtifactManifest::from_json(&manifest_bytes).map_err(unreadable)?;
    let mut objects = BTreeMap::new();
    for name in OBJECTS {
        let name = format!("{}{name}", part.prefix());
        // What is missing is said by the model when it is put together.
        let Some(entry) = manifest.objects.get(&name) else { continue };
        let object = ObjectRef { sha256: entry.sha256.clone(), bytes: entry.bytes };
        objects.insert(name.clone(), endcap_store::fetch(from, &name, &object).await?);
    }
    Ok(Fetched { manifest_bytes, manifest, digest: identity.sha256, objects, uri: from.uri.clone(), part })
}

impl Fetched {
    /// Decodes the model on a thread that may block.
    pub async fn decode(self) -> Result<Loaded, LoadError> {
        tokio::task::spawn_blocking(move || {
            let Self { manifest, digest, objects, uri, part, .. } = self;
            let model =
                Model::from_objects(&objects, part.prefix()).map_err(|source| LoadError::Artifact { uri, source })?;
            Ok(Loaded { manifest, digest, model })
        })
        .await?
    }
}

/// Keeps a part's bytes in a folder of this machine, so that a restart needs no store.
pub async fn keep(fetched: &Fetched, folder: &Location) -> Result<(), LoadError> {
    for bytes in fetched.objects.values() {
        endcap_store::put(folder, Bytes::from(bytes.clone())).await?;
    }
    endcap_store::commit(folder, fetched.manifest_bytes.clone()).await?;
    Ok(())
}

/// Reads the baseline state beside an artifact; `None` where the trainer wrote none.
pub async fn read_baseline(from: &Location) -> Result<Option<BaselineState>, LoadError> {
    read_state(from).await
}

/// Only what a baseline says of the shelf; customers are passed over as it is read.
pub async fn read_baseline_shelf(from: &Location) -> Result<Option<ShelfState>, LoadError> {
    #[derive(Deserialize)]
    struct OnlyShelf {
        #[serde(default)]
        shelf: ShelfState,
    }
    let state: Option<OnlyShelf> = read_state(from).await?;
    Ok(state.map(|state| state.shelf))
}

/// Writes what [`read_baseline_shelf`] reads.
pub async fn keep_shelf(shelf: &ShelfState, folder: &Location) -> Result<(), LoadError> {
    let text = serde_json::to_vec(&serde_json::json!({ "shelf": shelf }));
    let packed = text.map_err(std::io::Error::other).and_then(|text| zstd::encode_all(text.as_slice(), 1));
    let bad = |error: std::io::Error| LoadError::Baseline { uri: folder.uri.clone(), why: error.to_string() };
    let (path, bytes) = (folder.at(BASELINE), packed.map_err(bad)?);
    let failed = |source| StoreError::Write { object: path.to_string(), source };
    folder.store.put(&path, bytes.into()).await.map_err(failed)?;
    Ok(())
}

async fn read_state<T: DeserializeOwned + Send + 'static>(from: &Location) -> Result<Option<T>, LoadError> {
    let Some(bytes) = get(from, BASELINE).await? else { return Ok(None) };
    let uri = from.uri.clone();
    if let Some(sum) = get(from, BASELINE_SUM).await? {
        let expected = String::from_utf8_lossy(&sum).split_whitespace().next().unwrap_or_default().to_owned();
        let found = endcap_store::sha256_hex(&bytes);
        if expected != found {
            let why = format!("{BASELINE} has SHA-256 {found}, {BASELINE_SUM} says {expected}");
            return Err(LoadError::Baseline { uri, why });
        }
    }
    let read = move || {
        let wrong = |why: String| LoadError::Baseline { uri: uri.clone(), why };
        let decoder = zstd::stream::read::Decoder::new(bytes.as_ref()).map_err(|error| wrong(error.to_string()))?;
        serde_json::from_reader(std::io::BufReader::new(decoder)).map(Some).map_err(|error| wrong(error.to_string()))
    };
    tokio::task::spawn_blocking(read).await?
}

async fn get(from: &Location, name: &str) -> Result<Option<Bytes>, LoadError> {
    let path = from.at(name);
    let failed = |source| StoreError::Read { object: path.to_string(), source };
    match from.store.get(&path).await {
        Ok(found) => Ok(Some(found.bytes().await.map_err(failed)?)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(source) => Err(failed(source).into()),
    }
}
