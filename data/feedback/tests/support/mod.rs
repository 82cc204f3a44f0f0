//! A shop's tables and a log's export, made here.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use endcap_eventlog::export::{RangeLimits, Writer};
use endcap_eventlog::intake::{Source, parse_event};
use endcap_eventlog::log::{self, LogConfig, LogReader, LogWriter, Record, event_key};
use endcap_feedback::{FeedbackError, MergeOptions, merge};
use endcap_tables::{
    Customer, DatasetManifest, DatasetWriter, Interaction, Order, OrderLine, Product, Row, Stock, TimeRange, read,
};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn money(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// A log with its export.
pub struct Bed {
    pub folder: tempfile::TempDir,
    writer: LogWriter,
    reader: LogReader,
}

impl Bed {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (opened, _) = log::open(&folder.path().join("log"), LogConfig::default(), 0).unwrap();
        Self { writer: opened.writer, reader: opened.reader, folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Appends events as the intake takes them, and exports them in ranges of three.
    pub async fn send(&mut self, events: &[Value]) {
        let records: Vec<Record> = events
            .iter()
            .map(|event| {
                let event = parse_event(event.to_string().as_bytes(), Source::Router, Timestamp::now()).unwrap();
                Record { key: event_key(&event.event_id), json: serde_json::to_vec(&event).unwrap().into() }
            })
            .collect();
        let appended = self.writer.append(&records, 1_000).unwrap();
        assert!(appended.iter().all(|one| matches!(one, log::Append::Accepted(_))), "{appended:?}");
        let to = endcap_store::open(self.path("export").to_str().unwrap()).unwrap();
        let mut writer = Writer::new(self.reader.clone(), to, RangeLimits { events: 3, bytes: 1 << 20 });
        while writer.step().await.unwrap().is_some() {}
    }

    pub async fn merge_until(
        &self,
        base: &str,
        out: &str,
        until: Option<u64>,
    ) -> Result<DatasetManifest, FeedbackError> {
        let options = MergeOptions {
            base: self.path(base),
            events: endcap_store::open(self.path("export").to_str().unwrap()).unwrap(),
            until,
            out: self.path(out),
        };
        merge(&options, &|_| true).await
    }

    pub async fn merge(&self, base: &str, out: &str) -> DatasetManifest {
        self.merge_until(base, out, None).await.unwrap()
    }

    pub fn read<R: Row>(&self, dataset: &str) -> Vec<R> {
        read(&self.path(dataset)).unwrap()
    }
}

pub fn order(id: &str, customer: Option<&str>, at: &str, total: &str) -> Order {
    Order {
        order_id: id.to_owned(),
        customer_id: customer.map(str::to_owned),
        ordered_at: time(at),
        channel: None,
        city_id: None,
        area_id: None,
        country: None,
        status: "placed".to_owned(),
        total: Some(money(total)),
        currency: Some("GBP".to_owned()),
    }
}

pub fn line(order: &str, line_no: i64, product: &str, quantity: &str, price: &str) -> OrderLine {
    OrderLine {
        order_id: order.to_owned(),
        line_no,
        product_id: product.to_owned(),
        quantity: money(quantity),
        unit_price: money(price),
        discount: None,
        offer_id: None,
    }
}

pub fn product(id: &str, price: &str) -> Product {
    Product {
        product_id: id.to_owned(),
        name: Some(format!("Product {id}")),
        text: None,
        category_id: None,
        subcategory_id: None,
        brand_id: None,
        variant_of: None,
        unit: None,
        pack_size: None,
        list_price: Some(money(price)),
        cost: None,
        active: true,
    }
}

pub fn customer(id: &str) -> Customer {
    Customer {
        customer_id: id.to_owned(),
        customer_type: Some("person".to_owned()),
        gender: None,
        age_band: Some("18-24".to_owned()),
        income_band: None,
        household: None,
        city_id: None,
        area_id: None,
        country: None,
        first_seen: None,
        email: Some(format!("{id}@example.org")),
        phone: None,
        push_token: None,
        consent_email: None,
        consent_phone: None,
        consent_push: None,
    }
}

pub fn stock(product: &str, city: Option<&str>, on_hand: i64, as_of: &str) -> Stock {
    Stock {
        product_id: product.to_owned(),
        city_id: city.map(str::to_owned),
        on_hand: Decimal::from(on_hand),
        on_order: None,
        backordered: None,
        lead_time_days: Some(5),
        as_of: time(as_of),
    }
}

/// Writes a dataset of three products, two customers and these orders.
pub fn write(dir: &Path, orders: &[(Order, Vec<OrderLine>)], interactions: Vec<Interaction>) -> DatasetManifest {
    let mut orders: Vec<_> = orders.to_vec();
    orders.sort_by(|a, b| a.0.order_id.cmp(&b.0.order_id));
    let mut dataset = DatasetWriter::create(dir).unwrap();
    dataset.write([customer("ann"), customer("bob")]).unwrap();
    dataset.write([product("apple", "1.00"), product("bread", "2.50"), product("cheese", "7.25")]).unwrap();
    dataset.write(orders.iter().map(|(order, _)| order.clone())).unwrap();
    dataset.write(orders.iter().flat_map(|(_, lines)| lines.clone())).unwrap();
    dataset
        .write([
            stock("apple", Some("york"), 10, "2026-01-01T00:00:00Z"),
            stock("bread", None, 5, "2026-01-01T00:00:00Z"),
        ])
        .unwrap();
    if !interactions.is_empty() {
        dataset.write(interactions).unwrap();
    }
    let times = || orders.iter().map(|(order, _)| order.ordered_at);
    let range = times().min().zip(times().max()).map(|(from, to)| TimeRange { from, to });
    dataset.finish(range, Some("GBP".to_owned()), Vec::new()).unwrap()
}
