//! The signed routing table and the keys that routers trust, as files for a router that starts while the operator is away.

use serde_json::json;

use super::Input;
use super::meta::{Component, Desired};
use crate::watch::child::ChildKind;

pub const TABLE_FILE: &str = "table.json";
pub const KEY_FILE: &str = "public-key";
pub const OTHER_KEY_FILE: &str = "trusted-key";
/// Where routers and insights find them.
pub const FOLDER: &str = "/etc/endcap/routing";

/// Public keys in hex: that of this operator, and another one while keys are exchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    pub own: String,
    pub other: Option<String>,
}

pub fn name(model: &str) -> String {
    format!("{model}-routing")
}

pub fn build(input: &Input<'_>) -> Option<Desired> {
    let known = input.child(ChildKind::ConfigMap, &name(input.name()));
    // A table that is not told anew stays; the keys alone are there before the first one.
    if input.envelope.is_none() && known.is_some() {
        return None;
    }
    let mut data = json!({
        (KEY_FILE): input.keys.own,
        (OTHER_KEY_FILE): input.keys.other.as_ref().unwrap_or(&input.keys.own),
    });
    if let (Some(envelope), Some(map)) = (&input.envelope, data.as_object_mut()) {
        map.insert(TABLE_FILE.to_owned(), json!(envelope));
    }
    let inputs = data.clone();
    Some(input.child_of(ChildKind::ConfigMap, name(input.name()), Component::Router, json!({"data": data}), inputs))
}

/// The arguments that name the keys.
pub fn key_args() -> [String; 4] {
    let flag = || "--public-key".to_owned();
    [flag(), format!("{FOLDER}/{KEY_FILE}"), flag(), format!("{FOLDER}/{OTHER_KEY_FILE}")]
}

/// The volume of the table and the keys.
pub fn volume(model: &str) -> serde_json::Value {
    json!({"name": "routing", "configMap": {"name": name(model), "defaultMode": 0o444}})
}
