//! Events as columns of a Parquet file. The same events give the same bytes.

use std::sync::Arc;

use arrow_array::builder::{Decimal128Builder, StringBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, Field, Fields};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rust_decimal::Decimal;
use serde::Serialize;

use super::columns::{SCALE, decimal, item_fields, line_fields, schema};
use super::{Content, ExportError, Exported};
use crate::event::{Event, EventLine, Exposure, ShownItem};

/// Type of an event that cannot be read.
pub(super) const UNREADABLE: &str = "unreadable";

/// One file of some events, in their order.
pub fn encode(events: &[Exported]) -> Result<Bytes, ExportError> {
    let failed = |error: &dyn std::fmt::Display| ExportError::Encode(error.to_string());
    let batch = batch(events).map_err(|error| failed(&error))?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema(), Some(properties)).map_err(|error| failed(&error))?;
    writer.write(&batch).map_err(|error| failed(&error))?;
    writer.into_inner().map(Bytes::from).map_err(|error| failed(&error))
}

/// The columns in the order of the schema.
fn batch(events: &[Exported]) -> Result<RecordBatch, ArrowError> {
    let rows = Rows(events);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(events.iter().map(|event| Some(event.offset as i64)).collect::<Int64Array>()),
        Arc::new(
            events
                .iter()
                .map(|event| Some(event.accepted_ms))
                .collect::<TimestampMillisecondArray>()
                .with_timezone("UTC"),
        ),
        rows.text(|event| Some(&event.event_id), Some("")),
        rows.json(|event| Some(event.event_type), Some(UNREADABLE)),
        Arc::new(
            events
                .iter()
                .map(|event| Some(event.at().as_microsecond()))
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        rows.text(|event| event.customer_id.as_deref(), None),
        rows.text(|event| event.session_id.as_deref(), None),
        rows.text(|event| event.product_id.as_deref(), None),
        rows.decimal(|event| event.quantity),
        lines(events)?,
        rows.text(|event| event.order_id.as_deref(), None),
        rows.text(|event| event.request_id.as_deref(), None),
        rows.json(|event| event.placement, None),
        rows.decimal(|event| event.value),
        rows.text(|event| event.offer_id.as_deref(), None),
        rows.decimal(|event| event.stock.as_ref().map(|stock| stock.on_hand)),
        rows.decimal(|event| event.stock.as_ref().and_then(|stock| stock.backordered)),
        rows.decimal(|event| event.stock.as_ref().and_then(|stock| stock.on_order)),
        rows.decimal(|event| event.price.as_ref().and_then(|price| price.unit_price)),
        Arc::new(rows.each(|event| event.price.as_ref().and_then(|price| price.active)).collect::<BooleanArray>()),
        rows.json(|event| event.offer.as_ref(), None),
        rows.json(|event| event.customer.as_ref(), None),
        rows.json(|event| event.context.as_ref(), None),
        rows.text(|event| exposure(event, |shown| Some(&shown.model)), None),
        rows.text(|event| exposure(event, |shown| Some(&shown.version)), None),
        rows.text(|event| exposure(event, |shown| shown.arm.as_deref()), None),
        rows.text(|event| exposure(event, |shown| shown.experiment.as_deref()), None),
        rows.text(|event| exposure(event, |shown| shown.degraded.as_deref()), None),
        items(events)?,
        Arc::new(
            events
                .iter()
                .map(|event| match &event.content {
                    Content::Event(_) => None,
                    Content::Unreadable(raw) => Some(raw.as_str()),
                })
                .collect::<StringArray>(),
        ),
    ];
    RecordBatch::try_new(schema(), columns)
}

fn exposure<'a>(event: &'a Event, part: impl Fn(&'a Exposure) -> Option<&'a str>) -> Option<&'a str> {
    event.exposure.as_ref().and_then(part)
}

struct Rows<'a>(&'a [Exported]);

