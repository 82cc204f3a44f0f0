//! Defaults of the schema, as API servers apply them: from the outside in, into what was just filled in too.

use serde_json::Value;

/// Fills the missing fields of `value` that have defaults in `schema`.
pub(crate) fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                if !fields.contains_key(name)
                    && let Some(default) = property.get("default")
                {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, field) in fields.iter_mut() {
                let child = properties
                    .and_then(|properties| properties.get(name))
                    .or_else(|| schema.get("additionalProperties").filter(|values| values.is_object()));
                if let Some(child) = child {
                    fill(child, field);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    fill(schema, item);
                }
            }
        }
        _ => {}
    }
}

/// Drops fields that are explicitly null, as API servers do for fields that are not nullable.
pub(super) fn drop_nulls(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let is_map = schema.get("additionalProperties").is_some_and(Value::is_object);
            fields.retain(|name, field| {
                let known = is_map || properties.is_some_and(|properties| properties.contains_key(name));
                !(known && field.is_null())
            });
            for (name, field) in fields.iter_mut() {
                let child = properties
                    .and_then(|properties| properties.get(name))
                    .or_else(|| schema.get("additionalProperties").filter(|values| values.is_object()));
                if let Some(child) = child {
                    drop_nulls(child, field);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    drop_nulls(schema, item);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_reach_into_what_was_filled_in() {
        let schema = json!({"properties": {
            "outer": {"default": {}, "properties": {"inner": {"default": {}, "properties": {"leaf": {"default": 7}}}}},
            "list": {"items": {"properties": {"flag": {"default": false}}}},
            "map": {"additionalProperties": {"properties": {"n": {"default": 1}}}},
        }});
        let mut value = json!({"list": [{}, {"flag": true}], "map": {"a": {}}});
        fill(&schema, &mut value);
        assert_eq!(
            value,
            json!({
                "list": [{"flag": false}, {"flag": true}],
                "map": {"a": {"n": 1}},
                "outer": {"inner": {"leaf": 7}},
            })
        );
    }

    #[test]
    fn a_null_is_as_if_it_were_not_there() {
        let schema = json!({"properties": {"a": {"default": 1}, "b": {}, "map": {"additionalProperties": {}}}});
        let mut value = json!({"a": null, "b": null, "map": {"x": null, "y": 2}, "unknown": null});
        drop_nulls(&schema, &mut value);
        fill(&schema, &mut value);
        assert_eq!(value, json!({"a": 1, "map": {"y": 2}, "unknown": null}));
    }
}
