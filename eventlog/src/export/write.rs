//! Writing an export, one range after the other.

use std::collections::BTreeMap;

use bytes::Bytes;
use endcap_store::Location;
use jiff::civil::Date;
use object_store::{ObjectStoreExt, PutPayload, UpdateVersion};

use super::{Content, ExportError, Exported, Point, Range, encode};
use crate::event::Event;
use crate::log::LogReader;

/// A range ends at so many events or so much JSON, whichever comes first.
#[derive(Clone, Copy, Debug)]
pub struct RangeLimits {
    pub events: usize,
    pub bytes: usize,
}

impl Default for RangeLimits {
    fn default() -> Self {
        Self { events: 50_000, bytes: 32 * 1024 * 1024 }
    }
}

/// What one step of an export did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    pub events: u64,
    pub files: u64,
    pub bytes: u64,
    /// Events that retention took before they could be exported.
    pub lost: u64,
}

/// Writes the export of one log. Whatever fails, the next call goes on from what the store holds.
pub struct Writer {
    reader: LogReader,
    to: Location,
    limits: RangeLimits,
    /// What the store holds, as far as this program knows.
    known: Option<(Point, Option<UpdateVersion>)>,
}

impl Writer {
    pub fn new(reader: LogReader, to: Location, limits: RangeLimits) -> Self {
        Self { reader, to, limits, known: None }
    }

    /// The first event that the export lacks; `None` until the store was asked.
    pub fn exported(&self) -> Option<u64> {
        self.known.as_ref().map(|(point, _)| point.exported_offset)
    }

    /// Exports one range of what was acknowledged by now; `None` when there is nothing left.
    pub async fn step(&mut self) -> Result<Option<Step>, ExportError> {
        let done = self.try_step().await;
        if done.is_err() {
            // What came to the store all the same is read again.
            self.known = None;
        }
        done
    }

    async fn try_step(&mut self) -> Result<Option<Step>, ExportError> {
        let (mut point, mut version) = match self.known.take() {
            Some(known) => known,
            None => self.begin().await?,
        };
        let mut step = Step::default();
        let first = self.reader.first();
        if point.exported_offset < first {
            let lost = Range { from: point.exported_offset, to: first };
            tracing::error!(
                from = lost.from,
                to = lost.to,
                "events were removed by retention before they could be exported"
            );
            step.lost = lost.to - lost.from;
            point.lost.push(lost);
            point.exported_offset = first;
            point.pending = None;
        }
        let from = point.exported_offset;
        let until = point.pending.map(|pending| pending.to);
        let (reader, limits) = (self.reader.clone(), self.limits);
        let (to, files) = tokio::task::spawn_blocking(move || collect(&reader, from, until, limits)).await??;
        if to == from {
            let lost = step.lost > 0;
            if lost {
                version = Some(point.write(&self.to, version).await?);
            }
            self.known = Some((point, version));
            return Ok(lost.then_some(step));
        }
        if point.pending.is_none() {
            point.pending = Some(Range { from, to });
            version = Some(point.write(&self.to, version).await?);
        }
        for (date, bytes) in files {
            step.files += 1;
            step.bytes += bytes.len() as u64;
            self.put(&part_name(date, Range { from, to }), bytes).await?;
        }
        step.events = to - from;
        point.exported_offset = to;
        point.pending = None;
        version = Some(point.write(&self.to, version).await?);
        self.known = Some((point, version));
        Ok(Some(step))
    }

    /// What the store holds, checked to be of this log.
    async fn begin(&self) -> Result<(Point, Option<UpdateVersion>), ExportError> {
        let uri = || self.to.uri.clone();
        match Point::read(&self.to).await? {
            None => Ok((Point::new(self.reader.log_id(), self.reader.first()), None)),
            Some((point, _)) if point.log_id != self.reader.log_id() => Err(ExportError::OtherLog {
                uri: uri(),
                found: point.log_id,
                expected: self.reader.log_id().to_owned(),
            }),
            Some((point, _)) if point.exported_offset > self.reader.next() => {
                Err(ExportError::Ahead { uri: uri(), exported: point.exported_offset, next: self.reader.next() })
            }
            Some((point, version)) => Ok((point, Some(version))),
        }
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), ExportError> {
        let path = self.to.at(name);
        let written = self.to.store.put(&path, PutPayload::from_bytes(bytes)).await;
        written.map(|_| ()).map_err(|source| ExportError::Write { object: path.to_string(), source })
    }
}

/// Where the events of a range lie that happened on a day.
pub(super) fn part_name(date: Date, range: Range) -> String {
    format!("date={date}/{:020}-{:020}.parquet", range.from, range.to)
}

type Files = Vec<(Date, Bytes)>;

/// The files of the range that begins with `from`, and where it ends: at `until` if that is known already. Blocks.
fn collect(
    reader: &LogReader,
    from: u64,
    until: Option<u64>,
    limits: RangeLimits,
) -> Result<(u64, Files), ExportError> {
    // Everything that is acknowledged now, and nothing that comes while this runs.
    let end = until.unwrap_or_else(|| reader.next());
    let (mut next, mut bytes) = (from, 0);
    let mut days: BTreeMap<Date, Vec<Exported>> = BTreeMap::new();
    while next < end {
        let events_left = if until.is_some() { usize::MAX } else { limits.events - (next - from) as usize };
        let bytes_left = if until.is_some() { usize::MAX } else { limits.bytes.saturating_sub(bytes) };
        if events_left == 0 || bytes_left == 0 {
            break;
        }
        let most = events_left.min((end - next) as usize);
        for stored in reader.read(next, most, bytes_left.min(limits.bytes))? {
            bytes += stored.json.len();
            next = stored.offset + 1;
            let content = match serde_json::from_slice::<Event>(&stored.json) {
                Ok(event) => Content::Event(event),
                Err(error) => {
                    tracing::error!(offset = stored.offset, %error, "failed to read a stored event; it is exported as it is");
                    Content::Unreadable(String::from_utf8_lossy(&stored.json).into_owned())
                }
            };
            let event = Exported { offset: stored.offset, accepted_ms: stored.accepted_ms, content };
            days.entry(event.date()).or_default().push(event);
        }
    }
    let files = days.into_iter().map(|(date, events)| Ok((date, encode(&events)?)));
    Ok((next, files.collect::<Result<Files, ExportError>>()?))
}
