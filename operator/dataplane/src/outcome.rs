//! What a training says at its end: the termination message of `endcap-trainer`, 4 KB of JSON at most.

use endcap_crds::model_version::status::Metric;
use endcap_operator_core::observed::Outcome;
use endcap_operator_core::text::decimal;
use jiff::Timestamp;
use serde_json::Value;

/// Exit codes of the trainer; every other one is worth another try.
pub mod exit {
    /// Wrong options or unusable data.
    pub const REFUSED: i32 = 2;
    /// The version's number is taken in the store.
    pub const VERSION_TAKEN: i32 = 3;
    /// The output holds another artifact.
    pub const ARTIFACT_TAKEN: i32 = 4;
}

/// What only the one who ran it knows.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub attempts: i32,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub gpu_seconds: Option<i64>,
}

/// What a training produced; nothing when the message is not that of a success.
pub fn read(message: &Value, run: Run) -> Option<Outcome> {
    let text = |key: &str| message.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = |key: &str| message.get(key).and_then(Value::as_i64).unwrap_or(0);
    let time = |key: &str| text(key)?.parse::<Timestamp>().ok();
    let metrics: Vec<Metric> =
        message.get("metrics").and_then(Value::as_array).into_iter().flatten().filter_map(metric).collect();
    let (baseline, own): (Vec<Metric>, Vec<Metric>) =
        metrics.into_iter().partition(|one| one.name.as_str().ends_with(".active"));
    let baseline =
        baseline.into_iter().map(|one| Metric { name: one.name.as_str().trim_end_matches(".active").into(), ..one });
    Some(Outcome {
        attempts: run.attempts.max(1),
        started_at: run.started_at,
        finished_at: run.finished_at,
        gpu_seconds: run.gpu_seconds,
        uri: text("uri")?,
        manifest_sha256: text("manifest_sha256")?,
        size_bytes: number("bytes"),
        format_version: 1,
        dataset_sha256: text("dataset_sha256")?,
        rows: number("rows"),
        min_time: time("min_time"),
        max_time: time("max_time"),
        events_until: message.pointer("/events/to_offset").and_then(Value::as_i64),
        metrics: own,
        baseline_metrics: baseline.collect(),
        customers: number("customers"),
        orders: number("orders"),
        products: number("products"),
    })
}

fn metric(value: &Value) -> Option<Metric> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    Some(Metric {
        name: text("name")?.into(),
        value: decimal(value.get("value")?.as_f64()?),
        split: text("split")?.into(),
    })
}

/// Why it failed, as one word and in words.
pub fn failure(message: &Value) -> (String, String) {
    let text = |key: &str, otherwise: &str| message.get(key).and_then(Value::as_str).unwrap_or(otherwise).to_owned();
    (text("outcome", "TrainingFailed"), text("error", "it said nothing"))
}

/// The highest number that the store holds, of a training whose own number was taken.
pub fn highest(message: &Value) -> i32 {
    message.get("highest").and_then(Value::as_i64).and_then(|highest| i32::try_from(highest).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_of_the_active_version_are_set_beside_its_own() {
        let run = Run {
            attempts: 1,
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: Timestamp::UNIX_EPOCH,
            gpu_seconds: None,
        };
        let one = |name: &str, value: f64| json!({"name": name, "split": "test", "value": value});
        let message = json!({"outcome": "Succeeded", "uri": "s3://b/x", "manifest_sha256": "ab", "dataset_sha256": "cd", "rows": 7,
            "min_time": "2026-01-02T03:04:05Z", "events": {"to_offset": 12},
            "metrics": [one("ndcg@10", 0.4), one("ndcg@10.active", 0.3)]});
        let outcome = read(&message, run).unwrap();
        assert_eq!(outcome.metrics.first().unwrap().value.0, "0.4");
        assert_eq!(outcome.baseline_metrics.first().unwrap().name.as_str(), "ndcg@10");
        assert_eq!(outcome.baseline_metrics.first().unwrap().value.0, "0.3");
        assert_eq!((outcome.rows, outcome.events_until), (7, Some(12)));
        assert!(outcome.min_time.is_some() && outcome.max_time.is_none());
        assert!(read(&json!({"outcome": "TrainingFailed", "error": "no data"}), run).is_none());
    }
}
