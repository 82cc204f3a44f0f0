//! `spec.monitoring`: what is watched for drift, and how closely.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::rule::between;
use crate::common::text::{DecimalText, DurationText, Identifier};

/// What is watched for drift, and how closely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Monitoring {
    /// Length of one drift window.
    #[schemars(extend("x-kubernetes-validations" = between("10s", "24h")))]
    pub interval: DurationText,
    /// Signals that are watched; without it scores, the rate of unknown customers and products, and the top features.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub drift: Vec<DriftSignal>,
    /// A drop of the click-through rate.
    pub ctr: Drop,
    /// A drop of the share of the catalogue that is shown.
    #[serde(default = "coverage")]
    pub coverage: Drop,
}

impl Default for Monitoring {
    fn default() -> Self {
        Self { interval: "15m".into(), drift: Vec::new(), ctr: Drop::default(), coverage: coverage() }
    }
}

fn coverage() -> Drop {
    Drop { max_drop_percent: 20, ..Drop::default() }
}

/// One signal that is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(self.signal in ['NumericFeature', 'CategoricalFeature']) || has(self.feature)")
        .message("a signal on a feature needs feature, the feature's name"),
    validation = Rule::new("self.statistic == 'Rate' || self.signal in ['NumericFeature', 'CategoricalFeature', 'Score']")
        .message("Psi and Ks compare distributions: use them for NumericFeature, CategoricalFeature and Score, and Rate for the others")
)]
pub struct DriftSignal {
    /// What is watched.
    pub signal: Signal,
    /// Name of the feature, for signals on features and their nulls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<Identifier>,
    /// How it is judged: population stability index, Kolmogorov-Smirnov distance, or a rate.
    pub statistic: Statistic,
    /// Limit of the statistic; without it the statistic's own, which grows as samples shrink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<DecimalText>,
    /// Samples that a window needs before it is judged.
    #[serde(default = "samples")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub min_samples: i64,
}

fn samples() -> i64 {
    500
}

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Signal {
    NumericFeature,
    CategoricalFeature,
    Score,
    UnknownRate,
    PopularityConcentration,
    Freshness,
    NullRate,
}

/// How a signal is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Statistic {
    Psi,
    Ks,
    Rate,
}

/// A relative drop against a baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Drop {
    /// Drop that counts as drift, in percent of the baseline.
    #[schemars(range(min = 1, max = 100))]
    pub max_drop_percent: i32,
    /// SameWeekday compares with the same weekday of earlier weeks, TrailingWindows with the windows just before (for short-lived traffic and demonstrations).
    pub baseline: Baseline,
    /// How many weeks or windows make the baseline.
    #[schemars(range(min = 1, max = 52))]
    pub windows: i32,
    /// Exposures that a window needs before it is judged.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub min_samples: i64,
}

impl Default for Drop {
    fn default() -> Self {
        Self { max_drop_percent: 10, baseline: Baseline::SameWeekday, windows: 4, min_samples: 500 }
    }
}

/// What a drop is measured against.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Baseline {
    #[default]
    SameWeekday,
    TrailingWindows,
}
