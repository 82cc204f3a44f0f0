//! The report as one page, without scripts and without anything from elsewhere.

use std::fmt::Write;

use endcap_recommender::amount::money_text;

use super::judge::kind_name;
use super::report::{Outcome, Report};

const STYLE: &str = include_str!("page.css");

/// Text as HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// The whole page. `footer` is shown as it is: who signed, or when it was made.
pub fn page(report: &Report, footer: &str) -> String {
    let title = escape(report.title.as_deref().unwrap_or("Business scenarios"));
    let mut page = String::with_capacity(16 << 10);
    let verdict = if report.failed == 0 { "pass" } else { "fail" };
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} | Endcap scenarios</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n\
         <p class=\"{verdict}\">{} of {} scenarios passed, {}</p>\n<dl>\n",
        report.passed,
        report.passed + report.failed,
        escape(&report.version),
    );
    for (name, value) in [
        ("Artifact", &report.artifact_sha256),
        ("Scenarios", &report.scenarios_sha256),
        ("Rules", &report.policy_sha256),
    ] {
        let _ = writeln!(page, "<dt>{name}</dt><dd><code>{}</code></dd>", escape(value));
    }
    page.push_str("</dl>\n");
    for outcome in &report.scenarios {
        page.push_str(&section(report, outcome));
    }
    let _ = write!(page, "</main>\n<footer>{}</footer>\n</body>\n</html>\n", escape(footer));
    page
}

fn section(report: &Report, outcome: &Outcome) -> String {
    let (class, verdict) = if outcome.passed { ("pass", "passed") } else { ("fail", "failed") };
    let mut text = String::new();
    let _ = write!(
        text,
        "<section>\n<h2>{} <span class=\"{class}\">{verdict}</span></h2>\n<p>{}</p>\n<p class=\"situation\">{}</p>\n\
         <table>\n<thead><tr><th></th><th>Expected</th><th>Came</th></tr></thead>\n<tbody>\n",
        escape(&outcome.name),
        escape(&outcome.why),
        escape(&outcome.situation.join("; ")),
    );
    for check in &outcome.checks {
        let (class, verdict) = if check.passed { ("pass", "yes") } else { ("fail", "no") };
        let (expected, came) = (escape(&check.expected), escape(&check.came));
        let _ = writeln!(text, "<tr><td class=\"{class}\">{verdict}</td><td>{expected}</td><td>{came}</td></tr>");
    }
    text.push_str("</tbody>\n</table>\n");
    if outcome.items.is_empty() {
        text.push_str("<p>The list is empty.</p>\n</section>\n");
        return text;
    }
    text.push_str(
        "<table>\n<thead><tr><th>#</th><th>Product</th><th>Kind</th><th>Quantity</th><th>Price</th><th>Offer</th>\
         <th>Reason</th></tr></thead>\n<tbody>\n",
    );
    for item in &outcome.items {
        let _ = writeln!(
            text,
            "<tr><td>{}</td><td>{} <code>{}</code></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            item.rank,
            escape(&item.name),
            escape(&item.product_id),
            kind_name(item.kind),
            item.suggested_quantity.normalize(),
            item.unit_price.map(money_text).unwrap_or_default(),
            escape(report.offer(item).trim_start_matches(", ")),
            escape(&item.reason.text),
        );
    }
    text.push_str("</tbody>\n</table>\n</section>\n");
    text
}
