//! `spec.rollout`: hold, abort, retry or approve.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::text::{DnsLabel, Token, VersionName};

/// Hold, abort, retry or approve a rollout.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rollout {
    /// Hold the weight where it is.
    pub paused: bool,
    /// Abort this candidate, or leave this active version for the previous one at once. Wins over everything, also over promotedVersion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_version: Option<VersionName>,
    /// Any changed value lets a rejected version be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_token: Option<Token>,
    /// Approves one step of one version, so that an old approval approves nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_step: Option<ApprovedStep>,
}

/// An approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovedStep {
    /// The version that is approved.
    pub version: VersionName,
    /// Name of the policy's step that is approved.
    pub step: DnsLabel,
}
