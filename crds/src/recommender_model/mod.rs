//! RecommenderModel: one recommender with its data, training, serving, routing and business rules.

pub mod artifacts;
pub mod data;
pub mod monitoring;
pub mod placements;
pub mod platform;
pub mod recommendation;
pub mod retraining;
pub mod rollout;
pub mod rollout_status;
pub mod routing;
pub mod serving;
pub mod status;
pub mod status_parts;
pub mod training;

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::refs::ObjectRef;
use crate::common::text::{HyperValue, VersionName};
use artifacts::Artifacts;
use data::Data;
use monitoring::Monitoring;
use platform::{Events, Insights, NetworkPolicy};
use recommendation::Recommendation;
use retraining::Retraining;
use rollout::Rollout;
use routing::Routing;
use serving::Serving;
use status::RecommenderModelStatus;
use training::Training;

/// What a user wants of one recommender.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "endcap.dev",
    version = "v1alpha1",
    kind = "RecommenderModel",
    plural = "recommendermodels",
    singular = "recommendermodel",
    shortname = "recm",
    category = "endcap",
    namespaced,
    status = "RecommenderModelStatus",
    derive = "PartialEq",
    doc = "One recommender: its data, training, serving, routing and business rules. Its versions are ModelVersions; `spec.promotedVersion` says which one customers get.",
    validation = Rule::new("size(self.metadata.name) <= 40 && !self.metadata.name.matches('-v[0-9]+$')")
        .message("metadata.name must have at most 40 characters and must not end in -v and digits: versions are named <model>-v<N> and need the room"),
    validation = Rule::new("!has(self.spec.promotedVersion) || self.spec.promotedVersion.startsWith(self.metadata.name + '-v')")
        .message("spec.promotedVersion must name a version of this model, <model>-v<N>; remove the field to let the policy decide"),
    scale(
        spec_replicas_path = ".spec.serving.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#, description = "The endpoint answers now with a verified version"),
    printcolumn(name = "Active", type_ = "string", json_path = ".status.columns.active", description = "The version that serves new units"),
    printcolumn(name = "Target", type_ = "string", json_path = ".status.columns.target", description = "The version that is being promoted"),
    printcolumn(name = "Step", type_ = "string", json_path = ".status.columns.step", description = "The rollout's step"),
    printcolumn(name = "Weight", type_ = "string", json_path = ".status.columns.weight", description = "Share of the units that the candidate gets"),
    printcolumn(name = "Training", type_ = "string", json_path = ".status.columns.training", description = "Progress of the running training"),
    printcolumn(name = "Drift", type_ = "string", json_path = ".status.columns.drift", description = "The worst drift statistic of the last window"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", priority = 1, description = "The stable address for the OMS"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.readyReplicas", priority = 1, description = "Ready pods of the active version"),
    printcolumn(name = "Latest", type_ = "string", json_path = ".status.columns.latest", priority = 1, description = "The newest version"),
    printcolumn(name = "Routers", type_ = "string", json_path = ".status.columns.routers", priority = 1, description = "Routers that acknowledged the current table"),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, priority = 1, description = "Why it is ready or not")
)]
pub struct RecommenderModelSpec {
    /// What the next version is trained as. Every version records its own, so that a change is an ordinary promotion.
    #[serde(default)]
    pub architecture: Architecture,
    /// Where the data comes from and how much of it is enough.
    pub data: Data,
    /// Settings of the training by name; copied into each version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = Rule::new("self.all(k, size(k) <= 63)").message("names of hyperparameters have at most 63 characters"))]
    pub hyperparameters: BTreeMap<String, HyperValue>,
    /// How versions are trained.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self.device != 'Gpu' || (has(self.resources) && has(self.resources.limits) && self.resources.limits.exists(k, k.endsWith('/gpu')))")
        .message("device Gpu needs a GPU in resources.limits, such as nvidia.com/gpu: 1"))]
    pub training: Training,
    /// When versions are trained again.
    #[serde(default)]
    #[x_kube(validation = Rule::new("!has(self.onDrift) || !self.onDrift.enabled || has(self.budget)")
        .message("onDrift.enabled needs a budget, such as budget: {window: 168h, maxRuns: 14}: drift must not spend without bound"))]
    pub retraining: Retraining,
    /// Where artifacts are kept and for how long.
    pub artifacts: Artifacts,
    /// How versions are served.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self.device != 'Gpu' || (has(self.resources) && has(self.resources.limits) && self.resources.limits.exists(k, k.endsWith('/gpu')))")
        .message("device Gpu needs a GPU in resources.limits, such as nvidia.com/gpu: 1"))]
    pub serving: Serving,
    /// How requests find their version.
    #[serde(default)]
    #[x_kube(validation = Rule::new("has(self.salt) == has(oldSelf.salt) && (!has(self.salt) || self.salt == oldSelf.salt)")
        .message("salt cannot be set, changed or removed after creation: every customer's group would be drawn anew"))]
    pub routing: Routing,
    /// The version to promote, <model>-v<N>. Without it the policy decides. Going back is the same field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_version: Option<VersionName>,
    /// The PromotionPolicy to follow; without it a safe built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion_policy_ref: Option<ObjectRef>,
    /// Hold, abort, retry or approve a rollout.
    #[serde(default)]
    pub rollout: Rollout,
    /// What is watched for drift, and how closely.
    #[serde(default)]
    pub monitoring: Monitoring,
    /// The business rules of what is recommended; in force within seconds, without training.
    #[serde(default)]
    pub recommendation: Recommendation,
    /// The log of events.
    #[serde(default)]
    pub events: Events,
    /// Key figures, drift and experiment statistics.
    #[serde(default)]
    pub insights: Insights,
    /// Who may reach the router.
    #[serde(default)]
    pub network_policy: NetworkPolicy,
    /// Write nothing at all for this model; conditions are still refreshed.
    #[serde(default)]
    pub paused: bool,
}

/// What a version is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Architecture {
    Rules,
    Collaborative,
    #[default]
    Hybrid,
}
