//! What customers do after the data ended is in the next version.

use std::collections::HashMap;
use std::path::Path;

use endcap_eventlog::export::{RangeLimits, Writer};
use endcap_eventlog::intake::{Source, parse_event};
use endcap_eventlog::log::{self, LogConfig, Record, event_key};
use endcap_recommender::candidates::{HistoryOrder, Question, Scratch, Signal, candidates};
use endcap_recommender::fitted::Model;
use endcap_recommender::live::BaselineState;
use endcap_tables::{
    Customer, DatasetManifest, DatasetWriter, Interaction, Offer, Order, OrderLine, Product, Stock, TimeRange, read,
};
use serde_json::{Value, json};

use crate::learned::objects;
use crate::shop::{DAY_S, LAST_S, Shop, digest, folder, outcome, product_id, program, run, seed, time};

/// Appends events to a log in `log` and exports them to `export`.
fn export(folder: &Path, events: &[Value]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut opened, _) = log::open(&folder.join("log"), LogConfig::default(), 0).unwrap();
    let records: Vec<Record> = events
        .iter()
        .map(|event| {
            let event = parse_event(event.to_string().as_bytes(), Source::Router, jiff::Timestamp::now()).unwrap();
            Record { key: event_key(&event.event_id), json: serde_json::to_vec(&event).unwrap().into() }
        })
        .collect();
    for some in records.chunks(100) {
        opened.writer.append(some, 1_000).unwrap();
    }
    let to = endcap_store::open(folder.join("export").to_str().unwrap()).unwrap();
    let mut writer = Writer::new(opened.reader, to, RangeLimits::default());
    while runtime.block_on(writer.step()).unwrap().is_some() {}
}

/// Writes what the dataset holds before a moment to `base`, and gives the orders from then on as events.
fn split(folder: &Path, at_s: i64) -> Vec<Value> {
    let data = folder.join("data");
    let (mut orders, mut lines): (Vec<Order>, Vec<OrderLine>) = (read(&data).unwrap(), read(&data).unwrap());
    let mut of_order: HashMap<String, Vec<Value>> = HashMap::new();
    for line in &lines {
        let row = json!({"product_id": line.product_id, "quantity": line.quantity.to_string(), "unit_price": line.unit_price.to_string()});
        of_order.entry(line.order_id.clone()).or_default().push(row);
    }
    let late: Vec<Order> = orders.extract_if(.., |order| order.ordered_at.as_second() >= at_s).collect();
    lines.retain(|line| orders.iter().any(|order| order.order_id == line.order_id));
    let mut base = DatasetWriter::create(&folder.join("base")).unwrap();
    base.write::<Product>(read(&data).unwrap()).unwrap();
    base.write::<Customer>(read(&data).unwrap()).unwrap();
    let range = TimeRange { from: orders[0].ordered_at, to: orders.last().unwrap().ordered_at };
    base.write(orders).unwrap();
    base.write(lines).unwrap();
    base.write::<Offer>(read(&data).unwrap()).unwrap();
    base.write::<Stock>(read(&data).unwrap()).unwrap();
    base.write::<Interaction>(read(&data).unwrap()).unwrap();
    base.finish(Some(range), Some("EUR".to_owned()), Vec::new()).unwrap();
    late.into_iter()
        .map(|order| {
            let mut event = json!({
                "event_id": format!("sale-{}", order.order_id),
                "type": "purchase",
                "order_id": order.order_id,
                "at": order.ordered_at.to_string(),
                "lines": of_order.remove(&order.order_id).unwrap(),
                "context": {"channel": order.channel},
            });
            event.as_object_mut().unwrap().extend(order.customer_id.map(|id| ("customer_id".to_owned(), json!(id))));
            event
        })
        .collect()
}

fn baseline(artifact: &Path) -> BaselineState {
    let bytes = std::fs::read(artifact.join("state/baseline.json.zst")).unwrap();
    serde_json::from_slice(&zstd::decode_all(bytes.as_slice()).unwrap()).unwrap()
}

