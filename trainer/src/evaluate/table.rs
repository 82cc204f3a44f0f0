//! The report as a table for a terminal.

use std::fmt::Write;

use super::{Evaluation, Row};

const LISTS: [&str; 4] = ["ndcg@10", "recall@10", "hr@10", "coverage@10"];
const BREAKS: [&str; 4] = ["auc", "lift@10%", "lift@25%", "lift_said"];

pub(super) fn of(evaluation: &Evaluation) -> String {
    let settings = &evaluation.settings;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}: {} questions from {} to {} (exclusive), {} learned on {} orders before, chosen on {} to {}",
        evaluation.task,
        settings.questions,
        day(&settings.test_from),
        day(&settings.test_until),
        settings.architecture,
        settings.orders_learned_from,
        day(&settings.validate_from),
        day(&settings.test_from),
    );
    let _ = writeln!(
        text,
        "{} orders of the test made no question, {} targets were never sold before\n",
        settings.test_orders_left_out, settings.unrankable_targets
    );
    let columns = if evaluation.rows.iter().any(|row| row.metric == LISTS[0]) { LISTS } else { BREAKS };
    if let Some(row) = evaluation.rows.iter().find(|row| row.metric == "rate") {
        let _ = writeln!(
            text,
            "{:.4} ({:.4}-{:.4}) of them were taken to the break the next time\n",
            row.value, row.low, row.high
        );
    }
    let _ = write!(text, "{:<12}", "model");
    for column in columns {
        let _ = write!(text, "  {column:<22}");
    }
    let _ = writeln!(text, "  hybrid's lead in {}", columns[0]);
    for model in models(&evaluation.rows) {
        let _ = write!(text, "{model:<12}");
        for column in columns {
            let row = evaluation.rows.iter().find(|row| row.model == model && row.metric == column);
            let cell = row.map_or_else(String::new, |row| {
                format!("{:.4} ({:.4}-{:.4})", row.value + 0.0, row.low + 0.0, row.high + 0.0)
            });
            let _ = write!(text, "  {cell:<22}");
        }
        let lead = evaluation.differences.iter().find(|difference| difference.against == model);
        let cell = lead.map_or_else(String::new, |lead| {
            format!("{:+.4} ({:+.4} to {:+.4})", lead.difference, lead.low, lead.high)
        });
        let _ = writeln!(text, "  {cell}");
    }
    let _ = writeln!(
        text,
        "\nranking takes {:.2} ms (99th percentile {:.2} ms)",
        settings.rank_p50_ms, settings.rank_p99_ms
    );
    if !evaluation.components.is_empty() {
        let _ = writeln!(text, "\nworth of each component on the validation window (ndcg@10 with it less without it)");
        for component in &evaluation.components {
            let _ = writeln!(
                text,
                "  {:<16} {:+.4} ({:+.4} to {:+.4})  {}",
                component.name,
                component.difference,
                component.low,
                component.high,
                if component.kept { "kept" } else { "dropped" }
            );
        }
    }
    let phases: Vec<String> =
        evaluation.phases.iter().map(|phase| format!("{} {:.1} s", phase.phase, phase.seconds)).collect();
    let _ = writeln!(text, "\n{}", phases.join(", "));
    text
}

/// Models in the order of their first row.
pub(super) fn models(rows: &[Row]) -> Vec<&str> {
    let mut models: Vec<&str> = Vec::new();
    for row in rows {
        if !models.contains(&row.model.as_str()) {
            models.push(&row.model);
        }
    }
    models
}

fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}
