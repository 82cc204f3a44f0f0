//! References to other objects of the same namespace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{DnsLabel, ObjectName};

/// Names an object of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRef {
    /// Name of the object in this namespace.
    pub name: ObjectName,
}

/// Names a RecommenderModel of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelRef {
    /// Name of the RecommenderModel in this namespace.
    pub name: DnsLabel,
}
