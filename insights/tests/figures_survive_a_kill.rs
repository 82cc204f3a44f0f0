//! The real program beside a real event log: figures from events, the same figures after a kill, and what the table brings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{Program, event, publish, shown, signed, table};
use endcap_eventlog::Event;
use endcap_eventlog::client::EventSender;
use endcap_eventlog::service::{Options, Running, start};
use endcap_serving::table::KeyPair;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Moments of the test: minutes after a round hour some hours ago, so that all lies in one day's worth of minutes.
struct Clock {
    start: Timestamp,
}

impl Clock {
    fn new() -> Self {
        let now = Timestamp::now().as_second();
        Self { start: Timestamp::from_second(now.div_euclid(3_600) * 3_600 - 3 * 3_600).unwrap() }
    }

    fn at(&self, minutes: i64) -> String {
        self.start.checked_add(SignedDuration::from_mins(minutes)).unwrap().to_string()
    }
}

async fn send(running: &Running, events: &[Event]) {
    let sender = EventSender::new(&running.url(), Duration::from_secs(10)).unwrap();
    let answer = sender.send(events).await.unwrap();
    assert_eq!(answer.rejected, 0, "{:?}", answer.results);
}

fn events(clock: &Clock) -> Vec<Event> {
    let (old, new, active) = (("old", "m-v1"), ("new", "m-v2"), ("active", "m-v1"));
    vec![
        shown("r1", Some("c1"), &clock.at(0), old, &["A", "B"]),
        shown("r2", Some("c2"), &clock.at(0), new, &["A", "C"]),
        shown("r3", Some("c3"), &clock.at(1), active, &["A", "B", "C"]),
        shown("r4", None, &clock.at(1), old, &["C"]),
        event(
            json!({"event_id": "k1", "type": "select_item", "at": clock.at(2), "customer_id": "c1", "product_id": "A"}),
        ),
        event(json!({"event_id": "k2", "type": "recommendation_accepted", "at": clock.at(2), "customer_id": "c2",
            "request_id": "r2", "product_id": "C"})),
        event(json!({"event_id": "k3", "type": "recommendation_declined", "at": clock.at(2), "customer_id": "c2",
            "request_id": "r2", "product_id": "A"})),
        event(json!({"event_id": "o1", "type": "purchase", "at": clock.at(5), "customer_id": "c2", "order_id": "o1",
            "lines": [{"product_id": "C", "quantity": 3, "unit_price": "1.25"}, {"product_id": "X", "quantity": 1, "unit_price": "9.00"}]})),
        event(json!({"event_id": "s1", "type": "stock_changed", "product_id": "B", "stock": {"on_hand": 12}})),
        event(json!({"event_id": "p1", "type": "price_changed", "product_id": "B", "price": {"unit_price": "2.75"}})),
    ]
}

