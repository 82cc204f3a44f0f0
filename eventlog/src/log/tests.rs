#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn record(id: u32) -> Record {
    Record { key: event_key(&format!("e{id}")), json: format!("{{\"event_id\":\"e{id}\"}}").into() }
}

#[test]
fn a_folder_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = open(folder.path(), LogConfig::default(), 0).unwrap();
    let error = open(folder.path(), LogConfig::default(), 0).err().unwrap();
    assert!(matches!(error, LogError::Locked { .. }));
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(first);
    assert!(open(folder.path(), LogConfig::default(), 0).is_ok());
}

#[test]
fn events_come_back_from_memory_and_from_disk() {
    let folder = tempfile::tempdir().unwrap();
    let config = LogConfig { segment_bytes: 5_000, recent_bytes: 2_000, ..LogConfig::default() };
    let (mut opened, _) = open(folder.path(), config, 0).unwrap();
    assert!(opened.fresh);
    for id in 0..500 {
        opened.writer.append(&[record(id)], i64::from(id)).unwrap();
    }
    for from in [0, 1, 250, 499] {
        let read = opened.reader.read(from, 3, usize::MAX).unwrap();
        assert_eq!(read[0].offset, from);
        assert_eq!(read[0].accepted_ms, from as i64);
        assert_eq!(read[0].json, record(from as u32).json);
    }
    assert!(opened.reader.read(500, 1, 1).unwrap().is_empty());
    assert!(matches!(opened.reader.read(501, 1, 1), Err(ReadError::Beyond { from: 501, next: 500 })));
    let log_id = opened.reader.log_id().to_owned();
    drop(opened);
    let (opened, _) = open(folder.path(), config, 0).unwrap();
    assert!(!opened.fresh);
    assert_eq!((opened.reader.log_id(), opened.reader.next()), (log_id.as_str(), 500));
}

#[test]
fn the_clock_of_the_log_never_falls() {
    let folder = tempfile::tempdir().unwrap();
    let (mut opened, _) = open(folder.path(), LogConfig::default(), 0).unwrap();
    opened.writer.append(&[record(1)], 5_000).unwrap();
    opened.writer.append(&[record(2)], 1_000).unwrap();
    assert_eq!(opened.reader.read(1, 1, 1).unwrap()[0].accepted_ms, 5_000);
}

#[test]
fn segments_that_are_older_than_the_horizon_are_read_when_someone_asks() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        LogConfig { segment_bytes: 500, dedup_age: Duration::from_secs(10), recent_bytes: 0, ..LogConfig::default() };
    let (mut opened, _) = open(folder.path(), config, 0).unwrap();
    for id in 0..100 {
        opened.writer.append(&[record(id)], i64::from(id) * 1_000).unwrap();
    }
    drop(opened);
    let (opened, _) = open(folder.path(), config, 99_000).unwrap();
    assert!(opened.writer.known_ids() < 40, "{}", opened.writer.known_ids());
    assert_eq!(opened.reader.read(17, 1, 1).unwrap()[0].json, record(17).json);
}

#[test]
fn a_log_of_another_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), LogConfig::default(), 0).unwrap());
    std::fs::write(folder.path().join("log.json"), br#"{"format":"endcap-log/9","log_id":"x"}"#).unwrap();
    let error = open(folder.path(), LogConfig::default(), 0).err().unwrap().to_string();
    assert!(error.contains("endcap-log/9") && error.contains("same version"), "{error}");
}
