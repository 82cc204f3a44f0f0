//! What is known of a version. What its training produced is written once.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::columns::{Columns, columns};
use crate::common::conditions::{Conditions, conditions};
use crate::common::text::{DecimalText, Identifier, MetricName, ObjectName, Sha256Text, ShortText, StoreUri};

/// What is observed of a version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(oldSelf.artifact) || (has(self.artifact) && self.artifact == oldSelf.artifact)")
        .message("artifact is written once: a version's bytes never change"),
    validation = Rule::new("!has(oldSelf.signature) || (has(self.signature) && self.signature == oldSelf.signature)")
        .message("signature is written once"),
    validation = Rule::new("!has(oldSelf.dataset) || (has(self.dataset) && self.dataset == oldSelf.dataset)")
        .message("dataset is written once"),
    validation = Rule::new("!has(oldSelf.metrics) || (has(self.metrics) && self.metrics == oldSelf.metrics)")
        .message("metrics are written once"),
    validation = Rule::new("!has(oldSelf.baselineMetrics) || (has(self.baselineMetrics) && self.baselineMetrics == oldSelf.baselineMetrics)")
        .message("baselineMetrics are written once"),
    validation = Rule::new("!has(oldSelf.referenceStats) || (has(self.referenceStats) && self.referenceStats == oldSelf.referenceStats)")
        .message("referenceStats are written once"),
    validation = Rule::new("!has(oldSelf.phase) || !(oldSelf.phase in ['Failed', 'Expired']) || (has(self.phase) && self.phase == oldSelf.phase)")
        .message("Failed and Expired are final: a finished training never runs again"),
    validation = Rule::new("!has(oldSelf.phase) || oldSelf.phase != 'Ready' || (has(self.phase) && self.phase in ['Ready', 'Expired'])")
        .message("a Ready version can only become Expired")
)]
pub struct ModelVersionStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// How far the version is. A gate's no is not a phase: the condition GatesPassed says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<VersionPhase>,
    /// Conditions; each carries the generation it speaks of, a stable reason, and numbers in its message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Conditions,
    /// The training's Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobRecord>,
    /// The artifact; its digest is the authority. Written once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactRecord>,
    /// Who vouches for the artifact. Written once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureRecord>,
    /// What it learned from. Written once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetRecord>,
    /// How good it is. Written once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub metrics: Option<Vec<Metric>>,
    /// How good the active version is on the same data. Written once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub baseline_metrics: Option<Vec<Metric>>,
    /// Statistics of its data, against which drift is measured. Written once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_stats: Option<ObjectRecord>,
    /// How far the training is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub progress_percent: Option<i32>,
    /// Seconds that are left, as the training reckons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub eta_seconds: Option<i64>,
    /// When the training last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_report_time: Option<Time>,
    /// Who needs it: Active, Previous, Rollout, Experiment/<name>, Pin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub used_by: Vec<ShortText>,
    /// What `kubectl get` prints, for people; programs read the other fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "columns")]
    pub columns: Columns,
}

/// How far a version is; it only moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum VersionPhase {
    Pending,
    Training,
    Verifying,
    Ready,
    Failed,
    Expired,
}

/// The training's Job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    /// Its name.
    pub name: ObjectName,
    /// Its UID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<ShortText>,
    /// Attempts so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub attempts: Option<i32>,
    /// When the first attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// GPU seconds: duration times GPUs asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub gpu_seconds: Option<i64>,
}

/// The artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactRecord {
    /// Where it lies.
    pub uri: StoreUri,
    /// Its digest: the SHA-256 of its manifest.
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[a-f0-9]{64}$')").message("must be the 64 lower-case hexadecimal digits of a SHA-256"))]
    pub sha256: String,
    /// Bytes of all its objects.
    #[schemars(range(min = 0))]
    pub size_bytes: i64,
    /// Version of the artifact format.
    #[schemars(range(min = 1, max = 1000))]
    pub format_version: i32,
    /// Digest of the manifest file.
    pub manifest_sha256: Sha256Text,
}

/// Who vouches for the artifact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignatureRecord {
    /// Id of the key.
    pub key_id: ShortText,
    /// When the signature was verified.
    pub verified_at: Time,
}

/// What a version learned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatasetRecord {
    /// Digest of the dataset's manifest.
    pub manifest_sha256: Sha256Text,
    /// Order lines.
    #[schemars(range(min = 0))]
    pub rows: i64,
    /// The oldest order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_time: Option<Time>,
    /// The newest order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_time: Option<Time>,
    /// Events of the model's log before this offset were learned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub events_until: Option<i64>,
}

/// One figure of the evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Metric {
    /// Its name, such as ndcg@10.
    pub name: MetricName,
    /// Its value.
    pub value: DecimalText,
    /// The split it was measured on.
    pub split: Identifier,
}

/// An object of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRecord {
    /// Where it lies.
    pub uri: StoreUri,
    /// Its digest.
    pub sha256: Sha256Text,
}
