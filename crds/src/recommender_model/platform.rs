//! `spec.events`, `spec.insights` and `spec.networkPolicy`: what runs around the model.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::peers::Peer;
use crate::common::pods::{Resources, quantity};
use crate::common::rule::{at_least, between};
use crate::common::text::{DurationText, ObjectName};

/// The log of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Events {
    /// Where the log lives.
    pub log: EventLog,
    /// How long events are kept in the log; what was exported is kept with the data.
    #[schemars(extend("x-kubernetes-validations" = at_least("1h")))]
    pub retention: DurationText,
    /// How often events are written as Parquet by date under artifacts.uri.
    #[schemars(extend("x-kubernetes-validations" = between("10s", "24h")))]
    pub export_interval: DurationText,
}

impl Default for Events {
    fn default() -> Self {
        Self { log: EventLog::default(), retention: "720h".into(), export_interval: "5m".into() }
    }
}

/// Where the log lives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EventLog {
    /// One writer with a volume of its own.
    pub embedded: EmbeddedLog,
}

/// A log with a volume of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EmbeddedLog {
    /// Size of the volume.
    #[schemars(schema_with = "quantity")]
    pub storage: Quantity,
    /// Storage class of the volume; without it the cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<ObjectName>,
}

impl Default for EmbeddedLog {
    fn default() -> Self {
        Self { storage: Quantity("10Gi".to_owned()), storage_class_name: None }
    }
}

/// Key figures, drift and experiment statistics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Insights {
    /// Whether they are computed. Without them there are no experiments and no drift.
    pub enabled: bool,
    /// Compute resources.
    pub resources: Resources,
}

impl Default for Insights {
    fn default() -> Self {
        Self { enabled: true, resources: Resources::of("250m", "512Mi") }
    }
}

/// Who may reach the router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicy {
    /// Whether NetworkPolicies are written at all.
    pub enabled: bool,
    /// Where the OMS lives; without it the model's own namespace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub allow_from: Vec<Peer>,
}

impl Default for NetworkPolicy {
    fn default() -> Self {
        Self { enabled: true, allow_from: Vec::new() }
    }
}
