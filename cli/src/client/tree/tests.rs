#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

/// `@-62m` is a time of the development server's objects: so long before now.
fn dated(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with('@') => {
            let (sign, amount) = text[1..].split_at(1);
            let (amount, unit) = amount.split_at(amount.len() - 1);
            let seconds = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3_600,
                "d" => 86_400,
                other => panic!("unit {other} in {text}"),
            };
            let by = SignedDuration::from_secs(amount.parse::<i64>().unwrap() * seconds);
            let time = if sign == "-" { now() - by } else { now() + by };
            *text = time.to_string();
        }
        Value::Array(all) => all.iter_mut().for_each(dated),
        Value::Object(all) => all.values_mut().for_each(dated),
        _ => {}
    }
}

fn objects(text: &str) -> Vec<Value> {
    let read = serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap());
    let mut all: Vec<Value> = read.collect();
    all.iter_mut().for_each(dated);
    all
}

fn pod(name: &str, component: &str, version: &str, ready: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"app.kubernetes.io/component": component, "endcap.dev/version": version}},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
    })
}

/// What the console's development server shows: a rollout in its third step.
fn facts() -> Facts {
    let policies = objects(include_str!("../../../../console/dev/objects/10-policy.yaml"));
    let mut model = objects(include_str!("../../../../console/dev/objects/20-model.yaml")).remove(0);
    model["metadata"]["namespace"] = json!("default");
    model["metadata"]["generation"] = json!(1);
    model["status"]["rollout"]["phase"] = json!("Stepping");
    let mut events = objects(include_str!("../../../../console/dev/objects/50-events.yaml"));
    events.sort_by(|one, other| said::time(one).cmp(said::time(other)));
    let mut broken = pod("shop-v4-7d9c-x2x", "predictor", "shop-v4", "False");
    broken["status"]["containerStatuses"] = json!([{
        "restartCount": 4,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
        "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    }]);
    let pods = [
        pod("shop-router-1", "router", "", "True"),
        pod("shop-router-2", "router", "", "True"),
        pod("shop-v3-a", "predictor", "shop-v3", "True"),
        pod("shop-v4-a", "predictor", "shop-v4", "True"),
        broken,
    ];
    Facts {
        model,
        versions: objects(include_str!("../../../../console/dev/objects/30-versions.yaml")),
        experiments: objects(include_str!("../../../../console/dev/objects/40-experiment.yaml")),
        policy: policies.into_iter().find(|policy| text_at(policy, "/metadata/name") == "careful"),
        pods: Some(pods.iter().map(Pod::read).collect()),
        events,
        missing: Vec::new(),
        most_events: 3,
    }
}

#[test]
fn a_rollout_is_told_on_one_page() {
    let text = tree(&facts(), now());
    println!("{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "shop (default)  RollingOut  http://127.0.0.1:8080");
    let has = |wanted: &str| assert!(text.contains(wanted), "no {wanted:?} in\n{text}");
    has("✓ Ready               Serving: shop-v3 answers on 2 of 2 replicas (39d)");
    has("✗ PromotionComplete   InProgress");
    has("traffic: 2 of 2 routers serve the newest table (revision 41); owned by Rollout");
    has("shop-v4  candidate   25 % on the wire, 1 ready");
    has("step quarter");
    has("held: waiting for samples");
    has("✓ gate click-rate 0.1274 (0.1159 to 0.1389; limit 0.1062; n 3214)");
    has("1 of 2 predictors ready");
    has(
        "✗ shop-v4-7d9c-x2x not ready, 4 restarts: CrashLoopBackOff: back-off 40s; last time OOMKilled (exit code 137)",
    );
    has("router: 2 of 2 pods ready");
    has("drift: order_value Psi 0.142 (limit 0.2), 1 windows in a row, looked at 4m0s ago");
    // What is as it should be takes no line.
    assert!(!text.contains("TrafficSynced") && !text.contains("Degraded"), "{text}");
    assert!(text.lines().filter(|line| line.contains(" ago  ")).count() <= 3, "{text}");
}

#[test]
fn what_is_asked_for_is_not_what_is_on_the_wire() {
    let mut facts = facts();
    facts.model["status"]["traffic"][1]["ackedWeight"] = json!(512);
    let text = tree(&facts, now());
    assert!(text.contains("5.12 % on the wire (25 % asked for)"), "{text}");
}

#[test]
fn an_operator_that_is_away_is_said_first() {
    let mut facts = facts();
    facts.model["metadata"]["generation"] = json!(7);
    facts.missing.push("events cannot be read: no".to_owned());
    let text = tree(&facts, now());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].ends_with("! events cannot be read: no"), "{text}");
    assert!(lines[2].contains("knows generation 1 of the spec, not 7"), "{text}");
    facts.model["status"] = json!({});
    facts.versions.clear();
    facts.pods = None;
    let young = tree(&facts, now());
    assert!(young.contains("has not looked at it yet") && young.contains("versions: none yet"), "{young}");
    assert!(!young.contains("pods"), "{young}");
}

#[test]
fn a_pod_says_why_it_is_not_ready() {
    let trouble = |status: Value| Pod::read(&json!({"metadata": {"name": "p"}, "status": status})).trouble;
    let unplaced = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]});
    assert_eq!(trouble(unplaced), "Unschedulable: 0/3 nodes");
    let image = json!({"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]});
    assert_eq!(trouble(image), "ErrImagePull");
    assert_eq!(
        trouble(
            json!({"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]})
        ),
        "Pending"
    );
    assert_eq!(trouble(json!({"phase": "Running"})), "");
}

#[test]
fn shares_are_written_as_people_do() {
    assert_eq!([0, 100, 2_550, 10_000].map(percent), ["0 %", "1 %", "25.50 %", "100 %"]);
}
