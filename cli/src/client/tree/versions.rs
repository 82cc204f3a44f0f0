//! Versions of a model: those in use, those that are trained, the newest.

use jiff::Timestamp;
use serde_json::Value;

use super::pods::{Pod, count};
use super::{Facts, Node, list, number};
use crate::client::columns::age_at;
use crate::up::objects::{condition, text_at};

const SHOWN: usize = 5;

pub fn node(facts: &Facts, now: Timestamp) -> Node {
    let name = text_at(&facts.model, "/metadata/name");
    let mut own: Vec<&Value> =
        facts.versions.iter().filter(|version| text_at(version, "/spec/modelRef/name") == name).collect();
    own.sort_by_key(|version| std::cmp::Reverse(number(version, "/spec/version")));
    if own.is_empty() {
        return Node::new("versions: none yet");
    }
    let pods =
        |version: &str| -> Vec<&Pod> { facts.pods.iter().flatten().filter(|pod| pod.version == version).collect() };
    let mut node = Node::new("versions");
    let mut left_out = 0;
    for (at, version) in own.into_iter().enumerate() {
        let name = text_at(version, "/metadata/name");
        let is_used = !list(version, "/status/usedBy").is_empty() || !pods(&name).is_empty();
        let is_made = ["", "Pending", "Training", "Verifying"].contains(&text_at(version, "/status/phase").as_str());
        if at >= SHOWN && !is_used && !is_made {
            left_out += 1;
        } else {
            node.add(one(facts, version, &pods(&name), now));
        }
    }
    if left_out > 0 {
        node.leaf(format!("and {left_out} older ones (see `versions {name}`)"));
    }
    node
}

/// A figure of the evaluation, on its first split.
pub fn metric(version: &Value, list_: &str, name: &str) -> Option<String> {
    let found = list(version, list_).iter().find(|metric| text_at(metric, "/name") == name)?;
    Some(text_at(found, "/value"))
}

/// Why its training failed, or what the offline gates said against it.
fn trouble(facts: &Facts, version: &Value) -> Option<String> {
    let name = text_at(version, "/metadata/name");
    let of = |type_: &str| {
        condition(version, type_).filter(|found| found.status == "False").map(|found| found.message.to_owned())
    };
    if text_at(version, "/status/phase") == "Failed" {
        return of("Trained").map(|why| format!("training failed: {why}"));
    }
    let rejected = list(&facts.model, "/status/rejectedVersions").iter().find(|one| text_at(one, "/version") == name);
    let rejected = rejected.map(|one| format!("rejected: {}", text_at(one, "/reason")));
    rejected.or_else(|| of("GatesPassed").map(|why| format!("offline gates: {why}")))
}

fn one(facts: &Facts, version: &Value, pods: &[&Pod], now: Timestamp) -> Node {
    let text = |pointer: &str| text_at(version, pointer);
    let mut parts = vec![format!("{}  {}", text("/metadata/name"), text("/status/phase"))];
    if let Some(value) = metric(version, "/status/metrics", "ndcg@10") {
        let baseline = metric(version, "/status/baselineMetrics", "ndcg@10");
        parts.push(format!(
            "ndcg@10 {value}{}",
            baseline.map(|one| format!(" (active then {one})")).unwrap_or_default()
        ));
    }
    let users: Vec<&str> = list(version, "/status/usedBy").iter().filter_map(Value::as_str).collect();
    if !users.is_empty() {
        parts.push(format!("in use: {}", users.join(", ")));
    }
    let (predictors, trainings): (Vec<&Pod>, Vec<&Pod>) = pods.iter().partition(|pod| pod.component == "predictor");
    let mut lines = Vec::new();
    for (own, what) in [(predictors, "predictors"), (trainings, "training pods")] {
        if own.iter().any(|pod| !pod.done) {
            let (text, more) = count(&own, what);
            parts.push(text);
            lines.extend(more);
        }
    }
    parts.push(age_at(&text("/metadata/creationTimestamp"), now));
    let mut node = Node::new(parts.join(", "));
    if let Some(trouble) = trouble(facts, version) {
        node.leaf(format!("✗ {trouble}"));
    }
    node.below.extend(lines);
    node
}
