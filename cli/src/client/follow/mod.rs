//! Following what was asked for to its end. What has ended is judged by pure functions; the loop only looks and prints.

use std::time::Duration;

use anyhow::Result;
use endcap_crds::Kind;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::api::{Client, Refusal};
use crate::up::objects::{condition, text_at};

/// Exit codes of `--wait`.
pub const DONE: i32 = 0;
pub const NOT_DONE: i32 = 1;
pub const TOO_LATE: i32 = 2;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An API server that restarts is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// What changes all the time (samples, minutes that are left) is said so often at most.
const SAY_EVERY: Duration = Duration::from_secs(20);

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Good(String),
    Bad(String),
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// Whether the operator has seen this generation of the spec.
pub fn is_seen(model: &Value, generation: i64) -> bool {
    number(model, "/status/observedGeneration") >= generation
}

/// A promotion that was asked for with a generation of the spec.
#[derive(Clone, Debug)]
pub struct Promotion {
    pub version: String,
    pub generation: i64,
    /// The history as it was before.
    pub history: Vec<Value>,
}

impl Promotion {
    pub fn new(version: &str, before: &Value, patched: &Value) -> Self {
        let generation = number(patched, "/metadata/generation");
        Self { version: version.to_owned(), generation, history: list(before, "/status/history").to_vec() }
    }

    /// The end, once there is one. `version` is the ModelVersion; none: there is no such object.
    pub fn judge(&self, model: &Value, version: Option<&Value>) -> Option<End> {
        let name = &self.version;
        let wanted = text_at(model, "/spec/promotedVersion");
        if &wanted != name {
            let now = if wanted.is_empty() { "nothing".to_owned() } else { wanted };
            return Some(End::Bad(format!("superseded: spec.promotedVersion names {now} now")));
        }
        let Some(version) = version.filter(|version| version.pointer("/metadata/deletionTimestamp").is_none()) else {
            return Some(End::Bad(format!("{name} was deleted")));
        };
        let trained = condition(version, "Trained").map(|trained| trained.message).unwrap_or_default();
        match text_at(version, "/status/phase").as_str() {
            "Failed" => return Some(End::Bad(format!("the training of {name} failed: {trained}"))),
            "Expired" => return Some(End::Bad(format!("the artifact of {name} has been deleted"))),
            _ => {}
        }
        if !is_seen(model, self.generation) {
            return None;
        }
        // What happened to it since is in the history; what was there before is another story.
        let news = list(model, "/status/history").iter().filter(|entry| !self.history.contains(entry));
        let own = news.into_iter().find(|entry| &text_at(entry, "/version") == name);
        if let Some(entry) = own {
            let (outcome, reason) = (text_at(entry, "/outcome"), text_at(entry, "/reason"));
            match outcome.as_str() {
                "RolledBack" => return Some(End::Bad(format!("rolled back: {reason}"))),
                "Aborted" => return Some(End::Bad(format!("aborted: {reason}"))),
                _ => {}
            }
        }
        let complete = condition(model, "PromotionComplete")
            .filter(|complete| complete.generation.is_none_or(|generation| generation >= self.generation));
        if let Some(complete) = complete {
            if complete.status == "True" && &text_at(model, "/status/activeVersion") == name {
                return Some(End::Good(complete.message.to_owned()));
            }
            match complete.reason {
                "RolledBack" => return Some(End::Bad(format!("rejected: {}", complete.message))),
                "Aborted" => return Some(End::Bad(format!("aborted: {}", complete.message))),
                _ => {}
            }
        }
        // The offline gates refuse before any rollout begins.
        let gates = condition(version, "GatesPassed").filter(|gates| gates.status == "False");
        let refused = condition(model, "Degraded")
            .filter(|degraded| degraded.status == "True" && degraded.reason == "GateFailed")
            .filter(|degraded| degraded.message.starts_with(name.as_str()));
        if let (Some(gates), Some(_)) = (gates, refused)
            && &text_at(model, "/status/rollout/version") != name
        {
            return Some(End::Bad(format!("rejected: {}", gates.message)));
        }
        None
    }
}

