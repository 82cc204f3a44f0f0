//! Invariant 2: an event that was acknowledged is never lost; one that was not may be sent again without being counted twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/fault_disk.rs"]
mod fault_disk;

use std::collections::HashMap;
use std::time::Duration;

use endcap_eventlog::log::{Append, LogConfig, LogError, Opened, Record, event_key, open_disk};
use fault_disk::{Dice, FaultDisk};
use proptest::prelude::*;

const CONFIG: LogConfig = LogConfig {
    segment_bytes: 2_000,
    segment_age: Duration::from_secs(3_600),
    dedup_age: Duration::from_secs(1_000_000),
    dedup_ids: 1_000_000,
    recent_bytes: 1_000,
};

fn record(id: u32) -> Record {
    let json = format!("{{\"event_id\":\"e{id}\",\"filler\":\"{}\"}}", "x".repeat(id as usize * 37 % 700));
    Record { key: event_key(&format!("e{id}")), json: json.into() }
}

fn id_of(json: &[u8]) -> u32 {
    let value: serde_json::Value = serde_json::from_slice(json).unwrap();
    value["event_id"].as_str().unwrap()[1..].parse().unwrap()
}

fn read_all(opened: &Opened) -> Vec<(u64, u32)> {
    let mut from = opened.reader.first();
    let mut all = Vec::new();
    while from < opened.reader.next() {
        let read = opened.reader.read(from, 7, 3_000).unwrap();
        assert!(!read.is_empty());
        for stored in read {
            assert_eq!(stored.offset, from);
            from += 1;
            all.push((stored.offset, id_of(&stored.json)));
        }
    }
    all
}

#[derive(Clone, Debug)]
enum Step {
    /// Ids, some of them known from before.
    Append(Vec<u32>),
    Restart,
    PowerLoss(u64),
    /// Room for so many bytes more.
    Space(u64),
    SpaceReturns,
    FailSyncs(u32),
    ShortWrites(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop::collection::vec(0_u32..60, 1..8).prop_map(Step::Append),
        1 => Just(Step::Restart),
        2 => any::<u64>().prop_map(Step::PowerLoss),
        2 => (0_u64..3_000).prop_map(Step::Space),
        1 => Just(Step::SpaceReturns),
        1 => (1_u32..4).prop_map(Step::FailSyncs),
        1 => any::<bool>().prop_map(Step::ShortWrites),
    ]
}

