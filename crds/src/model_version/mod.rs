//! ModelVersion: one immutable trained artifact, `<model>-v<N>`, and the record of its training.

pub mod status;

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::refs::ModelRef;
use crate::common::text::{DurationText, HyperValue, ImageRef, MessageText, ShortText, StoreUri, Token, VersionName};
use crate::recommender_model::Architecture;
use crate::recommender_model::status::TriggerType;
use status::ModelVersionStatus;

/// What a version is made from. Nothing of it can change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "endcap.dev",
    version = "v1alpha1",
    kind = "ModelVersion",
    plural = "modelversions",
    singular = "modelversion",
    shortname = "recmv",
    category = "endcap",
    namespaced,
    status = "ModelVersionStatus",
    derive = "PartialEq",
    doc = "One version of a RecommenderModel: an immutable trained artifact and the record of its training. The operator creates it; you may read, annotate, pin (annotation endcap.dev/pin: \"true\") and delete it.",
    validation = Rule::new("self.metadata.name.startsWith(self.spec.modelRef.name + '-v') && int(self.metadata.name.substring(size(self.spec.modelRef.name) + 2)) == self.spec.version")
        .message("metadata.name must be <spec.modelRef.name>-v<spec.version>"),
    selectable = ".spec.modelRef.name",
    selectable = ".spec.version",
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.modelRef.name"),
    printcolumn(name = "Version", type_ = "integer", json_path = ".spec.version"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "NDCG10", type_ = "string", json_path = ".status.columns.ndcg10", description = "NDCG@10 of the evaluation's first split"),
    printcolumn(name = "Trigger", type_ = "string", json_path = ".spec.trigger.type", description = "What started the training"),
    printcolumn(name = "In-Use", type_ = "string", json_path = r#".status.conditions[?(@.type=="InUse")].status"#, description = "Something serves it, keeps it warm or has pinned it"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.columns.size", priority = 1, description = "Bytes of the artifact"),
    printcolumn(name = "SHA256", type_ = "string", json_path = ".status.columns.sha256", priority = 1, description = "Digest of the artifact"),
    printcolumn(name = "Dataset-Rows", type_ = "string", json_path = ".status.columns.rows", priority = 1, description = "Order lines that it learned from"),
    printcolumn(name = "Job", type_ = "string", json_path = ".status.columns.job", priority = 1, description = "The training's Job")
)]
#[x_kube(validation = Rule::new("self == oldSelf").message("a version is immutable: train a new one (change spec.retraining.trigger of the model)"))]
pub struct ModelVersionSpec {
    /// The model that it is a version of.
    pub model_ref: ModelRef,
    /// UID of the model, so that a model of the same name that is created anew does not inherit it.
    #[serde(rename = "modelUID")]
    pub model_uid: ShortText,
    /// Its number.
    #[schemars(range(min = 1, max = 99_999))]
    pub version: i32,
    /// Where the artifact comes from.
    #[serde(default)]
    pub source: VersionSource,
    /// What started the training.
    pub trigger: Trigger,
    /// What it is made of.
    pub architecture: Architecture,
    /// Settings of the training, copied from the model.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub hyperparameters: BTreeMap<String, HyperValue>,
    /// Seed of the training.
    pub seed: i64,
    /// Image that trains it.
    pub training_image: ImageRef,
    /// Image that serves it.
    pub serving_image: ImageRef,
    /// What it learns from.
    pub data_ref: DataRef,
    /// The version that was active when it was created; its metrics are the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_version: Option<VersionName>,
}

/// Where an artifact comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VersionSource {
    #[default]
    Trained,
    Imported,
}

/// What started a training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trigger {
    /// Kind of the trigger.
    #[serde(rename = "type")]
    pub type_: TriggerType,
    /// Why, with the numbers that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<MessageText>,
    /// Value of spec.retraining.trigger when it was manual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
}

/// What a version learns from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataRef {
    /// Where the canonical tables of this training lie.
    pub uri: StoreUri,
    /// How far back it looks.
    pub window: DurationText,
}
