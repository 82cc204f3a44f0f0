//! Properties: validation never panics, and whatever it accepts the types can read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fmt::Write as _;
use std::sync::OnceLock;

use common::{examples, fixtures, through_types};
use endcap_crds::common::text::DurationText;
use endcap_crds::{Kind, validate};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Objects to begin from, all of them accepted: examples, and what fixtures would change.
fn seeds() -> &'static [(Kind, Value)] {
    static SEEDS: OnceLock<Vec<(Kind, Value)>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let examples = examples().into_iter().map(|(_, kind, object)| (kind, object));
        let fixtures = fixtures().into_iter().filter_map(|fixture| Some((fixture.kind, fixture.old?)));
        examples.chain(fixtures).collect()
    })
}

/// Pointers to every value of spec and status.
fn pointers(value: &Value) -> Vec<String> {
    fn visit(pointer: String, value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let escaped = name.replace('~', "~0").replace('/', "~1");
                    visit(format!("{pointer}/{escaped}"), field, out);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    visit(format!("{pointer}/{index}"), item, out);
                }
            }
            _ => {}
        }
        out.push(pointer);
    }
    let mut out = Vec::new();
    for part in ["spec", "status"] {
        if let Some(part_value) = value.get(part) {
            visit(format!("/{part}"), part_value, &mut out);
        }
    }
    out
}

fn replacement() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0i64..200).prop_map(Value::from),
        any::<f64>().prop_map(|float| json!(float)),
        "[a-z0-9]{0,8}".prop_map(Value::from),
        "[0-9]{1,7}(h|m|s|ms)".prop_map(Value::from),
        "-?[0-9]{1,3}(\\.[0-9]{1,3})?".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        prop::sample::select(vec![
            "feed-v2",
            "file:///a",
            "0 3 * * *",
            "Rules",
            "Gpu",
            "Custom",
            "Mv",
            "Manual",
            "Automatic",
            "VsActive",
            "Ks",
            "cart",
            "Ctr"
        ])
        .prop_map(Value::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_can_be_read(
        seed in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), replacement()), 1..3),
        name in "[a-z]{1,6}",
    ) {
        let (kind, object) = &seeds()[seed.index(seeds().len())];
        let mut changed = object.clone();
        for (place, value) in changes {
            let pointers = pointers(&changed);
            prop_assume!(!pointers.is_empty());
            let pointer = &pointers[place.index(pointers.len())];
            let target = changed.pointer_mut(pointer).unwrap();
            match target {
                Value::Object(fields) if place.index(2) == 0 => { fields.insert(name.clone(), value); }
                target => *target = value,
            }
        }
        let violations = validate(*kind, &changed, Some(object));
        for violation in &violations {
            prop_assert!(!violation.message.contains("could not be evaluated"), "{violation}\n{changed}");
        }
        if violations.is_empty() {
            let mut bare = changed.clone();
            endcap_crds::apply_defaults(*kind, &mut bare);
            prop_assert!(through_types(*kind, &bare).is_ok(), "{:?}\n{bare}", through_types(*kind, &bare));
        }
    }

    /// The schema's pattern, CEL and our own reading agree on every duration.
    #[test]
    fn durations_mean_the_same_everywhere(
        hours in prop::option::of(0u64..300),
        minutes in prop::option::of(0u64..20_000),
        seconds in prop::option::of(0u64..700_000),
        millis in prop::option::of(0u64..999_999),
    ) {
        let mut text = String::new();
        let mut total = 0;
        for (value, unit, factor) in
            [(hours, "h", 3_600_000), (minutes, "m", 60_000), (seconds, "s", 1_000), (millis, "ms", 1)]
        {
            if let Some(value) = value {
                write!(text, "{value}{unit}").unwrap();
                total += value * factor;
            }
        }
        prop_assume!(!text.is_empty());
        prop_assert_eq!(DurationText(text.clone()).as_millis(), Ok(total));
        let object = json!({
            "apiVersion": "endcap.dev/v1alpha1",
            "kind": "RecommenderModel",
            "metadata": {"name": "feed"},
            "spec": {
                "data": {"sources": [{"name": "shop", "object": {"uri": "file:///data/shop"}}]},
                "artifacts": {"uri": "file:///data/artifacts"},
                "training": {"activeDeadline": text},
            },
        });
        let accepted = validate(Kind::RecommenderModel, &object, None).is_empty();
        prop_assert_eq!(accepted, (60_000..=168 * 3_600_000).contains(&total));
    }
}
