//! The committing thread: takes what waits, writes it as one group, syncs once, answers all.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::metrics::Metrics;
use super::now_ms;
use crate::log::{Append, LogWriter, Record, record_bytes};

/// Requests that may wait.
const QUEUE: usize = 1_024;
/// Bytes that may wait, in KiB.
const QUEUE_KIB: usize = 64 * 1024;
/// A group takes no further request beyond these.
const GROUP_EVENTS: usize = 20_000;
const GROUP_BYTES: usize = 16 * 1024 * 1024;

/// Why events were not taken. All of them may be sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("too many events wait to be written; send these again")]
    Busy,
    #[error("the log cannot be written: {0}; nothing of this request was stored, send it again once there is room")]
    NotWritable(String),
    #[error("the event log is stopping; send these again")]
    Stopping,
}

impl Refused {
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Busy | Self::Stopping => Duration::from_secs(1),
            Self::NotWritable(_) => Duration::from_secs(5),
        }
    }
}

type Answer = Result<Vec<Append>, Refused>;

enum Job {
    Append { records: Vec<Record>, answer: oneshot::Sender<Answer>, room: OwnedSemaphorePermit },
    Retain { older_than_ms: i64, keep_from: u64 },
}

/// The way to the committing thread. Cheap to clone; the thread ends when the last clone is gone.
#[derive(Clone)]
pub struct CommitQueue {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl CommitQueue {
    pub(super) fn start(writer: LogWriter, metrics: Metrics) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let trouble = Arc::new(Mutex::new(None));
        let committer = Committer { writer, metrics, trouble: Arc::clone(&trouble) };
        let thread = std::thread::Builder::new().name("commit".to_owned()).spawn(move || committer.run(waiting))?;
        Ok((Self { jobs, room: Arc::new(Semaphore::new(QUEUE_KIB)), trouble }, thread))
    }

    /// Writes events; answers once they are synced. What becomes of each stands in their order.
    pub async fn append(&self, records: Vec<Record>) -> Answer {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let kib = records.iter().map(record_bytes).sum::<usize>().div_ceil(1_024).clamp(1, QUEUE_KIB);
        let room = Arc::clone(&self.room);
        let permit = room.try_acquire_many_owned(kib as u32).map_err(|_| Refused::Busy)?;
        let (answer, wait) = oneshot::channel();
        self.jobs.try_send(Job::Append { records, answer, room: permit }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Busy,
            mpsc::error::TrySendError::Closed(_) => Refused::Stopping,
        })?;
        wait.await.unwrap_or(Err(Refused::Stopping))
    }

    /// Asks for old segments to be removed; tried again at the next time when the queue is full.
    pub(super) fn retain(&self, older_than_ms: i64, keep_from: u64) {
        let _ = self.jobs.try_send(Job::Retain { older_than_ms, keep_from });
    }

    /// Why the last group could not be written, if so.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Committer {
    writer: LogWriter,
    metrics: Metrics,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Committer {
    fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut records = Vec::new();
            let mut answers = Vec::new();
            let mut bytes = 0;
            let mut next = Some(first);
            while let Some(job) = next.take() {
                match job {
                    Job::Append { records: more, answer, room } => {
                        bytes += more.iter().map(record_bytes).sum::<usize>();
                        answers.push((more.len(), answer, room));
                        records.extend(more);
                    }
                    Job::Retain { older_than_ms, keep_from } => self.retain(older_than_ms, keep_from),
                }
                if records.len() < GROUP_EVENTS && bytes < GROUP_BYTES {
                    next = waiting.try_recv().ok();
                }
            }
            if !records.is_empty() {
                self.commit(&records, answers);
            }
        }
        tracing::info!("the log is closed");
    }

    fn commit(&mut self, records: &[Record], answers: Vec<(usize, oneshot::Sender<Answer>, OwnedSemaphorePermit)>) {
        let began = Instant::now();
        match self.writer.append(records, now_ms()) {
            Ok(group) => {
                self.metrics.group_seconds.observe(began.elapsed().as_secs_f64());
                self.metrics.group_events.observe(records.len() as f64);
                self.metrics.groups.inc();
                let written = group.iter().zip(records).filter(|(append, _)| matches!(append, Append::Accepted(_)));
                self.metrics.written_bytes.inc_by(written.map(|(_, record)| record.json.len() as u64).sum());
                self.metrics.known_ids.set(self.writer.known_ids() as i64);
                // Duplicates alone say nothing about the disk.
                if group.iter().any(|append| matches!(append, Append::Accepted(_))) {
                    self.note(None);
                }
                let mut group = group.into_iter();
                for (count, answer, _) in answers {
                    // Whoever asked may be gone; the events are in the log all the same.
                    let _ = answer.send(Ok(group.by_ref().take(count).collect()));
                }
            }
            Err(error) => {
                tracing::error!(%error, events = records.len(), "failed to write a group; its events are refused");
                self.metrics.group_failures.inc();
                self.note(Some(error.to_string()));
                for (_, answer, _) in answers {
                    let _ = answer.send(Err(Refused::NotWritable(error.to_string())));
                }
            }
        }
    }

    fn note(&mut self, trouble: Option<String>) {
        self.metrics.writable.set(i64::from(trouble.is_none()));
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn retain(&mut self, older_than_ms: i64, keep_from: u64) {
        match self.writer.retain(older_than_ms, keep_from) {
            Ok(0) => {}
            Ok(removed) => {
                self.metrics.removed_segments.inc_by(removed as u64);
                tracing::info!(removed, "removed segments past the retention");
            }
            Err(error) => tracing::error!(%error, "failed to remove a segment past the retention"),
        }
    }
}
