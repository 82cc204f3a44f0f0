//! The last rung: a small model of rules and popular products that the router holds itself, under the table's own business rules and
//! with the shelf that it follows from the event log.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use endcap_eventlog::EventType;
use endcap_eventlog::live::{Limits, LiveState, LiveUpdate};
use endcap_recommender::RecommendationRequest;
use endcap_recommender::candidates::Scratch;
use endcap_recommender::fitted::Model;
use endcap_recommender::live::{BaselineState, ShelfState};
use endcap_recommender::pipeline::{CompiledPolicy, Facts, Person, recommend};
use endcap_recommender::response::Item;
use endcap_store::Location;
use jiff::Timestamp;

use super::routing::Routing;
use crate::artifact::{self, LoadError, Part};
use crate::follow::Sink;
use crate::live_view::LiveView;

/// A verified pack in memory.
pub struct Pack {
    pub version: String,
    pub digest: String,
    model: Arc<Model>,
    live: LiveView,
}

struct Compiled {
    pack: String,
    table: String,
    policy: CompiledPolicy,
}

/// What the shelf of the log says, kept apart from the pack so that both can change.
struct Shelf {
    state: LiveState,
    next_offset: u64,
    /// Whether the log's own state is in it, not only an artifact's baseline.
    from_log: bool,
}

