//! The card as Markdown, made of nothing but its JSON. Tables are aligned for who reads them as plain text.

use std::fmt::Write;

use serde_json::Value;

use super::sections;
use crate::plot::{count, fixed, signed};

/// The card's JSON as Markdown.
pub(crate) fn markdown(card: &Value) -> String {
    let mut text = format!("# Model card: {}\n", line(string(card, "/model/version")));
    let model = ["name", "version", "architecture", "seed", "program", "dataset_sha256", "data_from", "data_until"];
    let rows = model.iter().map(|name| {
        let value = card.pointer(&format!("/model/{name}"));
        // A seed is a name rather than a count.
        vec![name.replace('_', " "), value.and_then(Value::as_i64).map_or_else(|| any(value), |seed| seed.to_string())]
    });
    text.push_str(&table(&["model", ""], 2, &rows.collect::<Vec<_>>()));
    let _ = write!(text, "\n## Intended use\n\n{}\n", line(string(card, "/intended_use")));
    data(&mut text, card);
    validation(&mut text, card);
    let sections = sections::of(card);
    if !sections.is_empty() {
        text.push_str("\n## Calibration, customers, demand, examples\n");
    }
    text.extend(sections.iter().map(sections::Section::markdown));
    text.push_str("\n## Limits\n\n");
    for limit in list(card, "/limits") {
        let _ = writeln!(text, "- {}", line(string(limit, "/text")));
    }
    text
}

fn data(text: &mut String, card: &Value) {
    let counts = |at: &str| -> Vec<Vec<String>> {
        let object = card.pointer(at).and_then(Value::as_object);
        object.into_iter().flatten().map(|(name, value)| vec![name.replace('_', " "), any(Some(value))]).collect()
    };
    text.push_str("\n## Data\n");
    text.push_str(&table(&["count", "rows"], 1, &counts("/data/counts")));
    let attributes: Vec<String> = list(card, "/data/customer_attributes").iter().map(|name| any(Some(name))).collect();
    let attributes = if attributes.is_empty() { "none".to_owned() } else { attributes.join(", ") };
    let _ = writeln!(
        text,
        "\nAttributes of customers that it reads beside their orders: {attributes}. Names and contacts are not among its data."
    );
    let repeat = card.pointer("/data/repeat_share").and_then(Value::as_f64);
    let _ = writeln!(
        text,
        "\nOf the lines of known customers, {} are of products that they had bought before.",
        repeat.map_or_else(|| "an unknown share".to_owned(), |share| format!("{}%", fixed(100.0 * share, 1)))
    );
    text.push_str("\n### Rows that were not used\n");
    let rejected: Vec<Vec<String>> = list(card, "/data/rejected")
        .iter()
        .map(|entry| ["/table", "/reason", "/rows"].map(|at| any(entry.pointer(at))).to_vec())
        .collect();
    if rejected.is_empty() {
        text.push_str("\nNone.\n");
    }
    text.push_str(&table(&["table", "reason", "rows"], 2, &rejected));
    let errors = card.pointer("/data/offer_errors").and_then(Value::as_u64).unwrap_or(0);
    if errors > 0 {
        let _ =
            writeln!(text, "\nOffers were refused; the artifact's `report` names the first {} reasons.", count(errors));
    }
    let segments = counts("/data/rfm_segments");
    if !segments.is_empty() {
        text.push_str("\n### Customers by recency, frequency and money\n");
        text.push_str(&table(&["segment", "customers"], 1, &segments));
    }
}

