//! `diff`: two versions beside each other.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;

use super::columns;
use crate::up::objects::text_at;

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A field as one cell; none stands for what is not there.
fn cell(object: &Value, pointer: &str) -> String {
    match object.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Digests begin differently when they differ.
fn short(text: String) -> String {
    if text.len() == 64 && text.bytes().all(|one| one.is_ascii_hexdigit()) {
        text.chars().take(12).collect()
    } else {
        text
    }
}

fn bytes(text: &str) -> String {
    let Ok(count) = text.parse::<f64>() else { return text.to_owned() };
    let (unit, by) = [("GiB", 1_073_741_824.0), ("MiB", 1_048_576.0), ("KiB", 1_024.0)]
        .into_iter()
        .find(|(_, by)| count >= *by)
        .unwrap_or(("B", 1.0));
    format!("{:.1} {unit}", count / by)
}

/// A difference with its sign and percent, where both are numbers.
fn change(from: &str, to: &str) -> String {
    let (Ok(from), Ok(to)) = (from.parse::<f64>(), to.parse::<f64>()) else { return String::new() };
    let by = to - from;
    if by == 0.0 {
        return "=".to_owned();
    }
    let digits = if by.abs() >= 100.0 { 0 } else { 4 };
    let percent = if from == 0.0 { String::new() } else { format!(" ({:+.1} %)", by / from.abs() * 100.0) };
    format!("{by:+.digits$}{percent}")
}

fn row(name: &str, from: String, to: String, change: String) -> Vec<String> {
    vec![format!("  {name}"), from, to, change]
}

/// Fields of the spec: those that differ, and the names of those that do not.
fn fields(from: &Value, to: &Value, names: &[(&str, &str)]) -> (Vec<Vec<String>>, Vec<String>) {
    let (mut rows, mut same) = (Vec::new(), Vec::new());
    for (name, pointer) in names {
        let (one, other) = (cell(from, pointer), cell(to, pointer));
        if one == other {
            same.push((*name).to_owned());
        } else {
            let change = change(&one, &other);
            rows.push(row(name, short(one), short(other), change));
        }
    }
    (rows, same)
}

fn hyperparameters(from: &Value, to: &Value) -> (Vec<Vec<String>>, usize) {
    let of = |version: &Value| {
        version.pointer("/spec/hyperparameters").and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let (from, to) = (of(from), of(to));
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("-").to_owned();
    let differs = names.iter().filter(|name| from.get(**name) != to.get(**name));
    let rows: Vec<Vec<String>> =
        differs.map(|name| row(name, text(from.get(*name)), text(to.get(*name)), String::new())).collect();
    let same = names.len() - rows.len();
    (rows, same)
}

fn metrics(from: &Value, to: &Value, pointer: &str) -> Vec<Vec<String>> {
    let key = |metric: &Value| (text_at(metric, "/split"), text_at(metric, "/name"));
    let value = |version: &Value, wanted: &(String, String)| {
        list(version, pointer)
            .iter()
            .find(|metric| key(metric) == *wanted)
            .map_or("-".to_owned(), |one| text_at(one, "/value"))
    };
    let names: BTreeSet<(String, String)> = list(from, pointer).iter().chain(list(to, pointer)).map(key).collect();
    let line = |name: (String, String)| {
        let (one, other) = (value(from, &name), value(to, &name));
        let change = change(&one, &other);
        row(&format!("{} ({})", name.1, name.0), one, other, change)
    };
    names.into_iter().map(line).collect()
}

/// The whole page.
pub fn diff(from: &Value, to: &Value) -> String {
    const SPEC: [(&str, &str); 7] = [
        ("architecture", "/spec/architecture"),
        ("source", "/spec/source"),
        ("seed", "/spec/seed"),
        ("training image", "/spec/trainingImage"),
        ("serving image", "/spec/servingImage"),
        ("data", "/spec/dataRef/uri"),
        ("window", "/spec/dataRef/window"),
    ];
    const DATA: [(&str, &str); 5] = [
        ("manifest", "/status/dataset/manifestSha256"),
        ("order lines", "/status/dataset/rows"),
        ("oldest", "/status/dataset/minTime"),
        ("newest", "/status/dataset/maxTime"),
        ("events until", "/status/dataset/eventsUntil"),
    ];
    let head = |title: &str| vec![title.to_owned(), String::new(), String::new(), String::new()];
    let mut rows = Vec::new();
    let always = [
        ("phase", "/status/phase"),
        ("trigger", "/spec/trigger/type"),
        ("why", "/spec/trigger/reason"),
        ("parent", "/spec/parentVersion"),
    ];
    rows.push(head("made"));
    for (name, pointer) in always {
        rows.push(row(name, cell(from, pointer), cell(to, pointer), String::new()));
    }
    let (differs, same) = fields(from, to, &SPEC);
    rows.extend(differs);
    let (differs, equal) = hyperparameters(from, to);
    if !differs.is_empty() {
        rows.push(head("hyperparameters"));
        rows.extend(differs);
    }
    rows.push(head("data"));
    let (differs, _) = fields(from, to, &DATA);
    let is_same_data = cell(from, "/status/dataset/manifestSha256") == cell(to, "/status/dataset/manifestSha256");
    rows.extend(differs);
    for (title, pointer) in
        [("metrics", "/status/metrics"), ("the active version then, on the same data", "/status/baselineMetrics")]
    {
        let lines = metrics(from, to, pointer);
        if !lines.is_empty() {
            rows.push(head(title));
            rows.extend(lines);
        }
    }
    rows.push(head("artifact"));
    let digest = |version: &Value| short(cell(version, "/status/artifact/manifestSha256"));
    rows.push(row(
        "digest",
        digest(from),
        digest(to),
        if digest(from) == digest(to) { "=".to_owned() } else { String::new() },
    ));
    let size = |version: &Value| cell(version, "/status/artifact/sizeBytes");
    rows.push(row("size", bytes(&size(from)), bytes(&size(to)), percent(&size(from), &size(to))));
    let name = |version: &Value| text_at(version, "/metadata/name");
    let top = [String::new(), name(from), name(to), "CHANGE".to_owned()];
    let mut text = columns::format(&rows, Some(&top));
    if !same.is_empty() {
        let _ = write!(text, "\nthe same: {}", same.join(", "));
        if equal > 0 {
            let _ = write!(text, ", {equal} hyperparameters");
        }
    }
    let both_known = [from, to].iter().all(|version| version.pointer("/status/dataset").is_some());
    text.push_str(match (both_known, is_same_data) {
        (true, true) => "\nBoth learned from the same data: their metrics can be compared.",
        (true, false) => "\nThey learned from different data: compare each with the active version on its own data, not with the other.",
        _ => "",
    });
    text
}

fn percent(from: &str, to: &str) -> String {
    match (from.parse::<f64>(), to.parse::<f64>()) {
        (Ok(from), Ok(to)) if from > 0.0 => format!("{:+.1} %", (to - from) / from * 100.0),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn version(number: i64, learned: &str, ndcg: &str, epochs: &str) -> Value {
        json!({
            "metadata": {"name": format!("feed-v{number}")},
            "spec": {"architecture": "Hybrid", "seed": 42, "trainingImage": "e:1", "servingImage": "e:1",
                "trigger": {"type": "Manual"}, "hyperparameters": {"epochs": epochs, "width": "64"}},
            "status": {
                "phase": "Ready",
                "dataset": {"manifestSha256": learned.repeat(64), "rows": 1000 * number},
                "metrics": [{"name": "ndcg@10", "value": ndcg, "split": "test"}],
                "artifact": {"manifestSha256": "ab".repeat(32), "sizeBytes": 1_048_576 * number}
            }
        })
    }

    #[test]
    fn differences_are_shown_and_the_rest_is_named() {
        let text = diff(&version(1, "a", "0.1200", "10"), &version(2, "b", "0.1260", "12"));
        let line = |start: &str| text.lines().find(|line| line.trim_start().starts_with(start)).unwrap_or_default();
        assert!(line("ndcg@10 (test)").ends_with("+0.0060 (+5.0 %)"), "{text}");
        assert!(line("epochs").contains("10") && line("epochs").contains("12"), "{text}");
        assert!(line("width").is_empty() && line("seed").is_empty(), "{text}");
        assert!(
            line("manifest").contains("aaaaaaaaaaaa   ") && line("order lines").ends_with("+1000 (+100.0 %)"),
            "{text}"
        );
        assert!(line("size").contains("1.0 MiB") && line("size").ends_with("+100.0 %"), "{text}");
        assert!(line("the same").contains("seed") && line("the same").ends_with("1 hyperparameters"), "{text}");
        assert!(text.ends_with("not with the other."), "{text}");
        let same = diff(&version(1, "a", "0.1", "10"), &version(2, "a", "0.1", "10"));
        assert!(same.ends_with("can be compared."), "{same}");
    }

    #[test]
    fn a_version_that_is_not_trained_yet_has_holes() {
        let young = json!({"metadata": {"name": "feed-v2"}, "spec": {"architecture": "Rules"}, "status": {"phase": "Training"}});
        let text = diff(&version(1, "a", "0.1", "10"), &young);
        assert!(text.contains("architecture") && text.contains("Rules"), "{text}");
        assert!(!text.contains("learned from"), "{text}");
    }
}
