//! Follows the log's events into the folded state, and keeps it on disk every few seconds.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use endcap_eventlog::client::{ClientError, EventTail, FollowerOptions, Tail, TailPlace};
use endcap_eventlog::live::LiveUpdate;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fold::{Limits, State};
use crate::keep::Keeper;

/// Events that are folded under one write lock at most: a question waits no longer than these take.
const BATCH: usize = 64;
/// Writing may take this share of the time at most: large states are kept less often.
const WRITING_SHARE: u32 = 20;

/// How the following goes.
#[derive(Debug, Default)]
pub struct Progress {
    pub following: AtomicBool,
    pub caught_up: AtomicBool,
    /// When the last kept state was written, milliseconds since 1970, and what it holds.
    pub kept_ms: AtomicI64,
    pub kept_offset: AtomicU64,
    pub kept_bytes: AtomicU64,
    pub keep_failures: AtomicU64,
}

/// The folded state and where it stands.
pub struct Folded {
    pub state: RwLock<State>,
    log_id: RwLock<Option<String>>,
    keeper: Keeper,
    pub progress: Progress,
    reached: watch::Sender<bool>,
}

impl Folded {
    /// With what was kept.
    pub fn open(limits: Limits, keeper: Keeper) -> Arc<Self> {
        let (state, log_id) = match keeper.read(&limits) {
            Some((state, place)) => {
                tracing::info!(log_id = place.log_id, next_offset = place.next, "goes on from the kept state");
                (state, Some(place.log_id))
            }
            None => (State::new(limits), None),
        };
        Arc::new(Self {
            state: RwLock::new(state),
            log_id: RwLock::new(log_id),
            keeper,
            progress: Progress::default(),
            reached: watch::Sender::new(false),
        })
    }

    pub fn with<T>(&self, ask: impl FnOnce(&State) -> T) -> T {
        ask(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn log_id(&self) -> Option<String> {
        self.log_id.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn place(&self) -> Option<TailPlace> {
        self.log_id().map(|log_id| TailPlace { log_id, next: self.with(State::next_offset) })
    }

    /// Waits until the end of the log was reached for the first time; `false` when that did not come within `patience`.
    pub async fn caught_up(&self, patience: Duration) -> bool {
        let mut reached = self.reached.subscribe();
        matches!(tokio::time::timeout(patience, reached.wait_for(|reached| *reached)).await, Ok(Ok(_)))
    }

    /// The log goes on from here; what that means for what is folded.
    fn begin(&self, place: TailPlace) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let mut log_id = self.log_id.write().unwrap_or_else(PoisonError::into_inner);
        if log_id.as_ref() == Some(&place.log_id) && place.next >= state.next_offset() {
            if place.next > state.next_offset() {
                tracing::warn!(from = state.next_offset(), to = place.next, "the log forgot events that were not read");
            }
            state.skip_to(place.next);
            return;
        }
        if log_id.is_some() {
            tracing::warn!(log_id = place.log_id, "it is another log, or one that was put back; all is folded again");
        }
        *state = State::new(state.limits);
        state.pass_to(place.next);
        *log_id = Some(place.log_id);
    }

    /// Folds events that came in order; `next` is where the log goes on.
    fn apply(&self, updates: &[LiveUpdate], next: u64) {
        for batch in updates.chunks(BATCH) {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            for update in batch {
                state.apply(update);
            }
        }
        self.state.write().unwrap_or_else(PoisonError::into_inner).pass_to(next);
    }

    /// Keeps the state. Nothing is folded meanwhile; questions are answered.
    fn keep(&self) {
        let Some(log_id) = self.log_id() else { return };
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        match self.keeper.write(&state, &log_id) {
            Ok(bytes) => {
                self.progress.kept_ms.store(jiff::Timestamp::now().as_millisecond(), Ordering::Release);
                self.progress.kept_offset.store(state.next_offset(), Ordering::Release);
                self.progress.kept_bytes.store(bytes, Ordering::Release);
            }
            Err(error) => {
                self.progress.keep_failures.fetch_add(1, Ordering::AcqRel);
                tracing::error!(%error, "a restart would fold more events again");
            }
        }
    }
}

/// Follows the log at `url` until `stop`; the task ends when the last state is kept.
pub fn start(
    url: &str,
    folded: Arc<Folded>,
    interval: Duration,
    stop: CancellationToken,
) -> Result<JoinHandle<()>, ClientError> {
    let mut told = EventTail::start(FollowerOptions::new(url), folded.place(), stop)?;
    Ok(tokio::spawn(async move {
        let mut kept = Instant::now();
        let mut wait = interval;
        let mut kept_offset = folded.with(State::next_offset);
        loop {
            let news = tokio::time::timeout(interval, told.recv()).await;
            match news {
                Ok(None) => break,
                Ok(Some(news)) => hear(&folded, news).await,
                Err(_) => {}
            }
            let offset = folded.with(State::next_offset);
            if kept.elapsed() >= wait && offset != kept_offset {
                let started = Instant::now();
                keep(&folded).await;
                wait = interval.max(started.elapsed() * WRITING_SHARE);
                (kept, kept_offset) = (Instant::now(), offset);
            }
        }
        folded.progress.following.store(false, Ordering::Release);
        keep(&folded).await;
    }))
}

async fn keep(folded: &Arc<Folded>) {
    let keeping = folded.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || keeping.keep()).await {
        tracing::error!(%error, "failed to keep the state");
    }
}

async fn hear(folded: &Arc<Folded>, news: Tail) {
    let progress = &folded.progress;
    match news {
        Tail::Begin(place) => {
            progress.following.store(true, Ordering::Release);
            folded.begin(place);
        }
        Tail::Updates { updates, next, caught_up } => {
            progress.following.store(true, Ordering::Release);
            let folding = folded.clone();
            let applied = tokio::task::spawn_blocking(move || folding.apply(&updates, next)).await;
            if let Err(error) = applied {
                tracing::error!(%error, "failed to fold events");
            }
            progress.caught_up.store(caught_up, Ordering::Release);
            if caught_up {
                folded.reached.send_replace(true);
            }
        }
        Tail::Away { why } => {
            progress.following.store(false, Ordering::Release);
            tracing::warn!(why, "the event log is away; answering from what is known");
        }
    }
}
