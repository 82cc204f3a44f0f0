//! A running `endcap up`, used as a person would use it: manifests are applied, objects and events are watched.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use endcap_crds::Kind;
use jiff::Timestamp;
use serde_json::Value;

use super::tell::Teller;
use crate::children::Running;
use crate::client::{Client, Server};
use crate::up::objects::text_at;

/// The demo's model.
pub const MODEL: &str = "shop";
const LOOK_EVERY: Duration = Duration::from_millis(300);

pub struct Machine {
    running: Running,
    pub client: Client,
    told: BTreeSet<String>,
    judged: String,
}

/// A share with its standard error.
#[derive(Clone, Copy, Debug, Default)]
pub struct Share {
    pub value: f64,
    pub se: f64,
    pub lists: u64,
}

impl Machine {
    pub async fn start(folder: &Path, listen: SocketAddr, console: SocketAddr) -> Result<Self> {
        let args = [
            "up",
            "--state",
            &folder.join("state").display().to_string(),
            "--listen",
            &listen.to_string(),
            "--console",
            &console.to_string(),
        ];
        let running = Running::start("endcap", "up", &args.map(str::to_owned), folder).await?;
        let server = running.url("console")?;
        let client = Client::new(&Server { server, namespace: "default".to_owned() })?;
        let mut machine = Self { running, client, told: BTreeSet::new(), judged: String::new() };
        // What happened before is no news.
        for event in machine.client.events().await?.0 {
            machine.told.insert(key(&event));
        }
        if let Ok(model) = machine.model().await {
            machine.judged = judged(&model).unwrap_or_default();
        }
        Ok(machine)
    }

    pub async fn stop(self) -> Result<()> {
        self.running.stop().await
    }

    pub async fn ended(&mut self) -> String {
        self.running.ended().await
    }

    pub fn console(&self) -> &str {
        &self.client.server
    }

    /// Applies every document of a manifest.
    pub async fn apply(&self, path: &Path) -> Result<()> {
        for (path, object) in crate::up::manifests(path)? {
            let stored = self.client.apply(object, "endcap-demo", true).await;
            stored.with_context(|| format!("failed to apply {}", path.display()))?;
        }
        Ok(())
    }

    pub async fn model(&self) -> Result<Value> {
        self.client.get(Kind::RecommenderModel, MODEL).await
    }

    pub async fn version(&self, name: &str) -> Result<Value> {
        self.client.get(Kind::ModelVersion, name).await
    }

    pub async fn retrain(&self, token: &str) -> Result<()> {
        let patch = serde_json::json!({"spec": {"retraining": {"trigger": token}}});
        self.client.patch(Kind::RecommenderModel, MODEL, &patch).await?;
        Ok(())
    }

    /// Where the OMS calls.
    pub async fn router(&self) -> Result<String> {
        let url = text_at(&self.model().await?, "/status/url");
        anyhow::ensure!(!url.is_empty(), "the model has no address yet");
        Ok(url)
    }

