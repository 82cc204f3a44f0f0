//! Insights' answers as the core wants to see them.

use endcap_crds::recommender_model::monitoring::{Drop, Signal as Kind, Statistic};
use endcap_crds::{Experiment, RecommenderModel};
use endcap_operator_core::drift::{Change, Signal, Window};
use endcap_operator_core::observed::{ArmFigures, ExperimentArm, ExperimentFacts, Figure, Insights};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{get, text_of};

/// How far insights has read the log.
pub async fn offset(client: &reqwest::Client, url: &str) -> Option<i64> {
    get(client, &format!("{url}/v1/status"), &[]).await?.get("offset")?.as_i64()
}

/// A count; insights estimates some of them, so they may be no whole numbers.
fn count_at(value: &Value, key: &str) -> i64 {
    value.get(key).and_then(Value::as_f64).map_or(0, |count| count.round() as i64)
}

/// One metric of an arm.
fn figure(arm: &Value, metric: &str) -> Option<Figure> {
    let metrics = arm.get("metrics")?.as_array()?;
    let found = metrics.iter().find(|one| one.get("metric").and_then(Value::as_str) == Some(metric))?;
    Some(Figure {
        value: found.get("value")?.as_f64()?,
        se: found.get("standard_error").and_then(Value::as_f64)?,
        n: count_at(found, "n"),
    })
}

/// An experiment as insights analysed it; nothing while nobody asked for it or insights does not answer.
pub async fn experiment_facts(client: &reqwest::Client, url: &str, experiment: &Experiment) -> Option<ExperimentFacts> {
    let spec = &experiment.spec;
    let name = experiment.metadata.name.as_deref()?;
    let control = spec.arms.iter().find(|arm| arm.control)?;
    let query = [
        ("metric", spec.primary_metric.name.to_string()),
        ("direction", text_of(&spec.primary_metric.direction)),
        ("control", control.name.to_string()),
        ("alpha", spec.analysis.alpha.to_string()),
        ("mde", spec.primary_metric.mde.to_string()),
        ("power", spec.analysis.power.to_string()),
    ];
    let found = get(client, &format!("{url}/v1/experiments/{name}"), &query).await?;
    let arm = |arm: &Value| {
        let number = |key: &str| arm.get(key).and_then(Value::as_f64);
        ExperimentArm {
            name: arm.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            users: count_at(arm, "users"),
            exposures: count_at(arm, "exposures"),
            events: count_at(arm, "events"),
            value: number("value"),
            low: number("ci_low"),
            high: number("ci_high"),
            lift: number("lift"),
            p_value: number("p_value"),
        }
    };
    Some(ExperimentFacts {
        arms: found.get("arms").and_then(Value::as_array).into_iter().flatten().map(arm).collect(),
        srm_p_value: found.get("srm_p_value").and_then(Value::as_f64),
        required_per_arm: found.get("required_sample_per_arm").and_then(Value::as_i64),
    })
}

/// What gates and drift need.
pub async fn insights(
    client: &reqwest::Client,
    url: &str,
    model: &RecommenderModel,
    running: Option<&Experiment>,
) -> Option<Insights> {
    let status = model.status.as_ref()?;
    let step = status.rollout.as_ref().and_then(|rollout| rollout.step_started_at.as_ref());
    let start = running.and_then(|experiment| experiment.status.as_ref()?.started_at.as_ref());
    let since = step.or(start).map(|time| time.0);
    let now = Timestamp::now();
    let mut arms = Vec::new();
    if let Some(since) = since {
        let found =
            get(client, &format!("{url}/v1/arms"), &[("from", since.to_string()), ("to", now.to_string())]).await;
        let list = found.as_ref().and_then(|found| found.get("arms")?.as_array()).cloned().unwrap_or_default();
        arms = list
            .iter()
            .map(|arm| {
                let text = |key: &str| arm.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                ArmFigures {
                    version: text("version"),
                    arm: text("arm"),
                    ctr: figure(arm, "Ctr"),
                    coverage: figure(arm, "Coverage"),
                    diversity: figure(arm, "Diversity"),
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
    let asked = |limit: &Drop| {
        [
            ("version", active.to_string()),
            ("from", from.to_string()),
            ("to", to.to_string()),
            ("baseline", text_of(&limit.baseline)),
            ("windows", limit.windows.to_string()),
        ]
    };
    let url = format!("{url}/v1/drift");
    let (of_ctr, of_coverage) = (asked(&monitoring.ctr), asked(&monitoring.coverage));
    let found = get(client, &url, &of_ctr).await?;
    // Another baseline is another question.
    let other = if of_ctr == of_coverage { None } else { Some(get(client, &url, &of_coverage).await?) };
    let signals = found.get("signals").and_then(Value::as_array).into_iter().flatten().filter_map(signal);
    Some(Window {
        version: active.to_string(),
        from,
        to,
        signals: signals.collect(),
        ctr: change(found.get("ctr")),
        coverage: change(other.as_ref().unwrap_or(&found).get("coverage")),
    })
}

fn change(value: Option<&Value>) -> Option<Change> {
    let value = value?;
    let number = |key: &str| value.get(key).and_then(Value::as_f64);
    let count = |key: &str| count_at(value, key);
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
