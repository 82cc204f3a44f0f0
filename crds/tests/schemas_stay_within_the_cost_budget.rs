//! What API servers ask of a schema: everything is bounded, so that the cost of the rules can be estimated.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use endcap_crds::schema::{crd, rules, schema};
use endcap_crds::{Kind, validate};
use kube::core::cel::{compile_schema, estimate_rule_cost};
use serde_json::{Value, json};

/// Every node with its path.
fn nodes(kind: Kind) -> Vec<(String, Value)> {
    fn visit(path: String, node: &Value, out: &mut Vec<(String, Value)>) {
        for (name, child) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
            visit(format!("{path}.{name}"), child, out);
        }
        if let Some(items) = node.get("items") {
            visit(format!("{path}[]"), items, out);
        }
        if let Some(values) = node.get("additionalProperties").filter(|values| values.is_object()) {
            visit(format!("{path}.*"), values, out);
        }
        out.push((path, node.clone()));
    }
    let mut out = Vec::new();
    visit(kind.as_str().to_owned(), schema(kind), &mut out);
    out
}

#[test]
fn every_text_list_and_map_is_bounded() {
    for kind in Kind::ALL {
        for (path, node) in nodes(kind) {
            let has = |key: &str| node.get(key).is_some();
            match node.get("type").and_then(Value::as_str) {
                Some("string") => {
                    let time = node.get("format") == Some(&json!("date-time"));
                    assert!(has("maxLength") || has("enum") || time, "{path} has no maxLength");
                }
                Some("array") => assert!(has("maxItems") && has("items"), "{path} has no maxItems"),
                Some("object") => {
                    if has("additionalProperties") {
                        assert!(has("maxProperties"), "{path} has no maxProperties");
                        assert!(!has("properties"), "{path} is a map and an object");
                    }
                }
                Some("integer" | "boolean") => {}
                None => assert!(has("x-kubernetes-int-or-string") && has("maxLength"), "{path} has no type"),
                Some(other) => panic!("{path} has type {other}"),
            }
            assert!(!has("nullable"), "{path} is nullable");
            assert!(!has("anyOf") && !has("oneOf") && !has("allOf"), "{path} branches");
        }
    }
}

#[test]
fn every_field_says_what_it_means() {
    for kind in Kind::ALL {
        for (path, node) in nodes(kind) {
            if path.ends_with("[]") || path.ends_with('*') {
                continue;
            }
            let text = node.get("description").and_then(Value::as_str).unwrap_or_default();
            assert!(text.len() > 5, "{path} has no description");
        }
    }
}

#[test]
fn every_pattern_and_every_rule_compiles() {
    for kind in Kind::ALL {
        assert!(!compile_schema(schema(kind)).has_errors(), "{kind}");
        for (path, node) in nodes(kind) {
            if let Some(pattern) = node.get("pattern").and_then(Value::as_str) {
                assert!(regex::Regex::new(pattern).is_ok(), "{path}: {pattern}");
            }
            let compiled = compile_schema(&node);
            for rule in node.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                let message = rule["message"].as_str().unwrap();
                assert!(!message.is_empty() && !message.contains('\n'), "{path}: {message}");
                // A coarse estimate; that every rule can be evaluated at all is shown by its fixture.
                let warnings = estimate_rule_cost(rule["rule"].as_str().unwrap(), &compiled);
                assert!(warnings.is_empty(), "{path}: {warnings:#?}");
            }
        }
    }
}

/// Rules that compare may stand only where an API server can find the old value: below no list.
#[test]
fn rules_that_compare_stand_below_no_list() {
    for kind in Kind::ALL {
        for rule in rules(kind).into_iter().filter(endcap_crds::schema::SchemaRule::is_transition) {
            assert!(!rule.path.contains("[]") && !rule.path.contains('*'), "{kind} {}", rule.path);
        }
    }
}

/// A default that its own schema refuses would make the definition uninstallable.
#[test]
fn every_default_is_accepted() {
    let bare = [
        (Kind::PromotionPolicy, json!({})),
        (
            Kind::Experiment,
            json!({
                "modelRef": {"name": "feed"},
                "arms": [
                    {"name": "a", "versionRef": "feed-v1", "weight": 1, "control": true},
                    {"name": "b", "versionRef": "feed-v2", "weight": 1},
                ],
                "primaryMetric": {"name": "Ctr", "mde": "0.02"},
            }),
        ),
        (
            Kind::RecommenderModel,
            json!({
                "data": {"sources": [{"name": "shop", "object": {"uri": "file:///data"}}]},
                "artifacts": {"uri": "file:///artifacts"},
            }),
        ),
    ];
    for (kind, spec) in bare {
        let object = json!({
            "apiVersion": "endcap.dev/v1alpha1", "kind": kind.as_str(), "metadata": {"name": "x"}, "spec": spec,
        });
        let violations = validate(kind, &object, None);
        assert!(violations.is_empty(), "{kind}: {violations:#?}");
    }
}

