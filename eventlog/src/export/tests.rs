//! Every kind of event through Parquet and back; what is written, lost and missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use endcap_store::Location;
use futures::TryStreamExt;
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::*;
use crate::intake::{Source, parse_event};
use crate::log::{self, LogConfig, LogWriter, Record, event_key};

const NOW: &str = "2026-03-01T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn decimals(most: i64) -> impl Strategy<Value = String> {
    (1..most, 0u32..=10).prop_map(|(digits, scale)| Decimal::new(digits, scale).normalize().to_string())
}

fn text() -> impl Strategy<Value = String> {
    "[^\\p{C}]{1,12}"
}

fn maybe<T: std::fmt::Debug + Clone + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(value)
}

/// What every event may carry.
fn common() -> impl Strategy<Value = Value> {
    (text(), 0i64..1_700_000_000_000_000, text(), maybe(text()), maybe(text()), maybe(text())).prop_map(
        |(id, micros, session, customer, request, query)| {
            let mut event = json!({
                "event_id": id,
                "at": Timestamp::from_microsecond(micros).unwrap().to_string(),
                "session_id": session,
            });
            let fields = event.as_object_mut().unwrap();
            for (name, value) in [("customer_id", customer), ("request_id", request)] {
                fields.extend(value.map(|value| (name.to_owned(), json!(value))));
            }
            fields
                .extend(query.map(|query| ("context".to_owned(), json!({"query": query, "nested": {"n": [1, null]}}))));
            event
        },
    )
}

fn lines() -> impl Strategy<Value = Value> {
    let line = (text(), decimals(1_000_000), maybe(decimals(1_000_000)));
    proptest::collection::vec(line, 1..5).prop_map(|lines| {
        let lines: Vec<Value> = lines
            .into_iter()
            .map(|(product, quantity, price)| match price {
                Some(price) => json!({"product_id": product, "quantity": quantity, "unit_price": price}),
                None => json!({"product_id": product, "quantity": quantity}),
            })
            .collect();
        json!(lines)
    })
}