/// Where a promotion is: what makes a line at once, and what is said with it.
pub fn stage(model: &Value, version: &str, generation: i64) -> (String, String) {
    if !is_seen(model, generation) {
        return ("unseen".to_owned(), "the operator has not looked at it yet".to_owned());
    }
    let text = |pointer: &str| text_at(model, pointer);
    if text("/status/rollout/version") != version {
        let why = condition(model, "PromotionComplete").map(|complete| complete.message).unwrap_or_default();
        let why = if why.is_empty() { "its rollout has not begun" } else { why };
        return (why.to_owned(), why.to_owned());
    }
    let (phase, step, weight) =
        (text("/status/rollout/phase"), text("/status/rollout/step"), number(model, "/status/rollout/weight"));
    let acked: i64 = list(model, "/status/traffic")
        .iter()
        .filter(|arm| text_at(arm, "/version") == version)
        .map(|arm| number(arm, "/ackedWeight"))
        .sum();
    let step = if step.is_empty() { String::new() } else { format!(", step {step}") };
    let key = format!("{phase}{step}, {weight} %");
    let held = text("/status/rollout/heldReason");
    if held.is_empty() {
        return (key.clone(), format!("{key} (on the wire {})", super::tree::percent(acked)));
    }
    // Numbers that tick are no other reason.
    let words: String = held.chars().filter(|one| !one.is_ascii_digit()).collect();
    (format!("{key}; {words}"), format!("{key} (on the wire {}); {held}", super::tree::percent(acked)))
}

/// Says a stage when it is another one, and its changing details now and then.
#[derive(Debug, Default)]
pub struct Teller {
    key: String,
    text: String,
    said: Option<Instant>,
}

impl Teller {
    pub fn say(&mut self, key: String, text: String) {
        let is_old = self.said.is_none_or(|said| said.elapsed() >= SAY_EVERY);
        if key != self.key || (text != self.text && is_old) {
            println!("{}  {text}", Timestamp::now().strftime("%H:%M:%S"));
            (self.key, self.text, self.said) = (key, text, Some(Instant::now()));
        }
    }
}

/// Looks until something has ended or the limit is reached; the exit code.
async fn until<F>(what: &str, limit: Duration, mut look: impl FnMut() -> F) -> Result<i32>
where
    F: Future<Output = Result<(Option<End>, String, String)>>,
{
    let (began, mut teller, mut heard) = (Instant::now(), Teller::default(), Instant::now());
    loop {
        match look().await {
            Ok((Some(End::Good(text)), ..)) => {
                println!("{what}: {text}");
                return Ok(DONE);
            }
            Ok((Some(End::Bad(text)), ..)) => {
                eprintln!("{what}: {text}");
                return Ok(NOT_DONE);
            }
            Ok((None, key, text)) => {
                heard = Instant::now();
                teller.say(key, text);
            }
            // What the server refuses it will refuse again; a server that is away comes back.
            Err(error) if Refusal::of(&error).is_some_and(|refusal| refusal.code < 500) => return Err(error),
            Err(error) if heard.elapsed() > PATIENCE => return Err(error),
            Err(error) => teller.say("away".to_owned(), format!("{error:#}; trying again")),
        }
        if began.elapsed() >= limit {
            eprintln!("{what}: not within {} s; it goes on: {}", limit.as_secs(), teller.text);
            return Ok(TOO_LATE);
        }
        tokio::time::sleep(LOOK_EVERY.min(limit.saturating_sub(began.elapsed()))).await;
    }
}

pub async fn promotion(client: &Client, model: &str, promotion: &Promotion, limit: Duration) -> Result<i32> {
    until(&promotion.version, limit, || async {
        let version = client.find(Kind::ModelVersion, &promotion.version).await?;
        let object = client.get(Kind::RecommenderModel, model).await?;
        let (key, text) = stage(&object, &promotion.version, promotion.generation);
        Ok((promotion.judge(&object, version.as_ref()), key, text))
    })
    .await
}

