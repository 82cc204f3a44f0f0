//! `status`: all of a model on one page, for whoever is on call. Pure: what was read goes in, lines come out.

mod pods;
mod versions;

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::Value;

use super::columns::{age_at, span};
use super::said::{self, About};
use crate::up::objects::{Condition, condition, text_at};
pub use pods::Pod;
pub use versions::metric;

/// What was read of one model. What could not be read is said, not left out in silence.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub model: Value,
    pub versions: Vec<Value>,
    pub experiments: Vec<Value>,
    pub policy: Option<Value>,
    /// None on one machine: its programs are no pods.
    pub pods: Option<Vec<Pod>>,
    pub events: Vec<Value>,
    pub missing: Vec<String>,
    /// How many events are shown.
    pub most_events: usize,
}

/// One line and what hangs below it.
#[derive(Debug, Default)]
pub struct Node {
    text: String,
    below: Vec<Node>,
}

impl Node {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), below: Vec::new() }
    }

    pub fn add(&mut self, node: Self) {
        self.below.push(node);
    }

    pub fn leaf(&mut self, text: impl Into<String>) {
        self.add(Self::new(text));
    }

    pub fn render(&self) -> String {
        let mut lines = vec![self.text.clone()];
        self.lines("", &mut lines);
        lines.join("\n")
    }

    fn lines(&self, before: &str, lines: &mut Vec<String>) {
        for (at, node) in self.below.iter().enumerate() {
            let (branch, trunk) = if at + 1 == self.below.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            lines.push(format!("{before}{branch}{}", node.text).trim_end().to_owned());
            node.lines(&format!("{before}{trunk}"), lines);
        }
    }
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// Hundredths of a percent, as people write them.
pub fn percent(hundredths: i64) -> String {
    match hundredths % 100 {
        0 => format!("{} %", hundredths / 100),
        rest => format!("{}.{rest:02} %", hundredths / 100),
    }
}

