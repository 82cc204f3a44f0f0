//! The report as text for a terminal or a log.

use std::fmt::Write;

use super::{Count, DataReport, Enough};

/// The whole report.
pub fn text(report: &DataReport) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(format!("dataset   {}", report.dataset));
    if let Some(range) = report.time_range {
        line(format!("orders    {} to {}", range.from, range.to));
    }
    line(format!("currency  {}", report.currency.as_deref().unwrap_or("not stated")));
    let covered = &report.covered;
    line(format!("covered   {}", if covered.covered { "yes" } else { "NO: below the minimum" }));
    for (label, Enough { have, need }) in [
        (format!("customers active within {}", covered.active_within), covered.active_customers),
        ("placed orders".to_owned(), covered.orders),
        ("products sold".to_owned(), covered.products),
    ] {
        let mark = if have >= need { " " } else { "!" };
        line(format!("        {mark} {label:<34} {have:>10} of {need} wanted"));
    }
    line("\ntables".to_owned());
    for table in &report.tables {
        line(format!("  {:<20} {:>10} rows", table.table, table.rows));
    }
    let orders = &report.orders;
    for (title, counts) in [
        ("orders by status", &orders.by_status),
        ("orders by channel", &orders.by_channel),
        ("placed orders by number of distinct products", &orders.by_basket_size),
        ("lines of placed orders by category", &orders.by_category),
    ] {
        line(format!("\n{title}\n{}", bars(counts)));
    }
    line(format!(
        "  {} orders have no line that was kept, {} no customer",
        orders.without_lines, orders.without_customer
    ));
    line("\nrows that were left out".to_owned());
    if report.rejected.is_empty() {
        line("  none".to_owned());
    }
    for rows in &report.rejected {
        line(format!("  {:<14} {:<20} {:>10}", rows.table, rows.reason, rows.rows));
        if let Some(example) = rows.examples.first() {
            line(format!("      such as {example}"));
        }
    }
    if let Some(preparation) = &report.preparation {
        for rows in &preparation.changed {
            line(format!("  {:<14} {:<20} {:>10}  (kept, the value emptied)", rows.table, rows.reason, rows.rows));
        }
        let netting = &preparation.netting;
        line(format!(
            "\ncancellations\n  {} lines cancel or return: {} taken off earlier lines whole, {} in part, {} found nothing",
            netting.lines, netting.matched, netting.partly, netting.unmatched
        ));
    }
    line("\noptional columns that are not full".to_owned());
    for column in report.coverage.iter().filter(|column| column.filled_percent < 100.0) {
        line(format!(
            "  {:<26} {:>5}%  {}",
            format!("{}.{}", column.table, column.column),
            column.filled_percent,
            column.cost
        ));
    }
    out
}

fn bars(counts: &[Count]) -> String {
    let most = counts.iter().map(|count| count.count).max().unwrap_or(0).max(1);
    counts.iter().fold(String::new(), |mut out, count| {
        let width = (count.count * 40 / most) as usize;
        let _ = writeln!(out, "  {:<28} {:>10} {}", count.label, count.count, "▇".repeat(width));
        out
    })
}
