//! Pods of a model, and what is wrong with those that are not ready.

use serde_json::Value;

use super::{Node, list};
use crate::up::objects::text_at;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub name: String,
    pub component: String,
    pub version: String,
    pub ready: bool,
    /// It has done what it was for.
    pub done: bool,
    pub restarts: i64,
    /// Why it is not ready, or what it died of last.
    pub trouble: String,
}

impl Pod {
    pub fn read(pod: &Value) -> Self {
        let text = |pointer: &str| text_at(pod, pointer);
        let label = |name: &str| {
            pod.pointer("/metadata/labels")
                .and_then(|all| all.get(name))
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let statuses =
            || list(pod, "/status/containerStatuses").iter().chain(list(pod, "/status/initContainerStatuses"));
        let is = |type_: &str, status: &str| {
            crate::up::objects::condition(pod, type_).filter(|found| found.status == status)
        };
        let waits = statuses().find_map(|one| {
            let reason = text_at(one, "/state/waiting/reason");
            let message = text_at(one, "/state/waiting/message");
            (!["", "PodInitializing", "ContainerCreating"].contains(&reason.as_str())).then(|| {
                if message.is_empty() {
                    reason
                } else {
                    format!("{}: {message}", text_at(one, "/state/waiting/reason"))
                }
            })
        });
        let died = statuses().find_map(|one| {
            let reason = ["/state/terminated", "/lastState/terminated"]
                .into_iter()
                .map(|place| {
                    (
                        text_at(one, &format!("{place}/reason")),
                        one.pointer(&format!("{place}/exitCode")).and_then(Value::as_i64),
                    )
                })
                .find(|(reason, code)| !reason.is_empty() && *code != Some(0));
            reason.map(|(reason, code)| format!("{reason} (exit code {})", code.unwrap_or(-1)))
        });
        let trouble = if pod.pointer("/metadata/deletionTimestamp").is_some() {
            "is ending".to_owned()
        } else if let Some(unplaced) = is("PodScheduled", "False") {
            format!("{}: {}", unplaced.reason, unplaced.message)
        } else {
            [waits, died].into_iter().flatten().collect::<Vec<_>>().join("; last time ")
        };
        let phase = text("/status/phase");
        let trouble = if trouble.is_empty() && !["Running", "Succeeded"].contains(&phase.as_str()) {
            phase.clone()
        } else {
            trouble
        };
        Self {
            name: text("/metadata/name"),
            component: label("app.kubernetes.io/component"),
            version: label("endcap.dev/version"),
            ready: is("Ready", "True").is_some(),
            done: phase == "Succeeded",
            restarts: statuses().filter_map(|one| one.get("restartCount").and_then(Value::as_i64)).sum(),
            trouble,
        }
    }

    fn line(&self) -> String {
        let restarts = if self.restarts > 0 { format!(", {} restarts", self.restarts) } else { String::new() };
        let trouble = if self.trouble.is_empty() { String::new() } else { format!(": {}", self.trouble) };
        let state = match (self.ready, self.done) {
            (true, _) => "ready",
            (_, true) => "done",
            _ => "not ready",
        };
        format!("{} {} {state}{restarts}{trouble}", if self.ready || self.done { "✓" } else { "✗" }, self.name)
    }

    /// Worth a line of its own: what is well and never died is only counted.
    fn is_news(&self) -> bool {
        !self.done && (!self.ready || self.restarts > 0 || !self.trouble.is_empty())
    }
}

/// `2 of 3 pods ready`, with a line for each that wants eyes.
pub fn count(pods: &[&Pod], what: &str) -> (String, Vec<Node>) {
    let live: Vec<&&Pod> = pods.iter().filter(|pod| !pod.done).collect();
    let ready = live.iter().filter(|pod| pod.ready).count();
    let lines = live.iter().filter(|pod| pod.is_news()).map(|pod| Node::new(pod.line()));
    (format!("{ready} of {} {what} ready", live.len()), lines.collect())
}

/// All that is not of one version: those stand with their versions.
pub fn node(pods: &[Pod]) -> Node {
    let mut node = Node::new("pods");
    for component in ["router", "eventlog", "insights", "deletion"] {
        let own: Vec<&Pod> = pods.iter().filter(|pod| pod.component == component).collect();
        if own.is_empty() {
            continue;
        }
        let (text, lines) = count(&own, "pods");
        let mut part = Node::new(format!("{component}: {text}"));
        part.below.extend(lines);
        node.add(part);
    }
    if node.below.is_empty() {
        node.leaf("none: no router of this model runs");
    }
    node
}
