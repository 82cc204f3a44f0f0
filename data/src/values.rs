//! Small answers of queries as Rust values, and pieces of SQL that are made, not written.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType, Schema};
use endcap_tables::RejectedRows;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::DataError;
use crate::convert::Kind;
use crate::engine::Engine;
use crate::layout::canonical::extra_columns;

/// A moment as SQL writes it, in UTC.
pub fn literal(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).datetime().strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// All rows of a canonical table from all its sources; without a source, its columns without rows.
pub fn union(table: &str, schema: &Schema, parts: &[&str]) -> String {
    let columns: Vec<(String, Kind)> = schema
        .fields()
        .iter()
        .map(|field| (field.name().clone(), Kind::of(field.data_type())))
        .chain(extra_columns(table).iter().map(|(name, kind)| ((*name).to_owned(), *kind)))
        .collect();
    if parts.is_empty() {
        let nulls: Vec<String> =
            columns.iter().map(|(name, kind)| format!("CAST(NULL AS {}) AS {name}", kind.sql())).collect();
        return format!(
            "SELECT {}, 0 AS _source, '' AS _file, CAST(0 AS BIGINT) AS _row, CAST(NULL AS VARCHAR) AS _bad WHERE false",
            nulls.join(", ")
        );
    }
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let list = format!("{}, _source, _file, _row, _bad", names.join(", "));
    let parts: Vec<String> = parts.iter().map(|part| format!("SELECT {list} FROM (\n{part})")).collect();
    parts.join("\nUNION ALL\n")
}

pub async fn count(engine: &Engine, table: &str) -> Result<u64, DataError> {
    let rows = engine.rows(&format!("SELECT count(*) FROM {table}")).await?;
    Ok(numbers(&rows).first().copied().unwrap_or_default())
}

fn first_row(batches: &[RecordBatch]) -> Option<&RecordBatch> {
    batches.iter().find(|batch| batch.num_rows() > 0)
}

/// The numbers of the first row.
pub fn numbers(batches: &[RecordBatch]) -> Vec<u64> {
    let Some(batch) = first_row(batches) else { return Vec::new() };
    batch
        .columns()
        .iter()
        .map(|column| {
            let column = cast(column, &DataType::Int64).ok()?;
            let column = column.as_primitive::<Int64Type>();
            column.is_valid(0).then(|| u64::try_from(column.value(0)).unwrap_or_default())
        })
        .map(Option::unwrap_or_default)
        .collect()
}

/// The times of the first row.
pub fn times(batches: &[RecordBatch]) -> Vec<Option<Timestamp>> {
    let Some(batch) = first_row(batches) else { return Vec::new() };
    batch
        .columns()
        .iter()
        .map(|column| {
            let column = cast(column, &Kind::Time.data_type()).ok()?;
            let column = column.as_primitive::<TimestampMicrosecondType>();
            column.is_valid(0).then(|| Timestamp::from_microsecond(column.value(0)).ok()).flatten()
        })
        .collect()
}

pub fn first_time(batches: &[RecordBatch]) -> Option<Timestamp> {
    times(batches).into_iter().next().flatten()
}

pub fn first_text(batches: &[RecordBatch]) -> Option<String> {
    let batch = first_row(batches)?;
    texts(batch, 0).into_iter().next().flatten()
}

/// A column as text.
pub fn texts(batch: &RecordBatch, column: usize) -> Vec<Option<String>> {
    let Some(column) = batch.columns().get(column) else { return Vec::new() };
    let Ok(column) = cast(column, &DataType::Utf8) else { return Vec::new() };
    column.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

/// A column as whole numbers.
pub fn column_numbers(batch: &RecordBatch, column: usize) -> Vec<u64> {
    let Some(column) = batch.columns().get(column) else { return Vec::new() };
    let Ok(column) = cast(column, &DataType::Int64) else { return Vec::new() };
    column
        .as_primitive::<Int64Type>()
        .iter()
        .map(|n| n.and_then(|n| u64::try_from(n).ok()).unwrap_or_default())
        .collect()
}

/// Rows of `rejected.sql`: reason, how many, one example each.
pub fn reasons(table: &str, batches: &[RecordBatch]) -> Vec<RejectedRows> {
    let mut out: Vec<RejectedRows> = Vec::new();
    for batch in batches {
        let (reasons, rows, examples) = (texts(batch, 0), column_numbers(batch, 1), texts(batch, 2));
        for ((reason, rows), example) in reasons.into_iter().zip(rows).zip(examples) {
            let Some(reason) = reason else { continue };
            if out.last().is_none_or(|last| last.reason != reason) {
                out.push(RejectedRows { table: table.to_owned(), reason, rows, examples: Vec::new() });
            }
            if let (Some(last), Some(example)) = (out.last_mut(), example) {
                last.examples.push(shortened(example));
            }
        }
    }
    out
}

/// Examples show a row, not a document.
fn shortened(text: String) -> String {
    const MOST: usize = 240;
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).chain(['…']).collect() }
}
