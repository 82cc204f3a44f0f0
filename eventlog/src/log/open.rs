//! Opening a log: recovery of its last segment, and what is known of the others.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::append::LogWriter;
use super::dedup::Dedup;
use super::disk::{Disk, FileReader, FolderDisk, replace_file};
use super::read::{LogReader, Shared};
use super::ring::Ring;
use super::segment::{self, Extent, Segment};
use super::{LogConfig, LogError, frame, lock};

const META: &str = "log.json";
const FORMAT: &str = "endcap-log/1";

/// What a log says of itself; written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMeta {
    pub format: String,
    pub log_id: String,
}

/// An open log.
pub struct Opened {
    pub writer: LogWriter,
    pub reader: LogReader,
    /// No event was ever written to it.
    pub fresh: bool,
    /// Bytes of an unacknowledged group that were cut off the end.
    pub torn_bytes: u64,
}

/// Opens (or begins) the log in `folder`, alone. `now_ms`: milliseconds since 1970.
pub fn open(folder: &Path, config: LogConfig, now_ms: i64) -> Result<(Opened, Arc<dyn Disk>), LogError> {
    std::fs::create_dir_all(folder)
        .map_err(|source| LogError::Folder { folder: folder.display().to_string(), source })?;
    let held = lock::lock(folder)?;
    let disk: Arc<dyn Disk> = Arc::new(FolderDisk::new(folder));
    let mut opened = open_disk(Arc::clone(&disk), config, now_ms)?;
    opened.writer.hold(held);
    Ok((opened, disk))
}

/// The same on any disk; whoever calls it sees to it that there is one writer.
pub fn open_disk(disk: Arc<dyn Disk>, config: LogConfig, now_ms: i64) -> Result<Opened, LogError> {
    let mut names = disk.names().map_err(|source| LogError::Read { what: "the log's folder".to_owned(), source })?;
    names.sort();
    let mut bases: Vec<u64> = names.iter().filter_map(|name| segment::base(name)).collect();
    let meta = meta(&*disk, &names, bases.is_empty())?;
    if bases.is_empty() {
        let name = segment::name(0);
        let failed = |source| LogError::Write { what: format!("segment {name}"), source };
        disk.create(&name).map_err(failed)?;
        disk.sync_folder().map_err(failed)?;
        bases.push(0);
    }
    let mut dedup = Dedup::new(config.dedup_age, config.dedup_ids);
    let known_from_ms = now_ms.saturating_sub(i64::try_from(config.dedup_age.as_millis()).unwrap_or(i64::MAX));
    let mut segments: Vec<Arc<Segment>> = Vec::with_capacity(bases.len());
    let mut torn_bytes = 0;
    for (number, base) in bases.iter().enumerate() {
        let following = bases.get(number + 1).copied();
        let extent = if let Some(following) = following {
            closed(&*disk, *base, following, known_from_ms, &mut dedup)?
        } else {
            let (extent, torn) = last(&*disk, *base, &mut dedup)?;
            torn_bytes = torn;
            extent
        };
        segments.push(Segment::new(*base, extent));
    }
    let first = bases.first().copied().unwrap_or(0);
    let (next, _) = watch::channel(segments.last().map_or(0, |last| last.extent().next));
    let shared = Arc::new(Shared {
        disk,
        segments: RwLock::new(segments),
        ring: Mutex::new(Ring::new(config.recent_bytes)),
        next,
        first: AtomicU64::new(first),
        log_id: meta.log_id,
    });
    let reader = LogReader { shared: Arc::clone(&shared) };
    let fresh = reader.next() == 0;
    Ok(Opened { writer: LogWriter::new(shared, config, dedup)?, reader, fresh, torn_bytes })
}

