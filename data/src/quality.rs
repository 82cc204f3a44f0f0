//! Is the data clean enough? Rows that are defects by table, empty cells of columns that matter, and the limits on both.

use endcap_tables::RejectedRows;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::spec::Quality;
use crate::{DataError, values};

/// Why a row was left out, and whether that is a defect of the data or how it should be.
#[derive(Clone, Copy, Debug)]
pub struct Reason {
    pub name: &'static str,
    pub about: &'static str,
    pub defect: bool,
    /// The column that is to be looked at.
    pub column: &'static str,
}

const fn defect(name: &'static str, column: &'static str, about: &'static str) -> Reason {
    Reason { name, about, defect: true, column }
}

const fn expected(name: &'static str, column: &'static str, about: &'static str) -> Reason {
    Reason { name, about, defect: false, column }
}

/// Every reason of cleaning. A row is counted once, for the first reason of its table's order.
pub const REASONS: &[Reason] = &[
    defect("bad_value", "", "a value could not be converted to the column's type"),
    defect("missing_value", "", "a column that every row must have is empty"),
    defect(
        "duplicate_key",
        "key",
        "an earlier row has the same key; the first row is kept. The key of a line is (order_id, line_no), so equal lines of one order are no duplicates",
    ),
    expected(
        "repeated_row",
        "",
        "layout Custom: orders, customers, products and the like are often taken from a file with a row for each line; a row that says the same in every column counts once",
    ),
    defect("unknown_status", "status", "the order's status is none that is known"),
    defect("future_time", "time", "the time lies after the moment of preparing"),
    expected("outside_window", "time", "older than `window`, counted back from the newest order"),
    defect("other_currency", "currency", "another currency than most orders have"),
    defect("unknown_order", "order_id", "the line's order is not there"),
    expected("order_left_out", "order_id", "the line's order was left out for its own reason"),
    defect("unknown_product", "product_id", "the product is not there"),
    expected("service_product", "product_type", "postage, fees, manual corrections: services are no products"),
    expected("product_left_out", "product_id", "the product was left out for its own reason"),
    defect("bad_price", "unit_price", "a price of 0 or less"),
    defect(
        "bad_quantity",
        "quantity",
        "a quantity that cannot be: 0 on a line, below 0 where nothing can be sent back",
    ),
    defect("bad_discount", "discount", "a discount below 0 or above what the line costs"),
    expected(
        "return_line",
        "quantity",
        "a negative quantity in a placed order: it is netted against what it returns, and is no line of its own",
    ),
    defect("unknown_offer_type", "offer_type", "the offer's type is none that is known"),
    defect("bad_terms", "terms", "the offer's terms are not those of its type"),
    defect("bad_scope", "scope", "the offer's scope is no object of lists"),
    defect("bad_period", "valid_to", "the offer ends before it begins"),
    defect("unknown_event_type", "event_type", "the event's type is none that is known"),
    defect("bad_rating", "value", "a rating outside 1 to 5"),
    expected(
        "bot_session",
        "session_id",
        "a session of 1,000 events or more, or of 100 or more at 30 a minute or faster without a cart, a purchase or an accepted recommendation",
    ),
];

fn is_defect(reason: &str) -> bool {
    REASONS.iter().any(|known| known.name == reason && known.defect)
}

/// How clean each table is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cleanness {
    pub tables: Vec<TableCleanness>,
    /// Columns whose gaps cost something.
    pub columns: Vec<ColumnGaps>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableCleanness {
    pub table: String,
    pub read: u64,
    pub rejected: u64,
    /// Of the rejected ones, those that are defects of the data.
    pub defects: u64,
    pub defect_percent: f64,
    /// The columns with most defects, worst first.
    pub worst_columns: Vec<ColumnDefects>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDefects {
    pub column: String,
    pub rows: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnGaps {
    pub table: String,
    pub column: String,
    pub rows: u64,
    pub empty: u64,
    pub empty_percent: f64,
}

/// Columns that must not have too many gaps where a source has them at all.
const WATCHED: &[(&str, &str)] = &[("orders", "customer_id"), ("products", "name"), ("products", "category_id")];

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 10_000.0 / whole as f64).round() / 100.0 }
}

