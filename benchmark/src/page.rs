//! The report as one page without scripts and without anything from elsewhere.

use std::fmt::Write;

use crate::Report;
use crate::report::number;

const STYLE: &str = include_str!("page.css");

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The task as a title, and what is asked.
fn title(task: &str) -> (&str, &str) {
    match task {
        "next-basket" => {
            ("The next basket", "Which items does each user's next basket hold, those had before among them?")
        }
        "next-item" => ("The next item", "Which item comes next for each user, those had before left out?"),
        "top-n" => ("What else was had", "Which items did each user have beside those that are known?"),
        "session" => ("The next click", "What is clicked next in a session that goes on?"),
        "rules" => ("Association rules", "How many itemsets and rules reach the thresholds, counted exactly?"),
        other => (other, ""),
    }
}

pub fn of(report: &Report) -> String {
    let (title, asked) = title(report.task);
    let mut page = String::with_capacity(16 << 10);
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} | Endcap evaluation</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<p class=\"kind\">Evaluation, {}</p>\n\
         <h1>{title}</h1>\n<p>{asked}</p>\n</header>\n",
        escape(report.task),
        title = escape(title),
    );
    page.push_str(&bars(report));
    page.push_str(&numbers(report));
    page.push_str(&settings(report));
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// The main metric of each model with its interval, drawn to one scale from 0.
fn bars(report: &Report) -> String {
    let rows: Vec<_> = report.models().into_iter().filter_map(|model| report.find(model, &report.main)).collect();
    let most = rows.iter().map(|row| row.high).fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    let mut text = format!("<section>\n<h2>{}</h2>\n<dl class=\"bars\">\n", escape(&report.main));
    for row in rows {
        let part = |value: f64| 100.0 * value / most;
        let _ = writeln!(
            text,
            "<dt>{}</dt><dd><svg viewBox=\"0 0 100 6\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{value}\">\
             <rect width=\"{:.2}\" height=\"6\"/><path d=\"M{:.2} 3H{:.2}\"/></svg><span>{value}</span></dd>",
            escape(&row.model),
            part(row.value),
            part(row.low),
            part(row.high),
            value = number(row.value),
        );
    }
    text.push_str("</dl>\n</section>\n");
    text
}

fn numbers(report: &Report) -> String {
    let metrics = report.metrics();
    let mut text = String::from(
        "<section>\n<h2>All numbers</h2>\n<p>Value, 95% interval and the number of questions that it is a mean of.</p>\n\
         <div class=\"scroll\" role=\"region\" aria-label=\"All numbers\" tabindex=\"0\">\n<table>\n<thead><tr><th scope=\"col\">model</th>",
    );
    for metric in &metrics {
        let _ = write!(text, "<th scope=\"col\">{}</th>", escape(metric));
    }
    if !report.leads.is_empty() {
        let _ = write!(text, "<th scope=\"col\">lead of the last in {}</th>", escape(&report.main));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for model in report.models() {
        let _ = write!(text, "<tr><th scope=\"row\">{}</th>", escape(model));
        for metric in &metrics {
            let cell = report.find(model, metric).map(|row| {
                let [low, high] = [row.low, row.high].map(number);
                let range = if low == high { String::new() } else { format!("<small>{low} to {high}</small>") };
                format!("{}{range}<small>n {}</small>", number(row.value), row.n)
            });
            let _ = write!(text, "<td>{}</td>", cell.unwrap_or_default());
        }
        if let Some(lead) = report.leads.iter().find(|lead| lead.against == model) {
            let _ =
                write!(text, "<td>{:+.4}<small>{:+.4} to {:+.4}</small></td>", lead.difference, lead.low, lead.high);
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table>\n</div>\n</section>\n");
    text
}

fn settings(report: &Report) -> String {
    let settings = &report.settings;
    let methods = serde_json::to_string_pretty(&settings.methods).unwrap_or_default();
    let seconds: Vec<String> = report.seconds.iter().map(|(what, took)| format!("{what} {took:.1} s")).collect();
    let entries = [
        ("Protocol", settings.protocol.to_owned()),
        ("Questions", settings.questions.to_string()),
        ("Users or sessions learned from", settings.users.to_string()),
        ("Items", settings.items.to_string()),
        ("Settings", settings.chosen.clone()),
        ("Seed", settings.seed.to_string()),
        ("Threads", settings.threads.to_string()),
        ("Time", seconds.join(", ")),
    ];
    let mut text = String::from("<section>\n<h2>How it was measured</h2>\n<dl class=\"list\">\n");
    for (name, value) in entries {
        let _ = writeln!(text, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
    }
    let _ = write!(
        text,
        "</dl>\n<details>\n<summary>Settings of the methods</summary>\n<pre>{}</pre>\n</details>\n</section>\n",
        escape(&methods)
    );
    text
}
