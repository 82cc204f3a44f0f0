//! Conditions as every kind reports them, bounded so that a status stays small.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{Schema, SchemaGenerator, json_schema};

/// The conditions of a status, one a type.
pub type Conditions = Vec<Condition>;

/// `metav1.Condition` with the bounds that Kubernetes itself documents.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "description": "Conditions; each carries the generation it speaks of, a stable reason, and numbers in its message.",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {
                    "type": "string",
                    "description": "What the condition is about.",
                    "maxLength": 64,
                    "pattern": "^[A-Za-z][A-Za-z0-9]*$",
                },
                "status": {
                    "type": "string",
                    "description": "Whether it holds; Unknown only before the first reconcile.",
                    "enum": ["True", "False", "Unknown"],
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "description": "The generation of the object that this condition speaks of.",
                    "minimum": 0,
                },
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When the status last changed.",
                },
                "reason": {
                    "type": "string",
                    "description": "Stable CamelCase reason.",
                    "minLength": 1,
                    "maxLength": 128,
                    "pattern": "^[A-Za-z][A-Za-z0-9]*$",
                },
                "message": {
                    "type": "string",
                    "description": "For people, with the numbers that decided.",
                    "maxLength": 4096,
                },
            },
        },
    })
}
