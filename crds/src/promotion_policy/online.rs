//! Online gates of a rollout and how their windows are judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::gates::{BuiltinMetric, Compare, OnlineGate};
use crate::common::rule::{at_least, between};
use crate::common::text::DurationText;

/// What is measured while a candidate takes traffic, and how its windows are judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Online {
    /// Limits; only when all pass the weight rises.
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub gates: Vec<OnlineGate>,
    /// Shortest window.
    #[schemars(extend("x-kubernetes-validations" = between("10s", "24h")))]
    pub interval: DurationText,
    /// A window closes at the later of interval and this many requests of the candidate.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub min_samples: i64,
    /// What a window without data means, also when the source of a figure fails.
    pub no_data: NoData,
    /// After this long without a verdict the rollout pauses and says so; it never promotes.
    #[schemars(extend("x-kubernetes-validations" = at_least("1m")))]
    pub max_hold: DurationText,
    /// Failed windows out of the last failureWindow that make a rollback.
    #[schemars(range(min = 1, max = 10))]
    pub failure_limit: i32,
    /// How many windows are looked at.
    #[schemars(range(min = 1, max = 20))]
    pub failure_window: i32,
}

impl Default for Online {
    fn default() -> Self {
        Self {
            gates: default_gates(),
            interval: "30s".into(),
            min_samples: 500,
            no_data: NoData::Hold,
            max_hold: "24h".into(),
            failure_limit: 2,
            failure_window: 5,
        }
    }
}

/// The gates of a policy that names none.
pub fn default_gates() -> Vec<OnlineGate> {
    vec![
        OnlineGate { min: Some("0.995".into()), ..OnlineGate::of("success-rate", BuiltinMetric::SuccessRate) },
        OnlineGate {
            compare: Compare::VsActive,
            max: Some("150".into()),
            max_regression_percent: Some("50".into()),
            ..OnlineGate::of("latency-p99", BuiltinMetric::LatencyP99)
        },
        OnlineGate { max: Some("0.01".into()), ..OnlineGate::of("empty-results", BuiltinMetric::EmptyResultRate) },
        OnlineGate { max: Some("0.01".into()), ..OnlineGate::of("fallbacks", BuiltinMetric::FallbackRate) },
    ]
}

/// What a window without data means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NoData {
    #[default]
    Hold,
    Fail,
    Pass,
}
