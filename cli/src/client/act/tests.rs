#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

fn model(status: &Value) -> Value {
    json!({"metadata": {"name": "feed"}, "spec": {}, "status": status})
}

fn ready(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| json!({"metadata": {"name": name}, "status": {"phase": "Ready"}})).collect()
}

#[test]
fn the_way_back_leads_to_the_last_version_that_served_everybody() {
    let history = json!([
        {"version": "feed-v6", "from": "feed-v5", "outcome": "RolledBack"},
        {"version": "feed-v5", "from": "feed-v3", "outcome": "Promoted"},
        {"version": "feed-v4", "from": "feed-v3", "outcome": "Aborted"},
        {"version": "feed-v3", "from": "feed-v1", "outcome": "Promoted"}
    ]);
    let mut model = model(&json!({"activeVersion": "feed-v5", "history": history}));
    let all = ready(&["feed-v1", "feed-v3", "feed-v4", "feed-v5", "feed-v6"]);
    // Never one that was only tried: v6 and v4 were taken back.
    assert_eq!(before(&model, &all).unwrap(), "feed-v3");
    model["status"]["rejectedVersions"] = json!([{"version": "feed-v3", "reason": "Aborted"}]);
    assert_eq!(before(&model, &all).unwrap(), "feed-v1");
    let text = before(&model, &ready(&["feed-v5"])).unwrap_err().to_string();
    assert!(text.contains("feed-v3, feed-v1"), "{text}");
    model["status"]["rollout"] = json!({"version": "feed-v7", "phase": "Stepping"});
    let text = before(&model, &all).unwrap_err().to_string();
    assert!(text.contains("`abort feed`"), "{text}");
    model["status"]["rollout"]["phase"] = json!("Cooling");
    assert_eq!(before(&model, &all).unwrap(), "feed-v1");
}

#[test]
fn nothing_served_before_the_first_version() {
    let model = model(&json!({"activeVersion": "feed-v1", "history": [{"version": "feed-v1", "outcome": "Promoted"}]}));
    let text = before(&model, &ready(&["feed-v1"])).unwrap_err().to_string();
    assert!(text.starts_with("no version of feed served before feed-v1"), "{text}");
}

#[test]
fn promoting_takes_back_what_stands_in_the_way() {
    let mut model = model(&json!({"activeVersion": "feed-v1", "rejectedVersions": [{"version": "feed-v2"}]}));
    assert_eq!(promote(&model, "feed-v3").spec, json!({"promotedVersion": "feed-v3"}));
    model["spec"] = json!({"rollout": {"abortVersion": "feed-v2", "paused": true}});
    let change = promote(&model, "feed-v2");
    assert_eq!(change.spec["rollout"]["abortVersion"], Value::Null);
    assert!(change.spec["rollout"]["retryToken"].is_string());
    assert_eq!(change.effects.len(), 4, "{:?}", change.effects);
}

#[test]
fn an_approval_names_the_step_that_waits() {
    let policy = json!({"spec": {"steps": [
        {"name": "one", "weight": 1, "requireApproval": true}, {"name": "ten", "weight": 10},
        {"name": "half", "weight": 50, "requireApproval": true}, {"name": "all", "weight": 100}
    ]}});
    let step = |rollout: Value| {
        let change = approve(&model(&json!({"rollout": rollout})), Some(&policy), None, None)?;
        anyhow::Ok(change.spec["rollout"]["approvedStep"].clone())
    };
    let preparing = step(json!({"version": "feed-v3", "phase": "Preparing"})).unwrap();
    assert_eq!(preparing, json!({"version": "feed-v3", "step": "one"}));
    let stepping = step(json!({"version": "feed-v3", "phase": "Stepping", "step": "ten"})).unwrap();
    assert_eq!(stepping, json!({"version": "feed-v3", "step": "half"}));
    assert!(step(json!({"version": "feed-v3", "phase": "Stepping", "step": "half"})).is_err());
    assert!(step(json!({"version": "feed-v3", "phase": "Cooling"})).is_err());
    let named = approve(&model(&json!({})), None, Some("feed-v9"), Some("half")).unwrap();
    assert_eq!(named.spec["rollout"]["approvedStep"], json!({"version": "feed-v9", "step": "half"}));
}

#[test]
fn an_abort_takes_the_candidate_or_what_is_named() {
    let rolling = model(&json!({"activeVersion": "feed-v1", "rollout": {"version": "feed-v2", "phase": "Stepping"}}));
    assert_eq!(abort(&rolling, None).unwrap().spec, json!({"rollout": {"abortVersion": "feed-v2"}}));
    let settled = model(&json!({"activeVersion": "feed-v2"}));
    assert!(abort(&settled, None).unwrap_err().to_string().contains("`abort feed-v2`"));
    assert!(abort(&settled, Some("feed-v2")).unwrap().effects[0].contains("served before"));
}

#[test]
fn a_retry_is_for_what_was_rejected() {
    assert!(retry(&model(&json!({}))).is_err());
    let mut model = model(&json!({"rejectedVersions": [{"version": "feed-v2"}]}));
    model["spec"] = json!({"promotedVersion": "feed-v3"});
    assert!(retry(&model).unwrap_err().to_string().contains("promote feed VERSION"));
    model["spec"] = json!({"promotedVersion": "feed-v2", "rollout": {"abortVersion": "feed-v2"}});
    assert_eq!(retry(&model).unwrap().spec["rollout"]["abortVersion"], Value::Null);
}

#[test]
fn the_kubectl_line_does_the_same() {
    let change = hold(&model(&json!({})));
    assert_eq!(
        change.kubectl("shop", "feed"),
        r#"kubectl patch recm feed -n shop --type=merge -p '{"spec":{"rollout":{"paused":true}}}'"#
    );
}
