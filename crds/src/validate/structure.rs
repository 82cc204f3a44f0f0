//! The structural schema: types, required and unknown fields, enums, bounds, patterns, uniqueness.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use regex::Regex;
use serde_json::{Map, Value};

use super::Violation;
use super::nearest::nearest;
use crate::Kind;
use crate::common::pods::{QUANTITY_PATTERN, QUANTITY_REMEDY};
use crate::common::text::TEXT_RULES;
use crate::schema::schema;

/// Checks spec and status of an object.
pub(super) fn check(kind: Kind, object: &Value, violations: &mut Vec<Violation>) {
    let schema = schema(kind);
    let mut checker = Checker { violations };
    for part in ["spec", "status"] {
        let Some(part_schema) = schema.get("properties").and_then(|properties| properties.get(part)) else { continue };
        match object.get(part) {
            Some(value) => checker.node(part_schema, value, part),
            None if part == "spec" => checker.refuse(part, "required: add it".to_owned()),
            None => {}
        }
    }
}

struct Checker<'a> {
    violations: &'a mut Vec<Violation>,
}

impl Checker<'_> {
    fn refuse(&mut self, path: &str, message: String) {
        self.violations.push(Violation { path: path.to_owned(), message, rule: None });
    }

    fn node(&mut self, schema: &Value, value: &Value, path: &str) {
        if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
            match value {
                Value::String(text) => self.text(schema, text, path),
                Value::Number(number) if number.is_i64() || number.is_u64() => {}
                _ => self.refuse(path, format!("must be a whole number or a text: {QUANTITY_REMEDY}")),
            }
            return;
        }
        let expected = schema.get("type").and_then(Value::as_str).unwrap_or_default();
        match (expected, value) {
            ("object", Value::Object(fields)) => self.object(schema, fields, path),
            ("array", Value::Array(items)) => self.array(schema, items, path),
            ("string", Value::String(text)) => self.text(schema, text, path),
            ("integer", Value::Number(number)) if number.is_i64() || number.is_u64() => {
                self.number(schema, number, path);
            }
            ("number", Value::Number(number)) => self.number(schema, number, path),
            ("boolean", Value::Bool(_)) => {}
            _ => self.refuse(path, format!("must be {}, not {}", described(expected), shown(value))),
        }
    }

    fn object(&mut self, schema: &Value, fields: &Map<String, Value>, path: &str) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let values = schema.get("additionalProperties").filter(|values| values.is_object());
        for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            let Some(name) = required.as_str() else { continue };
            if !fields.contains_key(name) {
                let about = properties
                    .and_then(|properties| properties.get(name))
                    .and_then(|property| property.get("description"))
                    .and_then(Value::as_str)
                    .map(|text| format!(" ({text})"))
                    .unwrap_or_default();
                self.refuse(&format!("{path}.{name}"), format!("required: add it{about}"));
            }
        }
        self.count(schema, fields.len(), "minProperties", "maxProperties", "entries", path);
        for (name, field) in fields {
            let child = format!("{path}.{name}");
            if let Some(property) = properties.and_then(|properties| properties.get(name)) {
                self.node(property, field, &child);
            } else if let Some(values) = values {
                self.node(values, field, &child);
            } else {
                self.unknown(properties, name, &child);
            }
        }
    }

    fn unknown(&mut self, properties: Option<&Map<String, Value>>, name: &str, path: &str) {
        let known: Vec<&str> = properties.into_iter().flat_map(Map::keys).map(String::as_str).collect();
        let remedy = match nearest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean {meant}?"),
            None if known.is_empty() => "nothing can be set here; remove it".to_owned(),
            None => format!("remove it, or use one of {}", known.join(", ")),
        };
        self.refuse(path, format!("unknown field: {remedy}"));
    }

    fn array(&mut self, schema: &Value, items: &[Value], path: &str) {
        self.count(schema, items.len(), "minItems", "maxItems", "items", path);
        if let Some(item_schema) = schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                self.node(item_schema, item, &format!("{path}[{index}]"));
            }
        }
        let keys: Vec<&str> = match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => Vec::new(),
            Some("map") => schema
                .get("x-kubernetes-list-map-keys")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect(),
            _ => return,
        };
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let identity = if keys.is_empty() {
                item.to_string()
            } else {
                keys.iter().map(|key| item.get(key).unwrap_or(&Value::Null).to_string()).collect::<Vec<_>>().join("/")
            };
            if !seen.insert(identity.clone()) {
                let what = if keys.is_empty() { "value".to_owned() } else { keys.join("/") };
                self.refuse(
                    &format!("{path}[{index}]"),
                    format!("duplicate: another item has the {what} {identity}; each may stand once"),
                );
            }
        }
    }

    fn count(&mut self, schema: &Value, count: usize, least: &str, most: &str, what: &str, path: &str) {
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
        if let Some(least) = bound(least).filter(|least| count < *least) {
            self.refuse(path, format!("must have at least {least} {what}, has {count}"));
        }
        if let Some(most) = bound(most).filter(|most| count > *most) {
            self.refuse(path, format!("must have at most {most} {what}, has {count}"));
        }
    }

    fn number(&mut self, schema: &Value, number: &serde_json::Number, path: &str) {
        let as_f64 = number.as_f64().unwrap_or(f64::NAN);
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let format = schema.get("format").and_then(Value::as_str);
        if format == Some("int32") && number.as_i64().is_none_or(|number| i32::try_from(number).is_err()) {
            self.refuse(path, format!("must be a 32-bit whole number, is {number}"));
        } else if let Some(least) = bound("minimum").filter(|least| as_f64 < *least) {
            self.refuse(path, format!("must be at least {least}, is {number}"));
        } else if let Some(most) = bound("maximum").filter(|most| as_f64 > *most) {
            self.refuse(path, format!("must be at most {most}, is {number}"));
        }
    }

    fn text(&mut self, schema: &Value, text: &str, path: &str) {
        if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
            let choices: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
            if !choices.contains(&text) {
                self.refuse(path, format!("must be one of {}, is {text:?}", choices.join(", ")));
            }
            return;
        }
        if schema.get("format").and_then(Value::as_str) == Some("date-time") && text.parse::<jiff::Timestamp>().is_err()
        {
            self.refuse(path, format!("{text:?} is no time: write it as 2026-09-01T08:00:00Z"));
        }
        let length = text.chars().count() as u64;
        let remedy = schema.get("pattern").and_then(Value::as_str).map(remedy_of).unwrap_or_default();
        if let Some(least) = schema.get("minLength").and_then(Value::as_u64).filter(|least| length < *least) {
            self.refuse(path, format!("must have at least {least} characters{remedy}"));
        } else if let Some(most) = schema.get("maxLength").and_then(Value::as_u64).filter(|most| length > *most) {
            self.refuse(path, format!("must have at most {most} characters, has {length}{remedy}"));
        } else if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && !matches(pattern, text)
        {
            self.refuse(path, format!("{text:?} is not understood{remedy}"));
        }
    }
}

