//! Names, labels and owners of children.

use std::collections::BTreeMap;

use endcap_crds::reasons::label;
use serde_json::{Value, json};

use crate::watch::child::{APPLIED, ChildKind, INPUTS};

pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub const NAME: &str = "app.kubernetes.io/name";
pub const COMPONENT: &str = "app.kubernetes.io/component";

/// What a child is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    Router,
    Predictor,
    Eventlog,
    Insights,
    Training,
    Deletion,
}

impl Component {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Predictor => "predictor",
            Self::Eventlog => "eventlog",
            Self::Insights => "insights",
            Self::Training => "training",
            Self::Deletion => "deletion",
        }
    }

    /// `feed-router`
    pub fn of(self, model: &str) -> String {
        format!("{model}-{}", self.as_str())
    }
}

/// The labels that select a component's pods: never more, for a Deployment's selector cannot change.
pub fn selector(model: &str, component: Component, version: Option<&str>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        (COMPONENT.to_owned(), component.as_str().to_owned()),
        (label::MODEL.to_owned(), model.to_owned()),
    ]);
    if let Some(version) = version {
        labels.insert(label::VERSION.to_owned(), version.to_owned());
    }
    labels
}

/// All labels of a child and of its pods.
pub fn labels(model: &str, component: Component, version: Option<&str>) -> BTreeMap<String, String> {
    let mut labels = selector(model, component, version);
    labels.insert(MANAGED_BY.to_owned(), "endcap".to_owned());
    labels.insert(NAME.to_owned(), "endcap".to_owned());
    labels
}

/// Who a child goes with.
#[derive(Debug, Clone)]
pub struct Owner {
    pub kind: &'static str,
    pub name: String,
    pub uid: String,
}

impl Owner {
    pub fn reference(&self) -> Value {
        json!({
            "apiVersion": endcap_crds::API_VERSION,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": true,
            "blockOwnerDeletion": true,
        })
    }
}

/// A child as it shall be.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    pub kind: ChildKind,
    pub name: String,
    /// The whole object without the annotations that say what was applied.
    pub object: Value,
    /// Digest of what it follows from: wishes of users and figures of versions, never the shape of a template.
    pub inputs: String,
    /// Written over whatever was applied: it changes without being another template.
    pub replicas: Option<i32>,
}

/// One child with its metadata; `inputs` are all that its template follows from.
pub struct Parts<'a> {
    pub kind: ChildKind,
    pub api_version: &'static str,
    pub namespace: &'a str,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub owner: &'a Owner,
    pub body: Value,
    pub inputs: Value,
    pub replicas: Option<i32>,
}

impl Parts<'_> {
    pub fn into_desired(self) -> Desired {
        let mut object = json!({
            "apiVersion": self.api_version,
            "kind": self.kind.as_str(),
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": self.labels,
                "annotations": self.annotations,
                "ownerReferences": [self.owner.reference()],
            },
        });
        if let (Some(whole), Value::Object(body)) = (object.as_object_mut(), self.body) {
            whole.extend(body);
        }
        Desired { kind: self.kind, name: self.name, object, inputs: digest(&self.inputs), replicas: self.replicas }
    }
}

/// The object as it is applied, with what says so.
pub fn with_record(object: &Value, inputs: &str) -> Value {
    let mut whole = object.clone();
    if let Some(annotations) = whole.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.insert(INPUTS.to_owned(), json!(inputs));
        annotations.insert(APPLIED.to_owned(), json!(object.to_string()));
    }
    whole
}

/// Replicas written into a template.
pub fn scaled(mut object: Value, replicas: Option<i32>) -> Value {
    if let (Some(replicas), Some(spec)) = (replicas, object.get_mut("spec").and_then(Value::as_object_mut)) {
        spec.insert("replicas".to_owned(), json!(replicas));
    }
    object
}

/// A short digest of a value.
pub fn digest(value: &Value) -> String {
    use sha2::{Digest, Sha256};
    let bytes = Sha256::digest(value.to_string().as_bytes());
    hex::encode(bytes.get(..12).unwrap_or_default())
}
