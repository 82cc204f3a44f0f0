//! Experiment: versions side by side on fixed shares of the units, judged by one figure.

pub mod design;
pub mod status;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::gates::OnlineGate;
use crate::common::refs::ModelRef;
use crate::common::rule::{at_least, between};
use crate::common::text::{DurationText, ShortText};
use crate::common::unit::UnitSource;
use design::{Analysis, Arm, Audience, PrimaryMetric, default_guardrails};
use status::ExperimentStatus;

/// Versions side by side on fixed shares of the units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "endcap.dev",
    version = "v1alpha1",
    kind = "Experiment",
    plural = "experiments",
    singular = "experiment",
    shortname = "recexp",
    category = "endcap",
    namespaced,
    status = "ExperimentStatus",
    derive = "PartialEq",
    doc = "Versions of one model side by side on fixed shares of the units, judged by one figure. Other systems have a kind of this name too: write experiments.endcap.dev or recexp.",
    selectable = ".spec.modelRef.name",
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.modelRef.name"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Arms",
        type_ = "string",
        json_path = ".status.columns.arms",
        description = "The arms, the control first"
    ),
    printcolumn(
        name = "Primary",
        type_ = "string",
        json_path = ".spec.primaryMetric.name",
        description = "The figure that decides"
    ),
    printcolumn(
        name = "Lift",
        type_ = "string",
        json_path = ".status.columns.lift",
        description = "Relative lift of the first treatment"
    ),
    printcolumn(
        name = "P",
        type_ = "string",
        json_path = ".status.columns.p",
        description = "p-value of the first treatment"
    ),
    printcolumn(
        name = "SRM",
        type_ = "string",
        json_path = ".status.columns.srm",
        description = "p-value of the sample-ratio check"
    ),
    printcolumn(name = "Ends", type_ = "string", json_path = ".status.columns.ends"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Winner", type_ = "string", json_path = ".status.columns.winner", priority = 1),
    printcolumn(name = "Conclusion", type_ = "string", json_path = ".status.columns.conclusion", priority = 1)
)]
#[x_kube(
    validation = Rule::new("has(self.salt) == has(oldSelf.salt) && (!has(self.salt) || self.salt == oldSelf.salt)")
        .message("salt cannot be set, changed or removed after creation: create another Experiment"),
    validation = Rule::new("has(self.unit) == has(oldSelf.unit) && (!has(self.unit) || self.unit == oldSelf.unit)")
        .message("unit cannot be set, changed or removed after creation: create another Experiment"),
    validation = Rule::new("duration(self.minDuration) <= duration(self.maxDuration)")
        .message("minDuration must not be longer than maxDuration")
)]
pub struct ExperimentSpec {
    /// The model whose versions are compared.
    #[x_kube(validation = Rule::new("self == oldSelf").message("modelRef cannot change: create another Experiment"))]
    pub model_ref: ModelRef,
    /// What is compared. Weights are relative to each other; exactly one arm is the control.
    #[schemars(length(min = 2, max = 5))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("self == oldSelf").message("arms cannot change: create another Experiment"),
        validation = Rule::new("self.filter(a, a.control).size() == 1").message("exactly one arm must have control: true"),
        validation = Rule::new("self.all(a, self.exists_one(b, b.versionRef == a.versionRef))").message("every arm needs a version of its own"),
    )]
    pub arms: Vec<Arm>,
    /// Percent of the units that take part; the rest gets the active version and is not analysed.
    #[serde(default = "everybody")]
    #[schemars(range(min = 1, max = 100))]
    pub traffic_percent: i32,
    /// What is assigned to an arm; without it as spec.routing.unit of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitSource>,
    /// Salt of the assignment, independent of the rollout's; without it the UID of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub salt: Option<ShortText>,
    /// Who may take part; without it everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// When it begins; without it at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// It does not conclude earlier. Whole weeks are wise: shoppers have weekdays.
    #[serde(default = "a_week")]
    #[schemars(extend("x-kubernetes-validations" = between("10s", "8784h")))]
    pub min_duration: DurationText,
    /// It concludes then at the latest.
    #[serde(default = "four_weeks")]
    #[schemars(extend("x-kubernetes-validations" = between("10s", "8784h")))]
    pub max_duration: DurationText,
    /// The figure that decides.
    #[x_kube(validation = Rule::new("self == oldSelf").message("primaryMetric cannot change: create another Experiment"))]
    pub primary_metric: PrimaryMetric,
    /// Limits whose breach stops the experiment; VsActive compares with the control arm.
    #[serde(default = "default_guardrails")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub guardrails: Vec<OnlineGate>,
    /// How it is analysed.
    #[serde(default)]
    pub analysis: Analysis,
    /// For how long a click or purchase counts for the arm of the last exposure.
    #[serde(default = "a_day")]
    #[schemars(extend("x-kubernetes-validations" = at_least("1m")))]
    pub attribution_window: DurationText,
    /// What a clear winner leads to. PromoteWinner needs a policy with mode Automatic.
    #[serde(default)]
    pub on_conclusion: OnConclusion,
    /// End it now, without a conclusion.
    #[serde(default)]
    pub stop: bool,
}

fn everybody() -> i32 {
    100
}

fn a_day() -> DurationText {
    "24h".into()
}

fn a_week() -> DurationText {
    "168h".into()
}

fn four_weeks() -> DurationText {
    "672h".into()
}

/// What a clear winner leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnConclusion {
    #[default]
    None,
    PromoteWinner,
}
