//! `spec.retraining`: when a version is trained again, and what bounds the spending.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::rule::{at_least, five_fields, rule};
use crate::common::text::{CronText, DurationText, TimeZone, Token};

/// When versions are trained again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Retraining {
    /// Five-field cron of regular trainings.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = five_fields()))]
    pub schedule: Option<CronText>,
    /// IANA time zone of the schedule.
    pub time_zone: TimeZone,
    /// Train when drift is found.
    pub on_drift: OnDrift,
    /// Train when enough new data has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = rule(
        "has(self.minRows) || has(self.minPercent)",
        "onNewData needs minRows, minPercent or both",
    )))]
    pub on_new_data: Option<OnNewData>,
    /// Any changed value starts one training. It ignores the cool-down, not the budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Token>,
    /// Rest between two trainings that were not asked for by hand.
    #[schemars(extend("x-kubernetes-validations" = at_least("1s")))]
    pub cooldown: DurationText,
    /// How many trainings there may be in how long. Required when drift may start trainings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Stops trainings that never make it better.
    pub circuit_breaker: CircuitBreaker,
}

impl Default for Retraining {
    fn default() -> Self {
        Self {
            schedule: None,
            time_zone: "Etc/UTC".into(),
            on_drift: OnDrift::default(),
            on_new_data: None,
            trigger: None,
            cooldown: "6h".into(),
            budget: None,
            circuit_breaker: CircuitBreaker::default(),
        }
    }
}

/// Training on drift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OnDrift {
    /// Whether drift starts a training.
    pub enabled: bool,
    /// Windows in a row that must drift.
    #[schemars(range(min = 1, max = 48))]
    pub consecutive_windows: i32,
}

impl Default for OnDrift {
    fn default() -> Self {
        Self { enabled: false, consecutive_windows: 3 }
    }
}

/// Training on new data, over what the active version was trained on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OnNewData {
    /// New rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub min_rows: Option<i64>,
    /// New rows in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub min_percent: Option<i32>,
}

/// How many trainings there may be in how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Budget {
    /// The window that slides.
    #[schemars(extend("x-kubernetes-validations" = at_least("1h")))]
    pub window: DurationText,
    /// Trainings in the window.
    #[schemars(range(min = 1, max = 1000))]
    pub max_runs: i32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { window: "168h".into(), max_runs: 14 }
    }
}

/// Stops trainings that never make it better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CircuitBreaker {
    /// Versions in a row that were rejected; a manual trigger closes the circuit again.
    #[schemars(range(min = 1, max = 20))]
    pub max_consecutive_rejected: i32,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self { max_consecutive_rejected: 3 }
    }
}
