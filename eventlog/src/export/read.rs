//! Reading an export: what its commit point names, whole and once.

use std::collections::BTreeMap;

use bytes::Bytes;
use endcap_store::{Location, sha256_hex};
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::{ExportError, Exported, Point, Range, decode};

/// Files that are fetched at the same time.
const FETCHES: usize = 8;
/// Ranges that are fetched ahead.
const AHEAD: usize = 3;

/// The files of one range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeRef {
    pub range: Range,
    files: Vec<Path>,
}

/// A file that was read, and what it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UsedPart {
    /// Below the export's prefix.
    pub file: String,
    pub sha256: String,
}

/// A range as it was read.
#[derive(Clone, Debug)]
pub struct RangeEvents {
    pub range: Range,
    /// Every event of the range, by offset.
    pub events: Vec<Exported>,
    /// By name.
    pub parts: Vec<UsedPart>,
}

/// An export as its commit point named it when it was opened. What is exported later is not seen.
#[derive(Clone, Debug)]
pub struct Export {
    from: Location,
    pub point: Point,
    /// Ascending, without gaps but for the point's `lost`.
    pub ranges: Vec<RangeRef>,
}

impl Export {
    /// Opens an export and finds its files. A range that is named and not there is an error.
    pub async fn open(from: Location) -> Result<Self, ExportError> {
        let Some((point, _)) = Point::read(&from).await? else {
            return Err(ExportError::None { uri: from.uri.clone() });
        };
        let mut found: BTreeMap<Range, Vec<Path>> = BTreeMap::new();
        let mut listing = from.store.list(Some(&from.prefix));
        let failed = |source| ExportError::Read { object: from.uri.clone(), source };
        while let Some(meta) = listing.try_next().await.map_err(failed)? {
            if let Some(range) = range_of(&meta.location)
                && range.to <= point.exported_offset
            {
                found.entry(range).or_default().push(meta.location);
            }
        }
        let mut ranges = Vec::with_capacity(found.len());
        let mut next = point.first_offset;
        for (range, mut files) in found {
            next = past_lost(&point, next);
            if range.from < next {
                // Begun, and then lost to retention: no part of the export.
                continue;
            }
            if range.from > next {
                return Err(ExportError::Missing { uri: from.uri.clone(), from: next, to: range.from });
            }
            files.sort();
            next = range.to;
            ranges.push(RangeRef { range, files });
        }
        next = past_lost(&point, next);
        if next < point.exported_offset {
            return Err(ExportError::Missing { uri: from.uri.clone(), from: next, to: point.exported_offset });
        }
        Ok(Self { from, point, ranges })
    }

    /// Where it lies.
    pub fn uri(&self) -> &str {
        &self.from.uri
    }

    /// Ranges with events of some offsets, whole and in their order; some are read ahead.
    pub fn read(&self, offsets: std::ops::Range<u64>) -> impl Stream<Item = Result<RangeEvents, ExportError>> + '_ {
        let wanted = self.ranges.iter().filter(move |one| one.range.to > offsets.start && one.range.from < offsets.end);
        futures::stream::iter(wanted).map(|range| self.read_range(range)).buffered(AHEAD)
    }

    /// Every event of a range exactly once, or an error.
    pub async fn read_range(&self, range: &RangeRef) -> Result<RangeEvents, ExportError> {
        let fetched: Vec<(UsedPart, Vec<Exported>)> =
            futures::stream::iter(&range.files).map(|path| self.fetch(path)).buffered(FETCHES).try_collect().await?;
        let (mut events, mut parts) = (Vec::new(), Vec::with_capacity(fetched.len()));
        for (part, own) in fetched {
            parts.push(part);
            events.extend(own);
        }
        events.sort_by_key(|event| event.offset);
        let Range { from, to } = range.range;
        for (at, expected) in (from..to).enumerate() {
            let found = events.get(at).map(|event| event.offset);
            if found != Some(expected) {
                let to = found.filter(|found| *found > expected).unwrap_or(to);
                return Err(ExportError::Missing { uri: self.from.uri.clone(), from: expected, to });
            }
        }
        Ok(RangeEvents { range: range.range, events, parts })
    }

    async fn fetch(&self, path: &Path) -> Result<(UsedPart, Vec<Exported>), ExportError> {
        let failed = |source| ExportError::Read { object: path.to_string(), source };
        let bytes: Bytes = self.from.store.get(path).await.map_err(failed)?.bytes().await.map_err(failed)?;
        let below: Vec<String> =
            path.prefix_match(&self.from.prefix).into_iter().flatten().map(|part| part.as_ref().to_owned()).collect();
        let part = UsedPart { file: below.join("/"), sha256: sha256_hex(&bytes) };
        let events = decode(bytes).map_err(|why| ExportError::Broken { object: path.to_string(), why })?;
        Ok((part, events))
    }
}

/// The first offset from `next` on that was not lost.
fn past_lost(point: &Point, next: u64) -> u64 {
    point.lost.iter().find(|lost| lost.from == next).map_or(next, |lost| lost.to)
}

/// The range that a file's name tells, if it is one of ours.
fn range_of(path: &Path) -> Option<Range> {
    let mut parts = path.parts().rev();
    let name = parts.next()?;
    parts.next().filter(|folder| folder.as_ref().starts_with("date="))?;
    let (from, to) = name.as_ref().strip_suffix(".parquet")?.split_once('-')?;
    Some(Range { from: from.parse().ok()?, to: to.parse().ok()? })
}
