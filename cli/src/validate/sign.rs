//! Writes the sign-off: who vouches for which artifact by which scenarios under which rules.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use endcap_crds::sign_off::{FORMAT, SignOff, Signed};
use jiff::Timestamp;

use super::judge::kind_name;
use super::report::Report;

/// The sign-off of a report in which everything passed.
pub fn sign_off(report: &Report, by: &str, at: Timestamp) -> SignOff {
    let signed = report.scenarios.iter().map(|outcome| Signed {
        name: outcome.name.clone(),
        expectations: outcome.checks.len(),
        items: outcome
            .items
            .iter()
            .map(|item| (item.product_id.to_string(), kind_name(item.kind).to_owned()))
            .collect(),
    });
    SignOff {
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
pub fn write(signed: &SignOff, path: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(signed).context("failed to write the sign-off as JSON")?;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.with_context(|| {
        format!("failed to write the sign-off {}: name a file that does not exist yet with --out", path.display())
    })?;
    writeln!(file, "{text}").with_context(|| format!("failed to write the sign-off {}", path.display()))
}
