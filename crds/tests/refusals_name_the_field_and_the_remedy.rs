//! A refusal names the field and says what to write instead.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use endcap_crds::{Kind, Violation, apply_defaults, validate};
use serde_json::{Value, json};

fn model(change: impl FnOnce(&mut Value)) -> Value {
    let mut object = json!({
        "apiVersion": "endcap.dev/v1alpha1",
        "kind": "RecommenderModel",
        "metadata": {"name": "feed", "namespace": "shop"},
        "spec": {
            "data": {"sources": [{"name": "shop", "object": {"uri": "file:///data/shop"}}]},
            "artifacts": {"uri": "file:///data/artifacts"},
        },
    });
    change(&mut object);
    object
}

fn one(object: &Value) -> Violation {
    let mut violations = validate(Kind::RecommenderModel, object, None);
    assert_eq!(violations.len(), 1, "{violations:#?}");
    violations.remove(0)
}

#[test]
fn structural_refusals() {
    #[rustfmt::skip]
    let cases: &[(&str, Value, &str, &str)] = &[
        ("/spec/serving", json!({"replica": 3}), "spec.serving.replica", "did you mean replicas?"),
        ("/spec/serving", json!({"colour": 3}), "spec.serving.colour", "use one of"),
        ("/spec/serving", json!({"replicas": "3"}), "spec.serving.replicas", "a whole number without quotes"),
        ("/spec/serving", json!({"replicas": 1.5}), "spec.serving.replicas", "a whole number"),
        ("/spec/serving", json!({"replicas": 501}), "spec.serving.replicas", "at most 500"),
        ("/spec/serving", json!({"replicas": 3_000_000_000_i64}), "spec.serving.replicas", "32-bit"),
        ("/spec/serving", json!({"drainSeconds": -1}), "spec.serving.drainSeconds", "at least 0"),
        ("/spec/serving", json!({"requestTimeout": "150 ms"}), "spec.serving.requestTimeout", "150ms, 30s"),
        ("/spec/serving", json!({"requestTimeout": "1d"}), "spec.serving.requestTimeout", "days as hours"),
        ("/spec/serving", json!({"device": "TPU"}), "spec.serving.device", "one of Cpu, Gpu"),
        ("/spec/serving", json!([]), "spec.serving", "a group of fields, not a list"),
        ("/spec/serving", json!({"resources": {"limits": {"cpu": "two"}}}), "spec.serving.resources.limits.cpu", "500m, 2 or 4Gi"),
        ("/spec/serving", json!({"resources": {"limits": {"cpu": true}}}), "spec.serving.resources.limits.cpu", "quantity"),
        ("/spec/paused", json!("yes"), "spec.paused", "true or false"),
        ("/spec/hyperparameters", json!({"epochs": 20}), "spec.hyperparameters.epochs", "in quotes"),
        ("/spec/artifacts", json!({"uri": "http://x/y"}), "spec.artifacts.uri", "s3://bucket/prefix"),
        ("/spec/artifacts", json!({}), "spec.artifacts.uri", "required: add it"),
        ("/spec/data", json!({"sources": []}), "spec.data.sources", "at least 1 items"),
        ("/spec/data", json!({"sources": [
            {"name": "a", "object": {"uri": "file:///a"}}, {"name": "a", "object": {"uri": "file:///b"}},
        ]}), "spec.data.sources[1]", "duplicate"),
        ("/spec/data", json!({"sources": [{"name": "A", "object": {"uri": "file:///a"}}]}), "spec.data.sources[0].name", "lower-case"),
        ("/spec/data", json!({"sources": [{"name": "a", "events": {"from": 1}}]}), "spec.data.sources[0].events.from", "nothing can be set here"),
        ("/spec/retraining", json!({"schedule": "@daily"}), "spec.retraining.schedule", "five fields"),
        ("/spec/recommendation", json!({"occasions": ["PreCheckout", "PreCheckout"]}), "spec.recommendation.occasions[1]", "duplicate"),
        ("/spec/recommendation", json!({"placements": [{"name": "shelf"}]}), "spec.recommendation.placements[0].name", "order_entry"),
        ("/spec/recommendation", json!({"blocklist": {"products": vec!["x"; 501]}}), "spec.recommendation.blocklist.products", "at most 500"),
        ("/metadata/name", json!("Feed"), "metadata.name", "lower-case"),
        ("/metadata/namespace", json!("a.b"), "metadata.namespace", "lower-case"),
        ("/apiVersion", json!("endcap.dev/v1"), "apiVersion", "endcap.dev/v1alpha1"),
        ("/kind", json!("Recommender"), "kind", "RecommenderModel"),
        ("/sepc", json!({}), "sepc", "unknown field"),
        ("/status", json!({"phase": "Happy"}), "status.phase", "one of Pending"),
        ("/status", json!({"rejectedVersions": [{"version": "feed-v1", "reason": "GateFailed", "time": "yesterday"}]}),
            "status.rejectedVersions[0].time", "2026-09-01T08:00:00Z"),
    ];
    for (pointer, value, path, remedy) in cases {
        let object = model(|object| {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            object.pointer_mut(parent).unwrap()[field] = value.clone();
        });
        let violation = one(&object);
        assert_eq!(violation.path, *path, "{violation}");
        assert!(violation.message.contains(remedy), "{violation}\nexpected to contain: {remedy}");
        assert_eq!(violation.rule, None, "{violation}");
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let object = model(|object| {
        object["spec"]["serving"] = json!({"replicas": -1, "device": "TPU", "x": 1});
        object["spec"]["paused"] = json!(1);
    });
    let violations = validate(Kind::RecommenderModel, &object, None);
    assert_eq!(violations.len(), 4, "{violations:#?}");
}

#[test]
fn what_is_no_object_is_refused() {
    for object in [json!(null), json!([]), json!("x"), json!({}), json!({"metadata": 3})] {
        assert!(!validate(Kind::PromotionPolicy, &object, None).is_empty(), "{object}");
    }
}

#[test]
fn a_null_removes_a_field() {
    let object = model(|object| {
        object["spec"]["promotedVersion"] = Value::Null;
        object["spec"]["serving"] = json!({"replicas": null});
    });
    assert_eq!(validate(Kind::RecommenderModel, &object, None), []);
    let mut defaulted = object;
    apply_defaults(Kind::RecommenderModel, &mut defaulted);
    assert_eq!(defaulted["spec"]["serving"]["replicas"], json!(2));
    assert!(defaulted["spec"].get("promotedVersion").is_none());
}

#[test]
fn defaults_are_those_of_the_reference() {
    let mut object = model(|_| {});
    apply_defaults(Kind::RecommenderModel, &mut object);
    for (pointer, expected) in [
        ("/spec/architecture", json!("Hybrid")),
        ("/spec/data/window", json!("17520h")),
        ("/spec/data/minimum/activeCustomers", json!(10_000)),
        ("/spec/data/quality/maxRejectedPercent", json!(5)),
        ("/spec/training/seed", json!(42)),
        ("/spec/training/activeDeadline", json!("6h")),
        ("/spec/training/resources/requests/cpu", json!("2")),
        ("/spec/retraining/cooldown", json!("6h")),
        ("/spec/retraining/timeZone", json!("Etc/UTC")),
        ("/spec/serving/requestTimeout", json!("150ms")),
        ("/spec/serving/fallback", json!("StableThenPopularity")),
        ("/spec/serving/resources/requests/memory", json!("1Gi")),
        ("/spec/routing/unit/header", json!("x-endcap-unit")),
        ("/spec/routing/overrideHeader", json!("x-endcap-version")),
        ("/spec/artifacts/retention/keepPromoted", json!(4)),
        ("/spec/artifacts/deletionPolicy", json!("Retain")),
        ("/spec/monitoring/ctr/maxDropPercent", json!(10)),
        ("/spec/monitoring/coverage/maxDropPercent", json!(20)),
        ("/spec/recommendation/upsellMode", json!("Hybrid")),
        ("/spec/recommendation/historyOrders", json!(30)),
        (
            "/spec/recommendation/stock",
            json!({"outOfStock": "Exclude", "backordered": "PushDown", "staleAfter": "24h", "whenStale": "TrustLast"}),
        ),
        ("/spec/recommendation/overPromotion", json!({"maxOfferItems": 2, "declineLimit": 3, "declineWindow": "336h"})),
        ("/spec/recommendation/attributionWindow", json!("24h")),
        ("/spec/events/log/embedded/storage", json!("10Gi")),
        ("/spec/insights/enabled", json!(true)),
        ("/spec/networkPolicy/enabled", json!(true)),
        ("/spec/rollout/paused", json!(false)),
    ] {
        assert_eq!(object.pointer(pointer), Some(&expected), "{pointer}");
    }
    assert_eq!(object["spec"]["recommendation"]["placements"].as_array().unwrap().len(), 8);
}
