//! One file of frames.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::disk::{Disk, DiskFile};
use super::frame::{self, Header};
use super::{EventKey, LogError};

/// A place in the index every so many bytes.
const INDEX_EVERY_BYTES: u64 = 16 * 1024;
const SUFFIX: &str = ".segment";

/// File name of the segment whose first event is `base`.
pub(super) fn name(base: u64) -> String {
    format!("{base:020}{SUFFIX}")
}

/// The first event of a segment, from its file name.
pub(super) fn base(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

/// What is synced of a segment.
#[derive(Debug, Default)]
pub(super) struct Extent {
    pub bytes: u64,
    /// The first offset that is not in it.
    pub next: u64,
    pub first_ms: Option<i64>,
    pub newest_ms: Option<i64>,
    /// First offset and position of some frames, ascending; `None` until someone reads it.
    index: Option<Vec<(u64, u64)>>,
}

impl Extent {
    pub(super) fn empty(base: u64) -> Self {
        Self { next: base, index: Some(Vec::new()), ..Self::default() }
    }

    /// Closed long ago and not read at the start.
    pub(super) fn unread(next: u64, first_ms: Option<i64>, newest_ms: Option<i64>, bytes: u64) -> Self {
        Self { bytes, next, first_ms, newest_ms, index: None }
    }

    /// Adds a synced frame.
    pub(super) fn push(&mut self, header: Header) {
        if let Some(index) = &mut self.index {
            let far = index.last().is_none_or(|(_, at)| self.bytes >= at + INDEX_EVERY_BYTES);
            if far {
                index.push((header.first, self.bytes));
            }
        }
        self.bytes += header.frame_bytes() as u64;
        self.next = header.next();
        self.first_ms.get_or_insert(header.accepted_ms);
        self.newest_ms = Some(header.accepted_ms);
    }

    /// Where to start reading for `offset`; `None` when the index was not built yet.
    fn position(&self, offset: u64) -> Option<u64> {
        let index = self.index.as_ref()?;
        let after = index.partition_point(|(first, _)| *first <= offset);
        Some(after.checked_sub(1).and_then(|at| index.get(at)).map_or(0, |(_, position)| *position))
    }
}

#[derive(Debug)]
pub(super) struct Segment {
    pub base: u64,
    pub name: String,
    extent: Mutex<Extent>,
}

impl Segment {
    pub(super) fn new(base: u64, extent: Extent) -> Arc<Self> {
        Arc::new(Self { base, name: name(base), extent: Mutex::new(extent) })
    }

    pub(super) fn extent(&self) -> MutexGuard<'_, Extent> {
        self.extent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where to start reading for `offset`. Reads the whole segment once if nobody did before.
    pub(super) fn position(&self, disk: &dyn Disk, offset: u64) -> Result<u64, LogError> {
        if let Some(position) = self.extent().position(offset) {
            return Ok(position);
        }
        let file = disk.open(&self.name).map_err(|source| self.failed(source))?;
        let scan = scan(&whole(&*file).map_err(|source| self.failed(source))?, self.base, |_, _| {});
        let mut extent = self.extent();
        if let Some(why) = scan.broken {
            return Err(LogError::Corrupt {
                segment: self.name.clone(),
                position: scan.extent.bytes,
                why: why.to_owned(),
            });
        }
        *extent = scan.extent;
        Ok(extent.position(offset).unwrap_or(0))
    }

    pub(super) fn failed(&self, source: std::io::Error) -> LogError {
        LogError::Read { what: format!("segment {}", self.name), source }
    }
}

/// Reads a whole file.
pub(super) fn whole(file: &dyn DiskFile) -> std::io::Result<Bytes> {
    let bytes = file.size()?;
    Ok(Bytes::from(file.read_range(0, bytes)?))
}

/// What a scan found.
pub(super) struct Scan {
    /// Up to the last sound frame.
    pub extent: Extent,
    /// Why it ends before the end of the file.
    pub broken: Option<&'static str>,
}

/// Goes over the frames of a segment as far as they are sound and in order.
pub(super) fn scan(file: &Bytes, base: u64, mut visit: impl FnMut(&Header, &[(EventKey, Bytes)])) -> Scan {
    let mut extent = Extent::empty(base);
    loop {
        let at = extent.bytes as usize;
        let rest = file.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return Scan { extent, broken: None };
        }
        let header = match frame::frame(rest) {
            Ok((header, _)) => header,
            Err(why) => return Scan { extent, broken: Some(why) },
        };
        if header.first != extent.next {
            return Scan { extent, broken: Some("events are missing before it") };
        }
        let body = file.slice(at + frame::HEADER_BYTES..at + header.frame_bytes());
        let events = frame::events(&body);
        if events.len() != header.count as usize {
            return Scan { extent, broken: Some("the frame does not hold the events that it counts") };
        }
        visit(&header, &events);
        extent.push(header);
    }
}
