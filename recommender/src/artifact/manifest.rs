//! `manifest.json`: the commit point and the identity of an artifact.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ArtifactError;

pub const FORMAT: &str = "endcap.artifact/v1";

/// What an artifact is. Its digest is the SHA-256 of this file as written. It holds no time of writing, host, path, attempt or thread
/// count, so the same data, seed, program and CPU feature level give the same digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArtifactManifest {
    pub format: String,
    /// The RecommenderModel's name, and its UID where a cluster gave one.
    pub model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_uid: Option<String>,
    /// `<model>-v<N>`
    pub version: String,
    /// `Rules`, `Collaborative`, `Hybrid`
    pub architecture: String,
    pub seed: i64,
    #[serde(default)]
    pub hyperparameters: BTreeMap<String, String>,
    /// Program and release that trained it.
    pub program: String,
    /// CPU feature level that the numbers depend on.
    pub cpu: String,
    pub dataset: DatasetSummary,
    pub metrics: Vec<Metric>,
    /// By name: `catalogue`, `associations`, `popularity`, `repeat`, `habits`, `settings`, `pack`, `report`, ...
    pub objects: BTreeMap<String, ObjectEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetSummary {
    pub manifest_sha256: String,
    /// Order lines.
    pub rows: u64,
    pub orders: u64,
    pub customers: u64,
    pub products: u64,
    pub min_time: Option<Timestamp>,
    pub max_time: Option<Timestamp>,
}

/// A number that gates may name, on a stated split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    pub name: String,
    pub split: String,
    pub value: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    pub n: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectEntry {
    pub sha256: String,
    pub bytes: u64,
}

impl ArtifactManifest {
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    pub fn from_json(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|source| ArtifactError::Json { object: "manifest", source })?;
        if manifest.format == FORMAT { Ok(manifest) } else { Err(ArtifactError::Format { found: manifest.format }) }
    }
}
