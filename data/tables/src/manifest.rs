//! The dataset manifest: what a prepared folder holds, and what was left out and why.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::files::{TableWriter, Written, hex, sha256_of};
use crate::{Row, TableError};

/// The manifest's file name inside a dataset's folder. It is written last: a folder without it is not a dataset.
pub const MANIFEST_FILE: &str = "dataset.json";
const FORMAT: &str = "endcap.dataset/v1";

/// What a dataset is. It holds no time of writing, host or path, so the same input gives the same digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetManifest {
    /// `endcap.dataset/v1`
    pub format: String,
    /// By table name.
    pub tables: BTreeMap<String, TableEntry>,
    /// First and last order.
    pub time_range: Option<TimeRange>,
    /// ISO 4217 code of all money in the dataset, where known.
    pub currency: Option<String>,
    /// Rows that were left out, by table and reason.
    pub rejected: Vec<RejectedRows>,
    /// What of an event log is in it, where events were merged into a dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<MergedEvents>,
}

/// What was merged into a dataset from the export of an event log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedEvents {
    /// The dataset that the events were merged into: SHA-256 of its manifest.
    pub base_sha256: String,
    pub log_id: String,
    /// Offsets `from_offset..to_offset` were read.
    pub from_offset: u64,
    pub to_offset: u64,
    /// Files of the export, and the SHA-256 over their names and SHA-256s.
    pub parts: u64,
    pub parts_sha256: String,
    /// What became of the events, by name: `read`, `orders_added`, ...
    pub counts: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableEntry {
    pub file: String,
    pub rows: u64,
    pub bytes: u64,
    pub sha256: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// Rows of one table that were left out for one reason, with up to ten examples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRows {
    pub table: String,
    /// Stable, snake_case: `duplicate_key`, `unknown_product`, `bad_price`, ...
    pub reason: String,
    pub rows: u64,
    pub examples: Vec<String>,
}

impl DatasetManifest {
    /// Reads a dataset's manifest. The tables themselves are checked by [`DatasetManifest::verify`].
    pub fn open(dir: &Path) -> Result<Self, TableError> {
        let path = dir.join(MANIFEST_FILE);
        let text = std::fs::read(&path).map_err(|source| TableError::NoManifest { path: path.clone(), source })?;
        serde_json::from_slice(&text).map_err(|source| TableError::Manifest { path, source })
    }

    /// Checks every file against its SHA-256.
    pub fn verify(&self, dir: &Path) -> Result<(), TableError> {
        for entry in self.tables.values() {
            let path = dir.join(&entry.file);
            let (_, found) = sha256_of(&path)?;
            if found != entry.sha256 {
                return Err(TableError::Corrupt { path, expected: entry.sha256.clone(), found });
            }
        }
        Ok(())
    }

    pub fn rows(&self, table: &str) -> u64 {
        self.tables.get(table).map_or(0, |entry| entry.rows)
    }

    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// SHA-256 of the manifest as written: the dataset's identity.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.to_json().as_bytes()))
    }
}

/// Writes a dataset: the tables one after the other, the manifest last.
#[derive(Debug)]
pub struct DatasetWriter {
    dir: PathBuf,
    tables: BTreeMap<String, TableEntry>,
    events: Option<MergedEvents>,
}

impl DatasetWriter {
    /// Prepares a folder. A manifest that is already there is removed first, so that a half-written dataset is none.
    pub fn create(dir: &Path) -> Result<Self, TableError> {
        let write_error = |source| TableError::Write { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(write_error)?;
        match std::fs::remove_file(dir.join(MANIFEST_FILE)) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(write_error(source)),
            _ => {}
        }
        Ok(Self { dir: dir.to_owned(), tables: BTreeMap::new(), events: None })
    }

    pub fn writer<R: Row>(&self) -> Result<TableWriter<R>, TableError> {
        TableWriter::create(&self.dir)
    }

    /// Writes a whole table at once.
    pub fn write<R: Row>(&mut self, rows: impl IntoIterator<Item = R>) -> Result<u64, TableError> {
        let mut writer = self.writer::<R>()?;
        for row in rows {
            writer.push(row)?;
        }
        let written = writer.finish()?;
        let rows = written.rows;
        self.add::<R>(written);
        Ok(rows)
    }

    /// Takes a table that was written by [`DatasetWriter::writer`] into the manifest.
    pub fn add<R: Row>(&mut self, written: Written) {
        let Written { file, rows, bytes, sha256 } = written;
        self.tables.insert(R::TABLE.to_owned(), TableEntry { file, rows, bytes, sha256 });
    }

    /// Says what of an event log is in the dataset.
    pub fn merged(&mut self, events: MergedEvents) {
        self.events = Some(events);
    }

    /// Writes the manifest: from now on the folder is a dataset.
    pub fn finish(
        self,
        time_range: Option<TimeRange>,
        currency: Option<String>,
        mut rejected: Vec<RejectedRows>,
    ) -> Result<DatasetManifest, TableError> {
        rejected.sort_by(|a, b| (&a.table, &a.reason).cmp(&(&b.table, &b.reason)));
        let Self { dir, tables, events } = self;
        let manifest = DatasetManifest { format: FORMAT.to_owned(), tables, time_range, currency, rejected, events };
        let path = dir.join(MANIFEST_FILE);
        let unfinished = dir.join(format!("{MANIFEST_FILE}.part"));
        let write_error = |source| TableError::Write { path: path.clone(), source };
        let mut file = File::create(&unfinished).map_err(write_error)?;
        file.write_all(manifest.to_json().as_bytes()).map_err(write_error)?;
        file.sync_all().map_err(write_error)?;
        std::fs::rename(&unfinished, &path).map_err(write_error)?;
        Ok(manifest)
    }
}
