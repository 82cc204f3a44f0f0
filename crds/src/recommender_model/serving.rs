//! `spec.serving`: how a version is served.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::pods::{Device, Resources};
use crate::common::rule::between;
use crate::common::text::{DurationText, ImageRef};

/// How versions are served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Serving {
    /// Image of the predictor; without it the operator's release. Recorded on the version when it is created, so that an upgrade of the operator changes no running version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRef>,
    /// Where it computes.
    pub device: Device,
    /// Predictor pods of the active version; what `kubectl scale` and an autoscaler write.
    #[schemars(range(min = 0, max = 500))]
    pub replicas: i32,
    /// Compute resources of a predictor pod.
    pub resources: Resources,
    /// How long a pod finishes what it began, in seconds.
    #[schemars(range(min = 0, max = 600))]
    pub drain_seconds: i32,
    /// How long the router waits for a version before the fallback answers.
    #[schemars(extend("x-kubernetes-validations" = between("5ms", "30s")))]
    pub request_timeout: DurationText,
    /// Who answers when the version does not: nobody, the active version, or then also the router's own pack of rules and popular products.
    pub fallback: Fallback,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            image: None,
            device: Device::Cpu,
            replicas: 2,
            resources: Resources::of("500m", "1Gi"),
            drain_seconds: 30,
            request_timeout: "150ms".into(),
            fallback: Fallback::StableThenPopularity,
        }
    }
}

/// Who answers when a version does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Fallback {
    None,
    Stable,
    #[default]
    StableThenPopularity,
}
