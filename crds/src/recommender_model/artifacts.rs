//! `spec.artifacts`: where artifacts are kept, how many, and what happens when the model is deleted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::refs::ObjectRef;
use crate::common::rule::at_least;
use crate::common::text::{DurationText, ObjectName, ShortText, StoreUri};

/// Where artifacts are kept and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifacts {
    /// Prefix of the store; objects below it are addressed by their content.
    pub uri: StoreUri,
    /// Secret with the store's environment names as keys (AWS_ACCESS_KEY_ID, AWS_ENDPOINT, ...); mounted by name, never read by the operator. Without it, workload identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<ObjectRef>,
    /// With a file:/// uri: the claim that is mounted there, in every pod that reads or writes artifacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<VolumeClaim>,
    /// Service account of the pods that reach the store, for the workload identity of a cloud bucket; without it the namespace's default. No pod of the model gets a token of the Kubernetes API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<ObjectName>,
    /// Which versions keep their artifact. What serves, served last, is in an experiment or is pinned is kept anyway.
    #[serde(default)]
    pub retention: Retention,
    /// What happens to the artifacts when the model is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// A claim of this namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeClaim {
    /// Name of the PersistentVolumeClaim; several pods mount it, so that it must allow ReadWriteMany where there are several nodes.
    pub claim_name: ObjectName,
    /// Folder of the volume; without it all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_path: Option<ShortText>,
}

/// Which versions keep their artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Retention {
    /// The newest versions.
    #[schemars(range(min = 1, max = 100))]
    pub keep_last: i32,
    /// The last versions that served everybody; must exceed the policy's rollback.window.
    #[schemars(range(min = 2, max = 50))]
    pub keep_promoted: i32,
    /// Versions older than this go even when they are among the newest; without it age does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = at_least("1h")))]
    pub max_age: Option<DurationText>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { keep_last: 5, keep_promoted: 4, max_age: None }
    }
}

/// What happens to artifacts when the model is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    #[default]
    Retain,
    Delete,
}
