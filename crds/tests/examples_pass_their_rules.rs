//! Every example is accepted as it stands: no unknown field, sound structure, all rules.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::{examples, through_types};
use endcap_crds::{Kind, apply_defaults, validate};

#[test]
fn every_example_is_accepted() {
    for (path, kind, object) in examples() {
        let violations = validate(kind, &object, None);
        assert!(violations.is_empty(), "{} {kind}:\n{violations:#?}", path.display());
        let unchanged = validate(kind, &object, Some(&object));
        assert!(unchanged.is_empty(), "{} {kind} refuses itself:\n{unchanged:#?}", path.display());
    }
}

#[test]
fn the_examples_cover_what_was_promised() {
    let files: BTreeSet<String> =
        examples().iter().map(|(path, ..)| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    for expected in [
        "minimal",
        "manual-promotion",
        "automatic-promotion",
        "experiment",
        "drift-retraining",
        "gpu",
        "s3",
        "uci-online-retail",
        "complete-journey",
    ] {
        assert!(files.contains(&format!("{expected}.yaml")), "examples/{expected}.yaml is missing");
    }
    let kinds: BTreeSet<Kind> = examples().into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, BTreeSet::from([Kind::RecommenderModel, Kind::PromotionPolicy, Kind::Experiment]));
}

/// The types and the schema say the same defaults: what the schema fills in is what the types read from nothing.
#[test]
fn the_types_default_as_the_schema_does() {
    for (path, kind, object) in examples() {
        let mut defaulted = object.clone();
        apply_defaults(kind, &mut defaulted);
        let from_bare = through_types(kind, &object).unwrap();
        let from_defaulted = through_types(kind, &defaulted).unwrap();
        assert_eq!(from_bare, from_defaulted, "{}", path.display());
        let spec_of_types = &from_bare["spec"];
        let mut spec_of_schema = defaulted["spec"].clone();
        quantities_as_text(&mut spec_of_schema);
        drop_empty(&mut spec_of_schema, spec_of_types);
        assert_eq!(&spec_of_schema, spec_of_types, "{}", path.display());
    }
}

/// Quantities may be numbers in YAML; the types keep them as text.
fn quantities_as_text(value: &mut serde_json::Value) {
    if let serde_json::Value::Object(fields) = value {
        for (name, field) in fields {
            if ["requests", "limits"].contains(&name.as_str()) {
                for quantity in field.as_object_mut().unwrap().values_mut() {
                    if quantity.is_number() {
                        *quantity = serde_json::Value::String(quantity.to_string());
                    }
                }
            } else {
                quantities_as_text(field);
            }
        }
    }
}

/// The types leave empty maps and lists out where the manifest writes them.
fn drop_empty(value: &mut serde_json::Value, like: &serde_json::Value) {
    if let serde_json::Value::Object(fields) = value {
        fields.retain(|name, field| {
            let empty = field.as_object().is_some_and(serde_json::Map::is_empty);
            !(empty && like.get(name).is_none())
        });
        for (name, field) in fields {
            drop_empty(field, &like[name]);
        }
    }
}
