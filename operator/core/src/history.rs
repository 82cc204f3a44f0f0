//! The last promotions and rollbacks.

use endcap_crds::common::text::VersionName;
use endcap_crds::recommender_model::status::{HistoryEntry, Outcome, RecommenderModelStatus, RejectedVersion};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::text::message;

const KEPT: usize = 10;

/// Something ended.
pub struct Entry<'a> {
    pub version: &'a str,
    pub from: Option<&'a str>,
    pub outcome: Outcome,
    pub by: &'a str,
    pub reason: &'a str,
}

/// The newest entry stands first.
pub fn add(status: &mut RecommenderModelStatus, entry: &Entry<'_>, now: Timestamp) {
    let by: String = entry.by.chars().filter(|one| *one != '\n').take(256).collect();
    status.history.insert(
        0,
        HistoryEntry {
            version: VersionName(entry.version.to_owned()),
            from: entry.from.map(|from| VersionName(from.to_owned())),
            time: Time(now),
            outcome: entry.outcome,
            by: Some(by.as_str().into()),
            reason: Some(message(entry.reason)),
        },
    );
    status.history.truncate(KEPT);
}

/// Versions that served everybody, the last one first, each once.
pub fn promoted(status: &RecommenderModelStatus) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let names = status.history.iter().flat_map(|entry| match entry.outcome {
        Outcome::Promoted => [Some(&entry.version), entry.from.as_ref()],
        _ => [entry.from.as_ref(), None],
    });
    for name in names.flatten() {
        if !found.contains(&name.0) {
            found.push(name.0.clone());
        }
    }
    found
}

pub fn reject(status: &mut RecommenderModelStatus, version: &str, reason: &str, now: Timestamp) {
    status.rejected_versions.retain(|one| one.version.as_str() != version);
    let rejected = RejectedVersion { version: version.into(), reason: reason.into(), time: Time(now) };
    status.rejected_versions.insert(0, rejected);
    status.rejected_versions.truncate(KEPT);
}