/// The pack in effect, or none yet.
pub struct PackHolder {
    shelf: Mutex<Shelf>,
    current: ArcSwapOption<Pack>,
    compiled: ArcSwapOption<Compiled>,
    /// Folder on this machine for a restart without a store.
    cache: Option<PathBuf>,
    /// `--pack`: wins over the table's address.
    uri: Option<String>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Only what is on the shelf: the router knows no customers.
fn shelf_only(shelf: ShelfState) -> LiveState {
    LiveState::from_baseline(BaselineState { customers: HashMap::new(), shelf }, Limits::default())
}

impl PackHolder {
    pub fn new(cache: Option<PathBuf>, uri: Option<String>) -> Self {
        let state = LiveState::new(Limits::default());
        Self {
            shelf: Mutex::new(Shelf { state, next_offset: 0, from_log: false }),
            current: ArcSwapOption::empty(),
            compiled: ArcSwapOption::empty(),
            cache,
            uri,
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn current(&self) -> Option<Arc<Pack>> {
        self.current.load_full()
    }

    pub fn holds(&self, digest: &str) -> bool {
        self.current.load().as_ref().is_some_and(|pack| pack.digest == digest)
    }

    /// The pack's list; `None` while no pack is loaded.
    pub fn recommend(&self, routing: &Routing, request: &RecommendationRequest) -> Option<(Arc<Pack>, Vec<Item>)> {
        let pack = self.current.load_full()?;
        let compiled = self.policy(&pack, routing);
        let shelf = pack.live.shelf();
        let (person, now) = (Person::default(), Timestamp::now());
        let facts = Facts { model: &pack.model, shelf: &shelf, policy: &compiled.policy, person, now };
        let items = SCRATCH.with_borrow_mut(|scratch| recommend(&facts, request, scratch));
        Some((pack, items))
    }

    pub fn currency(pack: &Pack) -> Option<String> {
        pack.model.settings.currency.clone()
    }

    fn policy(&self, pack: &Pack, routing: &Routing) -> Arc<Compiled> {
        if let Some(compiled) = self.compiled.load_full()
            && compiled.pack == pack.digest
            && compiled.table == routing.hash
        {
            return compiled;
        }
        let policy = CompiledPolicy::new(routing.policy.clone(), &pack.model);
        let compiled = Arc::new(Compiled { pack: pack.digest.clone(), table: routing.hash.clone(), policy });
        self.compiled.store(Some(compiled.clone()));
        compiled
    }

    fn cache_of(&self, digest: &str) -> Option<Location> {
        let folder = self.cache.as_ref()?.join(digest);
        endcap_store::open(folder.to_str()?).ok()
    }

    /// Loads the pack that a table names, from this machine where it was kept, else from the store.
    pub async fn load(&self, uri: &str, digest: &str) -> Result<(), LoadError> {
        let kept = self.cache_of(digest);
        if let Some(kept) = &kept
            && let Ok(fetched) = artifact::fetch(kept, Some(digest), Part::Pack).await
            && let Ok(shelf) = artifact::read_baseline_shelf(kept).await
        {
            return self.install(fetched, shelf).await;
        }
        let location = endcap_store::open(self.uri.as_deref().unwrap_or(uri))?;
        let fetched = artifact::fetch(&location, Some(digest), Part::Pack).await?;
        let shelf = artifact::read_baseline_shelf(&location).await?;
        if let Some(kept) = kept {
            let written = match &shelf {
                Some(shelf) => artifact::keep_shelf(shelf, &kept).await,
                None => Ok(()),
            };
            // Without the copy the router works all the same; only its restart needs the store.
            if let Err(error) = written.and(artifact::keep(&fetched, &kept).await) {
                tracing::warn!(%error, "failed to keep the pack on this machine");
            }
        }
        self.install(fetched, shelf).await
    }

    async fn install(&self, fetched: artifact::Fetched, baseline: Option<ShelfState>) -> Result<(), LoadError> {
        let loaded = fetched.decode().await?;
        let model = Arc::new(loaded.model);
        let mut shelf = self.shelf();
        if !shelf.from_log
            && let Some(baseline) = baseline
        {
            shelf.state = shelf_only(baseline);
        }
        let live = LiveView::new(model.clone(), shelf.state.clone());
        tracing::info!(version = loaded.manifest.version, digest = loaded.digest, "pack loaded");
        let pack = Pack { version: loaded.manifest.version, digest: loaded.digest, model, live };
        self.current.store(Some(Arc::new(pack)));
        Ok(())
    }

    /// Keeps trying to hold the pack of the table in effect.
    pub async fn follow(
        self: Arc<Self>,
        mut wanted: tokio::sync::watch::Receiver<Option<crate::table::Pack>>,
        stop: tokio_util::sync::CancellationToken,
    ) {
        let mut pause = Duration::from_millis(200);
        loop {
            let want = wanted.borrow_and_update().clone();
            let missing = want.filter(|want| !self.holds(&want.digest));
            let again = match &missing {
                None => false,
                Some(want) => match self.load(&want.uri, &want.digest).await {
                    Ok(()) => false,
                    Err(error) => {
                        tracing::error!(%error, "failed to load the pack; trying again");
                        true
                    }
                },
            };
            pause = if again { (pause * 2).min(Duration::from_secs(10)) } else { Duration::from_millis(200) };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = wanted.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause), if again => {}
            }
        }
    }
}

impl Sink for PackHolder {
    fn replace(&self, state: LiveState) {
        let mut shelf = self.shelf();
        shelf.next_offset = state.next_offset();
        shelf.state = shelf_only(state.shelf().clone());
        shelf.from_log = true;
        drop(state);
        if let Some(pack) = self.current.load_full() {
            pack.live.replace(shelf.state.clone());
        }
    }

    fn apply(&self, updates: &[LiveUpdate]) {
        let mut shelf = self.shelf();
        let Some(last) = updates.last() else { return };
        let of_shelf: Vec<LiveUpdate> = updates.iter().filter_map(on_shelf).collect();
        for update in &of_shelf {
            shelf.state.apply(update);
        }
        shelf.next_offset = last.offset + 1;
        shelf.from_log = true;
        // Under the lock: a pack that is installed now must not miss them.
        if !of_shelf.is_empty()
            && let Some(pack) = self.current.load_full()
        {
            pack.live.apply(&of_shelf);
        }
    }

    fn next_offset(&self) -> u64 {
        self.shelf().next_offset
    }
}

/// The event without who caused it, where it changes the shelf.
fn on_shelf(update: &LiveUpdate) -> Option<LiveUpdate> {
    use EventType::{OfferChanged, PriceChanged, StockChanged};
    matches!(update.event.event_type, StockChanged | PriceChanged | OfferChanged).then(|| {
        let mut update = update.clone();
        update.event.customer_id = None;
        update.event.session_id = None;
        update
    })
}