#[test]
fn names_columns_and_subresources_are_as_promised() {
    let versions: Vec<_> = Kind::ALL.into_iter().map(|kind| (kind, crd(kind).unwrap())).collect();
    for (kind, definition) in &versions {
        assert_eq!(definition.metadata.name.as_deref(), Some(format!("{}.endcap.dev", kind.plural()).as_str()));
        assert_eq!(definition.spec.scope, "Namespaced");
        assert_eq!(definition.spec.names.kind, kind.as_str());
        assert_eq!(definition.spec.names.categories.as_deref(), Some(&["endcap".to_owned()][..]));
        assert_eq!(definition.spec.names.short_names.as_deref(), Some(&[kind.short_name().to_owned()][..]));
        let version = &definition.spec.versions[0];
        assert_eq!(version.name, "v1alpha1");
        assert!(version.subresources.as_ref().unwrap().status.is_some(), "{kind}");
        let columns = |wide: bool| -> Vec<String> {
            version
                .additional_printer_columns
                .iter()
                .flatten()
                .filter(|column| (column.priority.unwrap_or(0) > 0) == wide)
                .map(|column| column.name.to_uppercase())
                .collect()
        };
        let (narrow, wide) = match kind {
            Kind::RecommenderModel => {
                ("READY ACTIVE TARGET STEP WEIGHT TRAINING DRIFT AGE", "URL REPLICAS LATEST ROUTERS REASON")
            }
            Kind::ModelVersion => ("MODEL VERSION PHASE NDCG10 TRIGGER IN-USE AGE", "SIZE SHA256 DATASET-ROWS JOB"),
            Kind::PromotionPolicy => ("MODE STEPS USED-BY ACCEPTED AGE", ""),
            Kind::Experiment => ("MODEL PHASE ARMS PRIMARY LIFT P SRM ENDS AGE", "WINNER CONCLUSION"),
        };
        assert_eq!(columns(false).join(" "), narrow);
        assert_eq!(columns(true).join(" "), wide);
    }
    let scale = versions[0].1.spec.versions[0].subresources.as_ref().unwrap().scale.as_ref().unwrap();
    assert_eq!(scale.spec_replicas_path, ".spec.serving.replicas");
    assert_eq!(scale.status_replicas_path, ".status.replicas");
    assert_eq!(scale.label_selector_path.as_deref(), Some(".status.selector"));
    let selectable: Vec<&str> = versions[1].1.spec.versions[0]
        .selectable_fields
        .iter()
        .flatten()
        .map(|field| field.json_path.as_str())
        .collect();
    assert_eq!(selectable, [".spec.modelRef.name", ".spec.version"]);
}

/// Columns and paths of subresources lead to fields that exist.
#[test]
fn every_column_leads_to_a_field() {
    let filter = regex::Regex::new(r"\[\?\([^]]*\]").unwrap();
    for kind in Kind::ALL {
        let version = crd(kind).unwrap().spec.versions.remove(0);
        let mut paths: Vec<String> =
            version.additional_printer_columns.into_iter().flatten().map(|column| column.json_path).collect();
        paths.extend(version.selectable_fields.into_iter().flatten().map(|field| field.json_path));
        if let Some(scale) = version.subresources.and_then(|subresources| subresources.scale) {
            paths.extend([scale.spec_replicas_path, scale.status_replicas_path]);
            paths.extend(scale.label_selector_path);
        }
        for path in paths.iter().filter(|path| !path.starts_with(".metadata")) {
            let mut node = schema(kind).clone();
            for part in filter.replace_all(path, ".[]").split('.').filter(|part| !part.is_empty()) {
                let next = match part {
                    "[]" => node["items"].take(),
                    // The text of columns is kept by name: operator/core/src/columns.rs writes every one of them.
                    _ if node["properties"].get(part).is_none() => node["additionalProperties"].take(),
                    _ => node["properties"][part].take(),
                };
                assert!(next.is_object(), "{kind} {path} ends at {part}");
                node = next;
            }
        }
    }
}
