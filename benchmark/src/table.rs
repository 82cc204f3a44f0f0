//! The report as a table for a terminal.

use std::fmt::Write;

use crate::Report;
use crate::report::number;

/// Metrics that a terminal has room for.
const COLUMNS: usize = 5;

pub fn of(report: &Report) -> String {
    let settings = &report.settings;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}: {} questions, {} users, {} items; settings {}; seed {}\n",
        report.task, settings.questions, settings.users, settings.items, settings.chosen, settings.seed
    );
    let models = report.models();
    let metrics: Vec<&str> = report.metrics().into_iter().take(COLUMNS).collect();
    let wide = models.iter().map(|model| model.len()).max().unwrap_or(0).max(12);
    let _ = write!(text, "{:<wide$}", "model");
    for metric in &metrics {
        let _ = write!(text, "  {metric:<22}");
    }
    let last = models.last().copied().unwrap_or_default();
    if !report.leads.is_empty() {
        let _ = write!(text, "  {last}'s lead in {}", report.main);
    }
    for model in models {
        let _ = write!(text, "\n{model:<wide$}");
        for metric in &metrics {
            let cell = report.find(model, metric).map_or_else(String::new, |row| {
                let value = number(row.value);
                // What is no mean has no interval.
                let exact = row.low.to_bits() == row.high.to_bits();
                if exact { value } else { format!("{value} ({:.4}-{:.4})", row.low + 0.0, row.high + 0.0) }
            });
            let _ = write!(text, "  {cell:<22}");
        }
        if let Some(lead) = report.leads.iter().find(|lead| lead.against == model) {
            let _ = write!(text, "  {:+.4} ({:+.4} to {:+.4})", lead.difference, lead.low, lead.high);
        }
    }
    let _ = writeln!(text);
    if !report.seconds.is_empty() {
        let seconds: Vec<String> = report.seconds.iter().map(|(what, took)| format!("{what} {took:.1} s")).collect();
        let _ = writeln!(text, "\n{}", seconds.join(", "));
    }
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n"
}
