//! Events: when they happened, of which model they speak, one line each.

use serde_json::Value;

use crate::up::objects::text_at;

/// When it happened last. Old and new recorders write this in different places.
pub fn time(event: &Value) -> &str {
    let places = ["/series/lastObservedTime", "/eventTime", "/deprecatedLastTimestamp", "/metadata/creationTimestamp"];
    places.into_iter().find_map(|place| event.pointer(place).and_then(Value::as_str)).unwrap_or_default()
}

pub fn count(event: &Value) -> u64 {
    let places = ["/series/count", "/deprecatedCount"];
    places.into_iter().find_map(|place| event.pointer(place).and_then(Value::as_u64)).unwrap_or(1)
}

pub fn line(event: &Value) -> String {
    let clock = time(event);
    format!("{}  {}", clock.get(11..19).unwrap_or(clock), what(event))
}

/// All of it but the time.
pub fn what(event: &Value) -> String {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (type_, reason, object, note) = (text("/type"), text("/reason"), text("/regarding/name"), text("/note"));
    let times = count(event);
    let times = if times > 1 { format!(" (x{times})") } else { String::new() };
    format!("{type_:<8} {reason:<20} {object:<20} {note}{times}")
}

/// Of which objects a model's events speak.
#[derive(Clone, Debug)]
pub struct About {
    model: String,
    experiments: Vec<String>,
}

impl About {
    pub fn new(model: &str, experiments: &[Value]) -> Self {
        let own = experiments.iter().filter(|one| text_at(one, "/spec/modelRef/name") == model);
        Self { model: model.to_owned(), experiments: own.map(|one| text_at(one, "/metadata/name")).collect() }
    }

    /// The model, its versions and experiments; of its pods and what makes them only what went wrong.
    pub fn fits(&self, event: &Value) -> bool {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, name) = (text("/regarding/kind"), text("/regarding/name"));
        match kind {
            "RecommenderModel" => name == self.model,
            "ModelVersion" => part(&self.model, name).is_some_and(is_version),
            "Experiment" => self.experiments.iter().any(|experiment| experiment == name),
            _ => text("/type") == "Warning" && self.is_child(name),
        }
    }

    fn is_child(&self, name: &str) -> bool {
        let Some(rest) = part(&self.model, name) else { return false };
        let first = rest.split('-').next().unwrap_or_default();
        ["router", "eventlog", "insights", "predictor", "training", "deletion", "data"].contains(&first)
            || is_version(first)
    }
}

/// What follows `<model>-` in a name.
fn part<'a>(model: &str, name: &'a str) -> Option<&'a str> {
    name.strip_prefix(model)?.strip_prefix('-')
}

fn is_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|number| !number.is_empty() && number.bytes().all(|one| one.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, name: &str, type_: &str) -> Value {
        json!({"regarding": {"kind": kind, "name": name}, "type": type_})
    }

    #[test]
    fn events_belong_to_their_model() {
        let experiments = [
            json!({"metadata": {"name": "old-new"}, "spec": {"modelRef": {"name": "feed"}}}),
            json!({"metadata": {"name": "other"}, "spec": {"modelRef": {"name": "feed-x"}}}),
        ];
        let about = About::new("feed", &experiments);
        let fits = [
            ("RecommenderModel", "feed", "Normal"),
            ("ModelVersion", "feed-v12", "Normal"),
            ("Experiment", "old-new", "Normal"),
            ("Pod", "feed-router-7d4b9-x2x", "Warning"),
            ("Pod", "feed-v3-5c-abc", "Warning"),
            ("Job", "feed-v4", "Warning"),
        ];
        for (kind, name, type_) in fits {
            assert!(about.fits(&event(kind, name, type_)), "{kind} {name}");
        }
        let others = [
            ("RecommenderModel", "feed-x", "Normal"),
            ("ModelVersion", "feed-x-v1", "Normal"),
            ("Experiment", "other", "Normal"),
            ("Pod", "feed-x-router-1", "Warning"),
            ("Pod", "feed-router-7d4b9-x2x", "Normal"),
            ("Pod", "feedback-0", "Warning"),
        ];
        for (kind, name, type_) in others {
            assert!(!about.fits(&event(kind, name, type_)), "{kind} {name}");
        }
    }

    #[test]
    fn an_events_time_is_found_wherever_it_is_written() {
        let old = json!({"eventTime": null, "deprecatedLastTimestamp": "2026-01-02T03:04:05Z", "deprecatedCount": 3});
        assert_eq!((time(&old), count(&old)), ("2026-01-02T03:04:05Z", 3));
        let new = json!({"eventTime": "2026-01-02T03:04:05.1Z", "series": {"count": 2, "lastObservedTime": "2026-01-02T03:05:05Z"}});
        assert_eq!((time(&new), count(&new)), ("2026-01-02T03:05:05Z", 2));
        assert!(line(&new).starts_with("03:05:05  "));
    }
}