/// The page of one model.
pub fn tree(facts: &Facts, now: Timestamp) -> String {
    let model = &facts.model;
    let text = |pointer: &str| text_at(model, pointer);
    let name = text("/metadata/name");
    let url = text("/status/url");
    let head = [format!("{name} ({})", text("/metadata/namespace")), text("/status/phase"), url];
    let mut root = Node::new(head.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  "));
    for note in notes(facts) {
        root.leaf(format!("! {note}"));
    }
    for node in [conditions(model, now), traffic(facts), rollout(facts, now), training(model, now)] {
        root.below.extend(node);
    }
    root.below.extend(experiments(facts, &name, now));
    root.below.extend(drift(model, now));
    root.add(versions::node(facts, now));
    root.below.extend(facts.pods.as_deref().map(pods::node));
    root.below.extend(events(facts, &name, now));
    root.render()
}

/// What must be known before anything else is believed.
fn notes(facts: &Facts) -> Vec<String> {
    let model = &facts.model;
    let mut notes = facts.missing.clone();
    let (asked, seen) = (number(model, "/metadata/generation"), number(model, "/status/observedGeneration"));
    match (asked, seen) {
        (_, None) => notes
            .push("the operator has not looked at it yet: does it run, and does it watch this namespace?".to_owned()),
        (Some(asked), Some(seen)) if seen < asked => notes.push(format!(
            "the operator knows generation {seen} of the spec, not {asked}: what follows may be old (does it run?)"
        )),
        _ => {}
    }
    if model.pointer("/metadata/deletionTimestamp").is_some() {
        notes.push("it is being deleted".to_owned());
    }
    notes
}

/// Those that are not as they should be, and always whether it answers.
fn conditions(model: &Value, now: Timestamp) -> Option<Node> {
    // The type, and the status that is nothing to worry about.
    const ALL: [(&str, &str); 10] = [
        ("Ready", "True"),
        ("Accepted", "True"),
        ("Degraded", "False"),
        ("TrafficSynced", "True"),
        ("PromotionComplete", "True"),
        ("LatestVersionReady", "True"),
        ("DataCovered", "True"),
        ("DriftDetected", "False"),
        ("RetrainingSuspended", "False"),
        ("Paused", "False"),
    ];
    let mut node = Node::new("conditions");
    for (type_, good) in ALL {
        let Some(found) = condition(model, type_) else { continue };
        // Every training is followed by a rest: it stands with the training.
        if found.status == good && type_ != "Ready" || found.reason == "CooldownActive" {
            continue;
        }
        let sign = if found.status == good { "✓" } else { "✗" };
        node.leaf(format!("{sign} {type_:<19} {}", said_by(&found, now)));
    }
    (!node.below.is_empty()).then_some(node)
}

fn said_by(found: &Condition<'_>, now: Timestamp) -> String {
    let colon = if found.message.is_empty() { "" } else { ": " };
    let since = if found.since.is_empty() { String::new() } else { format!(" ({})", age_at(found.since, now)) };
    format!("{}{colon}{}{since}", found.reason, found.message)
}

fn traffic(facts: &Facts) -> Option<Node> {
    let model = &facts.model;
    let arms = list(model, "/status/traffic");
    let (synced, total) =
        (number(model, "/status/routing/routersSynced"), number(model, "/status/routing/routersTotal"));
    if arms.is_empty() && total.is_none() {
        return None;
    }
    let count = |value: Option<i64>| value.unwrap_or(0);
    let table =
        number(model, "/status/routing/revision").map(|revision| format!(" (revision {revision})")).unwrap_or_default();
    let owner = text_at(model, "/status/trafficOwner");
    let owner = if ["", "None"].contains(&owner.as_str()) { String::new() } else { format!("; owned by {owner}") };
    let mut node = Node::new(format!(
        "traffic: {} of {} routers serve the newest table{table}{owner}",
        count(synced),
        count(total)
    ));
    for arm in arms {
        let (asked, acked) = (count(number(arm, "/weight")), count(number(arm, "/ackedWeight")));
        let asked = if asked == acked { String::new() } else { format!(" ({} asked for)", percent(asked)) };
        node.leaf(format!(
            "{}  {:<9} {:>6} on the wire{asked}, {} ready",
            text_at(arm, "/version"),
            text_at(arm, "/arm"),
            percent(acked),
            count(number(arm, "/readyReplicas"))
        ));
    }
    Some(node)
}

fn rollout(facts: &Facts, now: Timestamp) -> Option<Node> {
    let rollout = facts.model.pointer("/status/rollout").filter(|rollout| !rollout.is_null())?;
    let text = |pointer: &str| text_at(rollout, pointer);
    let from = text("/from");
    let arrow = if from.is_empty() { String::new() } else { format!("{from} -> ") };
    let mut head = format!("rollout: {arrow}{} {}", text("/version"), text("/phase"));
    let step = text("/step");
    if !step.is_empty() {
        let steps = facts.policy.as_ref().map(|policy| list(policy, "/spec/steps")).unwrap_or_default();
        let at = steps.iter().position(|one| text_at(one, "/name") == step);
        let of = at.map(|at| format!(" ({} of {})", at + 1, steps.len())).unwrap_or_default();
        let _ = write!(head, ", step {step}{of} at {} %", number(rollout, "/weight").unwrap_or(0));
    }
    let since = text("/stepStartedAt");
    if !since.is_empty() {
        let _ = write!(head, " for {}", age_at(&since, now));
    }
    let by = text("/by");
    if !by.is_empty() {
        let _ = write!(head, ", asked for by {by}");
    }
    let mut node = Node::new(head);
    let held = text("/heldReason");
    if !held.is_empty() {
        node.leaf(format!("held: {held}"));
    }
    let ending = text("/ending/reason");
    if !ending.is_empty() {
        node.leaf(format!("is taken back ({}): {ending}", text("/ending/outcome")));
    }
    let deadline = text("/deadline");
    if !deadline.is_empty() {
        let what = if text("/phase") == "Cooling" { "the version before it stays warm" } else { "must be ready" };
        node.leaf(format!("{what} until {deadline} ({} left)", age_at(&deadline, now).trim_start_matches('-')));
    }
    let gates = list(rollout, "/gates");
    for gate in gates {
        node.leaf(self::gate(gate));
    }
    if let (true, Some(gate)) = (gates.is_empty(), rollout.pointer("/lastGate")) {
        node.leaf(self::gate(gate));
    }
    let failed = list(rollout, "/window/failed").len();
    if failed > 0 {
        node.leaf(format!("{failed} of the last windows failed"));
    }
    Some(node)
}

fn gate(gate: &Value) -> String {
    let text = |key: &str| gate.get(key).and_then(Value::as_str).unwrap_or("-");
    let sign = match text("verdict") {
        "Pass" => "✓",
        "Fail" => "✗",
        _ => "?",
    };
    let dry = if gate.get("dryRun") == Some(&Value::Bool(true)) { ", only reported" } else { "" };
    format!(
        "{sign} gate {} {} ({} to {}; limit {}; n {}{dry})",
        text("name"),
        text("value"),
        text("low"),
        text("high"),
        text("threshold"),
        number(gate, "/samples").unwrap_or(0)
    )
}

fn training(model: &Value, now: Timestamp) -> Option<Node> {
    let retraining = |key: &str| text_at(model, &format!("/status/retraining/{key}"));
    let training = model.pointer("/status/training").filter(|training| !training.is_null());
    let mut node = match training {
        Some(training) => {
            let percent =
                number(training, "/progressPercent").map_or("not reported yet".to_owned(), |one| format!("{one} %"));
            let left = number(training, "/etaSeconds").map(|left| format!(", {} left", span(left))).unwrap_or_default();
            let attempt = number(training, "/attempt").filter(|attempt| *attempt > 1);
            let attempt = attempt.map(|attempt| format!(", attempt {attempt}")).unwrap_or_default();
            let mut node = Node::new(format!("training: {} {percent}{left}{attempt}", text_at(training, "/version")));
            let report = text_at(training, "/lastReportTime");
            if !report.is_empty() {
                node.leaf(format!("last report {} ago", age_at(&report, now)));
            }
            node
        }
        None => Node::new("training: none runs"),
    };
    let last = retraining("lastTrigger/type");
    if !last.is_empty() {
        node.leaf(format!(
            "last trigger: {last} {} ago: {}",
            age_at(&retraining("lastTrigger/time"), now),
            retraining("lastTrigger/reason")
        ));
    }
    let skipped = retraining("skipped");
    if !skipped.is_empty() {
        node.leaf(format!("the last trigger started nothing: {skipped}"));
    }
    let ahead = |key: &str| Some(retraining(key)).filter(|time| !time.is_empty() && age_at(time, now).starts_with('-'));
    if let Some(time) = ahead("nextSchedule") {
        node.leaf(format!("next by schedule in {}", age_at(&time, now).trim_start_matches('-')));
    }
    if let Some(time) = ahead("cooldownUntil") {
        node.leaf(format!("cool-down for {}", age_at(&time, now).trim_start_matches('-')));
    }
    (training.is_some() || !node.below.is_empty()).then_some(node)
}

fn experiments(facts: &Facts, model: &str, now: Timestamp) -> Vec<Node> {
    let own = facts.experiments.iter().filter(|one| text_at(one, "/spec/modelRef/name") == model);
    let live = own.filter(|one| !["Completed", "Failed"].contains(&text_at(one, "/status/phase").as_str()));
    live.map(|one| {
        let ends = text_at(one, "/status/endsAt");
        let ends =
            if ends.is_empty() { ends } else { format!(", ends in {}", age_at(&ends, now).trim_start_matches('-')) };
        let mut node = Node::new(format!(
            "experiment: {} {}{ends}",
            text_at(one, "/metadata/name"),
            text_at(one, "/status/phase")
        ));
        for arm in list(one, "/status/arms") {
            let part = |key: &str| match arm.get(key) {
                None | Some(Value::Null) => "-".to_owned(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            node.leaf(format!(
                "{}  users {}, value {}, lift {}, p {}",
                part("name"),
                part("users"),
                part("value"),
                part("lift"),
                part("pValue")
            ));
        }
        for type_ in ["SampleRatioHealthy", "GuardrailsHealthy"] {
            if let Some(found) = condition(one, type_).filter(|found| found.status == "False") {
                node.leaf(format!("✗ {type_} {}", said_by(&found, now)));
            }
        }
        node
    })
    .collect()
}

fn drift(model: &Value, now: Timestamp) -> Option<Node> {
    let worst = model.pointer("/status/drift/worst").filter(|worst| !worst.is_null())?;
    let text = |pointer: &str| text_at(worst, pointer);
    let checked = text_at(model, "/status/drift/lastCheckedAt");
    let checked = if checked.is_empty() { checked } else { format!(", looked at {} ago", age_at(&checked, now)) };
    let windows = number(model, "/status/drift/consecutive").filter(|windows| *windows > 0);
    let windows = windows.map(|windows| format!(", {windows} windows in a row")).unwrap_or_default();
    Some(Node::new(format!(
        "drift: {} {} {} (limit {}){windows}{checked}",
        text("/name"),
        text("/stat"),
        text("/value"),
        text("/threshold")
    )))
}

fn events(facts: &Facts, model: &str, now: Timestamp) -> Option<Node> {
    let about = About::new(model, &facts.experiments);
    let own: Vec<&Value> = facts.events.iter().filter(|event| about.fits(event)).collect();
    let last = own.get(own.len().saturating_sub(facts.most_events)..).unwrap_or_default();
    let mut node = Node::new("events");
    for event in last {
        node.leaf(format!("{:>5} ago  {}", age_at(said::time(event), now), said::what(event)));
    }
    (!last.is_empty()).then_some(node)
}

#[cfg(test)]
mod tests;
