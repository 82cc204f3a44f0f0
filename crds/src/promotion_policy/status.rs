//! What is observed of a policy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::conditions::{Conditions, conditions};
use crate::common::text::ShortText;

/// What is observed of a policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionPolicyStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Conditions; Accepted names the offending path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Conditions,
    /// Models that name this policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub referenced_by: Option<i32>,
    /// Weights of the steps in order, such as 1,5,25,50,100: a printer column shows only single values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_weights: Option<ShortText>,
}
