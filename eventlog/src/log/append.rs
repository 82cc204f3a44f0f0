//! Writing: one frame per group; acknowledged means synced.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;

use super::dedup::{Dedup, EventKey};
use super::disk::DiskFile;
use super::frame::{self, FrameBuilder};
use super::lock::FolderLock;
use super::read::{Shared, Stored};
use super::segment::{self, Extent, Segment};
use super::{LogConfig, LogError};

/// An event that is to be written.
#[derive(Clone, Debug)]
pub struct Record {
    pub key: EventKey,
    /// JSON of the event, on one line.
    pub json: Bytes,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Append {
    /// Synced, at this offset.
    Accepted(u64),
    /// Its id was accepted before, or stands earlier in the group.
    Duplicate,
}

/// What became of a group, in its order.
pub type Group = Vec<Append>;

/// The one writer of a log. What it does blocks: it lives on a thread of its own.
pub struct LogWriter {
    shared: Arc<Shared>,
    config: LogConfig,
    dedup: Dedup,
    segment: Arc<Segment>,
    file: Arc<dyn DiskFile>,
    next: u64,
    clock_ms: i64,
    /// A write failed and what it left behind could not be removed yet.
    soiled: bool,
    lock: Option<FolderLock>,
}

impl LogWriter {
    pub(super) fn new(shared: Arc<Shared>, config: LogConfig, dedup: Dedup) -> Result<Self, LogError> {
        let segment = shared.segments.read().unwrap_or_else(PoisonError::into_inner).last().cloned();
        let segment = segment.ok_or_else(|| LogError::Meta { why: "it has no segment".to_owned() })?;
        let file = shared.disk.open(&segment.name).map_err(|source| segment.failed(source))?;
        let (next, newest_ms) = {
            let extent = segment.extent();
            (extent.next, extent.newest_ms)
        };
        Ok(Self {
            shared,
            config,
            dedup,
            segment,
            file,
            next,
            clock_ms: newest_ms.unwrap_or(0),
            soiled: false,
            lock: None,
        })
    }

    pub(super) fn hold(&mut self, lock: FolderLock) {
        self.lock = Some(lock);
    }

    /// Ids that are known as duplicates now.
    pub fn known_ids(&self) -> usize {
        self.dedup.len()
    }

    /// Writes and syncs a group. On an error nothing of it is in the log, and the next group may well succeed: the error says why this
    /// one did not. The log's clock never falls, whatever `now_ms` does.
    pub fn append(&mut self, records: &[Record], now_ms: i64) -> Result<Group, LogError> {
        let now_ms = now_ms.max(self.clock_ms);
        let mut group = Vec::with_capacity(records.len());
        let mut fresh: Vec<&Record> = Vec::with_capacity(records.len());
        let mut keys = HashSet::with_capacity(records.len());
        for record in records {
            if self.dedup.contains(record.key) || !keys.insert(record.key) {
                group.push(Append::Duplicate);
            } else {
                group.push(Append::Accepted(self.next + fresh.len() as u64));
                fresh.push(record);
            }
        }
        if fresh.is_empty() {
            return Ok(group);
        }
        self.write(&fresh, now_ms)?;
        Ok(group)
    }

    fn write(&mut self, records: &[&Record], now_ms: i64) -> Result<(), LogError> {
        self.clean().map_err(|source| self.failed(source))?;
        self.roll_when_due(now_ms)?;
        let mut builder = FrameBuilder::new();
        for record in records {
            builder.push(record.key, &record.json);
        }
        let bytes = builder.finish(self.next, now_ms);
        let header = frame::header(&bytes)
            .ok_or_else(|| self.failed(std::io::Error::other("the group is larger than a frame may be")))?;
        let position = self.segment.extent().bytes;
        let written = self.file.write_all_at(&bytes, position).and_then(|()| self.file.sync());
        if let Err(source) = written {
            self.soiled = true;
            if let Err(error) = self.clean() {
                tracing::error!(%error, "failed to remove a group that could not be written; it is tried again before the next one");
            }
            return Err(self.failed(source));
        }
        // From here on it is on disk: memory follows.
        self.segment.extent().push(header);
        self.clock_ms = now_ms;
        {
            let mut ring = self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner);
            for (offset, record) in (self.next..).zip(records) {
                self.dedup.insert(record.key, now_ms);
                ring.push(Stored { offset, accepted_ms: now_ms, json: record.json.clone() });
            }
        }
        self.next = header.next();
        self.shared.next.send_replace(self.next);
        Ok(())
    }

    /// Removes what a failed write left behind. After a failed sync nobody knows what of it is on disk, so it goes before anything else
    /// is written in its place.
    fn clean(&mut self) -> std::io::Result<()> {
        if self.soiled {
            self.file.set_len(self.segment.extent().bytes)?;
            self.file.sync()?;
            self.soiled = false;
        }
        Ok(())
    }

    fn roll_when_due(&mut self, now_ms: i64) -> Result<(), LogError> {
        let due = {
            let extent = self.segment.extent();
            let age_ms = extent.first_ms.map_or(0, |first| now_ms.saturating_sub(first));
            extent.bytes > 0
                && (extent.bytes >= self.config.segment_bytes || age_ms as u128 >= self.config.segment_age.as_millis())
        };
        if !due {
            return Ok(());
        }
        let name = segment::name(self.next);
        let begun = self.shared.disk.create(&name).and_then(|file| {
            // The name must survive before an event in it is acknowledged.
            self.shared.disk.sync_folder().map(|()| file)
        });
        let file = match begun {
            Ok(file) => file,
            Err(source) => {
                let _ = self.shared.disk.remove(&name);
                return Err(LogError::Write { what: format!("segment {name}"), source });
            }
        };
        let segment = Segment::new(self.next, Extent::empty(self.next));
        self.shared.segments.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&segment));
        self.segment = segment;
        self.file = file;
        Ok(())
    }

    /// Removes closed segments whose newest event came before `older_than_ms` and that hold nothing from `keep_from` on. Returns how many.
    pub fn retain(&mut self, older_than_ms: i64, keep_from: u64) -> Result<usize, LogError> {
        let mut removed = 0;
        loop {
            let name = {
                let mut segments = self.shared.segments.write().unwrap_or_else(PoisonError::into_inner);
                let (Some(oldest), Some(following)) = (segments.first(), segments.get(1)) else { break };
                let (next, newest_ms) = {
                    let extent = oldest.extent();
                    (extent.next, extent.newest_ms)
                };
                if newest_ms.is_none_or(|ms| ms >= older_than_ms) || next > keep_from {
                    break;
                }
                self.shared.first.store(following.base, Ordering::Release);
                segments.remove(0).name.clone()
            };
            // One by one, each synced: a crash must not leave a gap.
            self.shared
                .disk
                .remove(&name)
                .and_then(|()| self.shared.disk.sync_folder())
                .map_err(|source| LogError::Write { what: format!("segment {name} (removing it)"), source })?;
            removed += 1;
        }
        Ok(removed)
    }

    fn failed(&self, source: std::io::Error) -> LogError {
        LogError::Write { what: format!("segment {}", self.segment.name), source }
    }
}

/// How much room a group takes on disk.
pub(crate) fn record_bytes(record: &Record) -> usize {
    frame::event_bytes(&record.json)
}