#[test]
fn tables_with_events_train_what_tables_with_the_same_orders_do() {
    let folder = folder(&Shop::new(seed()));
    let events = split(folder.path(), LAST_S - 10 * DAY_S);
    assert!(events.len() > 20);
    export(folder.path(), &events);
    digest(folder.path(), &["--out", "full"]);
    // The last of two `--data` would be an error: the program helper names one.
    let merged = |out: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_endcap-trainer"));
        command.current_dir(folder.path()).args(["--data", "base", "--events", "export", "--model", "shop", "--json"]);
        command.args(["--architecture", "Rules", "--out", out]).output().unwrap()
    };
    let output = merged("merged");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains(&format!("{} events read", events.len())) && told.contains(" orders, 0 refunds"), "{told}");
    let outcome = outcome(&output);
    assert_eq!(outcome["events"]["counts"]["orders_added"], events.len());
    assert_eq!(outcome["events"]["to_offset"], events.len());

    let (full, full_objects) = objects(&folder.path().join("full"));
    let (merged_manifest, merged_objects) = objects(&folder.path().join("merged"));
    for name in full_objects.keys().filter(|name| !name.starts_with("report") && !name.starts_with("card")) {
        assert_eq!(full_objects[name], merged_objects[name], "{name}");
    }
    let (full, of_events) = (full.dataset, merged_manifest.dataset);
    assert_ne!(full.manifest_sha256, of_events.manifest_sha256);
    assert_eq!(
        (full.orders, full.rows, full.customers, full.max_time),
        (of_events.orders, of_events.rows, of_events.customers, of_events.max_time)
    );
    let report: Value = serde_json::from_slice(&merged_objects["report"]).unwrap();
    assert_eq!(report["events"]["merged"]["counts"]["orders_added"], events.len());
    assert_eq!(
        serde_json::to_value(baseline(&folder.path().join("full")).customers).unwrap(),
        serde_json::to_value(baseline(&folder.path().join("merged")).customers).unwrap()
    );
    assert!(!folder.path().join(".merged.work").exists(), "the merged dataset goes with the training");
    // Again: it stands. With one more event it is another dataset.
    assert!(merged("merged").status.success());
    export(
        folder.path(),
        &[json!({"event_id": "more", "type": "view_item", "session_id": "s", "product_id": product_id(1)})],
    );
    let output = merged("merged");
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_offset_makes_a_retry_learn_from_the_same_events() {
    let folder = folder(&Shop::new(seed()));
    let events = split(folder.path(), LAST_S - 5 * DAY_S);
    export(folder.path(), &events);
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    std::fs::rename(folder.path().join("base"), folder.path().join("data")).unwrap();
    let until = events.len().to_string();
    let arguments = ["--out", "v1", "--events", "export", "--events-until", &until];
    let first = digest(folder.path(), &arguments);
    export(
        folder.path(),
        &[json!({"event_id": "more", "type": "view_item", "session_id": "s", "product_id": product_id(1)})],
    );
    assert_eq!(digest(folder.path(), &arguments), first);
    let output = run(folder.path(), &["--out", "v2", "--events", "export", "--events-until", "999999"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("POST /v1/export"));
}

#[test]
fn what_is_wrong_with_the_events_is_named() {
    let folder = folder(&Shop::new(seed()));
    let output = run(folder.path(), &["--out", "v1", "--events", "nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--events"));
    export(
        folder.path(),
        &[
            json!({"event_id": "e", "type": "view_item", "session_id": "s", "product_id": "P001", "at": "2026-01-01T00:00:00Z"}),
        ],
    );
    let part = folder.path().join("export/date=2026-01-01/00000000000000000000-00000000000000000001.parquet");
    let whole = std::fs::read(&part).unwrap();
    std::fs::write(&part, &whole[..whole.len() / 2]).unwrap();
    let output = run(folder.path(), &["--out", "v1", "--events", "export"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("00000000000000000000-00000000000000000001.parquet"), "{told}");
    let left = std::fs::read_dir(folder.path().join(".v1.work"));
    assert!(left.is_err(), "nothing is left of a merge that failed");
}

/// What a customer's history suggests, best reorder first.
fn reorders(artifact: &Path, customer: &str) -> Vec<String> {
    let (_, objects) = objects(artifact);
    let model = Model::from_objects(&objects, "").unwrap();
    let state = baseline(artifact);
    let orders =
        state.customers.iter().find(|(id, _)| id.as_str() == customer).map(|(_, state)| &state.orders).unwrap();
    let newest_s = orders.iter().map(|order| order.at_s).max().unwrap();
    let history = orders
        .iter()
        .map(|order| HistoryOrder {
            age_days: ((newest_s - order.at_s) as f32) / DAY_S as f32,
            lines: order
                .lines
                .iter()
                .filter_map(|(product, quantity)| Some((model.catalogue.find(product)?, *quantity)))
                .collect(),
        })
        .collect();
    let question = Question { history, month: 6, ..Question::default() };
    let mut scratch = Scratch::default();
    let mut found = candidates(&model, &question, &mut scratch).to_vec();
    let personal = Signal::ALL.iter().position(|signal| *signal == Signal::Personal).unwrap();
    found.sort_by(|a, b| b.signals[personal].total_cmp(&a.signals[personal]));
    found.iter().map(|found| model.catalogue.id(found.product).to_owned()).collect()
}

#[test]
fn a_customers_live_orders_change_what_the_next_version_recommends() {
    let folder = folder(&Shop::new(seed()));
    digest(folder.path(), &["--out", "v1"]);
    let customer = "C007";
    let before = reorders(&folder.path().join("v1"), customer);
    let wanted = (0..60).map(product_id).find(|product| !before.iter().take(10).any(|known| known == product)).unwrap();
    let events: Vec<Value> = (0..12i64)
        .map(|number| {
            json!({"event_id": format!("live-{number}"), "type": "purchase", "order_id": format!("live-{number}"), "customer_id": customer,
                "at": time(LAST_S + 3_600 + number * 300).to_string(), "lines": [{"product_id": wanted, "quantity": 2, "unit_price": "1.00"}]})
        })
        .collect();
    export(folder.path(), &events);
    digest(folder.path(), &["--out", "v2", "--version", "2", "--events", "export"]);
    let after = reorders(&folder.path().join("v2"), customer);
    assert_eq!(after.first(), Some(&wanted), "{after:?}");
    // She is forgotten: the sales stay, as nobody's.
    export(
        folder.path(),
        &[json!({"event_id": "erase", "type": "customer_changed", "customer_id": customer,
        "customer": {"erase": true}, "at": time(LAST_S + DAY_S).to_string()})],
    );
    digest(folder.path(), &["--out", "v3", "--version", "3", "--events", "export"]);
    let state = baseline(&folder.path().join("v3"));
    assert!(!state.customers.keys().any(|id| id.as_str() == customer));
    let orders = |name: &str| objects(&folder.path().join(name)).0.dataset.orders;
    assert_eq!(orders("v3"), orders("v2"));
    assert_eq!(orders("v2"), orders("v1") + 12);
}

#[test]
fn a_training_that_is_killed_while_it_merges_goes_on() {
    let folder = folder(&Shop::new(seed()));
    let events = split(folder.path(), LAST_S - 60 * DAY_S);
    export(folder.path(), &events);
    let until = events.len().to_string();
    let arguments = ["--out", "v1", "--events", "export", "--events-until", until.as_str()];
    let mut child = program(folder.path(), &arguments).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(15));
    child.kill().unwrap();
    child.wait().unwrap();
    digest(folder.path(), &arguments);
    DatasetManifest::open(&folder.path().join("data")).unwrap().verify(&folder.path().join("data")).unwrap();
    assert!(!folder.path().join(".v1.work").exists());
}