/// All figures that a restart must not change.
fn figures(program: &Program, clock: &Clock) -> Vec<Value> {
    let window = format!("from={}&to={}", clock.at(-60), clock.at(60));
    let mut figures: Vec<Value> = ["minute", "hour", "day"]
        .iter()
        .map(|by| program.ok(&format!("/v1/kpis?from={}&to={}&by={by}", clock.at(-1_440), clock.at(60))))
        .collect();
    figures.push(program.ok(&format!("/v1/arms?{window}")));
    figures.push(program.ok("/v1/experiments/exp?metric=RevenuePerUser&control=old"));
    figures.push(program.ok(&format!("/v1/drift?{window}")));
    figures
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_the_same_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(Options::on_loopback(folder.path().join("log"))).await.unwrap();
    let (keys, clock) = (KeyPair::generate(), Clock::new());
    let data = folder.path().join("insights");
    let pack = publish(&folder.path().join("m-v1")).await;
    let program = Program::start(&data, &running.url(), &keys);

    // The table: forged, taken, stale.
    let envelope = signed(&keys, &table(2, pack.clone()));
    assert_eq!(program.put_table(&signed(&KeyPair::generate(), &table(2, pack.clone()))).0, 403);
    let (status, acknowledgement) = program.put_table(&envelope);
    assert_eq!((status, &acknowledgement["revision"]), (200, &json!(2)));
    assert_eq!(acknowledgement["hash"], serde_json::from_str::<Value>(&envelope).unwrap()["sha256"]);
    assert_eq!(program.put_table(&signed(&keys, &table(1, pack))).0, 409);
    assert_eq!(program.get("/v1/experiments/none?metric=Ctr").0, 404);

    let events = events(&clock);
    send(&running, &events).await;
    program.until(|status| status["offset"] == events.len() && status["version"] == "m-v1");

    // Figures.
    let kpis = program.ok(&format!("/v1/kpis?from={}&to={}&by=day", clock.at(-1_440), clock.at(60)));
    let sum =
        |field: &str| kpis["rows"].as_array().unwrap().iter().map(|row| row[field].as_i64().unwrap()).sum::<i64>();
    assert_eq!(["lists", "items", "clicks", "accepts", "declines", "conversions"].map(sum), [4, 8, 1, 1, 1, 1]);
    let new = kpis["rows"].as_array().unwrap().iter().find(|row| row["arm"] == "new").unwrap();
    assert_eq!((&new["revenue"], &new["conversion"], &new["placement"]), (&json!("3.75"), &json!(1.0), &json!("cart")));
    assert_eq!((&new["distinct_products"], &kpis["catalogue_products"]), (&json!(2.0), &json!(3)));
    let experiment = program.ok("/v1/experiments/exp?metric=RevenuePerUser&control=old&alpha=0.05&attribution=24h");
    let arm =
        |name: &str| experiment["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == name).unwrap().clone();
    assert_eq!(
        (&arm("new")["users"], &arm("new")["value"], &arm("new")["version"]),
        (&json!(1), &json!(3.75), &json!("m-v2"))
    );
    assert_eq!(
        (&experiment["unkeyed"], &experiment["srm_p_value"], &experiment["in_table"]),
        (&json!(1), &json!(1.0), &json!(true))
    );
    assert_eq!(program.get("/v1/experiments/exp?metric=Ctr&attribution=1h").0, 400);
    let drift = program.ok(&format!("/v1/drift?from={}&to={}", clock.at(-60), clock.at(60)));
    assert_eq!(drift["no_reference"], Value::Null);
    let signal = |signal: &str, feature: &str| {
        let signals = drift["signals"].as_array().unwrap();
        signals.iter().find(|found| found["signal"] == signal && found["feature"] == feature).unwrap().clone()
    };
    // One of the two lines is of a product that the version does not know.
    assert_eq!(signal("UnknownRate", "product")["value"], 0.5);
    assert_eq!(signal("UnknownRate", "customer")["reference"], 0.1);
    assert_eq!(signal("CategoricalFeature", "category")["n_ref"], 2_000);

    // The form.
    let found = program.ok("/v1/products?query=lunch&limit=5");
    assert_eq!(found["products"].as_array().unwrap().len(), 2);
    let live = program.ok("/v1/products?query=b");
    assert_eq!(
        live["products"][0],
        json!({"id": "B", "name": "Lunch Bag Blue", "category": "All BAGS", "unit_price": "2.75",
        "stock": 12.0, "active": true})
    );
    assert_eq!(program.ok("/v1/customers?query=c2"), json!({"customers": [{"id": "c2", "orders": 1}]}));
    assert!(program.metrics().contains("endcap_insights_events 10"));

    // Killed after it kept its state, and killed before.
    let before = figures(&program, &clock);
    program.until(|status| status["kept"]["offset"] == events.len());
    program.kill();
    let program = Program::start(&data, &running.url(), &keys);
    program.until(|status| status["version"] == "m-v1");
    assert_eq!(figures(&program, &clock), before);
    let late = shown("r9", Some("c9"), &clock.at(3), ("old", "m-v1"), &["B"]);
    send(&running, std::slice::from_ref(&late)).await;
    program.until(|status| status["offset"] == events.len() + 1);
    let after = figures(&program, &clock);
    assert_ne!(after, before);
    program.kill();
    // Sent again, it is a duplicate for the log and nothing new here.
    send(&running, std::slice::from_ref(&late)).await;
    let program = Program::start(&data, &running.url(), &keys);
    program.until(|status| status["version"] == "m-v1" && status["offset"] == events.len() + 1);
    assert_eq!(figures(&program, &clock), after);
    program.end();
    // An orderly end keeps all.
    running.stop().await;
    let program = Program::start(&data, "http://127.0.0.1:9", &keys);
    program.until(|status| status["version"] == "m-v1");
    assert_eq!(figures(&program, &clock), after);
    program.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_log_starts_all_over() {
    let folder = tempfile::tempdir().unwrap();
    let (keys, clock) = (KeyPair::generate(), Clock::new());
    let data = folder.path().join("insights");
    let running = start(Options::on_loopback(folder.path().join("one"))).await.unwrap();
    send(&running, &events(&clock)).await;
    let program = Program::start(&data, &running.url(), &keys);
    program.until(|status| status["offset"] == 10);
    program.end();
    running.stop().await;
    let running = start(Options::on_loopback(folder.path().join("other"))).await.unwrap();
    send(&running, &[shown("x1", Some("c1"), &clock.at(0), ("active", "m-v1"), &["A"])]).await;
    let program = Program::start(&data, &running.url(), &keys);
    let status = program.until(|status| status["offset"] == 1);
    assert_eq!((&status["counts"]["lists"], &status["counts"]["purchases"]), (&json!(1), &json!(0)));
    program.end();
    running.stop().await;
}
