//! Netting: what was cancelled or sent back is taken off what had been ordered.
//!
//! A cancellation names a customer, a product and a quantity, not the line that it cancels. It is taken off the customer's
//! earlier lines of that product, the latest first, those at the same price before others. What finds no line is kept as
//! unmatched and counted. This walks one customer's lines of one product in order of time, which SQL has no word for; SQL brings
//! the lines in that order, and only those of customers and products that have something to net.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::DataError;
use crate::convert::Kind;

/// A line in order of time; quantity and price are unscaled `decimal(18,4)`.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_field_names)] // the canonical column's name
struct Line {
    order_id: String,
    line_no: i64,
    at: i64,
    quantity: i128,
    unit_price: i128,
}

/// A quantity that was taken off a line, or that found none.
#[derive(Clone, Debug, PartialEq)]
struct Netted {
    cancel_order_id: String,
    cancel_line_no: i64,
    product_id: String,
    taken_off: Option<(String, i64)>,
    quantity: i128,
    cancelled_at: i64,
}

/// How much was netted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NettingCounts {
    /// Lines that cancel or return.
    pub lines: u64,
    /// of which everything was taken off earlier lines
    pub matched: u64,
    /// of which a part was
    pub partly: u64,
    /// of which nothing was: no earlier line of that customer and product, or no customer
    pub unmatched: u64,
}

/// Walks the lines of one customer and product after the other.
#[derive(Default)]
pub struct Netting {
    key: (String, String),
    open: Vec<Line>,
    out: Vec<Netted>,
}

impl Netting {
    /// Takes a batch of `to_net.sql`: customer_id, product_id, at, order_id, line_no, quantity, unit_price.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), DataError> {
        let wrong = || DataError::Sql("the lines to net have other columns than expected".to_owned());
        let column = |name: &str| batch.column_by_name(name).ok_or_else(wrong);
        let (customers, products) =
            (column("customer_id")?.as_string::<i32>(), column("product_id")?.as_string::<i32>());
        let orders = column("order_id")?.as_string::<i32>();
        let times = column("at")?.as_primitive::<TimestampMicrosecondType>();
        let line_nos = column("line_no")?.as_primitive::<Int64Type>();
        let quantities = column("quantity")?.as_primitive::<Decimal128Type>();
        let prices = column("unit_price")?.as_primitive::<Decimal128Type>();
        for row in 0..batch.num_rows() {
            let (customer, product) = (customers.value(row), products.value(row));
            if self.key.0 != customer || self.key.1 != product {
                self.key = (customer.to_owned(), product.to_owned());
                self.open.clear();
            }
            self.line(Line {
                order_id: orders.value(row).to_owned(),
                line_no: line_nos.value(row),
                at: times.value(row),
                quantity: quantities.value(row),
                unit_price: prices.value(row),
            });
        }
        Ok(())
    }

    fn line(&mut self, line: Line) {
        if line.quantity > 0 {
            self.open.push(line);
            return;
        }
        let mut left = -line.quantity;
        for same_price in [true, false] {
            for earlier in self.open.iter_mut().rev() {
                if left == 0 {
                    break;
                }
                if (earlier.unit_price == line.unit_price) != same_price || earlier.quantity == 0 {
                    continue;
                }
                let taken = left.min(earlier.quantity);
                earlier.quantity -= taken;
                left -= taken;
                self.out.push(Netted {
                    cancel_order_id: line.order_id.clone(),
                    cancel_line_no: line.line_no,
                    product_id: self.key.1.clone(),
                    taken_off: Some((earlier.order_id.clone(), earlier.line_no)),
                    quantity: taken,
                    cancelled_at: line.at,
                });
            }
        }
        self.open.retain(|earlier| earlier.quantity > 0);
        if left > 0 {
            self.out.push(Netted {
                cancel_order_id: line.order_id,
                cancel_line_no: line.line_no,
                product_id: self.key.1.clone(),
                taken_off: None,
                quantity: left,
                cancelled_at: line.at,
            });
        }
    }

    /// What was netted since the last call, as rows of the staged table `netted`.
    pub fn drain(&mut self) -> Result<RecordBatch, DataError> {
        let out = std::mem::take(&mut self.out);
        let decimals: Decimal128Array = out.iter().map(|row| Some(row.quantity)).collect();
        let times: TimestampMicrosecondArray = out.iter().map(|row| Some(row.cancelled_at)).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(out.iter().map(|row| Some(row.cancel_order_id.as_str())).collect::<StringArray>()),
            Arc::new(out.iter().map(|row| Some(row.cancel_line_no)).collect::<Int64Array>()),
            Arc::new(out.iter().map(|row| Some(row.product_id.as_str())).collect::<StringArray>()),
            Arc::new(
                out.iter().map(|row| row.taken_off.as_ref().map(|(order, _)| order.as_str())).collect::<StringArray>(),
            ),
            Arc::new(out.iter().map(|row| row.taken_off.as_ref().map(|(_, line)| *line)).collect::<Int64Array>()),
            Arc::new(decimals.with_data_type(Kind::Decimal.data_type())),
            Arc::new(times),
        ];
        RecordBatch::try_new(schema(), columns).map_err(|source| DataError::Sql(source.to_string()))
    }
}

/// The columns of the staged table `netted`.
pub fn schema() -> SchemaRef {
    let field = |name: &str, kind: Kind| Field::new(name, kind.data_type(), true);
    Arc::new(Schema::new(vec![
        field("cancel_order_id", Kind::Text),
        field("cancel_line_no", Kind::Int),
        field("product_id", Kind::Text),
        field("order_id", Kind::Text),
        field("line_no", Kind::Int),
        field("quantity", Kind::Decimal),
        field("cancelled_at", Kind::Time),
    ]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn line(order: &str, at: i64, quantity: i128, unit_price: i128) -> Line {
        Line { order_id: order.to_owned(), line_no: 1, at, quantity, unit_price }
    }

    fn net(lines: Vec<Line>) -> Vec<(String, Option<String>, i128)> {
        let mut netting = Netting::default();
        for each in lines {
            netting.line(each);
        }
        netting
            .out
            .into_iter()
            .map(|row| (row.cancel_order_id, row.taken_off.map(|(order, _)| order), row.quantity))
            .collect()
    }

    #[test]
    fn the_latest_line_at_the_same_price_comes_first() {
        let out = net(vec![line("a", 1, 10, 5), line("b", 2, 10, 4), line("c", 3, 10, 5), line("C1", 4, -12, 5)]);
        assert_eq!(out, [("C1".to_owned(), Some("c".to_owned()), 10), ("C1".to_owned(), Some("a".to_owned()), 2)]);
    }

    #[test]
    fn other_prices_come_after_and_the_rest_is_unmatched() {
        let out = net(vec![line("a", 1, 3, 5), line("C1", 2, -5, 9), line("b", 3, 5, 5), line("C2", 4, -1, 5)]);
        assert_eq!(
            out,
            [
                ("C1".to_owned(), Some("a".to_owned()), 3),
                ("C1".to_owned(), None, 2),
                ("C2".to_owned(), Some("b".to_owned()), 1)
            ]
        );
    }

    #[test]
    fn nothing_is_taken_twice() {
        let out = net(vec![line("a", 1, 4, 5), line("C1", 2, -4, 5), line("C2", 3, -4, 5)]);
        assert_eq!(out, [("C1".to_owned(), Some("a".to_owned()), 4), ("C2".to_owned(), None, 4)]);
    }
}
