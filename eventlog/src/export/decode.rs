//! Columns of an exported file back to events.

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};
use bytes::Bytes;
use jiff::Timestamp;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;

use super::columns::{SCALE, schema};
use super::encode::UNREADABLE;
use super::{Content, Exported};
use crate::event::{Event, EventLine, Exposure, PriceChange, ShownItem, StockChange};

/// Events of one file, in its order; or what is wrong with it.
pub fn decode(file: Bytes) -> Result<Vec<Exported>, String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| format!("it is no Parquet file ({error})"))?;
    let mut events = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| format!("it is damaged ({error})"))?;
        let table = Table::new(&batch)?;
        for row in 0..batch.num_rows() {
            events.push(table.row(row).map_err(|why| format!("row {row}: {why}"))?);
        }
    }
    Ok(events)
}

/// Columns by name, checked to be of the schema's types. Columns that are not known are passed over.
struct Table {
    columns: std::collections::HashMap<String, ArrayRef>,
}

impl Table {
    fn new(batch: &RecordBatch) -> Result<Self, String> {
        let mut columns = std::collections::HashMap::new();
        for field in schema().fields() {
            let name = field.name();
            let column = batch.column_by_name(name).ok_or_else(|| format!("column {name} is missing"))?;
            if !same_type(column.data_type(), field.data_type()) {
                return Err(format!("column {name} is {}, expected {}", column.data_type(), field.data_type()));
            }
            columns.insert(name.clone(), column.clone());
        }
        Ok(Self { columns })
    }

    fn column(&self, name: &str, row: usize) -> Option<&ArrayRef> {
        self.columns.get(name).filter(|column| column.is_valid(row))
    }

    fn text(&self, name: &str, row: usize) -> Option<&str> {
        self.column(name, row).map(|column| column.as_string::<i32>().value(row))
    }

    fn owned(&self, name: &str, row: usize) -> Option<String> {
        self.text(name, row).map(str::to_owned)
    }

    fn decimal(&self, name: &str, row: usize) -> Option<Decimal> {
        self.column(name, row).and_then(|column| scaled(column.as_primitive::<Decimal128Type>().value(row)))
    }

    fn json<T: DeserializeOwned>(&self, name: &str, row: usize) -> Result<Option<T>, String> {
        let Some(text) = self.text(name, row) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|error| format!("{name} is {text:?} ({error})"))
    }

    /// A name of an enumeration.
    fn name<T: DeserializeOwned>(&self, name: &str, row: usize) -> Result<Option<T>, String> {
        let Some(text) = self.text(name, row) else { return Ok(None) };
        let value = serde_json::Value::String(text.to_owned());
        serde_json::from_value(value).map(Some).map_err(|error| format!("{name} is {text:?} ({error})"))
    }

    fn entries(&self, name: &str, row: usize) -> Option<StructArray> {
        self.column(name, row).map(|column| column.as_list::<i32>().value(row).as_struct().clone())
    }

    fn row(&self, row: usize) -> Result<Exported, String> {
        let offset = self.column("offset", row).map(|column| column.as_primitive::<Int64Type>().value(row));
        let offset = offset.and_then(|offset| u64::try_from(offset).ok()).ok_or("offset is empty or negative")?;
        let accepted_ms = self
            .column("accepted_at", row)
            .map(|column| column.as_primitive::<TimestampMillisecondType>().value(row))
            .ok_or("accepted_at is empty")?;
        let content = match (self.text("type", row), self.owned("raw", row)) {
            (Some(UNREADABLE), Some(raw)) => Content::Unreadable(raw),
            _ => Content::Event(self.event(row)?),
        };
        Ok(Exported { offset, accepted_ms, content })
    }

    fn event(&self, row: usize) -> Result<Event, String> {
        let at = self
            .column("at", row)
            .map(|column| column.as_primitive::<TimestampMicrosecondType>().value(row))
            .and_then(|micros| Timestamp::from_microsecond(micros).ok());
        let on_hand = self.decimal("stock_on_hand", row);
        let (unit_price, active) =
            (self.decimal("unit_price", row), self.column("active", row).map(|column| column.as_boolean().value(row)));
        let event_type = self.name("type", row)?.ok_or("type is empty")?;
        Ok(Event {
            event_id: self.owned("event_id", row).ok_or("event_id is empty")?,
            event_type,
            at,
            customer_id: self.text("customer_id", row).map(Into::into),
            session_id: self.text("session_id", row).map(Into::into),
            product_id: self.text("product_id", row).map(Into::into),
            lines: self.entries("lines", row).map(|entries| lines(&entries)).transpose()?.unwrap_or_default(),
            order_id: self.owned("order_id", row),
            request_id: self.owned("request_id", row),
            placement: self.name("placement", row)?,
            quantity: self.decimal("quantity", row),
            value: self.decimal("value", row),
            offer_id: self.text("offer_id", row).map(Into::into),
            stock: on_hand.map(|on_hand| StockChange {
                on_hand,
                backordered: self.decimal("stock_backordered", row),
                on_order: self.decimal("stock_on_order", row),
            }),
            price: (unit_price.is_some() || active.is_some()).then_some(PriceChange { unit_price, active }),
            offer: self.json("offer", row)?,
            customer: self.json("customer", row)?,
            context: self.json("context", row)?,
            exposure: self.exposure(row)?,
        })
    }

    fn exposure(&self, row: usize) -> Result<Option<Exposure>, String> {
        let (Some(model), Some(version)) = (self.owned("model", row), self.owned("version", row)) else {
            return Ok(None);
        };
        Ok(Some(Exposure {
            model,
            version,
            arm: self.owned("arm", row),
            experiment: self.owned("experiment", row),
            degraded: self.owned("degraded", row),
            items: self.entries("items", row).map(|entries| items(&entries)).transpose()?.unwrap_or_default(),
        }))
    }
}

