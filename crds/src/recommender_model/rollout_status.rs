//! What is observed of a rollout: its step, the gates' windows and verdicts. It is also the operator's memory between two looks.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::Outcome;
use crate::common::text::{DecimalText, DnsLabel, MessageText, ShortText, VersionName};

/// A rollout that is under way, or that has ended and is still watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// The candidate.
    pub version: VersionName,
    /// How far the rollout is.
    pub phase: RolloutPhase,
    /// The version that serves everybody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<VersionName>,
    /// Who asked for it: a name, policy, or unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ShortText>,
    /// Name of the policy's step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<DnsLabel>,
    /// Percent of the units that the candidate gets.
    #[schemars(range(min = 0, max = 100))]
    pub weight: i32,
    /// It served before and needs no steps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restoring: bool,
    /// When the rollout began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When every live router served the step's weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_started_at: Option<Time>,
    /// When the candidate must be ready, or when the previous version is let go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// The gate that was judged last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_gate: Option<GateVerdict>,
    /// The gates of the last window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub gates: Vec<GateVerdict>,
    /// The window that is being measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<GateWindow>,
    /// Why the weight is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_reason: Option<MessageText>,
    /// Why the candidate is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

/// How far a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RolloutPhase {
    /// The candidate is started and takes no traffic.
    Preparing,
    /// The candidate takes the step's share.
    Stepping,
    /// The candidate takes everything; routers are taking it in.
    Promoting,
    /// The candidate is active; the version before it is kept warm.
    Cooling,
    /// The candidate takes nothing; routers are taking it in.
    RollingBack,
}

/// Why a candidate is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ending {
    /// How it will stand in the history.
    pub outcome: Outcome,
    /// What made the operator do so, with numbers.
    pub reason: MessageText,
    /// Whether it may be tried again without a change of the spec.
    #[serde(default)]
    pub rejected: bool,
}

/// A window of the gates. Evidence is counted from the step's beginning; a window is when it is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateWindow {
    /// Number of the window in the rollout, from 1.
    #[schemars(range(min = 1))]
    pub number: i32,
    /// When it was opened.
    pub started_at: Time,
    /// When evidence began to be counted.
    pub since: Time,
    /// When a window last closed with a verdict on every gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_at: Option<Time>,
    /// The series of counts that the baseline belongs to; another one means that counting began anew.
    pub epoch: ShortText,
    /// Requests of the candidate when the window was opened, since the epoch.
    #[schemars(range(min = 0))]
    pub samples_at: i64,
    /// Counts when evidence began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub baseline: Vec<ArmCounts>,
    /// Numbers of the last windows that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub failed: Vec<i32>,
}

/// What routers counted of one version in one arm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArmCounts {
    /// active, candidate, or the name of an experiment's arm.
    pub arm: ShortText,
    /// The version.
    pub version: ShortText,
    /// Questions of its units.
    #[schemars(range(min = 0))]
    pub requests: i64,
    /// Of them, those that the version did not answer.
    #[schemars(range(min = 0))]
    pub errors: i64,
    /// Of them, those that another rung answered.
    #[schemars(range(min = 0))]
    pub fallback: i64,
    /// Answers without an item.
    #[schemars(range(min = 0))]
    pub empty: i64,
    /// Answers by latency, as the routers' histogram.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub latency: Vec<i64>,
}

/// The verdict of one gate over one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateVerdict {
    /// Name of the gate.
    pub name: DnsLabel,
    /// Only Pass moves forward, only Fail counts to a rollback.
    pub verdict: Verdict,
    /// What was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<DecimalText>,
    /// Lower end of its interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<DecimalText>,
    /// Upper end of its interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<DecimalText>,
    /// What it was held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<DecimalText>,
    /// How many requests it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub samples: Option<i64>,
    /// The number of the window in the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub window: Option<i32>,
    /// Whether it is only reported.
    #[serde(default, rename = "dryRun", skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// A gate's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    Pass,
    Fail,
    Inconclusive,
}
