//! What is observed of an experiment.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::columns::{Columns, columns};
use crate::common::conditions::{Conditions, conditions};
use crate::common::text::{DecimalText, DnsLabel, ShortText};
use crate::recommender_model::status::{GateVerdict, GateWindow};

/// What is observed of an experiment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExperimentStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// How far the experiment is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<ExperimentPhase>,
    /// Conditions; each carries the generation it speaks of, a stable reason, and numbers in its message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Conditions,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ends at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Time>,
    /// Units that each arm needs for the power that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub required_sample_per_arm: Option<i64>,
    /// Buckets of each arm; recorded, so that the assignment survives everything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub buckets: Vec<ArmBuckets>,
    /// The arms, the control first, such as old,new: a printer column shows only single values.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub arm_names: Option<ShortText>,
    /// What was measured of each arm.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 5),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub arms: Vec<ArmResult>,
    /// The guardrails' window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<GateWindow>,
    /// The guardrails of the last window.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub guardrails: Vec<GateVerdict>,
    /// p-value of the check that the arms got their shares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub srm_p_value: Option<DecimalText>,
    /// How often the sample ratio was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ratio_looks: Option<i32>,
    /// The arm that won.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner: Option<DnsLabel>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<Conclusion>,
    /// What `kubectl get` prints, for people; programs read the other fields.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "columns")]
    pub columns: Columns,
}

/// How far an experiment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExperimentPhase {
    Pending,
    Running,
    Stopping,
    Completed,
    Failed,
}

/// A range of buckets that an arm owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArmBuckets {
    /// Name of the arm.
    pub arm: DnsLabel,
    /// The first bucket.
    #[schemars(range(min = 0, max = 10_000))]
    pub from: i32,
    /// The bucket after the last.
    #[schemars(range(min = 0, max = 10_000))]
    pub to: i32,
}

/// What was measured of one arm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArmResult {
    /// Name of the arm.
    pub name: DnsLabel,
    /// Units that were assigned.
    #[schemars(range(min = 0))]
    pub users: i64,
    /// Lists that were shown.
    #[schemars(range(min = 0))]
    pub exposures: i64,
    /// Events that count for the primary metric.
    #[schemars(range(min = 0))]
    pub events: i64,
    /// The primary metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<DecimalText>,
    /// Lower end of its interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci_low: Option<DecimalText>,
    /// Upper end of its interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci_high: Option<DecimalText>,
    /// Relative lift over the control; the control has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lift: Option<DecimalText>,
    /// p-value against the control; the control has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<DecimalText>,
}

/// How an experiment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Conclusion {
    Winner,
    NoDifference,
    GuardrailBreach,
    SampleRatioMismatch,
    Stopped,
}
