//! What every object has: apiVersion, kind, metadata.

use serde_json::Value;

use super::Violation;
use crate::{API_VERSION, Kind};

/// Labels and annotations are not ours to judge; the names that address an object are.
pub(super) fn check(kind: Kind, object: &Value) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut refuse = |path: &str, message: String| {
        violations.push(Violation { path: path.to_owned(), message, rule: None });
    };
    let Value::Object(fields) = object else {
        refuse("", format!("must be an object with apiVersion: {API_VERSION} and kind: {kind}"));
        return violations;
    };
    for (field, expected) in [("apiVersion", API_VERSION), ("kind", kind.as_str())] {
        if fields.get(field).and_then(Value::as_str) != Some(expected) {
            refuse(field, format!("must be {expected}"));
        }
    }
    for name in fields.keys() {
        if !["apiVersion", "kind", "metadata", "spec", "status"].contains(&name.as_str()) {
            refuse(name, "unknown field: an object has apiVersion, kind, metadata, spec and status".to_owned());
        }
    }
    let metadata = fields.get("metadata").unwrap_or(&Value::Null);
    match metadata.get("name").and_then(Value::as_str) {
        None => refuse("metadata.name", "required: give the object a name".to_owned()),
        Some(name) if !is_dns_subdomain(name) => refuse(
            "metadata.name",
            format!(
                "{name:?} is no name: use lower-case letters, digits, '-' and '.', at most 253 characters, beginning and ending with a letter or digit"
            ),
        ),
        Some(_) => {}
    }
    if let Some(namespace) = metadata.get("namespace")
        && !namespace.as_str().is_some_and(|name| is_dns_subdomain(name) && name.len() <= 63 && !name.contains('.'))
    {
        refuse(
            "metadata.namespace",
            "must be at most 63 lower-case letters, digits and '-', beginning and ending with a letter or digit"
                .to_owned(),
        );
    }
    violations
}

/// RFC 1123 subdomain, as Kubernetes names objects.
fn is_dns_subdomain(name: &str) -> bool {
    let alphanumeric = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 253
        && name.split('.').all(|label| {
            let bytes = label.as_bytes();
            bytes.first().copied().is_some_and(alphanumeric)
                && bytes.last().copied().is_some_and(alphanumeric)
                && bytes.iter().all(|&c| alphanumeric(c) || c == b'-')
        })
}
