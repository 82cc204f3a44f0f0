//! The thread that folds the live state from the log and keeps its snapshot on disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::commit::CommitQueue;
use super::metrics::Metrics;
use super::now_ms;
use super::options::Options;
use crate::event::Event;
use crate::live::{LiveState, LiveUpdate, SnapshotError, read_baseline, read_snapshot, write_snapshot};
use crate::log::{Disk, FileReader, LogReader, ReadError, replace_file};

/// File of the snapshot in the log's folder.
pub const SNAPSHOT_FILE: &str = "state.snapshot";
const READ_EVENTS: usize = 4_096;
const READ_BYTES: usize = 4 * 1024 * 1024;

/// Why the live state could not be brought up.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    #[error("{source}; restore {SNAPSHOT_FILE} from a backup, or start with --rebuild-state")]
    Snapshot { source: SnapshotError },
    #[error(
        "{SNAPSHOT_FILE} is missing though the log has begun; restore it from a backup, or start with --rebuild-state (and --baseline FILE, if the log began with one)"
    )]
    Missing,
    #[error(
        "{SNAPSHOT_FILE} belongs to another log ({found}, this one is {expected}); restore the right one, or start with --rebuild-state"
    )]
    OtherLog { found: String, expected: String },
    #[error(
        "the log ends before event {next}, but {SNAPSHOT_FILE} holds events up to {snapshot}: acknowledged events are missing; restore the log from a backup"
    )]
    LogTooShort { next: u64, snapshot: u64 },
    #[error(
        "the live state cannot be rebuilt: the log starts with event {first}, retention removed what was before; restore {SNAPSHOT_FILE} from a backup"
    )]
    TooLate { first: u64 },
    #[error(transparent)]
    Baseline(SnapshotError),
    #[error("failed to write {SNAPSHOT_FILE}: {0}; make room in the log's folder")]
    Write(std::io::Error),
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The snapshot that is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SnapshotInfo {
    /// The first event that it lacks.
    pub next_offset: u64,
    pub saved_at_ms: i64,
    pub bytes: u64,
    pub customers: usize,
    pub sessions: usize,
}

/// Keeps what is not exported yet, within a limit.
pub(super) struct Hold {
    /// The first event that the export lacks.
    pub exported: Arc<AtomicU64>,
    /// Older events go all the same.
    pub longest: Duration,
}

pub(super) struct Keeper {
    pub live: LiveState,
    reader: LogReader,
    disk: Arc<dyn Disk>,
    metrics: Metrics,
    info: Arc<Mutex<SnapshotInfo>>,
    interval: Duration,
    retention: Duration,
    /// What is not exported stays beyond the retention.
    hold: Option<Hold>,
    /// What the snapshot on disk holds; none yet.
    saved: Option<u64>,
}

impl Keeper {
    /// From the snapshot, else (an empty log) from the baseline; then the events after it. A snapshot is on disk when this returns.
    pub(super) fn open(
        reader: LogReader,
        disk: Arc<dyn Disk>,
        options: &Options,
        metrics: Metrics,
    ) -> Result<Self, KeeperError> {
        let (live, saved) = begin(&reader, &*disk, options)?;
        let mut keeper = Self {
            live,
            reader,
            disk,
            metrics,
            info: Arc::default(),
            interval: options.snapshot_interval,
            retention: options.retention,
            hold: None,
            saved,
        };
        keeper.follow()?;
        match keeper.save() {
            // With a snapshot on disk, a full disk is no reason to stay away: the log can be read and answers 503 to events.
            Err(error) if saved.is_some() => {
                tracing::error!(%error, "failed to write the snapshot; the older one stays");
                keeper.note(0);
                Ok(keeper)
            }
            Err(error) => Err(KeeperError::Write(error)),
            Ok(()) => Ok(keeper),
        }
    }

    pub(super) fn hold(&mut self, hold: Hold) {
        self.hold = Some(hold);
    }

    pub(super) fn info(&self) -> Arc<Mutex<SnapshotInfo>> {
        Arc::clone(&self.info)
    }

