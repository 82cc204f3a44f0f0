//! Online gates: what is measured on the wire while a version takes traffic, in rollouts and experiments.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{DecimalText, DnsLabel};

/// A limit on one figure that the routers and insights measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.min) || has(self.max) || has(self.maxRegressionPercent)")
        .message("a gate needs a limit: set min, max or maxRegressionPercent"),
    validation = Rule::new("!has(self.min) || !has(self.max) || double(self.min) <= double(self.max)")
        .message("min must not be above max"),
    validation = Rule::new("!has(self.maxRegressionPercent) || self.compare == 'VsActive'")
        .message("maxRegressionPercent is relative to the active version: set compare: VsActive")
)]
pub struct OnlineGate {
    /// Name of the gate, unique in its list; it shows in status, events and metrics.
    pub name: DnsLabel,
    /// What is measured. Rates and shares are between 0 and 1, latencies in milliseconds.
    pub builtin: BuiltinMetric,
    /// Absolute judges against min and max; VsActive also against the active version (in an experiment: the control arm).
    #[serde(default)]
    pub compare: Compare,
    /// The figure must not be below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<DecimalText>,
    /// The figure must not be above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<DecimalText>,
    /// By how many percent the figure may be worse than the active version's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_regression_percent: Option<DecimalText>,
    /// Confidence of the verdict over the whole rollout, however many windows it takes.
    #[serde(default = "confidence")]
    #[x_kube(validation = Rule::new("double(self) >= 0.5 && double(self) < 1.0")
        .message("must be at least 0.5 and below 1, such as \"0.99\""))]
    pub confidence: DecimalText,
    /// Measure and report, but never hold or roll back.
    #[serde(default)]
    pub dry_run: bool,
}

fn confidence() -> DecimalText {
    "0.99".into()
}

impl OnlineGate {
    /// A gate without limits; the caller sets at least one.
    pub fn of(name: &str, builtin: BuiltinMetric) -> Self {
        Self {
            name: name.into(),
            builtin,
            compare: Compare::Absolute,
            min: None,
            max: None,
            max_regression_percent: None,
            confidence: confidence(),
            dry_run: false,
        }
    }
}

/// What the routers and insights measure themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum BuiltinMetric {
    SuccessRate,
    LatencyP99,
    LatencyP50,
    EmptyResultRate,
    FallbackRate,
    #[serde(rename = "ScoreDriftPSI")]
    ScoreDriftPsi,
    Ctr,
    Coverage,
    Diversity,
}

/// What a gate compares with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Compare {
    #[default]
    Absolute,
    VsActive,
}
