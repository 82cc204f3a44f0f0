//! A source with `events`: what the log exported is in the dataset, and in its report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use endcap_data::spec::SourceSpec;
use endcap_data::{EventsFrom, Prepared, prepare_with};
use endcap_eventlog::export::{RangeLimits, Writer};
use endcap_eventlog::log::{self, LogConfig, Record, event_key};
use endcap_tables::{Order, OrderLine, read};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::common::{request, shop, write_csv};

fn run(told: &endcap_data::Request, events: Option<&EventsFrom>) -> Result<Prepared, endcap_data::DataError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(prepare_with(told, events, &CancellationToken::new(), &|_| {}))
}

/// A log with one sale of a known customer and one that the views hold already.
fn export(dir: &std::path::Path) -> EventsFrom {
    let (mut opened, _) = log::open(&dir.join("log"), LogConfig::default(), 0).unwrap();
    let sale = |order: &str, at: &str| {
        let json = json!({"event_id": order, "type": "purchase", "order_id": order, "customer_id": "c2", "at": at,
            "lines": [{"product_id": "p1", "quantity": 2, "unit_price": "2.55"}]});
        Record { key: event_key(order), json: json.to_string().into() }
    };
    opened.writer.append(&[sale("live-1", "2024-03-06T10:00:00Z"), sale("1001", "2024-03-01T10:00:00Z")], 1).unwrap();
    let uri = dir.join("export").to_string_lossy().into_owned();
    let mut writer = Writer::new(opened.reader, endcap_store::open(&uri).unwrap(), RangeLimits::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    while runtime.block_on(writer.step()).unwrap().is_some() {}
    EventsFrom { uri, until: None }
}

#[test]
fn views_and_events_make_one_dataset() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("in"), dir.path().join("out"));
    std::fs::create_dir(&data).unwrap();
    write_csv(&shop(), &data);
    let plain = run(&request(&data, &dir.path().join("plain")), None).unwrap();
    let mut told = request(&data, &out);
    let source: SourceSpec = serde_json::from_value(json!({"name": "live", "events": {}})).unwrap();
    told.spec.sources.push(source);
    let error = run(&told, None).unwrap_err().to_string();
    assert!(error.contains("sources[1].events") && error.contains("--events URI"), "{error}");

    let events = export(dir.path());
    let prepared = run(&told, Some(&events)).unwrap();
    let orders: Vec<Order> = read(&out).unwrap();
    let live = orders.iter().find(|order| order.order_id == "live-1").unwrap();
    assert_eq!((live.customer_id.as_deref(), orders.len() as u64), (Some("c2"), plain.manifest.rows("orders") + 1));
    let lines: Vec<OrderLine> = read(&out).unwrap();
    assert_eq!(lines.len() as u64, plain.manifest.rows("order_lines") + 1);
    let taken = prepared.manifest.events.as_ref().unwrap();
    assert_eq!((taken.counts["read"], taken.counts["orders_added"]), (2, 1));
    let reason =
        |reason: &str| prepared.manifest.rejected.iter().any(|rows| rows.table == "events" && rows.reason == reason);
    assert!(reason("order_in_the_tables"));
    assert!(std::fs::read_to_string(out.join("report.txt")).unwrap().contains("order_in_the_tables"));
    prepared.manifest.verify(&out).unwrap();
    assert!(!out.join(".base").exists());
    // The same again; without the events it is another dataset.
    assert_eq!(run(&told, Some(&events)).unwrap().manifest.digest(), prepared.manifest.digest());
    told.spec.sources.pop();
    assert_eq!(run(&told, None).unwrap().manifest.digest(), plain.manifest.digest());
}