/// Where the training that a token asked for is.
pub fn trained(model: &Value, versions: &[Value], token: &str, generation: i64) -> (Option<End>, String, String) {
    let own = versions.iter().filter(|version| text_at(version, "/spec/trigger/token") == token);
    let newest = own.max_by_key(|version| number(version, "/spec/version"));
    let say = |text: String| (None, text.clone(), text);
    if text_at(model, "/spec/retraining/trigger") != token && newest.is_none() {
        return (
            Some(End::Bad("superseded: spec.retraining.trigger was changed".to_owned())),
            String::new(),
            String::new(),
        );
    }
    let Some(version) = newest else {
        let skipped = text_at(model, "/status/retraining/skipped");
        if is_seen(model, generation)
            && text_at(model, "/status/retraining/handledToken") == token
            && !skipped.is_empty()
        {
            return (Some(End::Bad(format!("no training: {skipped}"))), String::new(), String::new());
        }
        return say(if skipped.is_empty() {
            "its version is not created yet".to_owned()
        } else {
            format!("waits: {skipped}")
        });
    };
    let name = text_at(version, "/metadata/name");
    let condition = condition(version, "Trained").unwrap_or_default();
    match text_at(version, "/status/phase").as_str() {
        "Ready" => (Some(End::Good(format!("{name} is Ready"))), String::new(), String::new()),
        "Failed" if condition.reason == "VersionTaken" => {
            say(format!("{name} is taken in the store; the next number follows"))
        }
        "Failed" => (
            Some(End::Bad(format!("the training of {name} failed: {}", condition.message))),
            String::new(),
            String::new(),
        ),
        phase => {
            let percent = number(version, "/status/progressPercent");
            let left = version.pointer("/status/etaSeconds").and_then(Value::as_i64);
            let left = left.map(|left| format!(", {} left", super::columns::span(left))).unwrap_or_default();
            (None, format!("{name} {phase} {}", percent / 10), format!("{name} {phase} {percent} %{left}"))
        }
    }
}

pub async fn training(client: &Client, model: &str, token: &str, patched: &Value, limit: Duration) -> Result<i32> {
    let generation = number(patched, "/metadata/generation");
    until(model, limit, || async {
        let (versions, _) = client.list(Kind::ModelVersion).await?;
        let own: Vec<Value> =
            versions.into_iter().filter(|version| text_at(version, "/spec/modelRef/name") == model).collect();
        let object = client.get(Kind::RecommenderModel, model).await?;
        Ok(trained(&object, &own, token, generation))
    })
    .await
}

/// `wait`: until a condition of an object has a status.
pub async fn condition_of(
    client: &Client,
    kind: Kind,
    name: &str,
    wanted: (&str, &str),
    limit: Duration,
) -> Result<i32> {
    let (type_, status) = wanted;
    let began = Instant::now();
    loop {
        let object = client.get(kind, name).await?;
        let found = condition(&object, type_).unwrap_or_default();
        let last = format!("{type_} is {} ({}): {}", found.status, found.reason, found.message);
        // A condition speaks of the generation that it names.
        let is_current = found.generation == object.pointer("/metadata/generation").and_then(Value::as_i64);
        if is_current && found.status == status {
            println!("{}/{name}: {last}", kind.plural());
            return Ok(DONE);
        }
        if is_current && type_ == "PromotionComplete" && ["RolledBack", "Aborted"].contains(&found.reason) {
            eprintln!("{}/{name}: {last}", kind.plural());
            return Ok(NOT_DONE);
        }
        if began.elapsed() >= limit {
            eprintln!("{}/{name}: not within {} s; {last}", kind.plural(), limit.as_secs());
            return Ok(NOT_DONE);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[cfg(test)]
mod tests;
