//! What the operator reports of a model: what is on the wire, not what was asked for.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::columns::{Columns, columns};
use crate::common::conditions::{Conditions, conditions};
use crate::common::text::{DnsLabel, Identifier, MessageText, ShortText, Token, VersionName};

pub use super::rollout_status::{ArmCounts, Ending, GateVerdict, GateWindow, RolloutPhase, RolloutStatus, Verdict};
pub use super::status_parts::{
    DriftStatus, LastTrigger, PendingTraining, RetrainingStatus, TrainingStatus, TriggerType, WorstDrift,
};

/// What is observed of a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RecommenderModelStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// A summary for people; programs read the conditions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<ModelPhase>,
    /// Conditions; each carries the generation it speaks of, a stable reason, and numbers in its message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Conditions,
    /// The newest version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_version: Option<VersionName>,
    /// The version that serves new units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_version: Option<VersionName>,
    /// The version that is being promoted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_version: Option<VersionName>,
    /// The version that served before, kept warm for a way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_version: Option<VersionName>,
    /// spec.rollout.retryToken when it was last honoured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_token_seen: Option<Token>,
    /// The highest version number ever allocated; it never falls.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub version_high_water: Option<i32>,
    /// Versions that are not tried again without a change of the spec.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub rejected_versions: Vec<RejectedVersion>,
    /// The rollout that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
    /// The one writer of traffic: Rollout, Experiment/<name> or None.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_owner: Option<ShortText>,
    /// Arms with their weights, from the routers' acknowledgements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub traffic: Vec<ArmTraffic>,
    /// The routing table and who has taken it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<RoutingStatus>,
    /// Predictor pods of the active version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub replicas: Option<i32>,
    /// Ready predictor pods of the active version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ready_replicas: Option<i32>,
    /// Label selector of the active version's pods, for autoscalers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<ShortText>,
    /// The stable address for the OMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<ShortText>,
    /// The training that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingStatus>,
    /// What started trainings and what holds them back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retraining: Option<RetrainingStatus>,
    /// The last drift window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftStatus>,
    /// The last promotions and rollbacks; more is in events and versions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub history: Vec<HistoryEntry>,
    /// What `kubectl get` prints, for people; programs read the other fields.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "columns")]
    pub columns: Columns,
}

/// A summary for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ModelPhase {
    Pending,
    Training,
    Serving,
    RollingOut,
    RollingBack,
    Experimenting,
    Degraded,
    Paused,
    Deleting,
}

/// A version that is not tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RejectedVersion {
    /// The version.
    pub version: VersionName,
    /// Why it was rejected.
    pub reason: Identifier,
    /// When it was rejected.
    pub time: Time,
}

/// One arm as the routers serve it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArmTraffic {
    /// The version.
    pub version: VersionName,
    /// active, candidate, or the name of an experiment's arm.
    pub arm: DnsLabel,
    /// Weight that was asked for, in hundredths of a percent of the units.
    #[schemars(range(min = 0, max = 10_000))]
    pub weight: i32,
    /// Ready pods of the version.
    #[schemars(range(min = 0))]
    pub ready_replicas: i32,
    /// Weight that every live router has acknowledged, in hundredths of a percent.
    #[schemars(range(min = 0, max = 10_000))]
    pub acked_weight: i32,
}

/// The routing table and who has taken it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoutingStatus {
    /// Revision of the table.
    #[schemars(range(min = 0))]
    pub revision: i64,
    /// SHA-256 of the table.
    pub hash: ShortText,
    /// Routers that acknowledged it.
    #[schemars(range(min = 0))]
    pub routers_synced: i32,
    /// Routers that live.
    #[schemars(range(min = 0))]
    pub routers_total: i32,
}

/// One promotion, rollback or abort.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// The version it was about.
    pub version: VersionName,
    /// The version that served before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<VersionName>,
    /// When it ended.
    pub time: Time,
    /// How it ended.
    pub outcome: Outcome,
    /// Who asked for it, or unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ShortText>,
    /// Why it ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<MessageText>,
}

/// How a promotion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    Promoted,
    RolledBack,
    Aborted,
    Superseded,
}
