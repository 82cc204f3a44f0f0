//! The shop as the active version and the live state know it: catalogue, reference profile, prices, stock, customers.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use endcap_eventlog::live::{Limits, LiveState, LiveUpdate};
use endcap_recommender::artifact::{ArtifactError, ArtifactManifest};
use endcap_recommender::fitted::{Catalogue, NONE};
use endcap_recommender::profile::{FIELD, FORMAT, Reference};
use endcap_serving::follow::Sink;
use endcap_serving::table::Pack;
use endcap_store::{ObjectRef, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::fold::product_key;

#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{uri}: {source}")]
    Artifact { uri: String, source: ArtifactError },
    #[error("the artifact at {uri} has digest {found}, asked for was {expected}; correct the address or the digest")]
    WrongDigest { uri: String, expected: String, found: String },
    #[error("failed to decode the artifact: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// What insights takes of a version's artifact.
pub struct Version {
    pub name: String,
    pub digest: String,
    pub catalogue: Catalogue,
    /// Names in small letters, by dense index: what is searched.
    pub small_names: Vec<String>,
    /// Category by key of the product; `NONE` for products without one.
    pub categories: HashMap<u32, u32>,
    /// None where the trainer wrote none.
    pub reference: Option<Reference>,
}

impl Version {
    fn new(name: String, digest: String, catalogue: Catalogue, reference: Option<Reference>) -> Self {
        let products = 0..catalogue.len() as u32;
        let small_names = products.clone().map(|product| catalogue.name(product).to_lowercase()).collect();
        let categories =
            products.map(|product| (product_key(catalogue.id(product)), catalogue.category(product))).collect();
        Self { name, digest, catalogue, small_names, categories, reference }
    }

    /// The category of a product by its key; none for products that the version does not know.
    pub fn category(&self, product: u32) -> Option<&str> {
        let category = *self.categories.get(&product)?;
        Some(if category == NONE { "" } else { self.catalogue.category_ids.get(category as usize) })
    }
}

/// Reads catalogue and reference of a version; every byte is checked against the digest.
pub async fn load(pack: &Pack) -> Result<Version, ShopError> {
    let from = endcap_store::open(&pack.uri)?;
    let (bytes, identity) = endcap_store::read_manifest(&from).await?;
    if identity.sha256 != pack.digest {
        let (uri, expected) = (from.uri.clone(), pack.digest.clone());
        return Err(ShopError::WrongDigest { uri, expected, found: identity.sha256 });
    }
    let uri = from.uri.clone();
    let bad = |source| ShopError::Artifact { uri: uri.clone(), source };
    let manifest = ArtifactManifest::from_json(&bytes).map_err(bad)?;
    let mut objects: HashMap<&str, Bytes> = HashMap::new();
    for name in ["catalogue", "reference"] {
        if let Some(entry) = manifest.objects.get(name) {
            let object = ObjectRef { sha256: entry.sha256.clone(), bytes: entry.bytes };
            objects.insert(name, endcap_store::fetch(&from, name, &object).await?.into());
        }
    }
    let catalogue = objects.remove("catalogue").ok_or_else(|| bad(ArtifactError::MissingObject("catalogue")))?;
    let reference = objects.remove("reference").and_then(|bytes| read_reference(&bytes));
    let digest = identity.sha256;
    let decoded = tokio::task::spawn_blocking(move || {
        Catalogue::decode("catalogue", &catalogue)
            .map(|catalogue| Version::new(manifest.version, digest, catalogue, reference))
    });
    decoded.await?.map_err(bad)
}

/// Older artifacts have an object `reference` without a profile: then there is none.
fn read_reference(bytes: &[u8]) -> Option<Reference> {
    let mut object: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let profile = object.get_mut(FIELD)?.take();
    let reference: Reference = serde_json::from_value(profile)
        .inspect_err(|error| tracing::warn!(%error, "failed to read the reference profile; drift has no reference"))
        .ok()?;
    (reference.format == FORMAT).then_some(reference)
}

/// What is known of the shop now.
pub struct Shop {
    version: ArcSwapOption<Version>,
    live: RwLock<LiveState>,
}

impl Default for Shop {
    fn default() -> Self {
        Self { version: ArcSwapOption::empty(), live: RwLock::new(LiveState::new(Limits::default())) }
    }
}

impl Shop {
    pub fn version(&self) -> Option<Arc<Version>> {
        self.version.load_full()
    }

    /// Asks the live state something, under its lock: be quick.
    pub fn with_live<T>(&self, ask: impl FnOnce(&LiveState) -> T) -> T {
        ask(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps trying to hold the artifact of the table in effect.
    pub async fn follow(self: Arc<Self>, mut wanted: watch::Receiver<Option<Pack>>, stop: CancellationToken) {
        const FIRST_PAUSE: Duration = Duration::from_millis(200);
        let mut pause = FIRST_PAUSE;
        loop {
            let want = wanted.borrow_and_update().clone();
            let held = self.version().map(|version| version.digest.clone());
            let mut again = false;
            if let Some(want) = want.filter(|want| held.as_ref() != Some(&want.digest)) {
                let loaded = tokio::select! {
                    () = stop.cancelled() => return,
                    loaded = load(&want) => loaded,
                };
                match loaded {
                    Ok(version) => {
                        let has_reference = version.reference.is_some();
                        tracing::info!(version = version.name, digest = version.digest, has_reference, "artifact read");
                        self.version.store(Some(Arc::new(version)));
                    }
                    Err(error) => {
                        tracing::error!(%error, "failed to read the active version's artifact; trying again");
                        again = true;
                    }
                }
            }
            pause = if again { (pause * 2).min(Duration::from_secs(10)) } else { FIRST_PAUSE };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = wanted.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause), if again => {}
            }
        }
    }
}

impl Sink for Shop {
    fn replace(&self, state: LiveState) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn apply(&self, updates: &[LiveUpdate]) {
        for batch in updates.chunks(64) {
            let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
            for update in batch {
                live.apply(update);
            }
        }
    }

    fn next_offset(&self) -> u64 {
        self.with_live(LiveState::next_offset)
    }
}