/// What each type carries on top.
fn special() -> impl Strategy<Value = Value> {
    let item = (text(), 1u32..50, any::<f64>(), 0.0f64..=1.0, maybe(text()));
    let items = proptest::collection::vec(item, 0..6).prop_map(|items| {
        let items: Vec<Value> = items
            .into_iter()
            .map(|(product, rank, score, propensity, offer)| {
                let score = if score.is_finite() { score } else { 0.5 };
                let mut item = json!({"product_id": product, "rank": rank, "kind": "cross_sell", "score": score, "propensity": propensity});
                item.as_object_mut().unwrap().extend(offer.map(|offer| ("offer_id".to_owned(), json!(offer))));
                item
            })
            .collect();
        json!(items)
    });
    let kinds = [
        "view_item",
        "select_item",
        "add_to_cart",
        "remove_from_cart",
        "recommendation_accepted",
        "recommendation_declined",
    ];
    prop_oneof![
        (proptest::sample::select(kinds.to_vec()), text(), maybe(decimals(1000)), maybe(text())).prop_map(|(kind, product, quantity, offer)| {
            let mut event = json!({"type": kind, "product_id": product, "placement": "cart"});
            event.as_object_mut().unwrap().extend(quantity.map(|quantity| ("quantity".to_owned(), json!(quantity))));
            if kind.starts_with("recommendation") {
                event.as_object_mut().unwrap().extend(offer.map(|offer| ("offer_id".to_owned(), json!(offer))));
            }
            event
        }),
        Just(json!({"type": "search"})),
        lines().prop_map(|lines| json!({"type": "begin_checkout", "lines": lines})),
        (lines(), decimals(1_000_000)).prop_map(|(lines, value)| json!({"type": "purchase", "order_id": "o", "lines": lines, "value": value})),
        (text(), decimals(100)).prop_map(|(product, quantity)| json!({"type": "refund", "customer_id": "c", "product_id": product, "quantity": quantity})),
        (1..=5).prop_map(|value| json!({"type": "rate", "customer_id": "c", "product_id": "p", "value": value})),
        (items, maybe(text()), maybe(text()), maybe(text())).prop_map(|(items, arm, experiment, degraded)| {
            let mut shown = json!({"model": "shop", "version": "shop-v1", "items": items});
            let fields = shown.as_object_mut().unwrap();
            for (name, value) in [("arm", arm), ("experiment", experiment), ("degraded", degraded)] {
                fields.extend(value.map(|value| (name.to_owned(), json!(value))));
            }
            json!({"type": "recommendation_shown", "exposure": shown})
        }),
        (decimals(1000), maybe(decimals(1000)), maybe(decimals(1000))).prop_map(|(on_hand, backordered, on_order)| {
            json!({"type": "stock_changed", "product_id": "p", "stock": {"on_hand": on_hand, "backordered": backordered, "on_order": on_order}})
        }),
        (maybe(decimals(1_000_000)), any::<bool>()).prop_map(|(price, active)| {
            json!({"type": "price_changed", "product_id": "p", "price": {"unit_price": price, "active": active}})
        }),
        any::<bool>().prop_map(|declared| if declared {
            json!({"type": "offer_changed", "offer": {"offer_id": "B7G2", "type": "BuyXGetY", "terms": {"buy": 7, "get": 2},
                "scope": {"products": ["p"]}, "valid_from": "2025-12-01T00:00:00Z", "valid_to": "2026-01-01T00:00:00Z"}})
        } else {
            json!({"type": "offer_changed", "offer": {"offer_id": "B7G2", "withdrawn": true}})
        }),
        maybe(text()).prop_map(|age| json!({"type": "customer_changed", "customer_id": "c", "customer": {"age_band": age}})),
        Just(json!({"type": "customer_changed", "customer_id": "c", "customer": {"erase": true}})),
    ]
}

/// An event that the intake accepts.
fn events() -> impl Strategy<Value = Event> {
    (common(), special()).prop_filter_map("the intake refuses it", |(mut event, special)| {
        let Value::Object(special) = special else { unreachable!() };
        event.as_object_mut().unwrap().extend(special);
        parse_event(event.to_string().as_bytes(), Source::Router, now()).ok()
    })
}

fn exported(events: Vec<Event>) -> Vec<Exported> {
    (7..)
        .zip(events)
        .map(|(offset, event)| Exported { offset, accepted_ms: 1_770_000_000_123, content: Content::Event(event) })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_event_comes_back_as_it_was(events in proptest::collection::vec(events(), 1..40)) {
        let events = exported(events);
        let file = encode(&events).unwrap();
        prop_assert_eq!(&file, &encode(&events).unwrap(), "the same events give the same bytes");
        prop_assert_eq!(decode(file).unwrap(), events);
    }
}

#[test]
fn every_type_is_drawn() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3_000 {
        seen.insert(events().new_tree(&mut runner).unwrap().current().event_type);
    }
    assert_eq!(seen.len(), 16, "{seen:?}");
}

#[test]
fn what_cannot_be_read_is_kept_and_finer_digits_are_cut() {
    let raw = Exported { offset: 3, accepted_ms: 1_000, content: Content::Unreadable("{\"type\":\"new\"}".to_owned()) };
    let fine: Event = serde_json::from_value(
        json!({"event_id": "e", "type": "search", "at": "2026-01-01T23:59:59.999999999Z", "value": "1.00000000005"}),
    )
    .unwrap();
    let fine = Exported { offset: 4, accepted_ms: 1_000, content: Content::Event(fine) };
    assert_eq!(fine.date().to_string(), "2026-01-01");
    let back = decode(encode(&[raw.clone(), fine]).unwrap()).unwrap();
    assert_eq!(back[0], raw);
    let Content::Event(event) = &back[1].content else { panic!() };
    assert_eq!(event.at.unwrap().to_string(), "2026-01-01T23:59:59.999999Z");
    assert_eq!(event.value.unwrap().to_string(), "1", "half to even");
}

