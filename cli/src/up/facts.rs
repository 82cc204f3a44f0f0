//! Objects and insights' answers as the core wants to see them.

use std::time::Duration;

use endcap_crds::recommender_model::monitoring::{Baseline, Signal as Kind, Statistic};
use endcap_crds::{Experiment, ModelVersion, RecommenderModel};
use endcap_operator_core::drift::{Change, Signal, Window};
use endcap_operator_core::observed::{self, ArmFigures, Figure, Insights};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub fn version(version: ModelVersion) -> observed::Version {
    let meta = version.metadata;
    observed::Version {
        name: meta.name.unwrap_or_default(),
        generation: meta.generation.unwrap_or(1),
        created_at: meta.creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        deleting: meta.deletion_timestamp.is_some(),
        pinned: meta
            .annotations
            .is_some_and(|all| all.get(endcap_crds::reasons::annotation::PIN).is_some_and(|pin| pin == "true")),
        spec: version.spec,
        status: version.status.unwrap_or_default(),
    }
}

pub fn experiment(experiment: Experiment) -> observed::Experiment {
    let meta = experiment.metadata;
    observed::Experiment {
        name: meta.name.unwrap_or_default(),
        uid: meta.uid.unwrap_or_default(),
        generation: meta.generation.unwrap_or(1),
        created_at: meta.creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        deleting: meta.deletion_timestamp.is_some(),
        spec: experiment.spec,
        status: experiment.status.unwrap_or_default(),
        facts: None,
    }
}

async fn ask(client: &reqwest::Client, url: &str, query: &[(&str, String)]) -> Option<Value> {
    let answer =
        client.get(url).query(query).timeout(Duration::from_secs(3)).send().await.ok()?.error_for_status().ok()?;
    answer.json().await.ok()
}

fn figure(value: Option<&Value>) -> Option<Figure> {
    let value = value?;
    Some(Figure {
        value: value.get("value")?.as_f64()?,
        se: value.get("se").and_then(Value::as_f64).unwrap_or(0.0),
        n: value.get("n").and_then(Value::as_i64).unwrap_or(0),
    })
}

/// What gates and drift need.
pub async fn insights(client: &reqwest::Client, url: &str, model: &RecommenderModel) -> Option<Insights> {
    let status = model.status.as_ref()?;
    let since = status.rollout.as_ref().and_then(|rollout| rollout.step_started_at.as_ref()).map(|time| time.0);
    let now = Timestamp::now();
    let mut arms = Vec::new();
    if let Some(since) = since {
        let found =
            ask(client, &format!("{url}/v1/arms"), &[("from", since.to_string()), ("to", now.to_string())]).await;
        let list = found.as_ref().and_then(|found| found.get("arms")?.as_array()).cloned().unwrap_or_default();
        arms = list
            .iter()
            .map(|arm| {
                let text = |key: &str| arm.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                let of = |name: &str| {
                    figure(arm.get("metrics").and_then(|metrics| metrics.get(name)).or_else(|| arm.get(name)))
                };
                ArmFigures {
                    version: text("version"),
                    arm: text("arm"),
                    ctr: of("Ctr"),
                    coverage: of("Coverage"),
                    diversity: of("Diversity"),
                    score_psi: None,
                }
            })
            .collect();
    }
    Some(Insights { arms, drift: drift(client, url, model).await })
}

/// The last whole window of monitoring.
async fn drift(client: &reqwest::Client, url: &str, model: &RecommenderModel) -> Option<Window> {
    let status = model.status.as_ref()?;
    let active = status.active_version.as_ref()?;
    let monitoring = &model.spec.monitoring;
    let length = monitoring.interval.as_millis().ok().and_then(|ms| i64::try_from(ms).ok()).filter(|ms| *ms > 0)?;
    let to = Timestamp::from_millisecond(Timestamp::now().as_millisecond() / length * length).ok()?;
    if status.drift.as_ref().and_then(|drift| drift.last_checked_at.as_ref()).is_some_and(|last| last.0 >= to) {
        return None;
    }
    let from = to.checked_sub(SignedDuration::from_millis(length)).ok()?;
    let baseline = match monitoring.ctr.baseline {
        Baseline::SameWeekday => "SameWeekday",
        Baseline::TrailingWindows => "TrailingWindows",
    };
    let query = [
        ("version", active.to_string()),
        ("from", from.to_string()),
        ("to", to.to_string()),
        ("baseline", baseline.to_owned()),
        ("windows", monitoring.ctr.windows.to_string()),
    ];
    let found = ask(client, &format!("{url}/v1/drift"), &query).await?;
    let signals = found.get("signals").and_then(Value::as_array).into_iter().flatten().filter_map(signal);
    Some(Window {
        version: active.to_string(),
        from,
        to,
        signals: signals.collect(),
        ctr: change(found.get("ctr")),
        coverage: change(found.get("coverage")),
    })
}

fn change(value: Option<&Value>) -> Option<Change> {
    let value = value?;
    let number = |key: &str| value.get(key).and_then(Value::as_f64);
    let count = |key: &str| value.get(key).and_then(Value::as_i64).unwrap_or(0);
    Some(Change {
        now: Figure { value: number("value")?, se: number("se").unwrap_or(0.0), n: count("n") },
        before: Figure { value: number("baseline")?, se: number("baseline_se").unwrap_or(0.0), n: count("baseline_n") },
    })
}

fn signal(value: &Value) -> Option<Signal> {
    let kind: Kind = serde_json::from_value(value.get("signal")?.clone()).ok()?;
    let statistic: Statistic = serde_json::from_value(value.get("statistic")?.clone()).ok()?;
    Some(Signal {
        kind,
        statistic,
        feature: value.get("feature").and_then(Value::as_str).map(str::to_owned),
        value: value.get("value")?.as_f64()?,
        reference: value.get("reference").and_then(Value::as_f64),
        n_ref: value.get("n_ref").and_then(Value::as_i64).unwrap_or(0),
        n_cur: value.get("n_cur").and_then(Value::as_i64).unwrap_or(0),
        bins: value.get("bins").and_then(Value::as_i64).and_then(|bins| i32::try_from(bins).ok()).unwrap_or(0),
    })
}