fn validation(text: &mut String, card: &Value) {
    text.push_str("\n## Measured on the validation window\n");
    if let Some(window) = card.pointer("/validation/window").filter(|window| !window.is_null()) {
        let [from, days, orders] = ["/from", "/days", "/orders"].map(|at| any(window.pointer(at)));
        let _ = writeln!(text, "\nThe window: {orders} orders of the last {days} days, from {from} on.");
    }
    if let Some(why) = card.pointer("/validation/skipped").and_then(Value::as_str) {
        let _ = writeln!(text, "\nNothing was measured and nothing chosen: {}.", line(why).trim_end_matches('.'));
    }
    served(text, card);
    generators(text, card);
    differences(
        text,
        card,
        "/comparisons",
        "Against each generator",
        "NDCG@10 of what is served less that of the other on the same questions. An interval that holds 0 tells the two not apart.",
    );
    let active = "NDCG@10 of this version less that of the version that serves, on the same questions. Where that version had learned \
                  from part of the window, its name says so, and the comparison favours it.";
    differences(text, card, "/active", "Against the active version", active);
    if list(card, "/active").is_empty() && !list(card, "/metrics").is_empty() {
        text.push_str("\n### Against the active version\n\nNo active version was given to compare with.\n");
    }
    components(text, card);
    cold(text, card);
    let losses = list(card, "/deep_losses");
    if !losses.is_empty() {
        text.push_str("\n### Deep network: loss by epoch\n");
        let loss = |loss: &Value| loss.as_f64().map_or_else(|| "-".to_owned(), |loss| fixed(loss, 4));
        let rows = losses.iter().enumerate().map(|(at, value)| vec![(at + 1).to_string(), loss(value)]);
        text.push_str(&table(&["epoch", "mean loss"], 0, &rows.collect::<Vec<_>>()));
    }
}

