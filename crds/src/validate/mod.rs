//! What an API server does to an object before it is stored: defaults, structure, rules.
//!
//! The structural part is ours (types, required and unknown fields, enums, bounds, patterns, uniqueness); the rules
//! are evaluated by kube's CEL. As on an API server, rules run only on objects whose structure is sound.

mod cel;
pub(crate) mod defaults;
mod identity;
mod nearest;
pub use nearest::nearest;
mod structure;

use serde_json::Value;

use crate::Kind;
use crate::schema::schema;

/// One thing that is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field, such as `spec.steps[2].weight`; empty for the object itself.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
    /// The CEL rule that refused, if one did.
    pub rule: Option<String>,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() { write!(f, "{}", self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// Fills in the defaults of the schema, as an API server does before it validates; explicit nulls are dropped.
pub fn apply_defaults(kind: Kind, object: &mut Value) {
    defaults::drop_nulls(schema(kind), object);
    defaults::fill(schema(kind), object);
}

/// Everything that is wrong with `new`, or with changing `old` to it. Empty: an API server would store it.
///
/// Defaults are applied to copies of both before they are judged. Without `old` it is a creation and the rules
/// that compare with the stored object say nothing.
pub fn validate(kind: Kind, new: &Value, old: Option<&Value>) -> Vec<Violation> {
    let mut violations = identity::check(kind, new);
    let mut new = new.clone();
    apply_defaults(kind, &mut new);
    structure::check(kind, &new, &mut violations);
    if !violations.is_empty() {
        return violations;
    }
    let old = old.map(|old| {
        let mut old = old.clone();
        apply_defaults(kind, &mut old);
        old
    });
    cel::check(kind, &new, old.as_ref())
}
