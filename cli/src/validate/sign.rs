//! The sign-off: who vouches for which artifact by which scenarios under which rules.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::judge::kind_name;
use super::report::Report;

pub const FORMAT: &str = "endcap.sign-off/v1";

/// A signed-off version. It holds for this artifact, these scenarios and these rules alone: another byte of any of them is another
/// digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOff {
    pub format: String,
    pub signed_off_by: String,
    pub signed_off_at: Timestamp,
    /// Program and release that asked and judged.
    pub program: String,
    pub model: String,
    pub version: String,
    /// SHA-256 of the artifact's manifest: the identity that a ModelVersion has in `status.artifact.sha256`.
    pub artifact_sha256: String,
    /// SHA-256 of the scenario file.
    pub scenarios_sha256: String,
    /// SHA-256 of the rules as JSON.
    pub policy_sha256: String,
    pub results: Vec<Signed>,
}

/// What a scenario came to. All of them passed, or there would be no sign-off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    pub name: String,
    pub expectations: usize,
    /// The list that came: product and kind.
    pub items: Vec<(String, String)>,
}

impl SignOff {
    pub fn new(report: &Report, by: &str, at: Timestamp) -> Self {
        let signed = report.scenarios.iter().map(|outcome| Signed {
            name: outcome.name.clone(),
            expectations: outcome.checks.len(),
            items: outcome
                .items
                .iter()
                .map(|item| (item.product_id.to_string(), kind_name(item.kind).to_owned()))
                .collect(),
        });
        Self {
            format: FORMAT.to_owned(),
            signed_off_by: by.to_owned(),
            signed_off_at: at,
            program: concat!("endcap/", env!("CARGO_PKG_VERSION")).to_owned(),
            model: report.model.clone(),
            version: report.version.clone(),
            artifact_sha256: report.artifact_sha256.clone(),
            scenarios_sha256: report.scenarios_sha256.clone(),
            policy_sha256: report.policy_sha256.clone(),
            results: signed.collect(),
        }
    }

    /// Writes it where nothing stands yet: what somebody signed is not written over.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("failed to write the sign-off as JSON")?;
        let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
        let mut file = file.with_context(|| {
            format!("failed to write the sign-off {}: name a file that does not exist yet with --out", path.display())
        })?;
        writeln!(file, "{text}").with_context(|| format!("failed to write the sign-off {}", path.display()))
    }
}
