//! Every rule of the definitions refuses its fixture, alone, and says where and what to do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::fixtures;
use endcap_crds::schema::rules;
use endcap_crds::{Kind, validate};

#[test]
fn every_fixture_breaks_exactly_its_rule() {
    for fixture in fixtures() {
        let file = fixture.file.display();
        if let Some(old) = &fixture.old {
            let violations = validate(fixture.kind, old, None);
            assert!(violations.is_empty(), "{file}: the stored object could not have been stored:\n{violations:#?}");
        }
        let violations = validate(fixture.kind, &fixture.new, fixture.old.as_ref());
        assert_eq!(violations.len(), 1, "{file}:\n{violations:#?}");
        let violation = &violations[0];
        assert_eq!(violation.rule.as_deref(), Some(fixture.rule.as_str()), "{file}");
        assert_eq!(without_indices(&violation.path), fixture.path, "{file}");
        assert!(!violation.message.contains("could not be evaluated"), "{file}: {violation}");
    }
}

#[test]
fn every_rule_has_a_fixture_and_every_fixture_a_rule() {
    let with_fixture: BTreeSet<(Kind, String, String)> =
        fixtures().into_iter().map(|fixture| (fixture.kind, fixture.path, fixture.rule)).collect();
    let in_schema: BTreeSet<(Kind, String, String)> = Kind::ALL
        .into_iter()
        .flat_map(|kind| rules(kind).into_iter().map(move |rule| (kind, rule.path, rule.rule)))
        .collect();
    assert!(!in_schema.is_empty());
    let missing: Vec<_> = in_schema.difference(&with_fixture).collect();
    assert!(missing.is_empty(), "rules without a fixture in crds/fixtures: {missing:#?}");
    let stale: Vec<_> = with_fixture.difference(&in_schema).collect();
    assert!(stale.is_empty(), "fixtures of rules that no definition holds: {stale:#?}");
}

#[test]
fn a_rule_that_compares_says_nothing_on_creation() {
    let mut compared = 0;
    for fixture in fixtures().into_iter().filter(|fixture| fixture.old.is_some()) {
        let violations = validate(fixture.kind, &fixture.new, None);
        assert!(violations.is_empty(), "{}:\n{violations:#?}", fixture.file.display());
        compared += 1;
    }
    assert!(compared > 10, "only {compared} fixtures compare");
}

#[test]
fn salt_is_fixed_in_every_direction() {
    let salted = |salt: Option<&str>| {
        let fixture = fixtures().into_iter().find(|fixture| fixture.path == "spec.routing").unwrap();
        let mut object = fixture.new;
        let routing = object.pointer_mut("/spec/routing").unwrap().as_object_mut().unwrap();
        match salt {
            Some(salt) => routing.insert("salt".to_owned(), salt.into()),
            None => routing.shift_remove("salt"),
        };
        object
    };
    for (old, new, accepted) in [
        (None, None, true),
        (Some("a"), Some("a"), true),
        (None, Some("a"), false),
        (Some("a"), None, false),
        (Some("a"), Some("b"), false),
    ] {
        let violations = validate(Kind::RecommenderModel, &salted(new), Some(&salted(old)));
        assert_eq!(violations.is_empty(), accepted, "{old:?} -> {new:?}: {violations:?}");
    }
}

/// A model that never spoke of routing may not receive a salt later either: the default makes the rule see both.
#[test]
fn salt_cannot_come_with_a_late_routing_section() {
    let fixture = fixtures().into_iter().find(|fixture| fixture.path == "spec.routing").unwrap();
    let mut old = fixture.new.clone();
    old.pointer_mut("/spec").unwrap().as_object_mut().unwrap().shift_remove("routing");
    assert_eq!(validate(fixture.kind, &fixture.new, Some(&old)).len(), 1);
}

#[test]
fn phases_of_a_version_only_move_forward() {
    let version = |phase: &str| {
        let fixture = fixtures().into_iter().find(|fixture| fixture.file.ends_with("ready-trains-again.yaml")).unwrap();
        let mut object = fixture.new;
        *object.pointer_mut("/status/phase").unwrap() = phase.into();
        object
    };
    for (old, new, accepted) in [
        ("Pending", "Training", true),
        ("Training", "Verifying", true),
        ("Verifying", "Ready", true),
        ("Training", "Failed", true),
        ("Ready", "Expired", true),
        ("Ready", "Ready", true),
        ("Ready", "Failed", false),
        ("Ready", "Training", false),
        ("Failed", "Ready", false),
        ("Expired", "Ready", false),
        ("Failed", "Failed", true),
    ] {
        let violations = validate(Kind::ModelVersion, &version(new), Some(&version(old)));
        assert_eq!(violations.is_empty(), accepted, "{old} -> {new}: {violations:?}");
    }
}

fn without_indices(path: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => {
                inside = true;
                out.push('[');
            }
            ']' => {
                inside = false;
                out.push(']');
            }
            _ if inside => {}
            c => out.push(c),
        }
    }
    out
}
