//! The rules of the schema, evaluated by kube's CEL.

use std::sync::OnceLock;

use kube::core::cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use serde_json::Value;

use super::Violation;
use crate::Kind;
use crate::schema::schema;

fn compiled(kind: Kind) -> &'static CompiledSchema {
    static COMPILED: [OnceLock<CompiledSchema>; 4] = [const { OnceLock::new() }; 4];
    let slot = match kind {
        Kind::RecommenderModel => &COMPILED[0],
        Kind::ModelVersion => &COMPILED[1],
        Kind::PromotionPolicy => &COMPILED[2],
        Kind::Experiment => &COMPILED[3],
    };
    slot.get_or_init(|| compile_schema(schema(kind)))
}

/// Evaluates the rules of `kind` on objects whose structure is sound and whose defaults are filled in.
pub(super) fn check(kind: Kind, new: &Value, old: Option<&Value>) -> Vec<Violation> {
    let Err(errors) = Validator::new().validate_compiled(compiled(kind), new, old) else { return Vec::new() };
    errors
        .into_iter()
        .map(|error| {
            let message = match error.kind {
                ErrorKind::ValidationFailure => error.message,
                // A rule that cannot be evaluated refuses, as on an API server; it is a bug of ours and says which.
                _ => format!("rule {:?} could not be evaluated: {}", error.rule, error.message),
            };
            Violation { path: error.field_path, message, rule: Some(error.rule) }
        })
        .collect()
}