    /// Until the router answers a question: what the status says may be of before a restart.
    pub async fn answers(&self) -> Result<()> {
        let url = format!("{}/v1/recommendations", self.router().await?);
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let ask = self.client.http.post(&url).json(&serde_json::json!({"placement": "home", "session_id": "demo"}));
            match ask.send().await.and_then(reqwest::Response::error_for_status) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > until => {
                    return Err(error).context("the router does not answer: see `endcap logs shop router-0`");
                }
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Where a version's artifact is.
    pub async fn artifact(&self, version: &str) -> Result<PathBuf> {
        let uri = text_at(&self.version(version).await?, "/status/artifact/uri");
        Ok(PathBuf::from(uri.strip_prefix("file://").context("the artifact is not a folder")?))
    }

    /// Looks at the model and its versions until something is so, and tells what happens meanwhile. None: not within the limit.
    pub async fn until<T>(
        &mut self,
        tell: &Teller,
        limit: Duration,
        is_so: impl Fn(&Value, &[Value]) -> Option<T>,
    ) -> Result<Option<T>> {
        let started = Instant::now();
        let mut percent = String::new();
        loop {
            let model = self.model().await?;
            self.news(tell).await?;
            self.gates(tell, &model);
            let now = model.pointer("/status/training/progressPercent").map(ToString::to_string).unwrap_or_default();
            if tell.is_terminal() && !now.is_empty() && now != percent {
                tell.progress(&format!("training {now}%"));
                percent = now;
            }
            let (versions, _) = self.client.list(Kind::ModelVersion).await?;
            if let Some(found) = is_so(&model, &versions) {
                self.news(tell).await?;
                return Ok(Some(found));
            }
            if started.elapsed() > limit {
                return Ok(None);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Says the events that came since.
    pub async fn news(&mut self, tell: &Teller) -> Result<()> {
        for event in self.client.events().await?.0 {
            if self.told.insert(key(&event)) {
                let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
                let time = text("eventTime");
                tell.event(time.get(11..19).unwrap_or(time), text("reason"), text("note"));
            }
        }
        Ok(())
    }

    /// Says the gates of the last window, once.
    fn gates(&mut self, tell: &Teller, model: &Value) {
        let gates = model.pointer("/status/rollout/gates").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(judged) = judged(model).filter(|judged| *judged != self.judged) else { return };
        self.judged = judged;
        let window = gates.first().and_then(|gate| gate.get("window")?.as_i64()).unwrap_or(0);
        for gate in &gates {
            let text = |key: &str| gate.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
            let samples = gate.get("samples").and_then(Value::as_i64).unwrap_or(0);
            let (name, verdict) = (text("name"), text("verdict"));
            let (value, low, high, limit) = (text("value"), text("low"), text("high"), text("threshold"));
            tell.say(&format!(
                "            window {window}: {name} {value} ({low} to {high}; limit {limit}; n {samples}): {verdict}"
            ));
        }
    }

    /// Click-through of what an arm's version showed in a stretch of time: clicked lists of all lists, by user.
    pub async fn click_through(&self, version: &str, from: Timestamp, to: Timestamp) -> Result<Option<Share>> {
        let url = format!("{}/console/insights/default/{MODEL}/v1/arms", self.client.server);
        let query = [("from", from.to_string()), ("to", to.to_string())];
        let found = self.client.send(self.client.http.get(url).query(&query)).await?;
        let arms = found.get("arms").and_then(Value::as_array).cloned().unwrap_or_default();
        let arm = arms.iter().filter(|arm| arm.get("version").and_then(Value::as_str) == Some(version));
        let lists = |arm: &Value| arm.get("lists").and_then(Value::as_u64).unwrap_or(0);
        let Some(arm) = arm.max_by_key(|arm| lists(arm)) else { return Ok(None) };
        let metrics = arm.get("metrics").and_then(Value::as_array).cloned().unwrap_or_default();
        let ctr = metrics.iter().find(|metric| metric.get("metric").and_then(Value::as_str) == Some("Ctr"));
        let number = |key: &str| ctr.and_then(|ctr| ctr.get(key)).and_then(Value::as_f64);
        Ok(number("value").zip(number("standard_error")).map(|(value, se)| Share { value, se, lists: lists(arm) }))
    }

    /// Click-through of all lists in stretches of ten seconds, with the version that answered most of them: for a picture.
    pub async fn course(&self, from: Timestamp, to: Timestamp) -> Result<Vec<(Timestamp, String, f64)>> {
        let url = format!("{}/console/insights/default/{MODEL}/v1/kpis", self.client.server);
        let query = [("by", "ten_seconds".to_owned()), ("from", from.to_string()), ("to", to.to_string())];
        let found = self.client.send(self.client.http.get(url).query(&query)).await?;
        let mut sums: BTreeMap<Timestamp, BTreeMap<String, (u64, u64)>> = BTreeMap::new();
        for row in found.get("rows").and_then(Value::as_array).into_iter().flatten() {
            let count = |key: &str| row.get(key).and_then(Value::as_u64).unwrap_or(0);
            let Ok(start) = text_at(row, "/start").parse() else { continue };
            let sum = sums.entry(start).or_default().entry(text_at(row, "/version")).or_default();
            *sum = (sum.0 + count("clicked_lists"), sum.1 + count("lists"));
        }
        let point = |(start, by_version): (Timestamp, BTreeMap<String, (u64, u64)>)| {
            let (clicked, lists) = by_version.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            let (most, _) = by_version.into_iter().max_by_key(|(_, (_, lists))| *lists)?;
            (lists >= 30).then_some((start, most, clicked as f64 / lists as f64))
        };
        Ok(sums.into_iter().filter_map(point).collect())
    }
}

/// Which window of which version was judged last.
fn judged(model: &Value) -> Option<String> {
    let window = model.pointer("/status/rollout/gates/0/window")?.as_i64()?;
    Some(format!("{} {window}", text_at(model, "/status/rollout/version")))
}

fn key(event: &Value) -> String {
    let text = |pointer: &str| text_at(event, pointer);
    format!("{}|{}|{}|{}", text("/eventTime"), text("/regarding/name"), text("/reason"), text("/note"))
}
