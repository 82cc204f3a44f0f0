//! `spec.routing`: how requests find their version.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::peers::Peer;
use crate::common::text::{HeaderName, ImageRef, ShortText};
use crate::common::unit::UnitSource;

/// How requests find their version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Routing {
    /// Router pods.
    #[schemars(range(min = 1, max = 50))]
    pub replicas: i32,
    /// Image of the router; without it the operator's release at the first rollout. It changes with this field or with the next rollout, never by an upgrade of the operator alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRef>,
    /// What is assigned to a version.
    pub unit: UnitSource,
    /// Salt of the assignment; without it <namespace>/<name>. Set at creation or never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub salt: Option<ShortText>,
    /// Header by which testers choose a version; only on the router's QA port.
    pub override_header: HeaderName,
    /// Peers that may reach the QA port; without it nobody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub override_from: Vec<Peer>,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            replicas: 2,
            image: None,
            unit: UnitSource::default(),
            salt: None,
            override_header: "x-endcap-version".into(),
            override_from: Vec::new(),
        }
    }
}
