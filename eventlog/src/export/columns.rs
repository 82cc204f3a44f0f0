//! The columns of an exported file.

use std::fmt::Write;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

/// Money and quantities: exact where the event had at most ten digits after the point.
pub(super) const PRECISION: u8 = 28;
pub(super) const SCALE: u32 = 10;

pub(super) fn decimal() -> DataType {
    DataType::Decimal128(PRECISION, SCALE as i8)
}

pub(super) fn timestamp(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, Some(Arc::from("UTC")))
}

/// An entry of `lines`.
pub(super) fn line_fields() -> Fields {
    Fields::from(vec![
        Field::new("product_id", DataType::Utf8, false),
        Field::new("quantity", decimal(), false),
        Field::new("unit_price", decimal(), true),
    ])
}

/// An entry of `items`.
pub(super) fn item_fields() -> Fields {
    Fields::from(vec![
        Field::new("product_id", DataType::Utf8, false),
        Field::new("rank", DataType::Int64, false),
        Field::new("kind", DataType::Utf8, false),
        Field::new("score", DataType::Float64, false),
        Field::new("propensity", DataType::Float64, false),
        Field::new("offer_id", DataType::Utf8, true),
    ])
}

pub(super) fn list_of(fields: Fields) -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Struct(fields), false)))
}

type Column = (&'static str, DataType, bool, &'static str);

/// Name, type, whether it may be empty, and what it holds.
fn columns() -> Vec<Column> {
    let text = || DataType::Utf8;
    vec![
        ("offset", DataType::Int64, false, "place in the log; each one is in exactly one file"),
        ("accepted_at", timestamp(TimeUnit::Millisecond), false, "when the log accepted it"),
        ("event_id", text(), false, ""),
        ("type", text(), false, "a type of above; `unreadable` where `raw` is all there is"),
        ("at", timestamp(TimeUnit::Microsecond), false, "when it happened; its day is the folder's"),
        ("customer_id", text(), true, ""),
        ("session_id", text(), true, ""),
        ("product_id", text(), true, ""),
        ("quantity", decimal(), true, ""),
        ("lines", list_of(line_fields()), true, "the event's lines"),
        ("order_id", text(), true, ""),
        ("request_id", text(), true, ""),
        ("placement", text(), true, ""),
        ("value", decimal(), true, ""),
        ("offer_id", text(), true, ""),
        ("stock_on_hand", decimal(), true, "of stock_changed"),
        ("stock_backordered", decimal(), true, "of stock_changed"),
        ("stock_on_order", decimal(), true, "of stock_changed"),
        ("unit_price", decimal(), true, "of price_changed"),
        ("active", DataType::Boolean, true, "of price_changed"),
        ("offer", text(), true, "of offer_changed, as JSON"),
        ("customer", text(), true, "of customer_changed, as JSON"),
        ("context", text(), true, "as JSON"),
        ("model", text(), true, "of recommendation_shown"),
        ("version", text(), true, "of recommendation_shown"),
        ("arm", text(), true, "of recommendation_shown"),
        ("experiment", text(), true, "of recommendation_shown"),
        ("degraded", text(), true, "of recommendation_shown: the rung that answered"),
        ("items", list_of(item_fields()), true, "of recommendation_shown: what was shown"),
        ("raw", text(), true, "the JSON of an event that this version of the log cannot read"),
    ]
}

/// The schema of every exported file.
pub fn schema() -> SchemaRef {
    let fields: Vec<Field> =
        columns().into_iter().map(|(name, kind, nullable, _)| Field::new(name, kind, nullable)).collect();
    Arc::new(Schema::new(fields))
}

/// The table of columns in docs/events.md.
pub fn markdown() -> String {
    let mut text = String::from("| column | type | may be empty | |\n| --- | --- | --- | --- |\n");
    for (name, kind, nullable, what) in columns() {
        let nullable = if nullable { "yes" } else { "no" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {name} | {} | {nullable} | {what} |", type_name(&kind));
    }
    text
}

fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 => "text".to_owned(),
        DataType::Int64 => "64-bit integer".to_owned(),
        DataType::Float64 => "64-bit float".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Timestamp(TimeUnit::Millisecond, _) => "timestamp, milliseconds, UTC".to_owned(),
        DataType::Timestamp(..) => "timestamp, microseconds, UTC".to_owned(),
        DataType::List(entry) => match entry.data_type() {
            DataType::Struct(fields) => {
                let parts: Vec<String> =
                    fields.iter().map(|field| format!("{} {}", field.name(), type_name(field.data_type()))).collect();
                format!("list of ({})", parts.join(", "))
            }
            other => format!("list of {}", type_name(other)),
        },
        other => other.to_string(),
    }
}
