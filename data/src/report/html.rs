//! The report as one page that needs nothing else: no script, no font, no link.

use std::fmt::Write;

use super::svg::{bars, columns, escape};
use super::{Count, DataReport, Enough};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:860px;margin:2em auto;padding:0 1em;color:#1b2733;background:#fff}\
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse;width:100%}\
td,th{text-align:left;padding:.25em .6em;border-bottom:1px solid #d9e0e6;vertical-align:top}td.n,th.n{text-align:right}\
svg{width:100%;height:auto}svg rect{fill:#2f6f9f}svg text{font:11px system-ui,sans-serif;fill:#1b2733}\
.ok{color:#1a6b3c}.no{color:#a3301e}code{font-size:.9em;overflow-wrap:anywhere}\
@media(prefers-color-scheme:dark){body,svg text{color:#dde4ea;fill:#dde4ea}body{background:#12181e}svg rect{fill:#6fb0de}td,th{border-color:#33404c}.ok{color:#6fd39a}.no{color:#f09383}}";

/// The whole page.
pub fn page(report: &DataReport) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>Data report</title><style>{STYLE}</style></head><body>\
         <h1>Data report</h1>"
    );
    let covered = &report.covered;
    let verdict = if covered.covered { ("ok", "enough data") } else { ("no", "below the minimum") };
    let _ = write!(
        out,
        "<p>Dataset <code>{}</code><br>{}<br>Currency: {}</p><h2>Is it enough?</h2><p class=\"{}\">DataCovered: {}</p><table>",
        report.dataset,
        report.time_range.map_or_else(String::new, |range| format!("Orders from {} to {}", range.from, range.to)),
        escape(report.currency.as_deref().unwrap_or("not stated")),
        verdict.0,
        verdict.1
    );
    for (label, Enough { have, need }) in [
        (format!("customers active within {}", covered.active_within), covered.active_customers),
        ("placed orders".to_owned(), covered.orders),
        ("products sold".to_owned(), covered.products),
    ] {
        let class = if have >= need { "ok" } else { "no" };
        let _ = write!(out, "<tr><td>{label}</td><td class=\"n {class}\">{have}</td><td>of {need} wanted</td></tr>");
    }
    out.push_str("</table><h2>Tables</h2><table><tr><th>table</th><th class=\"n\">rows</th></tr>");
    for table in &report.tables {
        let _ = write!(out, "<tr><td>{}</td><td class=\"n\">{}</td></tr>", table.table, table.rows);
    }
    out.push_str("</table>");
    plots(&mut out, report);
    rejected(&mut out, report);
    out.push_str("<h2>Optional columns</h2><table><tr><th>column</th><th class=\"n\">filled</th><th>what is lost where it is empty</th></tr>");
    for column in &report.coverage {
        let _ = write!(
            out,
            "<tr><td>{}.{}</td><td class=\"n\">{}%</td><td>{}</td></tr>",
            column.table,
            column.column,
            column.filled_percent,
            escape(&column.cost)
        );
    }
    out.push_str("</table>");
    sources(&mut out, report);
    out.push_str("</body></html>\n");
    out
}

fn plots(out: &mut String, report: &DataReport) {
    let orders = &report.orders;
    let _ = write!(
        out,
        "<h2>Orders per week</h2>{}<h2>Distinct products per order</h2>{}<h2>Lines by category</h2>{}<h2>Orders by status</h2>{}\
         <h2>Orders by channel</h2>{}<p>{} orders have no line that was kept, {} no customer.</p>",
        columns(&orders.by_week, "placed orders per week"),
        bars(&orders.by_basket_size, "placed orders by number of distinct products"),
        bars(&orders.by_category, "lines of placed orders by category"),
        bars(&orders.by_status, "orders by status"),
        bars(&orders.by_channel, "orders by channel"),
        orders.without_lines,
        orders.without_customer
    );
}

fn rejected(out: &mut String, report: &DataReport) {
    out.push_str("<h2>Rows that were left out</h2>");
    if report.rejected.is_empty() {
        out.push_str("<p>None.</p>");
        return;
    }
    let mut counts: Vec<Count> = report
        .rejected
        .iter()
        .map(|rows| Count { label: format!("{}: {}", rows.table, rows.reason), count: rows.rows })
        .collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.count));
    let _ = write!(
        out,
        "{}<table><tr><th>table</th><th>reason</th><th class=\"n\">rows</th><th>for example</th></tr>",
        bars(&counts, "rejected rows by reason")
    );
    for rows in &report.rejected {
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td><code>{}</code></td></tr>",
            rows.table,
            rows.reason,
            rows.rows,
            escape(rows.examples.first().map_or("", String::as_str))
        );
    }
    out.push_str("</table>");
}

fn sources(out: &mut String, report: &DataReport) {
    let Some(preparation) = &report.preparation else { return };
    let netting = &preparation.netting;
    let _ = write!(
        out,
        "<h2>Cancellations</h2><p>{} lines cancel or return: {} were taken off earlier lines whole, {} in part, {} found nothing.</p>\
         <h2>Sources</h2><table><tr><th>source</th><th>file</th><th class=\"n\">bytes</th><th>SHA-256</th></tr>",
        netting.lines, netting.matched, netting.partly, netting.unmatched
    );
    for file in &preparation.sources {
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td><code>{}</code></td></tr>",
            escape(&file.source),
            escape(&file.file),
            file.bytes,
            file.sha256
        );
    }
    out.push_str("</table>");
}
