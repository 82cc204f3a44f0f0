//! How much there is to learn from, against what the newest version learned from: rows of order lines in the source's tables, and events
//! in the log.

use std::path::{Path, PathBuf};

use anyhow::Result;
use endcap_crds::ModelVersion;
use endcap_operator_core::observed::Dataset;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a look at the source and the log finds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Digest of the tables.
    pub tables: String,
    pub order_lines: i64,
    /// Where the log ends.
    pub offset: i64,
}

impl Extent {
    /// `offset`: where the log ends, when it is known.
    pub fn read(data: &Path, offset: Option<i64>) -> Option<Self> {
        let text = std::fs::read(data.join("dataset.json")).ok()?;
        let manifest: Value = serde_json::from_slice(&text).ok()?;
        let lines = manifest.pointer("/tables/order_lines")?;
        let tables = manifest.get("tables")?.as_object()?.values();
        let digests: Vec<&str> = tables.filter_map(|table| table.get("sha256")).filter_map(Value::as_str).collect();
        Some(Self { tables: digests.concat(), order_lines: lines.get("rows")?.as_i64()?, offset: offset.unwrap_or(0) })
    }

    /// Kept beside a training that starts now.
    pub fn keep(&self, trainings: &Path, version: &str) -> Result<()> {
        std::fs::create_dir_all(trainings)?;
        super::objects::write_whole(&file(trainings, version), &serde_json::to_vec(self)?)
    }

    /// As the core compares it with the newest version's own record: that record, and what came since its training began.
    pub fn since(&self, trainings: &Path, versions: &[ModelVersion]) -> Option<Dataset> {
        let newest = versions
            .iter()
            .filter(|version| version.status.as_ref().is_some_and(|status| status.dataset.is_some()))
            .max_by_key(|version| version.spec.version)?;
        let known = newest.status.as_ref()?.dataset.as_ref()?;
        let name = newest.metadata.name.as_deref()?;
        let then: Self = serde_json::from_slice(&std::fs::read(file(trainings, name)).ok()?).ok()?;
        let sha256 = if *self == then { known.manifest_sha256.to_string() } else { "another".to_owned() };
        let new = (self.order_lines - then.order_lines) + (self.offset - then.offset).max(0);
        Some(Dataset { sha256, rows: known.rows + new.max(0) })
    }
}

fn file(trainings: &Path, version: &str) -> PathBuf {
    trainings.join(format!("{version}.extent.json"))
}
