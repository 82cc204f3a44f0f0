//! What is assigned to an arm: the unit, found in a header or in the request's body.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{HeaderName, JsonPointer};

/// Where the router finds the unit of a request (the customer, else the session).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UnitSource {
    /// Header that carries the unit; it wins over the body.
    pub header: HeaderName,
    /// Where the body carries the unit when the header is absent. Without it: /customer_id, then /session_id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_pointer: Option<JsonPointer>,
}

impl Default for UnitSource {
    fn default() -> Self {
        Self { header: "x-endcap-unit".into(), json_pointer: None }
    }
}