/// What to write instead, by pattern.
fn remedy_of(pattern: &str) -> String {
    let remedy = TEXT_RULES
        .iter()
        .find(|rule| rule.pattern == pattern)
        .map(|rule| rule.remedy)
        .or_else(|| (pattern == QUANTITY_PATTERN).then_some(QUANTITY_REMEDY));
    remedy.map_or_else(|| format!(": it must match {pattern}"), |remedy| format!(": {remedy}"))
}

fn described(expected: &str) -> &str {
    match expected {
        "object" => "a group of fields",
        "array" => "a list",
        "string" => "a text (put numbers and true/false in quotes)",
        "integer" => "a whole number without quotes",
        "number" => "a number without quotes",
        "boolean" => "true or false",
        _ => "of another type",
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "a group of fields".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        other => other.to_string(),
    }
}

/// Whether `text` matches; patterns are few and fixed, so each is compiled once.
fn matches(pattern: &str, text: &str) -> bool {
    static COMPILED: OnceLock<Mutex<HashMap<String, Option<Arc<Regex>>>>> = OnceLock::new();
    let cache = COMPILED.get_or_init(Mutex::default);
    let regex = cache
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(pattern.to_owned())
        .or_insert_with(|| Regex::new(pattern).ok().map(Arc::new))
        .clone();
    // A pattern that does not compile refuses everything; a test compiles every pattern of every schema.
    regex.is_some_and(|regex| regex.is_match(text))
}
