//! The data report: what a dataset holds, what was left out and why, whether it is enough. As JSON, text and one HTML page.
//! It holds no time of writing, host or path: the same dataset gives the same report.

mod facts;
mod html;
mod svg;
mod text;

use std::path::Path;

use endcap_tables::{DatasetManifest, MANIFEST_FILE, RejectedRows, TimeRange};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::DataError;
use crate::engine::{Engine, Limits};
use crate::netting::NettingCounts;
use crate::prepare::Prepared;
use crate::quality::Cleanness;
use crate::source::InputFile;
use crate::spec::{DataSpec, Minimum, Span};

pub use html::page;
pub use text::text;

/// What falls away when a canonical column is not there.
pub fn cost_of(table: &str, column: &str) -> &'static str {
    facts::COSTS
        .iter()
        .find(|(known, name, _)| *known == table && *name == column)
        .map_or("nothing that is learned today", |(_, _, cost)| cost)
}

pub const REPORT_FILE: &str = "report.json";
const FORMAT: &str = "endcap.data-report/v1";

/// What is known of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataReport {
    /// `endcap.data-report/v1`
    pub format: String,
    /// SHA-256 of the dataset's manifest.
    pub dataset: String,
    pub currency: Option<String>,
    pub time_range: Option<TimeRange>,
    pub tables: Vec<TableRows>,
    /// Rows that were left out.
    pub rejected: Vec<RejectedRows>,
    pub orders: OrderFacts,
    /// How far optional columns are filled, and what those cost that are not.
    pub coverage: Vec<Coverage>,
    pub covered: DataCovered,
    /// How it was prepared; unknown of a dataset that came prepared.
    pub preparation: Option<Preparation>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    pub table: String,
    pub rows: u64,
}

/// A label and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub label: String,
    pub count: u64,
}

/// What orders look like. Weeks, baskets and categories are of placed orders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFacts {
    pub by_status: Vec<Count>,
    pub by_channel: Vec<Count>,
    /// By the Monday of the week.
    pub by_week: Vec<Count>,
    /// By number of distinct products.
    pub by_basket_size: Vec<Count>,
    /// Lines by category.
    pub by_category: Vec<Count>,
    pub without_lines: u64,
    pub without_customer: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    pub table: String,
    pub column: String,
    pub filled_percent: f64,
    /// What falls away where it is empty.
    pub cost: String,
}

/// The condition DataCovered with its counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataCovered {
    pub covered: bool,
    pub active_customers: Enough,
    pub active_within: Span,
    pub orders: Enough,
    pub products: Enough,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enough {
    pub have: u64,
    pub need: u64,
}

/// How a dataset was prepared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preparation {
    /// SHA-256 of what went in: spec, files, rules of cleaning.
    pub input: String,
    pub sources: Vec<InputFile>,
    /// Rows that were kept with a value emptied.
    pub changed: Vec<RejectedRows>,
    pub netting: NettingCounts,
    pub quality: Cleanness,
}

/// The report of a canonical dataset, whoever wrote it.
pub async fn of_dataset(
    dir: &Path,
    minimum: &Minimum,
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<DataReport, DataError> {
    let manifest = DatasetManifest::open(dir)?;
    let known = read(dir).filter(|known| known.dataset == manifest.digest());
    facts::collect(dir, &manifest, known.and_then(|known| known.preparation), minimum, limits, cancel).await
}

/// Makes the report of a dataset that was just prepared and writes its three forms.
pub async fn write(
    dir: &Path,
    manifest: &DatasetManifest,
    preparation: Option<Preparation>,
    spec: &DataSpec,
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<DataReport, DataError> {
    let report = facts::collect(dir, manifest, preparation, &spec.minimum, limits, cancel).await?;
    for (name, content) in
        [("report.txt", text(&report)), ("report.html", page(&report)), (REPORT_FILE, json(&report)?)]
    {
        let path = dir.join(name);
        std::fs::write(&path, content).map_err(|source| DataError::Write { path, source })?;
    }
    Ok(report)
}

pub fn json(report: &DataReport) -> Result<String, DataError> {
    let mut text = serde_json::to_string_pretty(report).map_err(|source| DataError::Sql(source.to_string()))?;
    text.push('\n');
    Ok(text)
}

fn read(dir: &Path) -> Option<DataReport> {
    serde_json::from_slice(&std::fs::read(dir.join(REPORT_FILE)).ok()?).ok()
}

/// The dataset that lies there already, when it is whole and made of the same input.
pub fn unchanged(dir: &Path, input: &str) -> Result<Option<Prepared>, DataError> {
    if !dir.join(MANIFEST_FILE).exists() {
        return Ok(None);
    }
    let Ok(manifest) = DatasetManifest::open(dir) else { return Ok(None) };
    let Some(report) = read(dir) else { return Ok(None) };
    let same = report.preparation.as_ref().is_some_and(|preparation| preparation.input == input);
    if !same || report.dataset != manifest.digest() || manifest.verify(dir).is_err() {
        return Ok(None);
    }
    Ok(Some(Prepared { manifest, report, unchanged: true }))
}

/// An engine whose tables are those of a canonical dataset.
pub(crate) async fn over_dataset(
    dir: &Path,
    work: &Path,
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<Engine, DataError> {
    let engine = Engine::new(work, limits, cancel.clone())?;
    let manifest = DatasetManifest::open(dir)?;
    for (table, entry) in &manifest.tables {
        engine.register_file(table, &dir.join(&entry.file)).await?;
    }
    Ok(engine)
}
