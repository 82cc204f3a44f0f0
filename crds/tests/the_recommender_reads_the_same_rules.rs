//! `spec.recommendation` and the recommender's policy are one JSON: what one writes the other reads, name by name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::examples;
use endcap_crds::{Kind, apply_defaults};
use endcap_recommender::policy::Policy;
use serde_json::Value;

/// Parts that are not the policy's business: why the OMS asks, how clicks are counted, where a list is kept.
const NOT_OF_THE_POLICY: [&str; 2] = ["occasions", "attributionWindow"];

fn recommendations() -> Vec<Value> {
    examples()
        .into_iter()
        .filter(|(_, kind, _)| *kind == Kind::RecommenderModel)
        .map(|(_, kind, mut object)| {
            apply_defaults(kind, &mut object);
            object["spec"]["recommendation"].take()
        })
        .collect()
}

#[test]
fn every_rule_of_the_examples_arrives() {
    for mut recommendation in recommendations() {
        let policy: Policy = serde_json::from_value(recommendation.clone()).unwrap();
        let written = serde_json::to_value(&policy).unwrap();
        for part in NOT_OF_THE_POLICY {
            recommendation.as_object_mut().unwrap().shift_remove(part);
        }
        assert_arrived(&recommendation, &written, "spec.recommendation");
    }
}

/// Everything that was said is said again, in the same words; durations may be spelled otherwise.
fn assert_arrived(said: &Value, written: &Value, path: &str) {
    match (said, written) {
        (Value::Object(fields), Value::Object(_)) => {
            for (name, field) in fields {
                let again = written.get(name).unwrap_or_else(|| panic!("{path}.{name} was lost: {written}"));
                assert_arrived(field, again, &format!("{path}.{name}"));
            }
        }
        (Value::Array(items), Value::Array(again)) => {
            assert_eq!(items.len(), again.len(), "{path}");
            for (index, (item, again)) in items.iter().zip(again).enumerate() {
                assert_arrived(item, again, &format!("{path}[{index}]"));
            }
        }
        _ => assert_eq!(said, written, "{path}"),
    }
}

/// Without a word of the user both sides mean the same.
#[test]
fn both_have_the_same_defaults() {
    let bare = recommendations().into_iter().next().unwrap();
    let mut from_schema: Policy = serde_json::from_value(bare).unwrap();
    assert_eq!(from_schema.placements.len(), 8, "the schema lists the placements by name");
    assert!(from_schema.placements.iter().all(|placement| placement.kinds.is_empty() && placement.limit.is_none()));
    from_schema.placements.clear();
    assert_eq!(from_schema, Policy::default());
}
