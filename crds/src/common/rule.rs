//! CEL rules as one-liners, for fields whose struct carries its defaults as a whole.
//!
//! `KubeSchema` copies a struct to attach rules, so it cannot be combined with `#[serde(default)]` on the
//! struct. Structs that are all defaults therefore derive `JsonSchema` and attach their rules with
//! `#[schemars(extend("x-kubernetes-validations" = ...))]`; the schema that results is the same.

use kube::core::Rule;
use serde_json::{Value, json};

/// One rule with the message that a refusal shows.
pub(crate) fn rule(rule: &str, message: &str) -> Value {
    rules(&[(rule, message)])
}

/// Several rules on one field.
pub(crate) fn rules(rules: &[(&str, &str)]) -> Value {
    rules.iter().map(|(rule, message)| json!(Rule::new(*rule).message(*message))).collect()
}

/// A duration that lies between two others, both included.
pub(crate) fn between(least: &str, most: &str) -> Value {
    rule(
        &format!("duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"),
        &format!("must be at least {least} and at most {most}"),
    )
}

/// A duration that is not shorter than another.
pub(crate) fn at_least(least: &str) -> Value {
    rule(&format!("duration(self) >= duration('{least}')"), &format!("must be at least {least}"))
}

/// Five fields of cron.
pub(crate) fn five_fields() -> Value {
    rule(
        "self.split(' ').size() == 5",
        "must have five fields separated by single spaces: minute hour day month weekday, such as 0 3 * * *",
    )
}