/// Runs steps. Returns what went wrong, so that a test can also demand that something does.
fn run(disk: &FaultDisk, steps: &[Step]) -> Result<usize, String> {
    let mut opened = open_disk(disk.shared(), CONFIG, 0).map_err(|error| error.to_string())?;
    let mut acknowledged: HashMap<u32, u64> = HashMap::new();
    let mut refused = 0;
    for (number, step) in steps.iter().enumerate() {
        let reopen = match step {
            Step::Append(ids) => {
                let records: Vec<Record> = ids.iter().map(|id| record(*id)).collect();
                match opened.writer.append(&records, number as i64 * 1_000) {
                    Ok(group) => {
                        for (id, append) in ids.iter().zip(group) {
                            match append {
                                Append::Accepted(offset) => {
                                    if let Some(before) = acknowledged.insert(*id, offset) {
                                        return Err(format!("e{id} was accepted twice, at {before} and {offset}"));
                                    }
                                }
                                // It may have come to disk without an acknowledgement, before a power loss.
                                Append::Duplicate => {}
                            }
                        }
                    }
                    Err(_) => refused += 1,
                }
                false
            }
            Step::Restart => true,
            Step::PowerLoss(seed) => {
                disk.power_loss(&mut Dice(*seed));
                true
            }
            Step::Space(more) => {
                disk.space(Some(disk.used() + more));
                false
            }
            Step::SpaceReturns => {
                disk.space(None);
                false
            }
            Step::FailSyncs(count) => {
                disk.fail_syncs(*count);
                false
            }
            Step::ShortWrites(on) => {
                disk.short_writes(*on);
                false
            }
        };
        if reopen {
            drop(opened);
            disk.fail_syncs(0);
            disk.space(None);
            opened = open_disk(disk.shared(), CONFIG, 0).map_err(|error| error.to_string())?;
        }
        let stored = read_all(&opened);
        let mut places: HashMap<u32, u64> = HashMap::new();
        for (offset, id) in stored {
            if places.insert(id, offset).is_some() {
                return Err(format!("e{id} is there twice"));
            }
        }
        for (id, offset) in &acknowledged {
            if places.get(id) != Some(offset) {
                return Err(format!("e{id}, acknowledged at {offset}, is at {:?} after {step:?}", places.get(id)));
            }
        }
    }
    Ok(refused)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn acknowledged_events_are_there_once_whatever_the_disk_does(steps in prop::collection::vec(step(), 1..60)) {
        let disk = FaultDisk::default();
        run(&disk, &steps).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn a_disk_that_does_not_sync_is_found_out() {
    // The check above can fail: without syncs behind the acknowledgements it does.
    let found = (0..50_u64).any(|seed| {
        let disk = FaultDisk::default();
        drop(open_disk(disk.shared(), CONFIG, 0).unwrap());
        disk.lie();
        let steps = [Step::Append(vec![1, 2, 3]), Step::Append(vec![4]), Step::PowerLoss(seed)];
        run(&disk, &steps).is_err()
    });
    assert!(found);
}

#[test]
fn every_group_is_synced_once_before_its_acknowledgement() {
    let disk = FaultDisk::default();
    let mut opened = open_disk(disk.shared(), CONFIG, 0).unwrap();
    let before = disk.syncs();
    let records: Vec<Record> = (0..10).map(record).collect();
    opened.writer.append(&records, 0).unwrap();
    assert_eq!(disk.syncs() - before, 1);
    // Duplicates alone need no sync: theirs was before.
    opened.writer.append(&records, 0).unwrap();
    assert_eq!(disk.syncs() - before, 1);
}

/// A log of two segments and its records' offsets.
fn two_segments() -> (FaultDisk, Vec<String>) {
    let disk = FaultDisk::default();
    let mut opened = open_disk(disk.shared(), CONFIG, 0).unwrap();
    for id in 0..12 {
        opened.writer.append(&[record(id)], 0).unwrap();
    }
    let segments: Vec<String> = disk.names_now().into_iter().filter(|name| name.ends_with(".segment")).collect();
    assert!(segments.len() >= 2, "{segments:?}");
    (disk, segments)
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off_and_the_rest_stays() {
    let (disk, segments) = two_segments();
    let last = segments.last().unwrap();
    let whole = disk.content(last);
    let first_in_last: u64 = last.trim_end_matches(".segment").parse().unwrap();
    for length in 0..whole.len() {
        let torn = disk.copy();
        torn.edit(last, |bytes| bytes.truncate(length));
        let mut opened = open_disk(torn.shared(), CONFIG, 0).unwrap();
        let next = opened.reader.next();
        assert!(next >= first_in_last && next < 12, "length {length}: next {next}");
        assert_eq!(read_all(&opened).len() as u64, next);
        // It goes on from there, and what was cut off may come again.
        assert_eq!(opened.writer.append(&[record(11)], 0).unwrap(), [Append::Accepted(next)]);
        drop(opened);
        assert_eq!(open_disk(torn.shared(), CONFIG, 0).unwrap().reader.next(), next + 1);
    }
}

#[test]
fn damage_before_the_end_is_refused_with_its_place() {
    let (disk, segments) = two_segments();
    for (number, segment) in segments.iter().enumerate() {
        let size = disk.content(segment).len();
        let is_last = number + 1 == segments.len();
        for at in (0..size).step_by(29) {
            let damaged = disk.copy();
            damaged.edit(segment, |bytes| bytes[at] ^= 0x10);
            match open_disk(damaged.shared(), CONFIG, 0) {
                Err(LogError::Corrupt { segment: named, position, .. }) => {
                    assert_eq!(named, *segment);
                    assert!(position as usize <= at, "said {position}, damaged at {at}");
                }
                Err(other) => panic!("byte {at} of {segment}: {other}"),
                // Only the very last frame may look like a torn one.
                Ok(opened) => {
                    assert!(is_last && opened.torn_bytes > 0, "byte {at} of {segment} went unseen");
                    assert_eq!(opened.reader.next(), 11);
                }
            }
        }
    }
}

#[test]
fn a_missing_segment_is_named() {
    let disk = FaultDisk::default();
    let mut opened = open_disk(disk.shared(), CONFIG, 0).unwrap();
    for id in 0..40 {
        opened.writer.append(&[record(id)], 0).unwrap();
    }
    drop(opened);
    let segments: Vec<String> = disk.names_now().into_iter().filter(|name| name.ends_with(".segment")).collect();
    assert!(segments.len() > 3);
    let lacking = disk.copy();
    let shared = lacking.shared();
    shared.remove(&segments[1]).unwrap();
    let error = open_disk(shared, CONFIG, 0).err().unwrap();
    assert!(matches!(&error, LogError::Gap { segment, .. } if *segment == segments[2]), "{error}");
}

#[test]
fn duplicates_are_known_across_a_restart_within_the_horizon() {
    let disk = FaultDisk::default();
    let config = LogConfig { dedup_age: Duration::from_secs(100), ..CONFIG };
    let mut opened = open_disk(disk.shared(), config, 0).unwrap();
    for id in 0..40 {
        opened.writer.append(&[record(id)], i64::from(id) * 10_000).unwrap();
    }
    drop(opened);
    // 395 s: what came after 295 s is within the horizon.
    let mut opened = open_disk(disk.shared(), config, 395_000).unwrap();
    for id in 30..40 {
        assert_eq!(opened.writer.append(&[record(id)], 395_000).unwrap(), [Append::Duplicate], "e{id}");
    }
    assert!(matches!(opened.writer.append(&[record(0)], 395_000).unwrap()[..], [Append::Accepted(40)]));
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_space_returns() {
    let disk = FaultDisk::default();
    let mut opened = open_disk(disk.shared(), CONFIG, 0).unwrap();
    opened.writer.append(&[record(1)], 0).unwrap();
    disk.space(Some(disk.used() + 40));
    let error = opened.writer.append(&[record(2), record(3)], 0).unwrap_err();
    assert!(error.to_string().contains("no space left"), "{error}");
    assert!(error.to_string().contains("segment"), "{error}");
    assert_eq!(opened.reader.next(), 1);
    assert_eq!(read_all(&opened), [(0, 1)]);
    disk.space(None);
    let group = opened.writer.append(&[record(2), record(3)], 0).unwrap();
    assert_eq!(group, [Append::Accepted(1), Append::Accepted(2)]);
    drop(opened);
    let opened = open_disk(disk.shared(), CONFIG, 0).unwrap();
    assert_eq!((opened.torn_bytes, read_all(&opened)), (0, vec![(0, 1), (1, 2), (2, 3)]));
}

#[test]
fn retention_removes_old_closed_segments_that_the_snapshot_has() {
    let disk = FaultDisk::default();
    let config = LogConfig { dedup_age: Duration::from_secs(1), ..CONFIG };
    let mut opened = open_disk(disk.shared(), config, 0).unwrap();
    for id in 0..40 {
        opened.writer.append(&[record(id)], i64::from(id) * 1_000).unwrap();
    }
    let segments = || disk.names_now().into_iter().filter(|name| name.ends_with(".segment")).count();
    let before = segments();
    assert_eq!(opened.writer.retain(i64::MAX, 0).unwrap(), 0, "nothing is in the snapshot");
    assert_eq!(opened.writer.retain(0, u64::MAX).unwrap(), 0, "nothing is old");
    let removed = opened.writer.retain(20_000, u64::MAX).unwrap();
    assert!(removed > 0 && segments() == before - removed);
    let first = opened.reader.first();
    assert!(first > 0 && first <= 20);
    assert!(opened.reader.read(first - 1, 1, 1_000).is_err());
    assert_eq!(read_all(&opened).first(), Some(&(first, first as u32)));
    // The power fails right after: no gap, and what stays is whole.
    drop(opened);
    disk.power_loss(&mut Dice(1));
    let opened = open_disk(disk.shared(), config, 40_000).unwrap();
    assert_eq!((opened.reader.first(), opened.reader.next()), (first, 40));
    assert_eq!(read_all(&opened).len() as u64, 40 - first);
}