/// The same but for the name that a writer gives to a list's entries.
fn same_type(found: &arrow_schema::DataType, expected: &arrow_schema::DataType) -> bool {
    use arrow_schema::DataType::List;
    match (found, expected) {
        (List(found), List(expected)) => found.data_type() == expected.data_type(),
        (found, expected) => found == expected,
    }
}

fn scaled(value: i128) -> Option<Decimal> {
    Decimal::try_from_i128_with_scale(value, SCALE).ok().map(|value| value.normalize())
}

fn part<'a>(entries: &'a StructArray, name: &str) -> Result<&'a ArrayRef, String> {
    entries.column_by_name(name).ok_or_else(|| format!("column {name} is missing"))
}

fn lines(entries: &StructArray) -> Result<Vec<EventLine>, String> {
    let product = part(entries, "product_id")?.as_string::<i32>();
    let quantity = part(entries, "quantity")?.as_primitive::<Decimal128Type>();
    let price = part(entries, "unit_price")?.as_primitive::<Decimal128Type>();
    (0..entries.len())
        .map(|at| {
            Ok(EventLine {
                product_id: product.value(at).into(),
                quantity: scaled(quantity.value(at)).ok_or("a quantity is too large")?,
                unit_price: price.is_valid(at).then(|| scaled(price.value(at))).flatten(),
            })
        })
        .collect()
}

fn items(entries: &StructArray) -> Result<Vec<ShownItem>, String> {
    let product = part(entries, "product_id")?.as_string::<i32>();
    let rank = part(entries, "rank")?.as_primitive::<Int64Type>();
    let kind = part(entries, "kind")?.as_string::<i32>();
    let score = part(entries, "score")?.as_primitive::<Float64Type>();
    let propensity = part(entries, "propensity")?.as_primitive::<Float64Type>();
    let offer = part(entries, "offer_id")?.as_string::<i32>();
    (0..entries.len())
        .map(|at| {
            Ok(ShownItem {
                product_id: product.value(at).into(),
                rank: u32::try_from(rank.value(at)).map_err(|_| "a rank is out of range")?,
                kind: kind.value(at).to_owned(),
                score: score.value(at),
                propensity: propensity.value(at),
                offer_id: offer.is_valid(at).then(|| offer.value(at).into()),
            })
        })
        .collect()
}