/// Distinct strings at `at` in the order in which they come; none counts as `all`.
fn distinct(metrics: &[Value], at: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for metric in metrics {
        let name = any_or(metric.pointer(at), "all");
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// A table with one row by distinct `row` and one column by distinct `column`.
fn crossed(metrics: &[Value], corner: &str, row: &str, column: &str) -> String {
    let columns = distinct(metrics, column);
    let rows = distinct(metrics, row).into_iter().map(|name| {
        let cells = columns.iter().map(|wanted| {
            let is_it = |metric: &&Value| {
                any_or(metric.pointer(row), "all") == name && any_or(metric.pointer(column), "all") == *wanted
            };
            metrics.iter().find(is_it).map_or_else(|| "-".to_owned(), |metric| interval(metric, "/value", fixed))
        });
        std::iter::once(name.clone()).chain(cells).collect()
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let headers: Vec<&str> = std::iter::once(corner).chain(columns.iter().map(String::as_str)).collect();
    table(&headers, 1, &rows)
}

fn served(text: &mut String, card: &Value) {
    let metrics = list(card, "/metrics");
    if metrics.is_empty() {
        return;
    }
    text.push_str(
        "\n### What is served, by situation\n\nValues with their 95% intervals (bootstrap over questions).\n",
    );
    text.push_str(&crossed(metrics, "situation", "/situation", "/measure"));
    let questions = card.pointer("/validation/questions").and_then(Value::as_object);
    let questions: Vec<String> =
        questions.into_iter().flatten().map(|(name, number)| format!("{name} {}", any(Some(number)))).collect();
    if !questions.is_empty() {
        let _ = writeln!(text, "\nQuestions: {}.", questions.join(", "));
    }
}

fn generators(text: &mut String, card: &Value) {
    let metrics = list(card, "/generators");
    if metrics.is_empty() {
        return;
    }
    text.push_str("\n### Each generator alone\n\nNDCG@10 by situation.\n");
    text.push_str(&crossed(metrics, "generator", "/generator", "/situation"));
}

fn differences(text: &mut String, card: &Value, at: &str, title: &str, words: &str) {
    let comparisons = list(card, at);
    if comparisons.is_empty() {
        return;
    }
    let _ = write!(text, "\n### {title}\n\n{words}\n");
    let rows = comparisons.iter().map(|entry| {
        vec![
            any(entry.pointer("/against")),
            any_or(entry.pointer("/situation"), "all"),
            any(entry.pointer("/metric")),
            interval(entry, "/difference", signed),
            any(entry.pointer("/n")),
        ]
    });
    text.push_str(&table(&["against", "situation", "metric", "difference", "questions"], 3, &rows.collect::<Vec<_>>()));
}

fn components(text: &mut String, card: &Value) {
    let components = list(card, "/components");
    if components.is_empty() {
        return;
    }
    text.push_str("\n### What each component is worth\n\nNDCG@10 of everything less that of everything without it.\n");
    let rows = components.iter().map(|entry| {
        let kept = entry.pointer("/kept").and_then(Value::as_bool).unwrap_or_default();
        vec![
            any(entry.pointer("/name")),
            if kept { "kept" } else { "dropped" }.to_owned(),
            interval(entry, "/difference", signed),
            any(entry.pointer("/n")),
        ]
    });
    text.push_str(&table(&["component", "", "difference", "questions"], 2, &rows.collect::<Vec<_>>()));
    by_situation(text, components);
}

/// What components are worth in each situation: cold start is where segments and demographics have their say.
fn by_situation(text: &mut String, components: &[Value]) {
    let situations: Vec<&str> = components
        .first()
        .map(|entry| list(entry, "/situations").iter().map(|gain| string(gain, "/situation")).collect())
        .unwrap_or_default();
    if situations.is_empty() {
        return;
    }
    text.push_str("\nBy situation:\n");
    let rows = components.iter().map(|entry| {
        let gains = list(entry, "/situations").iter().map(|gain| interval(gain, "/difference", signed));
        std::iter::once(any(entry.pointer("/name"))).chain(gains).collect()
    });
    let headers: Vec<&str> = std::iter::once("component").chain(situations.iter().copied()).collect();
    text.push_str(&table(&headers, 1, &rows.collect::<Vec<_>>()));
}

fn cold(text: &mut String, card: &Value) {
    let coverage = card.pointer("/coverage").and_then(Value::as_f64);
    let cold = list(card, "/cold");
    if coverage.is_none() && cold.is_empty() {
        return;
    }
    text.push_str("\n### Coverage and cold start\n");
    if let Some(share) = coverage {
        let _ = writeln!(
            text,
            "\n{}% of the products sold before the window stand in the first ten of some question.",
            fixed(100.0 * share, 1)
        );
    }
    let rows = cold
        .iter()
        .map(|entry| vec![any(entry.pointer("/name")), interval(entry, "/value", fixed), any(entry.pointer("/n"))]);
    text.push_str(&table(&["metric", "value", "n"], 1, &rows.collect::<Vec<_>>()));
}

/// A number with its interval, where it has one.
pub(super) fn interval(entry: &Value, at: &str, write: fn(f64, usize) -> String) -> String {
    let number = |at: &str| entry.pointer(at).and_then(Value::as_f64).map(|number| write(number, 4));
    match (number(at), number("/low"), number("/high")) {
        (Some(value), Some(low), Some(high)) => format!("{value} ({low} to {high})"),
        (Some(value), ..) => {
            let whole =
                entry.pointer(at).and_then(Value::as_f64).filter(|number| *number > 1.0 && number.fract() == 0.0);
            whole.map_or(value, |whole| count(whole as u64))
        }
        (None, ..) => "-".to_owned(),
    }
}

pub(super) fn list<'a>(value: &'a Value, at: &str) -> &'a [Value] {
    value.pointer(at).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn string<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn any(value: Option<&Value>) -> String {
    any_or(value, "not known")
}

/// A value in words: counts with their thousands apart.
pub(super) fn any_or(value: Option<&Value>, none: &str) -> String {
    match value {
        None | Some(Value::Null) => none.to_owned(),
        Some(Value::String(text)) => line(text),
        Some(Value::Number(number)) => number.as_u64().map_or_else(|| number.to_string(), count),
        Some(other) => other.to_string(),
    }
}

/// One line without what Markdown would read as something else.
pub(super) fn line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\r' => safe.push(' '),
            '<' => safe.push_str("&lt;"),
            '|' | '*' | '[' | ']' => safe.extend(['\\', letter]),
            _ => safe.push(letter),
        }
    }
    safe
}

/// A table after an empty line, columns from `numbers` on to the right; nothing without rows.
pub(super) fn table(headers: &[&str], numbers: usize, rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
    let width = |column: usize| {
        let cells = rows.iter().chain([&headers]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..headers.len()).map(width).collect();
    let mut text = String::from("\n");
    let mut put = |row: &[String]| {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ =
                if column < numbers { write!(text, "| {cell:<width$} ") } else { write!(text, "| {cell:>width$} ") };
        }
        text.push_str("|\n");
    };
    put(&headers);
    let rule: Vec<String> = widths
        .iter()
        .enumerate()
        .map(
            |(column, width)| if column < numbers { "-".repeat(*width) } else { format!("{}:", "-".repeat(width - 1)) },
        )
        .collect();
    put(&rule);
    for row in rows {
        put(row);
    }
    text
}
