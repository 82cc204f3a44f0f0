//! The design of an experiment: arms, audience, the figure that decides, the analysis.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::gates::{BuiltinMetric, Compare, OnlineGate};
use crate::common::rule::rule;
use crate::common::text::{DecimalText, DnsLabel, HeaderName, Identifier, ShortText, VersionName};

/// One version that is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Arm {
    /// Name of the arm.
    pub name: DnsLabel,
    /// Name of the ModelVersion.
    #[schemars(length(min = 1, max = 63))]
    pub version_ref: VersionName,
    /// Share relative to the other arms.
    #[schemars(range(min = 1, max = 10_000))]
    pub weight: i32,
    /// Whether the others are compared with this one.
    #[serde(default)]
    pub control: bool,
}

/// Who may take part: all matches must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Audience {
    /// Headers of the request.
    #[schemars(length(max = 4))]
    pub header_matches: Vec<HeaderMatch>,
}

/// A header that must have one of some values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeaderMatch {
    /// Name of the header.
    pub header: HeaderName,
    /// Values of which one must be equal.
    #[schemars(length(min = 1, max = 16))]
    pub values: Vec<ShortText>,
}

/// The figure that decides. Its unit of analysis is the unit of assignment, not the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PrimaryMetric {
    /// Ctr, Conversion, RevenuePerUser, or a figure of your own that events carry.
    pub name: Identifier,
    /// Which way is better.
    #[serde(default)]
    pub direction: Direction,
    /// The smallest relative effect that matters, such as "0.02"; it sets the sample size.
    #[schemars(extend("x-kubernetes-validations" = rule(
        "double(self) > 0.0 && double(self) <= 1.0",
        "must be above 0 and at most 1, such as \"0.02\" for two percent",
    )))]
    pub mde: DecimalText,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Direction {
    #[default]
    Increase,
    Decrease,
}

/// How an experiment is analysed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Analysis {
    /// Probability of seeing a difference where there is none.
    #[schemars(extend("x-kubernetes-validations" = rule(
        "double(self) > 0.0 && double(self) <= 0.2",
        "must be above 0 and at most 0.2, such as \"0.05\"",
    )))]
    pub alpha: DecimalText,
    /// Probability of seeing a difference of mde where there is one.
    #[schemars(extend("x-kubernetes-validations" = rule(
        "double(self) >= 0.5 && double(self) < 1.0",
        "must be at least 0.5 and below 1, such as \"0.8\"",
    )))]
    pub power: DecimalText,
    /// FixedHorizon judges once, when the required sample is there and minDuration has passed.
    pub method: Method,
    /// Level of the chi-square check that the arms got their shares.
    #[schemars(extend("x-kubernetes-validations" = rule(
        "double(self) > 0.0 && double(self) <= 0.05",
        "must be above 0 and at most 0.05, such as \"0.001\"",
    )))]
    pub srm_alpha: DecimalText,
}

impl Default for Analysis {
    fn default() -> Self {
        Self { alpha: "0.05".into(), power: "0.8".into(), method: Method::FixedHorizon, srm_alpha: "0.001".into() }
    }
}

/// How often an experiment is judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Method {
    #[default]
    FixedHorizon,
}

pub(super) fn default_guardrails() -> Vec<OnlineGate> {
    vec![
        OnlineGate { min: Some("0.995".into()), ..OnlineGate::of("success-rate", BuiltinMetric::SuccessRate) },
        OnlineGate { max: Some("150".into()), ..OnlineGate::of("latency-p99", BuiltinMetric::LatencyP99) },
        OnlineGate {
            compare: Compare::VsActive,
            max_regression_percent: Some("20".into()),
            ..OnlineGate::of("coverage", BuiltinMetric::Coverage)
        },
    ]
}