#[test]
fn a_damaged_file_is_refused() {
    assert!(decode(bytes::Bytes::from_static(b"PAR1 no")).unwrap_err().contains("Parquet"));
}

#[test]
fn the_columns_in_the_docs_have_not_drifted() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.md");
    let text = std::fs::read_to_string(path).unwrap();
    let begin = "<!-- generated by endcap-eventlog: export columns -->\n";
    let (_, rest) = text.split_once(begin).expect("docs/events.md has the mark");
    let (table, _) = rest.split_once("<!-- end of generated: export columns -->").unwrap();
    if std::env::var("ENDCAP_UPDATE_DOCS").is_ok() {
        std::fs::write(path, text.replace(&format!("{begin}{table}"), &format!("{begin}{}", markdown()))).unwrap();
    } else {
        assert_eq!(table, markdown(), "run the test with ENDCAP_UPDATE_DOCS=1");
    }
}

struct Bed {
    folder: tempfile::TempDir,
    log: LogWriter,
    reader: crate::log::LogReader,
    sent: u64,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = LogConfig { segment_bytes: 2_000, ..LogConfig::default() };
        let (opened, _) = log::open(&folder.path().join("log"), config, 0).unwrap();
        Self { log: opened.writer, reader: opened.reader, folder, sent: 0 }
    }

    fn to(&self) -> Location {
        endcap_store::open(self.folder.path().join("export").to_str().unwrap()).unwrap()
    }

    fn writer(&self, events: usize) -> Writer {
        Writer::new(self.reader.clone(), self.to(), RangeLimits { events, ..RangeLimits::default() })
    }

    /// Events of three days, mixed.
    fn send(&mut self, count: u64, now_ms: i64) {
        let records: Vec<Record> = (self.sent..self.sent + count)
            .map(|number| {
                let id = format!("e{number}");
                let at = format!("2026-02-{:02}T10:00:00Z", 10 + number % 3);
                let json = json!({"event_id": id, "type": "search", "session_id": "s", "at": at}).to_string();
                Record { key: event_key(&id), json: json.into() }
            })
            .collect();
        self.log.append(&records, now_ms).unwrap();
        self.sent += count;
    }

    async fn ids(&self) -> Result<Vec<String>, ExportError> {
        let export = Export::open(self.to()).await?;
        let ranges: Vec<RangeEvents> = export.read(0..u64::MAX).try_collect().await?;
        let events = ranges.into_iter().flat_map(|range| range.events);
        Ok(events
            .map(|event| match event.content {
                Content::Event(event) => event.event_id,
                Content::Unreadable(_) => panic!("unreadable"),
            })
            .collect())
    }

    fn files(&self) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        for day in std::fs::read_dir(self.folder.path().join("export")).unwrap().flatten() {
            if day.path().is_dir() {
                found.extend(std::fs::read_dir(day.path()).unwrap().map(|file| file.unwrap().path()));
            }
        }
        found.sort();
        found
    }
}

fn expected(count: u64) -> Vec<String> {
    (0..count).map(|number| format!("e{number}")).collect()
}

#[tokio::test]
async fn ranges_go_to_files_by_day_and_come_back_in_order() {
    let mut bed = Bed::new();
    assert!(matches!(bed.ids().await, Err(ExportError::None { .. })));
    bed.send(25, 1);
    let mut writer = bed.writer(10);
    let mut steps = Vec::new();
    while let Some(step) = writer.step().await.unwrap() {
        steps.push((step.events, step.files));
    }
    assert_eq!(steps, [(10, 3), (10, 3), (5, 3)]);
    assert_eq!(bed.ids().await.unwrap(), expected(25));
    let first = bed.folder.path().join("export/date=2026-02-10/00000000000000000000-00000000000000000010.parquet");
    assert!(bed.files().contains(&first), "{:?}", bed.files());
    bed.send(2, 2);
    writer.step().await.unwrap().unwrap();
    assert_eq!(bed.ids().await.unwrap(), expected(27));
}

