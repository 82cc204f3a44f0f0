//! Objects to the store by their digests, the manifest last.

use std::collections::BTreeMap;

use bytes::Bytes;
use endcap_recommender::artifact::{ArtifactManifest, ObjectEntry};
use endcap_recommender::fitted::{Model, PACK_PREFIX};
use endcap_store::{Location, commit, put, sha256_hex};
use object_store::{ObjectStoreExt, PutPayload};

use crate::TrainError;
use crate::baseline::{BASELINE_FILE, DIGEST_FILE};
use crate::progress::{Phase, Progress, check};

/// Products and partners in a router's pack.
const PACK_PRODUCTS: usize = 2000;
const PACK_NEIGHBOURS: usize = 20;
/// A pack of more bytes than this is made of fewer products: every router holds one.
const PACK_BYTES: usize = 8 << 20;
pub const RUN_FILE: &str = "run.json";
/// The model card as text, beside the artifact.
pub const CARD_FILE: &str = "card.md";

/// An object that is not yet written, by its name.
type Unwritten = (String, Vec<u8>);

/// The objects of the pack, and how many products it holds.
pub(crate) fn pack(model: &Model) -> Result<(Vec<Unwritten>, usize), TrainError> {
    let mut products = PACK_PRODUCTS;
    loop {
        let small = model.pack(products, PACK_NEIGHBOURS);
        let objects = small.to_objects()?;
        let bytes: usize = objects.iter().map(|(_, bytes)| bytes.len()).sum();
        if bytes <= PACK_BYTES || products <= 1 {
            let named = objects.into_iter().map(|(name, bytes)| (format!("{PACK_PREFIX}{name}"), bytes)).collect();
            return Ok((named, small.catalogue.len()));
        }
        products /= 2;
    }
}

/// What is written, and where its manifest's digest came out.
pub(crate) struct Published {
    pub manifest: ArtifactManifest,
    pub manifest_sha256: String,
    pub bytes: u64,
}

pub(crate) fn steps(objects: usize) -> u64 {
    objects as u64 + 2
}

fn failed(uri: &str) -> impl Fn(endcap_store::StoreError) -> TrainError {
    move |source| match source {
        endcap_store::StoreError::Taken { .. } => source.into(),
        source => TrainError::Publish { uri: uri.to_owned(), source: Box::new(source) },
    }
}

async fn put_file(to: &Location, name: &str, bytes: Vec<u8>) -> Result<(), TrainError> {
    let path = to.at(name);
    let payload = PutPayload::from_bytes(Bytes::from(bytes));
    let write = |source| endcap_store::StoreError::Write { object: path.to_string(), source };
    to.store.put(&path, payload).await.map_err(write).map_err(failed(&to.uri))?;
    Ok(())
}

/// Writes objects, then the baseline state, then the manifest. Until that last write nothing there is an artifact.
pub(crate) async fn publish(
    to: &Location,
    mut manifest: ArtifactManifest,
    objects: Vec<Unwritten>,
    baseline: Vec<u8>,
    progress: &dyn Progress,
) -> Result<Published, TrainError> {
    let mut entries = BTreeMap::new();
    let mut total = 0;
    for (name, bytes) in objects {
        check(progress, Phase::Publish)?;
        let object = put(to, Bytes::from(bytes)).await.map_err(failed(&to.uri))?;
        total += object.bytes;
        entries.insert(name, ObjectEntry { sha256: object.sha256, bytes: object.bytes });
        progress.advance(1);
    }
    manifest.objects = entries;
    let digest = format!("{}\n", sha256_hex(&baseline));
    put_file(to, BASELINE_FILE, baseline).await?;
    put_file(to, DIGEST_FILE, digest.into_bytes()).await?;
    progress.advance(1);
    check(progress, Phase::Publish)?;
    let committed = commit(to, Bytes::from(manifest.to_json())).await.map_err(failed(&to.uri))?;
    progress.advance(1);
    Ok(Published { manifest, manifest_sha256: committed.sha256, bytes: total + committed.bytes })
}

/// Writes the model card beside the artifact as well, under a name that people find; the object of the same bytes is what counts.
pub(crate) async fn put_card(to: &Location, text: String) -> Result<(), TrainError> {
    put_file(to, CARD_FILE, text.into_bytes()).await
}

/// Writes the record of the run. The artifact stands without it, so that a failure is only a warning.
pub(crate) async fn record(to: &Location, run: &crate::report::Run) {
    let written = match serde_json::to_vec_pretty(run) {
        Ok(bytes) => put_file(to, RUN_FILE, bytes).await,
        Err(source) => Err(TrainError::Json { what: RUN_FILE, source }),
    };
    if let Err(error) = written {
        tracing::warn!(%error, "failed to write the record of the run; the artifact stands without it");
    }
}
