#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::json;

use super::*;

/// Asked for as generation 4 of the spec.
fn promotion() -> Promotion {
    let before = json!({"status": {"history": [{"version": "feed-v2", "outcome": "RolledBack", "time": "2026-01-01T00:00:00Z"}]}});
    Promotion::new("feed-v2", &before, &json!({"metadata": {"generation": 4}}))
}

fn model(changes: &Value) -> Value {
    let mut model = json!({
        "metadata": {"name": "feed", "generation": 4},
        "spec": {"promotedVersion": "feed-v2"},
        "status": {
            "observedGeneration": 4, "activeVersion": "feed-v1",
            "history": [{"version": "feed-v2", "outcome": "RolledBack", "time": "2026-01-01T00:00:00Z"}],
            "rollout": {"version": "feed-v2", "phase": "Stepping", "step": "ten", "weight": 10, "heldReason": "the step has begun"},
            "traffic": [{"version": "feed-v2", "ackedWeight": 500}],
            "conditions": [{"type": "PromotionComplete", "status": "False", "reason": "InProgress", "observedGeneration": 4}]
        }
    });
    crate::up::fields::merge(&mut model, changes);
    model
}

fn complete(status: &str, reason: &str, generation: i64) -> Value {
    json!([{"type": "PromotionComplete", "status": status, "reason": reason, "message": "why", "observedGeneration": generation}])
}

fn bad(end: Option<End>) -> String {
    match end {
        Some(End::Bad(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_promotion_goes_on_until_it_ends() {
    let (promotion, ready) = (promotion(), json!({"status": {"phase": "Ready"}}));
    let judge = |changes: Value| promotion.judge(&model(&changes), Some(&ready));
    // An earlier rollback of the same version is another story.
    assert_eq!(judge(json!({})), None);
    let done = json!({"status": {"activeVersion": "feed-v2", "conditions": complete("True", "Promoted", 4)}});
    assert_eq!(judge(done.clone()), Some(End::Good("why".to_owned())));
    // What a status says of an older generation is no answer.
    let mut old = done;
    old["status"]["conditions"] = complete("True", "Promoted", 3);
    assert_eq!(judge(old), None);
    let unseen = json!({"status": {"observedGeneration": 3, "conditions": complete("False", "RolledBack", 3)}});
    assert_eq!(judge(unseen), None);
    assert!(
        bad(judge(json!({"status": {"conditions": complete("False", "RolledBack", 4)}}))).starts_with("rejected: why")
    );
    assert!(bad(judge(json!({"status": {"conditions": complete("False", "Aborted", 4)}}))).starts_with("aborted: why"));
    let again =
        json!([{"version": "feed-v2", "outcome": "RolledBack", "time": "2026-01-02T00:00:00Z", "reason": "p99"}]);
    assert_eq!(bad(judge(json!({"status": {"history": again}}))), "rolled back: p99");
    let passed_over = json!([{"version": "feed-v2", "outcome": "Superseded", "time": "2026-01-02T00:00:00Z"}]);
    assert_eq!(judge(json!({"status": {"history": passed_over}})), None);
    assert!(bad(judge(json!({"spec": {"promotedVersion": "feed-v3"}}))).contains("names feed-v3"));
    assert!(bad(judge(json!({"spec": {"promotedVersion": null}}))).contains("names nothing"));
}

#[test]
fn a_version_that_cannot_serve_ends_its_promotion() {
    let promotion = promotion();
    let judge = |version: Option<Value>| promotion.judge(&model(&json!({})), version.as_ref());
    assert!(bad(judge(None)).contains("deleted"));
    assert!(
        bad(judge(Some(json!({"metadata": {"deletionTimestamp": "now"}, "status": {"phase": "Ready"}}))))
            .contains("deleted")
    );
    assert!(bad(judge(Some(json!({"status": {"phase": "Failed"}})))).contains("failed"));
    // Still in training: it is promoted when it is there.
    assert_eq!(judge(Some(json!({"status": {"phase": "Training"}}))), None);
    let refused = json!({"status": {"rollout": null, "conditions": [
        {"type": "Degraded", "status": "True", "reason": "GateFailed", "message": "feed-v2 did not pass the offline gates"}]}});
    let gates = json!({"status": {"phase": "Ready", "conditions": [
        {"type": "GatesPassed", "status": "False", "message": "ndcg@10 0.31 < 0.32 allowed"}]}});
    assert_eq!(bad(promotion.judge(&model(&refused), Some(&gates))), "rejected: ndcg@10 0.31 < 0.32 allowed");
}

#[test]
fn a_stage_says_what_is_on_the_wire() {
    let (key, text) = stage(&model(&json!({})), "feed-v2", 4);
    assert_eq!(key, "Stepping, step ten, 10 %; the step has begun");
    let ticks = |text: &str| stage(&model(&json!({"status": {"rollout": {"heldReason": text}}})), "feed-v2", 4).0;
    assert_eq!(ticks("31 of 500 requests, about 9 minutes"), ticks("45 of 500 requests, about 8 minutes"));
    assert_ne!(ticks("31 of 500 requests"), ticks("step half waits for approval"));
    assert_eq!(text, "Stepping, step ten, 10 % (on the wire 5 %); the step has begun");
    assert_eq!(stage(&model(&json!({})), "feed-v2", 5).0, "unseen");
}

#[test]
fn a_training_is_followed_by_its_token() {
    let model = |retraining: Value| json!({"spec": {"retraining": {"trigger": "t1"}}, "status": {"observedGeneration": 2, "retraining": retraining}});
    let version = |number: i64, status: Value| json!({"metadata": {"name": format!("feed-v{number}")}, "spec": {"version": number, "trigger": {"token": "t1"}}, "status": status});
    let end = |model: &Value, versions: &[Value]| trained(model, versions, "t1", 2).0;
    assert_eq!(end(&model(json!({})), &[]), None);
    let skipped = model(json!({"handledToken": "t1", "skipped": "Manual: the budget is spent"}));
    assert_eq!(bad(end(&skipped, &[])), "no training: Manual: the budget is spent");
    let taken = version(3, json!({"phase": "Failed", "conditions": [{"type": "Trained", "reason": "VersionTaken"}]}));
    assert_eq!(end(&model(json!({})), std::slice::from_ref(&taken)), None);
    let ready = version(4, json!({"phase": "Ready"}));
    assert_eq!(end(&model(json!({})), &[ready, taken]), Some(End::Good("feed-v4 is Ready".to_owned())));
    let failed = version(4, json!({"phase": "Failed", "conditions": [{"type": "Trained", "message": "no orders"}]}));
    assert!(bad(end(&model(json!({})), &[failed])).contains("no orders"));
    let half = version(4, json!({"phase": "Training", "progressPercent": 47, "etaSeconds": 180}));
    assert_eq!(trained(&model(json!({})), &[half], "t1", 2).2, "feed-v4 Training 47 %, 3m0s left");
}
