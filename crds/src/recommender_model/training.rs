//! `spec.training`: how a version is trained.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::pods::{Device, NodeSelector, Resources, Toleration};
use crate::common::rule::between;
use crate::common::text::{DurationText, ImageRef};

/// How versions are trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Training {
    /// Image of the training; without it the operator's release. Recorded on the version when it is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRef>,
    /// Where it computes.
    pub device: Device,
    /// Compute resources of the training.
    pub resources: Resources,
    /// How long a training may run.
    #[schemars(extend("x-kubernetes-validations" = between("1m", "168h")))]
    pub active_deadline: DurationText,
    /// How long a training may wait for a node.
    #[schemars(extend("x-kubernetes-validations" = between("1m", "168h")))]
    pub pending_deadline: DurationText,
    /// How often a failed training is tried again.
    #[schemars(range(min = 0, max = 10))]
    pub backoff_limit: i32,
    /// Seed of all that is random; the same data and seed give the same artifact.
    pub seed: i64,
    /// Start no training and suspend a running one.
    pub suspend: bool,
    /// Labels of the nodes that may train.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub node_selector: NodeSelector,
    /// Taints that the training tolerates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tolerations: Vec<Toleration>,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            image: None,
            device: Device::Cpu,
            resources: Resources::of("2", "4Gi"),
            active_deadline: "6h".into(),
            pending_deadline: "30m".into(),
            backoff_limit: 2,
            seed: 42,
            suspend: false,
            node_selector: NodeSelector::new(),
            tolerations: Vec::new(),
        }
    }
}
