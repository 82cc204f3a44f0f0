//! `versions` and `history`: one model's, newest first.

use jiff::Timestamp;
use serde_json::Value;

use super::columns::{age_at, format};
use super::tree::metric;
use crate::up::objects::text_at;

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn heads(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub fn versions(model: &str, versions: &[Value], now: Timestamp) -> String {
    let number = |version: &Value| version.pointer("/spec/version").and_then(Value::as_i64);
    let mut own: Vec<&Value> =
        versions.iter().filter(|version| text_at(version, "/spec/modelRef/name") == model).collect();
    own.sort_by_key(|version| std::cmp::Reverse(number(version)));
    if own.is_empty() {
        return format!("{model} has no version yet.");
    }
    let row = |version: &&Value| {
        let text = |pointer: &str| text_at(version, pointer);
        let metric = |list: &str| metric(version, list, "ndcg@10").unwrap_or_default();
        let users: Vec<&str> = list(version, "/status/usedBy").iter().filter_map(Value::as_str).collect();
        let rows = version.pointer("/status/dataset/rows").map(ToString::to_string).unwrap_or_default();
        vec![
            text("/metadata/name"),
            text("/status/phase"),
            metric("/status/metrics"),
            metric("/status/baselineMetrics"),
            users.join(","),
            text("/spec/trigger/type"),
            rows,
            age_at(&text("/metadata/creationTimestamp"), now),
        ]
    };
    let rows: Vec<Vec<String>> = own.iter().map(row).collect();
    let head = ["VERSION", "PHASE", "NDCG10", "ACTIVE-THEN", "IN-USE", "TRIGGER", "ROWS", "AGE"];
    format(&rows, Some(&heads(&head)))
}

pub fn history(model: &Value, now: Timestamp) -> String {
    let entries = list(model, "/status/history");
    if entries.is_empty() {
        return format!("Nothing was promoted, rolled back or aborted yet in {}.", text_at(model, "/metadata/name"));
    }
    let row = |entry: &Value| {
        let text = |key: &str| text_at(entry, &format!("/{key}"));
        let ago = age_at(&text("time"), now);
        vec![text("time"), ago, text("version"), text("from"), text("outcome"), text("by"), text("reason")]
    };
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    format(&rows, Some(&heads(&["TIME", "AGE", "VERSION", "FROM", "OUTCOME", "BY", "REASON"])))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_version_stands_first() {
        let version = |model: &str, number: i64| json!({"metadata": {"name": format!("{model}-v{number}")}, "spec": {"version": number, "modelRef": {"name": model}}, "status": {"phase": "Ready", "usedBy": ["Active", "Pin"]}});
        let text =
            versions("feed", &[version("feed", 2), version("feed", 10), version("food", 3)], Timestamp::UNIX_EPOCH);
        let names: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, ["feed-v10", "feed-v2"]);
        assert!(text.contains("Active,Pin"), "{text}");
        assert_eq!(versions("fud", &[], Timestamp::UNIX_EPOCH), "fud has no version yet.");
    }

    #[test]
    fn the_history_says_who_and_why() {
        let model = json!({"metadata": {"name": "feed"}, "status": {"history": [
            {"time": "1970-01-01T00:00:00Z", "version": "feed-v2", "from": "feed-v1", "outcome": "RolledBack", "by": "policy", "reason": "p99 212 ms"}]}});
        let text = history(&model, Timestamp::UNIX_EPOCH);
        assert!(text.contains("0s") && text.contains("RolledBack") && text.ends_with("p99 212 ms"), "{text}");
        assert!(history(&json!({"metadata": {"name": "feed"}}), Timestamp::UNIX_EPOCH).starts_with("Nothing was"));
    }
}