fn meta(disk: &dyn Disk, names: &[String], empty: bool) -> Result<LogMeta, LogError> {
    if names.iter().any(|name| name == META) {
        let file = disk.open(META).map_err(|source| LogError::Read { what: META.to_owned(), source })?;
        let meta: LogMeta = serde_json::from_reader(FileReader::new(file)).map_err(|error| LogError::Meta {
            why: format!("{META} cannot be read ({error}); restore it from a backup"),
        })?;
        if meta.format != FORMAT {
            let why = format!(
                "its format is {:?}, this program reads {FORMAT:?}; use a program of the same version",
                meta.format
            );
            return Err(LogError::Meta { why });
        }
        return Ok(meta);
    }
    if !empty {
        let why = format!("{META} is missing though there are segments; restore it from a backup");
        return Err(LogError::Meta { why });
    }
    let meta = LogMeta { format: FORMAT.to_owned(), log_id: uuid::Uuid::now_v7().to_string() };
    replace_file(disk, META, |mut out| {
        serde_json::to_writer(&mut out, &meta)?;
        out.write_all(b"\n")?;
        Ok(out)
    })
    .map_err(|source| LogError::Write { what: META.to_owned(), source })?;
    Ok(meta)
}

/// A segment that another one follows: every byte of it was synced before that one was begun.
fn closed(
    disk: &dyn Disk,
    base: u64,
    following: u64,
    known_from_ms: i64,
    dedup: &mut Dedup,
) -> Result<Extent, LogError> {
    let name = segment::name(base);
    let failed = |source| LogError::Read { what: format!("segment {name}"), source };
    let file = disk.open(&name).map_err(failed)?;
    // The next segment's first event came after all of this one's: when that is old, nothing here is needed now.
    let next_first_ms = first_ms(disk, following)?;
    if next_first_ms.is_some_and(|ms| ms < known_from_ms) {
        let bytes = file.size().map_err(failed)?;
        return Ok(Extent::unread(following, first_ms(disk, base)?, next_first_ms, bytes));
    }
    let scan = segment::scan(&segment::whole(&*file).map_err(failed)?, base, |header, events| {
        for (key, _) in events.iter().filter(|_| header.accepted_ms >= known_from_ms) {
            dedup.insert(*key, header.accepted_ms);
        }
    });
    if let Some(why) = scan.broken {
        return Err(LogError::Corrupt { segment: name, position: scan.extent.bytes, why: why.to_owned() });
    }
    if scan.extent.next != following {
        return Err(LogError::Gap { segment: segment::name(following), expected: scan.extent.next });
    }
    Ok(scan.extent)
}

fn first_ms(disk: &dyn Disk, base: u64) -> Result<Option<i64>, LogError> {
    let name = segment::name(base);
    let failed = |source| LogError::Read { what: format!("segment {name}"), source };
    let head = disk.open(&name).and_then(|file| file.read_range(0, frame::HEADER_BYTES as u64)).map_err(failed)?;
    Ok(frame::header(&head).map(|header| header.accepted_ms))
}

/// The segment that was being written: a torn end is cut off, damage before the end is not.
fn last(disk: &dyn Disk, base: u64, dedup: &mut Dedup) -> Result<(Extent, u64), LogError> {
    let name = segment::name(base);
    let failed = |source| LogError::Read { what: format!("segment {name}"), source };
    let file = disk.open(&name).map_err(failed)?;
    let bytes = segment::whole(&*file).map_err(failed)?;
    let scan = segment::scan(&bytes, base, |header, events| {
        for (key, _) in events {
            dedup.insert(*key, header.accepted_ms);
        }
    });
    let Some(why) = scan.broken else { return Ok((scan.extent, 0)) };
    let good = scan.extent.bytes;
    let rest = bytes.get(good as usize..).unwrap_or_default();
    if frame::holds_later_frame(rest, scan.extent.next) {
        return Err(LogError::Corrupt { segment: name, position: good, why: why.to_owned() });
    }
    let torn = rest.len() as u64;
    tracing::warn!(
        segment = name,
        position = good,
        bytes = torn,
        why,
        "cut an unacknowledged group off the end of the log"
    );
    file.set_len(good)
        .and_then(|()| file.sync())
        .map_err(|source| LogError::Write { what: format!("segment {name}"), source })?;
    Ok((scan.extent, torn))
}