/// Counts defects and gaps from the judged tables.
pub async fn measure(engine: &Engine, rejected: &[RejectedRows]) -> Result<Cleanness, DataError> {
    let mut cleanness = Cleanness::default();
    for (table, _, schema) in endcap_tables::all_schemas() {
        let read = values::count(engine, &format!("raw_{table}")).await?;
        if read == 0 {
            continue;
        }
        let mine = || rejected.iter().filter(|rows| rows.table == table);
        let defects: u64 = mine().filter(|rows| is_defect(&rows.reason)).map(|rows| rows.rows).sum();
        let mut worst: Vec<ColumnDefects> = Vec::new();
        for rows in mine().filter(|rows| is_defect(&rows.reason)) {
            let columns = match rows.reason.as_str() {
                "bad_value" => {
                    let sql = format!(
                        "SELECT split_part(_bad, '=', 1), count(*) FROM raw_{table} WHERE _bad IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
                    );
                    counted(&engine.rows(&sql).await?)
                }
                "missing_value" => {
                    let mut empty = Vec::new();
                    for field in schema.fields().iter().filter(|field| !field.is_nullable()) {
                        let sql = format!("SELECT count(*) FROM raw_{table} WHERE {} IS NULL", field.name());
                        let rows = values::numbers(&engine.rows(&sql).await?).first().copied().unwrap_or_default();
                        // `status`, `active` and the like are filled by cleaning.
                        if rows > 0 && rows < read {
                            empty.push(ColumnDefects { column: field.name().clone(), rows });
                        }
                    }
                    empty
                }
                reason => {
                    let column = REASONS.iter().find(|known| known.name == reason).map_or("", |known| known.column);
                    vec![ColumnDefects { column: format!("{column} ({reason})"), rows: rows.rows }]
                }
            };
            worst.extend(columns);
        }
        worst.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.column.cmp(&b.column)));
        worst.truncate(5);
        cleanness.tables.push(TableCleanness {
            table: table.to_owned(),
            read,
            rejected: mine().map(|rows| rows.rows).sum(),
            defects,
            defect_percent: percent(defects, read),
            worst_columns: worst,
        });
    }
    for (table, column) in WATCHED {
        let sql = format!("SELECT count(*), count(*) - count({column}) FROM judged_{table} WHERE _reason IS NULL");
        let numbers = values::numbers(&engine.rows(&sql).await?);
        let [rows, empty] = numbers.as_slice() else { continue };
        if empty < rows {
            cleanness.columns.push(ColumnGaps {
                table: (*table).to_owned(),
                column: (*column).to_owned(),
                rows: *rows,
                empty: *empty,
                empty_percent: percent(*empty, *rows),
            });
        }
    }
    Ok(cleanness)
}

fn counted(batches: &[arrow_array::RecordBatch]) -> Vec<ColumnDefects> {
    batches
        .iter()
        .flat_map(|batch| values::texts(batch, 0).into_iter().zip(values::column_numbers(batch, 1)).collect::<Vec<_>>())
        .filter_map(|(column, rows)| Some(ColumnDefects { column: column?, rows }))
        .collect()
}

/// Holds what was measured against the limits of the spec.
pub fn check(cleanness: &Cleanness, limits: Quality) -> Result<(), DataError> {
    let rejected_limit = f64::from(limits.max_rejected_percent);
    let dirty: Vec<String> = cleanness
        .tables
        .iter()
        .filter(|table| table.defect_percent > rejected_limit)
        .map(|table| {
            let worst: Vec<String> = table
                .worst_columns
                .iter()
                .take(3)
                .map(|column| format!("{} in {} rows", column.column, column.rows))
                .collect();
            format!(
                "{} of {} rows of {} are defects ({}%, at most {}% may be); worst: {}",
                table.defects,
                table.read,
                table.table,
                table.defect_percent,
                limits.max_rejected_percent,
                worst.join(", ")
            )
        })
        .collect();
    if !dirty.is_empty() {
        return Err(DataError::Quality { why: dirty.join("; "), limit: "maxRejectedPercent" });
    }
    let gaps: Vec<String> = cleanness
        .columns
        .iter()
        .filter(|column| column.empty_percent > f64::from(limits.max_null_percent))
        .map(|column| {
            format!(
                "{}.{} is empty in {} of {} rows ({}%, at most {}% may be)",
                column.table, column.column, column.empty, column.rows, column.empty_percent, limits.max_null_percent
            )
        })
        .collect();
    if !gaps.is_empty() {
        return Err(DataError::Quality { why: gaps.join("; "), limit: "maxNullPercent" });
    }
    Ok(())
}

/// Why rows of a table were left out, in one line.
pub fn summary(table: &str, rejected: &[RejectedRows]) -> String {
    let mut mine: Vec<&RejectedRows> = rejected.iter().filter(|rows| rows.table == table).collect();
    mine.sort_by_key(|rows| std::cmp::Reverse(rows.rows));
    let parts: Vec<String> = mine
        .iter()
        .take(3)
        .map(|rows| {
            format!("{} for {} (such as {})", rows.rows, rows.reason, rows.examples.first().map_or("", String::as_str))
        })
        .collect();
    if parts.is_empty() { "there were no rows".to_owned() } else { parts.join(", ") }
}