#[tokio::test]
async fn what_was_begun_before_a_crash_is_written_again_the_same() {
    let mut bed = Bed::new();
    bed.send(12, 1);
    bed.writer(100).step().await.unwrap().unwrap();
    let before: Vec<(std::path::PathBuf, Vec<u8>)> =
        bed.files().into_iter().map(|file| (file.clone(), std::fs::read(&file).unwrap())).collect();
    // A crash: the range is named, of its files one is there, and the log went on.
    let path = bed.folder.path().join("export/_export.json");
    let mut point: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    point["exported_offset"] = json!(0);
    point["pending"] = json!({"from": 0, "to": 12});
    std::fs::write(&path, point.to_string()).unwrap();
    std::fs::remove_file(&before[1].0).unwrap();
    assert_eq!(bed.ids().await.unwrap(), Vec::<String>::new(), "nothing is committed");
    bed.send(5, 2);
    let mut writer = bed.writer(100);
    assert_eq!(writer.step().await.unwrap().unwrap().events, 12);
    for (file, bytes) in &before {
        assert_eq!(&std::fs::read(file).unwrap(), bytes);
    }
    assert_eq!(bed.ids().await.unwrap(), expected(12));
    assert_eq!(writer.step().await.unwrap().unwrap().events, 5);
    assert_eq!(bed.ids().await.unwrap(), expected(17));
}

#[tokio::test]
async fn what_is_missing_or_damaged_is_named() {
    let mut bed = Bed::new();
    bed.send(20, 1);
    let mut writer = bed.writer(10);
    while writer.step().await.unwrap().is_some() {}
    for file in bed.files() {
        let whole = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let error = bed.ids().await.unwrap_err();
        assert!(matches!(error, ExportError::Missing { .. }), "{error}");
        std::fs::write(&file, &whole[..whole.len() - 3]).unwrap();
        let error = bed.ids().await.unwrap_err().to_string();
        assert!(error.contains(file.file_name().unwrap().to_str().unwrap()), "{error}");
        std::fs::write(&file, whole).unwrap();
    }
    assert_eq!(bed.ids().await.unwrap(), expected(20));
}

#[tokio::test]
async fn another_log_and_a_log_that_went_back_are_refused() {
    let mut bed = Bed::new();
    bed.send(3, 1);
    bed.writer(10).step().await.unwrap();
    let other = Bed::new();
    let mut writer = Writer::new(other.reader.clone(), bed.to(), RangeLimits::default());
    let error = writer.step().await.unwrap_err();
    assert!(matches!(error, ExportError::OtherLog { .. }) && error.to_string().contains("--export"), "{error}");
    let path = bed.folder.path().join("export/_export.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"exported_offset\": 3", "\"exported_offset\": 9")).unwrap();
    assert!(matches!(bed.writer(10).step().await, Err(ExportError::Ahead { .. })));
}

#[tokio::test]
async fn what_retention_took_is_named_and_the_export_goes_on() {
    let mut bed = Bed::new();
    bed.send(20, 1);
    bed.writer(10).step().await.unwrap();
    for _ in 0..5 {
        bed.send(20, 2);
    }
    bed.log.retain(10, u64::MAX).unwrap();
    let first = bed.reader.first();
    assert!(first > 10);
    let mut writer = bed.writer(1_000);
    let step = writer.step().await.unwrap().unwrap();
    assert_eq!((step.lost, step.events), (first - 10, bed.sent - first));
    let ids = bed.ids().await.unwrap();
    assert_eq!(ids.len() as u64, 10 + bed.sent - first);
    assert_eq!(ids[10], format!("e{first}"));
}
