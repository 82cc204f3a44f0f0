//! PromotionPolicy: how a version becomes the active one, and when it is taken back.

pub mod offline;
pub mod online;
pub mod status;
pub mod steps;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::rule::between;
use crate::common::text::DurationText;
use offline::Offline;
use online::Online;
use status::PromotionPolicyStatus;
use steps::{Freeze, Step, default_steps};

/// How a version becomes the active one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "endcap.dev",
    version = "v1alpha1",
    kind = "PromotionPolicy",
    plural = "promotionpolicies",
    singular = "promotionpolicy",
    shortname = "recpp",
    category = "endcap",
    namespaced,
    status = "PromotionPolicyStatus",
    derive = "PartialEq",
    doc = "How versions of models become active: offline gates, steps of weight, online gates, rollback and freezes. Models name it in spec.promotionPolicyRef.",
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(
        name = "Steps",
        type_ = "string",
        json_path = ".status.stepWeights",
        description = "Weights of the steps in percent"
    ),
    printcolumn(
        name = "Used-By",
        type_ = "integer",
        json_path = ".status.referencedBy",
        description = "Models that name this policy"
    ),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Accepted")].status"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct PromotionPolicySpec {
    /// Manual promotes what spec.promotedVersion of the model names. Automatic makes the newest Ready version that passes the offline gates the target; no spec is touched.
    #[serde(default)]
    pub mode: Mode,
    /// What a version must show in its evaluation before it takes any traffic.
    #[serde(default)]
    pub offline: Offline,
    /// Shares of the units that a candidate gets, one after the other.
    #[serde(default = "default_steps")]
    #[schemars(length(min = 1, max = 12))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("self.map(s, s.weight).isSorted() && self[size(self) - 1].weight == 100")
            .message("weights must not fall from step to step, and the last must be 100"),
    )]
    pub steps: Vec<Step>,
    /// What is measured while a candidate takes traffic.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self.failureLimit <= self.failureWindow")
        .message("failureLimit must not be above failureWindow: so many windows could never fail"))]
    pub online: Online,
    /// What happens when a candidate fails.
    #[serde(default)]
    pub rollback: Rollback,
    /// How long a candidate's pods may take to become ready.
    #[serde(default = "half_an_hour")]
    #[schemars(extend("x-kubernetes-validations" = between("1m", "168h")))]
    pub progress_deadline: DurationText,
    /// Times in which no weight rises; a rollback is always allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub freeze: Vec<Freeze>,
    /// What a new target does to a running rollout. The baseline is always the active version.
    #[serde(default)]
    pub superseding: Superseding,
}

fn half_an_hour() -> DurationText {
    "30m".into()
}

/// Who chooses the version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    #[default]
    Manual,
    Automatic,
}

/// What a new target does to a running rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Superseding {
    #[default]
    Replace,
    Queue,
}

/// What happens when a candidate fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rollback {
    /// Roll back at once; false holds the weight and waits for a person.
    pub automatic: bool,
    /// How long the previous version stays scaled after a promotion.
    pub keep_previous_warm: DurationText,
    /// How many versions of the history may be restored without steps. The model's retention.keepPromoted must exceed it.
    #[schemars(range(min = 0, max = 10))]
    pub window: i32,
}

impl Default for Rollback {
    fn default() -> Self {
        Self { automatic: true, keep_previous_warm: "1h".into(), window: 3 }
    }
}
