//! Walks schemas: every rule with the place it stands at.

use serde_json::Value;

use super::schema;
use crate::Kind;

/// One CEL rule of a kind's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaRule {
    /// Where the rule stands, such as `spec.training` or `spec.freeze[].cron`; empty for the object itself.
    pub path: String,
    /// The expression.
    pub rule: String,
    /// What a refusal says.
    pub message: String,
}

impl SchemaRule {
    /// Whether the rule compares with the stored object, so that it says nothing on creation.
    pub fn is_transition(&self) -> bool {
        self.rule.contains("oldSelf")
    }
}

/// All rules of a kind, in the order of its fields.
pub fn rules(kind: Kind) -> Vec<SchemaRule> {
    let mut found = Vec::new();
    visit(schema(kind), "", &mut |path, node| {
        let Some(Value::Array(rules)) = node.get("x-kubernetes-validations") else { return };
        for rule in rules {
            let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            found.push(SchemaRule { path: path.to_owned(), rule: text("rule"), message: text("message") });
        }
    });
    found
}

/// Calls `visitor` for every node with its path: `a.b` for fields, `a[]` for items, `a.*` for values of maps.
pub(crate) fn visit(node: &Value, path: &str, visitor: &mut impl FnMut(&str, &Value)) {
    visitor(path, node);
    if let Some(Value::Object(properties)) = node.get("properties") {
        for (name, child) in properties {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            visit(child, &path, visitor);
        }
    }
    if let Some(items) = node.get("items") {
        visit(items, &format!("{path}[]"), visitor);
    }
    if let Some(values) = node.get("additionalProperties").filter(|values| values.is_object()) {
        visit(values, &format!("{path}.*"), visitor);
    }
}
