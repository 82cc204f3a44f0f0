//! The short list of pod settings that a resource offers instead of a whole pod template.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::text::LabelText;

/// Pattern of a Kubernetes quantity (`500m`, `4Gi`, `1e3`).
pub const QUANTITY_PATTERN: &str =
    r"^[+-]?([0-9]{1,18}(\.[0-9]{0,9})?|\.[0-9]{1,9})([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$";
/// What to write when a quantity does not match.
pub const QUANTITY_REMEDY: &str = "write a Kubernetes quantity such as 500m, 2 or 4Gi";

/// Where a container computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Device {
    #[default]
    Cpu,
    Gpu,
}

/// Compute resources of one container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What the scheduler sets aside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities")]
    pub requests: BTreeMap<String, Quantity>,
    /// What the container may use at most. A GPU is asked for here, such as `nvidia.com/gpu: 1`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities")]
    pub limits: BTreeMap<String, Quantity>,
}

impl Resources {
    /// Requests of CPU and memory, and a limit of memory alone: a CPU limit throttles without need.
    pub fn of(cpu: &str, memory: &str) -> Self {
        let quantity = |text: &str| Quantity(text.to_owned());
        Self {
            requests: BTreeMap::from([("cpu".to_owned(), quantity(cpu)), ("memory".to_owned(), quantity(memory))]),
            limits: BTreeMap::from([("memory".to_owned(), quantity(memory))]),
        }
    }
}

fn quantities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "x-kubernetes-int-or-string": true,
            "maxLength": 32,
            "pattern": QUANTITY_PATTERN,
        },
    })
}

/// A quantity on its own, such as the size of a volume.
pub(crate) fn quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-int-or-string": true, "maxLength": 32, "pattern": QUANTITY_PATTERN})
}

/// Node labels that a pod asks for.
pub type NodeSelector = BTreeMap<String, LabelText>;

/// A taint that a pod tolerates, as in a pod's spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// Key of the taint; without it all keys match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<LabelText>,
    /// Whether the taint's value must be equal or only exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<TolerationOperator>,
    /// Value of the taint when the operator is Equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<LabelText>,
    /// Effect of the taint; without it all effects match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
    /// How long a NoExecute taint is tolerated, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub toleration_seconds: Option<i64>,
}

/// How a toleration compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TolerationOperator {
    Equal,
    Exists,
}

/// What a taint does to a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}