    /// Folds what is new until `stop`, then writes a last snapshot.
    pub(super) fn start(self, queue: CommitQueue, stop: CancellationToken) -> std::io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new().name("live-state".to_owned()).spawn(move || self.run(&runtime, queue, &stop))
    }

    fn run(mut self, runtime: &tokio::runtime::Handle, queue: CommitQueue, stop: &CancellationToken) {
        let mut changes = self.reader.watch();
        let mut due = Instant::now() + self.interval;
        while !stop.is_cancelled() {
            if let Err(error) = self.follow() {
                // The disk may come back; the state stays where it is until then.
                tracing::error!(%error, "failed to read the log for the live state");
                runtime.block_on(async {
                    tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(Duration::from_secs(1)) => {} }
                });
            }
            if Instant::now() >= due {
                self.save_or_log();
                self.retain(&queue);
                due = Instant::now() + self.interval;
            }
            runtime.block_on(async {
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = changes.changed() => {}
                    () = tokio::time::sleep_until(due.into()) => {}
                }
            });
        }
        drop(queue);
        if self.follow().is_ok() {
            self.save_or_log();
        }
    }

    /// Has what is past its time removed: what the snapshot has and, while it is exported in time, the export.
    fn retain(&self, queue: &CommitQueue) {
        let before = |age: Duration| now_ms().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let saved = self.saved.unwrap_or(0);
        match &self.hold {
            None => queue.retain(before(self.retention), saved),
            Some(hold) => {
                queue.retain(before(self.retention), saved.min(hold.exported.load(Ordering::Acquire)));
                queue.retain(before(self.retention.max(hold.longest)), saved);
            }
        }
    }

    /// Applies every synced event that is not in the state yet.
    fn follow(&mut self) -> Result<(), ReadError> {
        while self.live.next_offset() < self.reader.next() {
            for stored in self.reader.read(self.live.next_offset(), READ_EVENTS, READ_BYTES)? {
                match serde_json::from_slice::<Event>(&stored.json) {
                    Ok(event) => {
                        self.live.apply(&LiveUpdate { offset: stored.offset, accepted_ms: stored.accepted_ms, event });
                    }
                    Err(error) => {
                        tracing::error!(offset = stored.offset, %error, "failed to read a stored event; the live state passes over it");
                        self.metrics.unreadable_events.inc();
                        self.live.pass_over(stored.offset);
                    }
                }
            }
        }
        self.metrics.first_offset.set(self.reader.first() as i64);
        self.metrics.next_offset.set(self.reader.next() as i64);
        self.metrics.state_customers.set(self.live.customers_len() as i64);
        self.metrics.state_sessions.set(self.live.sessions_len() as i64);
        Ok(())
    }

    fn save_or_log(&mut self) {
        if let Err(error) = self.save() {
            self.metrics.snapshot_failures.inc();
            tracing::error!(%error, "failed to write the snapshot; the older one stays");
        }
    }

    fn save(&mut self) -> std::io::Result<()> {
        if self.saved == Some(self.live.next_offset()) {
            if self.info.lock().is_ok_and(|info| info.bytes == 0) {
                self.note(self.disk.open(SNAPSHOT_FILE)?.size()?);
            }
            return Ok(());
        }
        let log_id = self.reader.log_id().to_owned();
        let bytes = replace_file(&*self.disk, SNAPSHOT_FILE, |out| write_snapshot(&self.live, &log_id, out))?;
        self.saved = Some(self.live.next_offset());
        self.note(bytes);
        Ok(())
    }

    fn note(&self, bytes: u64) {
        let next_offset = self.saved.unwrap_or(0);
        self.metrics.snapshot_offset.set(next_offset as i64);
        self.metrics.snapshot_bytes.set(bytes as i64);
        *self.info.lock().unwrap_or_else(PoisonError::into_inner) = SnapshotInfo {
            next_offset,
            saved_at_ms: now_ms(),
            bytes,
            customers: self.live.customers_len(),
            sessions: self.live.sessions_len(),
        };
    }
}

/// The state to start from, and up to which event the snapshot on disk has it.
fn begin(reader: &LogReader, disk: &dyn Disk, options: &Options) -> Result<(LiveState, Option<u64>), KeeperError> {
    let limits = options.limits();
    let fresh = reader.next() == 0;
    let found = match disk.open(SNAPSHOT_FILE) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(KeeperError::Snapshot { source: error.into() }),
    };
    if let Some(file) = found.filter(|_| !options.rebuild_state) {
        let (head, live) =
            read_snapshot(FileReader::new(file), Some(limits)).map_err(|source| KeeperError::Snapshot { source })?;
        if head.log_id != reader.log_id() {
            return Err(KeeperError::OtherLog { found: head.log_id, expected: reader.log_id().to_owned() });
        }
        if head.next_offset > reader.next() {
            return Err(KeeperError::LogTooShort { next: reader.next(), snapshot: head.next_offset });
        }
        if head.next_offset < reader.first() {
            return Err(KeeperError::TooLate { first: reader.first() });
        }
        if options.baseline.is_some() {
            tracing::info!("the log has begun: its snapshot is used, not the baseline");
        }
        return Ok((live, Some(head.next_offset)));
    }
    if !fresh && !options.rebuild_state {
        return Err(KeeperError::Missing);
    }
    if reader.first() > 0 {
        return Err(KeeperError::TooLate { first: reader.first() });
    }
    let live = match &options.baseline {
        Some(path) => LiveState::from_baseline(read_baseline(path).map_err(KeeperError::Baseline)?, limits),
        None => LiveState::new(limits),
    };
    tracing::info!(customers = live.customers_len(), baseline = options.baseline.is_some(), "the live state begins");
    Ok((live, None))
}
