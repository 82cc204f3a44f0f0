//! What a person can do to a model. Pure: each is a merge patch of the spec and the words that say what follows from it.

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::names::quoted;
use crate::up::objects::text_at;

/// One merge patch of a model's spec.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub spec: Value,
    /// What follows from it, one sentence each.
    pub effects: Vec<String>,
}

impl Change {
    fn new(spec: Value, effects: impl IntoIterator<Item = String>) -> Self {
        Self { spec, effects: effects.into_iter().collect() }
    }

    /// The same with kubectl, to copy.
    pub fn kubectl(&self, namespace: &str, model: &str) -> String {
        let patch = quoted(&json!({"spec": self.spec}).to_string());
        format!("kubectl patch recm {model} -n {namespace} --type=merge -p {patch}")
    }
}

/// A value that was not used before.
pub fn token() -> String {
    Timestamp::now().strftime("%Y%m%dt%H%M%S").to_string()
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The version whose weight rises or waits; none when the last rollout is over or is being taken back.
pub fn candidate(model: &Value) -> Option<String> {
    let phase = text_at(model, "/status/rollout/phase");
    ["Preparing", "Stepping", "Promoting"].contains(&phase.as_str()).then(|| text_at(model, "/status/rollout/version"))
}

fn is_rejected(model: &Value, version: &str) -> bool {
    list(model, "/status/rejectedVersions").iter().any(|one| text_at(one, "/version") == version)
}

/// Who asks for what was aborted or rejected before has made up their mind: what stands in the way goes with it.
fn clearing(model: &Value, version: &str) -> (Value, Vec<String>) {
    let (mut rollout, mut effects) = (json!({}), Vec::new());
    if text_at(model, "/spec/rollout/abortVersion") == version {
        rollout["abortVersion"] = Value::Null;
        effects.push(format!("The earlier abort of {version} is taken back."));
    }
    if is_rejected(model, version) {
        rollout["retryToken"] = json!(token());
        effects.push(format!("{version} was rejected before; it is tried again."));
    }
    (rollout, effects)
}

fn naming(model: &Value, version: &str, first: String) -> Change {
    let (rollout, effects) = clearing(model, version);
    let mut spec = json!({"promotedVersion": version});
    if !effects.is_empty() {
        spec["rollout"] = rollout;
    }
    let mut all = vec![first];
    all.extend(effects);
    if model.pointer("/spec/rollout/paused") == Some(&json!(true)) {
        all.push("The model is on hold: no weight rises until it is resumed.".to_owned());
    }
    Change::new(spec, all)
}

pub fn promote(model: &Value, version: &str) -> Change {
    let active = text_at(model, "/status/activeVersion");
    let first = if active == version {
        format!("{version} serves already, and stays.")
    } else if active.is_empty() {
        format!("{version} is to be promoted; it is the first version that answers.")
    } else {
        format!("{version} is to be promoted; it takes over from {active} in the steps of the policy.")
    };
    naming(model, version, first)
}

pub fn roll_back(model: &Value, version: &str) -> Change {
    let active = text_at(model, "/status/activeVersion");
    naming(model, version, format!("{version} takes the place of {active}, and stays until another one is promoted."))
}

/// Versions that served everybody, the last one first, each once: as the operator reads the history. What was promoted did, and so did
/// whatever a rollout began from.
fn served(model: &Value) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for entry in list(model, "/status/history") {
        let own = (text_at(entry, "/outcome") == "Promoted").then(|| text_at(entry, "/version"));
        for name in own.into_iter().chain([text_at(entry, "/from")]) {
            if !name.is_empty() && !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

/// The version to go back to: the last one before the active one that served everybody, was not rejected, and can serve.
pub fn before(model: &Value, versions: &[Value]) -> Result<String> {
    let (name, active) = (text_at(model, "/metadata/name"), text_at(model, "/status/activeVersion"));
    if let Some(candidate) = candidate(model) {
        bail!(
            "{candidate} is on its way and {active} serves: take the candidate back with `abort {name}`; to leave {active} too, name the version to go back to"
        );
    }
    let aborted = text_at(model, "/spec/rollout/abortVersion");
    let can_serve = |name: &str| {
        versions.iter().any(|version| {
            text_at(version, "/metadata/name") == name
                && text_at(version, "/status/phase") == "Ready"
                && version.pointer("/metadata/deletionTimestamp").is_none()
        })
    };
    let earlier: Vec<String> = served(model).into_iter().filter(|one| *one != active).collect();
    let usable = earlier.iter().find(|one| !is_rejected(model, one) && **one != aborted && can_serve(one));
    usable.cloned().with_context(|| {
        if earlier.is_empty() {
            format!("no version of {name} served before {active}; promote one that is Ready (see `versions {name}`)")
        } else {
            format!(
                "of the versions that served before {active} ({}) each was rejected, aborted or deleted; name one, or promote another",
                earlier.join(", ")
            )
        }
    })
}

/// Approves the step that waits, or the one that is named.
pub fn approve(model: &Value, policy: Option<&Value>, version: Option<&str>, step: Option<&str>) -> Result<Change> {
    let name = text_at(model, "/metadata/name");
    let version = match (version, candidate(model)) {
        (Some(version), _) => version.to_owned(),
        (None, Some(candidate)) => candidate,
        (None, None) => bail!("no rollout of {name} is under way: there is nothing to approve"),
    };
    let step = match step {
        Some(step) => step.to_owned(),
        None => next_approval(model, policy).with_context(|| {
            format!(
                "no step of {version} that is still to come needs an approval; to approve one all the same, name it"
            )
        })?,
    };
    let spec = json!({"rollout": {"approvedStep": {"version": version, "step": step}}});
    let effect =
        format!("Step {step} of {version} is approved: it begins when the gates of the step before have passed.");
    Ok(Change::new(spec, [effect]))
}

/// The first step to come that somebody must approve.
fn next_approval(model: &Value, policy: Option<&Value>) -> Option<String> {
    let steps = list(policy?, "/spec/steps");
    let now = text_at(model, "/status/rollout/step");
    let at = steps.iter().position(|step| text_at(step, "/name") == now);
    let to_come = steps.get(at.map_or(0, |at| at + 1)..).unwrap_or_default();
    let asks = |step: &&Value| step.get("requireApproval") == Some(&json!(true));
    to_come.iter().find(asks).map(|step| text_at(step, "/name"))
}

pub fn abort(model: &Value, version: Option<&str>) -> Result<Change> {
    let (name, active) = (text_at(model, "/metadata/name"), text_at(model, "/status/activeVersion"));
    let version = match (version, candidate(model)) {
        (Some(version), _) => version.to_owned(),
        (None, Some(candidate)) => candidate,
        (None, None) => {
            bail!("no rollout of {name} is under way; to leave the active version at once, name it: `abort {active}`")
        }
    };
    let back = if version == active { "the version that served before it".to_owned() } else { active };
    let effects = [
        format!("{version} is taken out of traffic: its customers go to {back} within seconds."),
        format!(
            "This wins over promotedVersion, also over a Git that still says it, until {version} is promoted again."
        ),
    ];
    Ok(Change::new(json!({"rollout": {"abortVersion": version}}), effects))
}

pub fn hold(model: &Value) -> Change {
    let effect = match candidate(model) {
        Some(candidate) => {
            let weight = model.pointer("/status/rollout/weight").and_then(Value::as_i64).unwrap_or(0);
            format!("{candidate} is held at {weight} %; a failed gate still takes it back.")
        }
        None => "No candidate gets any weight until it is resumed.".to_owned(),
    };
    Change::new(json!({"rollout": {"paused": true}}), [effect])
}

pub fn resume() -> Change {
    Change::new(
        json!({"rollout": {"paused": false}}),
        ["The weight goes on rising with the next gates that pass.".to_owned()],
    )
}

pub fn unpin() -> Change {
    Change::new(json!({"promotedVersion": null}), ["The policy chooses again which version serves.".to_owned()])
}

pub fn retrain(model: &Value, token: &str) -> Change {
    let mut effects = vec![format!("A training is asked for (trigger {token}); what serves now does not change.")];
    if model.pointer("/spec/training/suspend") == Some(&json!(true)) {
        effects.push("spec.training.suspend is true: it begins when that is taken back.".to_owned());
    }
    Change::new(json!({"retraining": {"trigger": token}}), effects)
}

/// Lets the version that the spec names be tried again.
pub fn retry(model: &Value) -> Result<Change> {
    let (name, wanted) = (text_at(model, "/metadata/name"), text_at(model, "/spec/promotedVersion"));
    let rejected: Vec<String> =
        list(model, "/status/rejectedVersions").iter().map(|one| text_at(one, "/version")).collect();
    if rejected.is_empty() {
        bail!("no version of {name} is rejected: there is nothing to try again");
    }
    if !wanted.is_empty() && !rejected.contains(&wanted) {
        bail!(
            "{wanted}, which spec.promotedVersion names, is not rejected; `promote {name} VERSION` tries one of the rejected again: {}",
            rejected.join(", ")
        );
    }
    let mut rollout = json!({"retryToken": token()});
    let again = if wanted.is_empty() { rejected } else { vec![wanted] };
    let mut effects = vec![format!("{} may be tried again.", again.join(", "))];
    if again.contains(&text_at(model, "/spec/rollout/abortVersion")) {
        rollout["abortVersion"] = Value::Null;
        effects.push("The earlier abort is taken back.".to_owned());
    }
    Ok(Change::new(json!({"rollout": rollout}), effects))
}

#[cfg(test)]
mod tests;
