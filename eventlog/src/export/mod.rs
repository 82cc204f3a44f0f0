//! The log as Parquet files by date in object storage: what the next training reads, in a format that every data tool reads.
//!
//! `<URI>/date=YYYY-MM-DD/<from>-<to>.parquet` holds those events of the offsets `from..to` that happened on that day (UTC).
//! `<URI>/_export.json`, the [`Point`], says up to which offset the export is whole; what lies beyond it is no part of it yet. The point
//! names a range before its files are written, so that a crash in between writes the same files again: an event is in exactly one.

mod columns;
mod decode;
mod encode;
mod point;
mod read;
mod write;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::event::Event;
use crate::log::ReadError;

pub use columns::{markdown, schema};
pub use decode::decode;
pub use encode::encode;
pub use point::{POINT_FILE, Point, Range};
pub use read::{Export, RangeEvents, RangeRef, UsedPart};
pub use write::{RangeLimits, Step, Writer};

/// An event as the export holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    pub offset: u64,
    /// When the log accepted it, milliseconds since 1970.
    pub accepted_ms: i64,
    pub content: Content,
}

/// What an offset holds.
#[derive(Clone, Debug, PartialEq)]
// Nearly all of them are events.
#[allow(clippy::large_enum_variant)]
pub enum Content {
    Event(Event),
    /// Stored by a version of the log whose events this one cannot read: the JSON as it is.
    Unreadable(String),
}

impl Exported {
    /// When it happened, with the microseconds that the export keeps.
    pub fn at(&self) -> Timestamp {
        match &self.content {
            Content::Event(event) => event.at.map_or_else(|| self.accepted(), to_micros),
            Content::Unreadable(_) => self.accepted(),
        }
    }

    /// When the log accepted it.
    pub fn accepted(&self) -> Timestamp {
        Timestamp::from_millisecond(self.accepted_ms).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The day of the file that it belongs to.
    pub fn date(&self) -> Date {
        self.at().to_zoned(TimeZone::UTC).date()
    }
}

/// Microseconds, as Parquet's readers agree on; what is finer is cut off.
pub(crate) fn to_micros(at: Timestamp) -> Timestamp {
    let finer = SignedDuration::from_nanos(i64::from(at.subsec_nanosecond() % 1_000));
    at.checked_sub(finer).unwrap_or(at)
}

/// Why an export could not be written or read. Every variant names the object and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] endcap_store::StoreError),
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error("failed to write {object}: {source}; it is tried again")]
    Write { object: String, source: object_store::Error },
    #[error("failed to read {object}: {source}")]
    Read { object: String, source: object_store::Error },
    #[error("failed to read {object}: {why}; restore it from a copy")]
    Broken { object: String, why: String },
    #[error("failed to encode events as Parquet: {0}")]
    Encode(String),
    #[error(
        "failed to export: {uri} holds the export of another log ({found}, this one is {expected}); choose another --export"
    )]
    OtherLog { uri: String, found: String, expected: String },
    #[error(
        "failed to export: {uri} holds events up to {exported}, but the log ends before event {next}; restore the log from a backup, or choose another --export"
    )]
    Ahead { uri: String, exported: u64, next: u64 },
    #[error(
        "failed to commit the export at {uri}: another program wrote {POINT_FILE} meanwhile; a log has one writer: end the other program"
    )]
    Conflict { uri: String },
    #[error(
        "failed to find an export of events at {uri}: it has no {POINT_FILE}; start endcap-eventlog with --export {uri}, or correct the address"
    )]
    None { uri: String },
    #[error(
        "failed to read the export at {uri}: events {from} to {to} are in no file though {POINT_FILE} names them; restore the files under date=*/ whose names begin with {from:020}"
    )]
    Missing { uri: String, from: u64, to: u64 },
    #[error("failed to finish a task of the export: {0}")]
    Task(#[from] tokio::task::JoinError),
}

#[cfg(test)]
mod tests;
