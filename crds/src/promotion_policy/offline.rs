//! Offline gates: what a version must show in its evaluation before it takes any traffic.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::text::{DecimalText, DnsLabel, Identifier, MetricName, Sha256Text};

/// What a version must show in its evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Offline {
    /// The split of the evaluation that min and max are held against: validation, the newest orders, which the evaluated model had not seen.
    pub split: Identifier,
    /// Limits; all must hold.
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub gates: Vec<OfflineGate>,
    /// Refuse a version where maxRegressionPercent cannot be judged because too few orders came after the active version was trained. Otherwise it passes with a word about it, and the canary decides.
    pub require_same_dataset: bool,
    /// A version needs a person's word, too: the annotation endcap.dev/sign-off, with what endcap validate --sign-off-by wrote of its artifact. {} takes a sign-off by any scenarios.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_off: Option<SignOffGate>,
}

/// Which sign-off a version needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SignOffGate {
    /// SHA-256 of the scenario file that must have passed; any when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenarios_sha256: Option<Sha256Text>,
}

impl Default for Offline {
    fn default() -> Self {
        Self {
            split: Identifier("validation".to_owned()),
            gates: vec![OfflineGate {
                name: "ndcg".into(),
                metric: "ndcg@10".into(),
                min: None,
                max: None,
                max_regression_percent: Some("1".into()),
            }],
            require_same_dataset: false,
            sign_off: None,
        }
    }
}

/// A limit on one figure of the evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.min) || has(self.max) || has(self.maxRegressionPercent)")
        .message("a gate needs a limit: set min, max or maxRegressionPercent"),
    validation = Rule::new("!has(self.min) || !has(self.max) || double(self.min) <= double(self.max)")
        .message("min must not be above max")
)]
pub struct OfflineGate {
    /// Name of the gate, unique in its list.
    pub name: DnsLabel,
    /// The figure, as the evaluation names it: ndcg@10, recall@10, hit_rate@10. Only ndcg@10 is also measured of the active version, for maxRegressionPercent.
    pub metric: MetricName,
    /// It must not be below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<DecimalText>,
    /// It must not be above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<DecimalText>,
    /// By how many percent it may be worse than the active version's on the same data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_regression_percent: Option<DecimalText>,
}