impl<'a> Rows<'a> {
    /// A value of each event; none of an unreadable one.
    fn each<T: 'a>(&self, value: impl Fn(&'a Event) -> Option<T> + 'a) -> impl Iterator<Item = Option<T>> + 'a {
        self.0.iter().map(move |event| match &event.content {
            Content::Event(event) => value(event),
            Content::Unreadable(_) => None,
        })
    }

    /// Texts; `otherwise` stands for what is not there.
    fn text(&self, value: impl Fn(&'a Event) -> Option<&'a str> + 'a, otherwise: Option<&'static str>) -> ArrayRef {
        Arc::new(self.each(value).map(|text| text.or(otherwise)).collect::<StringArray>())
    }

    /// Values as JSON; names of enumerations without their quotes.
    fn json<T: Serialize + 'a>(
        &self,
        value: impl Fn(&'a Event) -> Option<T> + 'a,
        otherwise: Option<&'static str>,
    ) -> ArrayRef {
        let mut column = StringBuilder::new();
        for value in self.each(value) {
            let json = value.and_then(|value| serde_json::to_value(value).ok());
            let text = json.map(|json| match json {
                serde_json::Value::String(name) => name,
                other => other.to_string(),
            });
            column.append_option(text.as_deref().or(otherwise));
        }
        Arc::new(column.finish())
    }

    fn decimal(&self, value: impl Fn(&'a Event) -> Option<Decimal> + 'a) -> ArrayRef {
        decimals(self.each(value))
    }
}

fn decimals(values: impl Iterator<Item = Option<Decimal>>) -> ArrayRef {
    let mut column = Decimal128Builder::new();
    for value in values {
        column.append_option(value.map(unscaled));
    }
    let column: Decimal128Array = column.finish();
    Arc::new(column.with_data_type(decimal()))
}

/// As an integer of the column's scale; more digits are rounded half to even.
fn unscaled(value: Decimal) -> i128 {
    let rounded = value.round_dp(SCALE);
    let missing = SCALE.saturating_sub(rounded.scale());
    rounded.mantissa() * 10_i128.pow(missing)
}

fn lines(events: &[Exported]) -> Result<ArrayRef, ArrowError> {
    let lists: Vec<Option<&[EventLine]>> =
        Rows(events).each(|event| (!event.lines.is_empty()).then_some(event.lines.as_slice())).collect();
    let all = || lists.iter().flatten().copied().flatten();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(all().map(|line| Some(line.product_id.as_str())).collect::<StringArray>()),
        decimals(all().map(|line| Some(line.quantity))),
        decimals(all().map(|line| line.unit_price)),
    ];
    list(line_fields(), columns, lists.iter().map(|list| list.map(<[EventLine]>::len)))
}

fn items(events: &[Exported]) -> Result<ArrayRef, ArrowError> {
    let lists: Vec<Option<&[ShownItem]>> =
        Rows(events).each(|event| event.exposure.as_ref().map(|shown| shown.items.as_slice())).collect();
    let all = || lists.iter().flatten().copied().flatten();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(all().map(|item| Some(item.product_id.as_str())).collect::<StringArray>()),
        Arc::new(all().map(|item| Some(i64::from(item.rank))).collect::<Int64Array>()),
        Arc::new(all().map(|item| Some(item.kind.as_str())).collect::<StringArray>()),
        Arc::new(all().map(|item| Some(item.score)).collect::<Float64Array>()),
        Arc::new(all().map(|item| Some(item.propensity)).collect::<Float64Array>()),
        Arc::new(all().map(|item| item.offer_id.as_deref()).collect::<StringArray>()),
    ];
    list(item_fields(), columns, lists.iter().map(|list| list.map(<[ShownItem]>::len)))
}

/// A column of lists from the columns of all their entries and each list's length.
fn list(
    fields: Fields,
    columns: Vec<ArrayRef>,
    lengths: impl Iterator<Item = Option<usize>> + Clone,
) -> Result<ArrayRef, ArrowError> {
    let offsets = OffsetBuffer::from_lengths(lengths.clone().map(|length| length.unwrap_or(0)));
    let there = lengths.map(|length| length.is_some()).collect::<NullBuffer>();
    let entries = StructArray::try_new(fields.clone(), columns, None)?;
    let field = Arc::new(Field::new("item", arrow_schema::DataType::Struct(fields), false));
    Ok(Arc::new(ListArray::try_new(field, offsets, Arc::new(entries), Some(there))?))
}
