//! Makes a derived schema what an API server should get.

use serde_json::{Map, Value};

use crate::validate::defaults::fill;

/// Formats that API servers know; others make `kubectl apply` warn.
const KNOWN_FORMATS: [&str; 5] = ["int32", "int64", "double", "float", "date-time"];

/// Tidies a schema in place:
///
/// * no `nullable`: an explicit null would be kept and `has()` would call it present; without `nullable` an API
///   server drops nulls, so that `kubectl patch` with null removes a field as people expect;
/// * no formats that API servers do not know, no null defaults, no titles;
/// * the default of an object is `{}` where the defaults of its fields say the same, so that each default is said once.
pub(super) fn tidy(schema: &mut Value) {
    let Value::Object(node) = schema else { return };
    node.shift_remove("nullable");
    node.shift_remove("title");
    if node.get("default").is_some_and(Value::is_null) {
        node.shift_remove("default");
    }
    let unknown_format =
        node.get("format").and_then(Value::as_str).is_some_and(|format| !KNOWN_FORMATS.contains(&format));
    if unknown_format {
        node.shift_remove("format");
    }
    if let Some(Value::Object(properties)) = node.get_mut("properties") {
        properties.values_mut().for_each(tidy);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child) = node.get_mut(key) {
            tidy(child);
        }
    }
    shorten_default(schema);
}

/// Writes bounds such as `10.0` as `10`: the types of definitions hold floats where schemas mean whole numbers.
pub(super) fn whole_numbers(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Number(number) => {
            let whole = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15);
            if let Some(float) = whole {
                *number = (float as i64).into();
            }
        }
        _ => {}
    }
}

fn shorten_default(schema: &mut Value) {
    // API servers judge a default by the rules of its own node before the defaults below it are filled in.
    let judged = schema.get("x-kubernetes-validations").is_some();
    if judged || schema.get("default").is_none_or(|default| !default.is_object()) {
        return;
    }
    let mut filled = Value::Object(Map::new());
    fill(schema, &mut filled);
    if schema.get("default") == Some(&filled)
        && let Value::Object(node) = schema
    {
        node.insert("default".to_owned(), Value::Object(Map::new()));
    }
}
