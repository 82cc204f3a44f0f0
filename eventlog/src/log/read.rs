//! Reading while one writes: only what is synced is ever seen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::watch;

use super::LogError;
use super::disk::Disk;
use super::frame;
use super::ring::Ring;
use super::segment::Segment;

/// An event as it lies in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub offset: u64,
    /// When it was accepted, milliseconds since 1970, never falling.
    pub accepted_ms: i64,
    /// The event's JSON.
    pub json: Bytes,
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("event {from} is no longer in the log, which starts with event {first}; take a snapshot and go on from it")]
    Expired { from: u64, first: u64 },
    #[error(
        "event {from} lies beyond the log, which ends before event {next}; this is another log: take a snapshot and go on from it"
    )]
    Beyond { from: u64, next: u64 },
    #[error(transparent)]
    Log(#[from] LogError),
}

pub(super) struct Shared {
    pub disk: Arc<dyn Disk>,
    /// Ascending; the last one is written to.
    pub segments: RwLock<Vec<Arc<Segment>>>,
    pub ring: Mutex<Ring>,
    /// The first offset that is not synced.
    pub next: watch::Sender<u64>,
    pub first: AtomicU64,
    pub log_id: String,
}

/// Reads the log. Cheap to clone.
#[derive(Clone)]
pub struct LogReader {
    pub(super) shared: Arc<Shared>,
}

const READ_BYTES: u64 = 256 * 1024;

impl LogReader {
    /// Names this log: offsets of another one mean something else.
    pub fn log_id(&self) -> &str {
        &self.shared.log_id
    }

    /// The oldest event that is still there.
    pub fn first(&self) -> u64 {
        self.shared.first.load(Ordering::Acquire)
    }

    /// The first offset that is not synced yet.
    pub fn next(&self) -> u64 {
        *self.shared.next.borrow()
    }

    /// Changes whenever events were synced.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.next.subscribe()
    }

    /// Events from memory alone. `None`: they are older than what is kept there, [`LogReader::read`] has them. Empty: there is none yet.
    pub fn read_recent(
        &self,
        from: u64,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Option<Vec<Stored>>, ReadError> {
        self.bounds(from)?;
        if from == self.next() {
            return Ok(Some(Vec::new()));
        }
        let ring = self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ring.read(from, max_events, max_bytes))
    }

    /// Events from `from` on, at least one unless there is none yet, at most `max_events` and about `max_bytes` of JSON. May read the
    /// disk: not for async threads.
    pub fn read(&self, from: u64, max_events: usize, max_bytes: usize) -> Result<Vec<Stored>, ReadError> {
        if let Some(recent) = self.read_recent(from, max_events, max_bytes)? {
            return Ok(recent);
        }
        let segment = {
            let segments = self.shared.segments.read().unwrap_or_else(PoisonError::into_inner);
            let after = segments.partition_point(|segment| segment.base <= from);
            after.checked_sub(1).and_then(|at| segments.get(at)).cloned()
        };
        let expired = || ReadError::Expired { from, first: self.first() };
        let segment = segment.ok_or_else(expired)?;
        match self.read_segment(&segment, from, max_events, max_bytes) {
            // Retention took it away in the meantime.
            Err(LogError::Read { .. }) if from < self.first() => Err(expired()),
            other => Ok(other?),
        }
    }

    fn bounds(&self, from: u64) -> Result<(), ReadError> {
        let (first, next) = (self.first(), self.next());
        if from < first {
            return Err(ReadError::Expired { from, first });
        }
        if from > next {
            return Err(ReadError::Beyond { from, next });
        }
        Ok(())
    }

    fn read_segment(
        &self,
        segment: &Segment,
        from: u64,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<Stored>, LogError> {
        let mut position = segment.position(&*self.shared.disk, from)?;
        let end = segment.extent().bytes;
        let file = self.shared.disk.open(&segment.name).map_err(|source| segment.failed(source))?;
        let corrupt = |position: u64, why: &str| LogError::Corrupt {
            segment: segment.name.clone(),
            position,
            why: why.to_owned(),
        };
        let mut read = Vec::new();
        let mut bytes = 0;
        while position < end {
            let mut chunk = file
                .read_range(position, end.min(position + READ_BYTES))
                .map(Bytes::from)
                .map_err(|source| segment.failed(source))?;
            let header = frame::header(&chunk).ok_or_else(|| corrupt(position, "this is no frame header"))?;
            let frame_end = position + header.frame_bytes() as u64;
            if header.next() <= from {
                position = frame_end;
                continue;
            }
            if header.frame_bytes() > chunk.len() {
                chunk = file
                    .read_range(position, end.min(frame_end))
                    .map(Bytes::from)
                    .map_err(|source| segment.failed(source))?;
            }
            // As many frames as this chunk has whole.
            let mut at = 0;
            while let Some(rest) = chunk.get(at..).filter(|rest| !rest.is_empty()) {
                let whole = frame::header(rest).is_some_and(|header| header.frame_bytes() <= rest.len());
                if at > 0 && !whole {
                    break;
                }
                let here = position + at as u64;
                let (header, _) = frame::frame(rest).map_err(|why| corrupt(here, why))?;
                let body = chunk.slice(at + frame::HEADER_BYTES..at + header.frame_bytes());
                for (offset, (_, json)) in (header.first..).zip(frame::events(&body)) {
                    if offset < from {
                        continue;
                    }
                    bytes += json.len();
                    if read.len() >= max_events || (bytes > max_bytes && !read.is_empty()) {
                        return Ok(read);
                    }
                    // A copy: the event must not keep its whole chunk in memory.
                    let json = Bytes::copy_from_slice(&json);
                    read.push(Stored { offset, accepted_ms: header.accepted_ms, json });
                }
                at += header.frame_bytes();
            }
            position += at as u64;
        }
        Ok(read)
    }
}
