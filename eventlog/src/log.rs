//! The log on disk: segments of frames, one frame per group commit. A frame is written, synced, and only then acknowledged; so of a
//! frame that is broken, either nothing follows (it was never acknowledged: cut off) or something does (real damage: refused).

mod append;
mod dedup;
mod disk;
mod frame;
mod lock;
mod open;
mod read;
mod ring;
mod segment;

use std::time::Duration;

pub(crate) use append::record_bytes;
pub use append::{Append, Group, LogWriter, Record};
pub use dedup::{EventKey, event_key};
pub use disk::{Disk, DiskFile, FileReader, FileWriter, FolderDisk, replace_file};
pub use open::{LogMeta, Opened, open, open_disk};
pub use read::{LogReader, ReadError, Stored};

/// How a log is kept.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// A segment is closed once it has this many bytes ...
    pub segment_bytes: u64,
    /// ... or its first event is this old.
    pub segment_age: Duration,
    /// An id is known as a duplicate for this long at least ...
    pub dedup_age: Duration,
    /// ... unless more ids than this came since.
    pub dedup_ids: usize,
    /// Newest events kept in memory for followers, bytes.
    pub recent_bytes: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 32 * 1024 * 1024,
            segment_age: Duration::from_hours(24),
            dedup_age: Duration::from_hours(7 * 24),
            dedup_ids: 10_000_000,
            recent_bytes: 16 * 1024 * 1024,
        }
    }
}

/// Why the log could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("failed to open the log in {folder}: {source}; choose a folder that can be written")]
    Folder { folder: String, source: std::io::Error },
    #[error(
        "failed to open the log in {folder}: {holder} holds it; a log has one writer: end that program or choose another folder"
    )]
    Locked { folder: String, holder: String },
    #[error("failed to read {what}: {source}")]
    Read { what: String, source: std::io::Error },
    #[error("failed to write {what}: {source}")]
    Write { what: String, source: std::io::Error },
    #[error(
        "the log is damaged: segment {segment}, byte {position}: {why}, though later events were acknowledged; restore the segment from a backup"
    )]
    Corrupt { segment: String, position: u64, why: String },
    #[error(
        "the log is damaged: segment {segment} should start with event {expected}; restore the missing segment from a backup"
    )]
    Gap { segment: String, expected: u64 },
    #[error("failed to open the log: {why}")]
    Meta { why: String },
}

#[cfg(test)]
mod tests;
