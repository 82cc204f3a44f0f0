//! The parts of a model's status that speak of training and drift.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::text::{DecimalText, Identifier, MessageText, ObjectName, ShortText, Token, VersionName};

/// A training that is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrainingStatus {
    /// The version that is trained.
    pub version: VersionName,
    /// Name of the Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<ObjectName>,
    /// Which attempt it is, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub attempt: Option<i32>,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub progress_percent: Option<i32>,
    /// Seconds that are left, as the training reckons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub eta_seconds: Option<i64>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_report_time: Option<Time>,
}

/// What started trainings and what holds them back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RetrainingStatus {
    /// What started the last training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_trigger: Option<LastTrigger>,
    /// A training that was decided on and whose version is about to be created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingTraining>,
    /// spec.retraining.trigger when it was last honoured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handled_token: Option<Token>,
    /// Why the last trigger started nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<MessageText>,
    /// When the schedule fires next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_schedule: Option<Time>,
    /// Until when automatic trainings rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown_until: Option<Time>,
    /// Trainings in the budget's window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub runs_in_window: Option<i32>,
    /// GPU hours in the budget's window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_hours_in_window: Option<DecimalText>,
    /// Versions in a row that were rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub consecutive_rejected: Option<i32>,
}

/// A training that was decided on: its number is taken before the version is created, so that no number is used twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PendingTraining {
    /// Number of the version.
    #[schemars(range(min = 1))]
    pub version: i32,
    /// Kind of the trigger.
    #[serde(rename = "type")]
    pub type_: TriggerType,
    /// What it said.
    pub reason: MessageText,
    /// Value of spec.retraining.trigger when it was manual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// When it was decided.
    pub time: Time,
}

/// What started a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LastTrigger {
    /// Kind of the trigger.
    #[serde(rename = "type")]
    pub type_: TriggerType,
    /// When it fired.
    pub time: Time,
    /// What it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<MessageText>,
}

/// Kinds of triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TriggerType {
    Manual,
    Schedule,
    Drift,
    NewData,
    Initial,
}

/// The last drift window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DriftStatus {
    /// When drift was last looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_checked_at: Option<Time>,
    /// The signal that is furthest beyond its limit, or nearest to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst: Option<WorstDrift>,
    /// Windows in a row that drifted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub consecutive: Option<i32>,
    /// Samples of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub samples: Option<i64>,
}

/// The worst signal of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorstDrift {
    /// The signal or feature.
    pub name: Identifier,
    /// The statistic.
    pub stat: ShortText,
    /// Its value.
    pub value: DecimalText,
    /// Its limit.
    pub threshold: DecimalText,
}
