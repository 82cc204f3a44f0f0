//! Closes the loop: what the event log exported, merged into the canonical tables that the next training reads.
//!
//! [`merge`] reads a dataset and an export and writes another dataset: the same tables, as if the shop's own systems had written
//! down what the events say. What the tables know already is not counted twice:
//!
//! * a purchase whose order is in the tables is theirs;
//! * what has no time in the tables (prices, offers, profiles) is taken to be as of their newest order: an older event changes nothing;
//! * offsets that were merged into the dataset before are passed over.
//!
//! Purchases become orders, refunds cancellations, what people did interactions, exposures rows of their own table. A customer who was
//! erased is left out: sales of before stay, as sales to nobody. Every event that changes nothing is counted by reason in the manifest.
#![forbid(unsafe_code)]

mod collect;
mod net;
mod shelf;
mod stream;
mod tally;
mod write;

use std::path::{Path, PathBuf};

use endcap_eventlog::export::ExportError;
use endcap_store::Location;
use endcap_tables::{DatasetManifest, TableError};

pub use write::merge;

/// What a merge is told.
#[derive(Clone, Debug)]
pub struct MergeOptions {
    /// Folder of a canonical dataset.
    pub base: PathBuf,
    /// The export's prefix.
    pub events: Location,
    /// Only events before this offset; all that were exported when left out. What `POST /v1/export` answered gives the same dataset
    /// whenever it is merged.
    pub until: Option<u64>,
    /// Where the merged dataset goes; a folder of its own.
    pub out: PathBuf,
}

/// Why events could not be merged.
#[derive(Debug, thiserror::Error)]
pub enum FeedbackError {
    #[error("failed to read the events: {0}")]
    Export(#[from] Box<ExportError>),
    #[error(transparent)]
    Tables(#[from] Box<TableError>),
    #[error("failed to merge events: they were to be written into the dataset itself, {0}; choose another folder")]
    SameFolder(PathBuf),
    #[error(
        "failed to merge events: the dataset holds events of this log up to {merged}, the export ends at {exported}; export again (POST /v1/export), or correct the address of the events"
    )]
    Behind { merged: u64, exported: u64 },
    #[error(
        "failed to merge events: those before offset {until} were asked for, but the export ends at {exported}; export again (POST /v1/export)"
    )]
    NotExported { until: u64, exported: u64 },
    #[error(
        "failed to merge events: file {file} changed while it was read; a file of an export is never written twice: restore it"
    )]
    Changed { file: String },
    #[error("the merge was told to stop; start it again")]
    Stopped,
}

impl From<ExportError> for FeedbackError {
    fn from(source: ExportError) -> Self {
        Self::Export(Box::new(source))
    }
}

impl From<TableError> for FeedbackError {
    fn from(source: TableError) -> Self {
        Self::Tables(Box::new(source))
    }
}

/// Called with how many more rows or events were read; `false` stops the merge.
pub type Tick<'a> = &'a (dyn Fn(u64) -> bool + 'a);

/// One line on what a merged dataset took from events, for people. Empty for a dataset without events.
pub fn summary(manifest: &DatasetManifest) -> String {
    let Some(events) = &manifest.events else { return String::new() };
    let count = |name: &str| events.counts.get(name).copied().unwrap_or(0);
    let rejected: Vec<String> = manifest
        .rejected
        .iter()
        .filter(|rows| rows.table == tally::TABLE)
        .map(|rows| format!("{} {}", rows.rows, rows.reason))
        .collect();
    let rejected = if rejected.is_empty() { "none".to_owned() } else { rejected.join(", ") };
    format!(
        "{} events read (offsets {} to {}): {} orders, {} refunds, {} interactions, {} exposed items, {} prices, {} offers, {} stock levels, {} profiles, {} erased; without effect: {rejected}",
        count("read"),
        events.from_offset,
        events.to_offset,
        count("orders_added"),
        count("refunds"),
        count("interactions_added"),
        count("exposed_items_added"),
        count("prices_changed"),
        count("offers_changed"),
        count("stock_changed"),
        count("profiles_changed"),
        count("customers_erased"),
    )
}

/// Whether two paths are one folder.
pub(crate) fn same_folder(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
