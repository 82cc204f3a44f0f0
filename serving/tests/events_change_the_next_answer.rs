//! The event log, the predictor and the router together: what happened changes what is recommended, by both rungs, within a second.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::time::Duration;

use common::*;
use endcap_serving::table::KeyPair;
use serde_json::{Value, json};

/// Generous for a busy machine; the figure that was measured is printed.
const SOON: Duration = Duration::from_secs(10);

#[allow(clippy::needless_pass_by_value, reason = "called with json! literals")]
fn event(kind: &str, more: Value) -> Value {
    let mut event = json!({"event_id": uuid::Uuid::now_v7().to_string(), "type": kind});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

struct House {
    _folder: tempfile::TempDir,
    log: EventLog,
    predictor: Program,
    router: Program,
    keys: KeyPair,
    artifact: Artifact,
    web: Web,
}

async fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let artifact = publish(at, 1).await;
    let log = EventLog::start(at).await;
    let url = log.url();
    let predictor = predictor(at, &artifact, &["--eventlog", &url]);
    let keys = KeyPair::generate();
    let router = router(at, &keys, &table(1, &artifact, &[predictor.url("listen")]), &["--eventlog", &url]);
    House { log, predictor, router, keys, artifact, web: Web::new(), _folder: folder }
}

impl House {
    async fn tell(&self, event: Value) {
        let reply = self.web.tell(&self.router.url("listen"), &event).await;
        assert_eq!(reply.status, 200, "{:?}", reply.body);
        assert_eq!(reply.json()["accepted"], 1, "{:?}", reply.body);
    }

    async fn products(&self, question: &Value) -> Vec<String> {
        self.web.ask(&self.router.url("listen"), question).await.products()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_price_offers_and_declines_are_seen_by_predictor_and_pack() {
    let house = house().await;
    let question = cart("c-1", &["P001"]);
    let before = house.products(&question).await;
    let gone = before[0].clone();
    house.tell(event("stock_changed", json!({"product_id": gone, "stock": {"on_hand": 0}}))).await;
    let took = until("out of stock is gone", SOON, || async { !house.products(&question).await.contains(&gone) }).await;
    println!("out of stock left the predictor's answer after {took:?}");

    // A price is on the next answer.
    let priced = before[1].clone();
    house.tell(event("price_changed", json!({"product_id": priced, "price": {"unit_price": "77.70"}}))).await;
    until("the new price is shown", SOON, || async {
        let json = house.web.ask(&house.router.url("listen"), &question).await.json();
        json["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|item| item["product_id"] == json!(priced) && item["unit_price"] == "77.70")
    })
    .await;

    // One decline is enough under this policy; the policy itself is in force with the table's next answer.
    let declined = before[2].clone();
    let blocked = before[3].clone();
    let mut strict = table(2, &house.artifact, &[house.predictor.url("listen")]);
    strict.policy = json!({"overPromotion": {"declineLimit": 1}, "blocklist": {"products": [blocked]}});
    assert_eq!(house.web.put_table(&house.router, &house.keys, &strict).await.status, 200);
    let at_once = house.products(&question).await;
    assert!(!at_once.contains(&blocked) && at_once.contains(&declined), "{at_once:?}");
    house.tell(event("recommendation_declined", json!({"product_id": declined, "customer_id": "c-1"}))).await;
    until("the declined product is gone", SOON, || async { !house.products(&question).await.contains(&declined) })
        .await;
    let other = house.products(&cart("c-2", &["P001"])).await;
    assert!(other.contains(&declined), "another customer declined nothing: {other:?}");

    // The same from the pack: it knows shelf and policy.
    let House { predictor, router, web, .. } = &house;
    predictor.signal("KILL");
    let ask = || async { web.ask(&router.url("listen"), &question).await };
    until("the pack answers", SOON, || async { ask().await.is_degraded() }).await;
    let of_pack = ask().await.products();
    assert!(!of_pack.is_empty() && !of_pack.contains(&gone) && !of_pack.contains(&blocked), "{of_pack:?}");
    let next = of_pack[0].clone();
    house.tell(event("stock_changed", json!({"product_id": next, "stock": {"on_hand": 0}}))).await;
    let took =
        until("out of stock is gone from the pack", SOON, || async { !ask().await.products().contains(&next) }).await;
    println!("out of stock left the pack's answer after {took:?}");
    house.tell(event("stock_changed", json!({"product_id": next, "stock": {"on_hand": 9}}))).await;
    until("back in stock is back in the pack", SOON, || async { ask().await.products().contains(&next) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recommendations_go_on_without_the_log_and_exposures_wait() {
    let mut house = house().await;
    let base = house.router.url("listen");
    let counters = format!("{}/control/counters", house.router.url("control"));
    let question = cart("c-1", &["P001"]);
    let exposures = |web: Web, url: String| async move { web.get(&url).await.json()["exposures"].clone() };
    let first = house.products(&question).await;
    until("the exposure is in the log", SOON, || async {
        exposures(house.web.clone(), counters.clone()).await["sent"] == 1
    })
    .await;

    house.log.stop().await;
    let refused = house.web.tell(&base, &event("view_item", json!({"product_id": "P003", "session_id": "s-1"}))).await;
    assert_eq!(refused.status, 503, "{:?}", refused.body);
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    for _ in 0..20 {
        let reply = house.web.ask(&base, &question).await;
        assert_eq!(reply.products(), first);
        assert!(!reply.is_degraded());
    }
    assert_eq!(exposures(house.web.clone(), counters.clone()).await["waiting"], 20);

    // Back: what waited is sent, events are taken, and both follow again.
    house.log.start_again().await;
    until("the spool drains", SOON, || async { exposures(house.web.clone(), counters.clone()).await["sent"] == 21 })
        .await;
    let drained = exposures(house.web.clone(), counters.clone()).await;
    assert_eq!((&drained["waiting"], &drained["dropped"]), (&json!(0), &json!(0)));
    let gone = first[0].clone();
    house.tell(event("stock_changed", json!({"product_id": gone, "stock": {"on_hand": 0}}))).await;
    until("events are followed again", SOON, || async { !house.products(&question).await.contains(&gone) }).await;

    // What was shown stands in the log, once per answer, with its items; clients cannot write it.
    let tail = house.web.get(&format!("{}/v1/log/events?from=0", house.log.url())).await;
    let text = String::from_utf8(tail.body.to_vec()).unwrap();
    let shown: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["event"]["type"] == "recommendation_shown")
        .collect();
    assert!(shown.len() >= 21);
    let exposure = &shown[0]["event"]["exposure"];
    assert_eq!(exposure["version"], "giftshop-v1");
    assert_eq!(exposure["items"].as_array().unwrap().len(), first.len());
    assert_eq!(exposure["items"][0]["product_id"], json!(first[0]));
    let mut forged = shown[0]["event"].clone();
    forged["event_id"] = json!("forged");
    let url = format!("{base}/v1/events");
    let reply = house
        .web
        .call(
            http::Method::POST,
            &url,
            &[("content-type", "application/json"), ("endcap-source", "router")],
            forged.to_string(),
        )
        .await;
    assert_eq!(reply.json()["rejected"], 1, "{:?}", reply.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_predictor_without_its_log_is_ready_after_the_grace() {
    let folder = tempfile::tempdir().unwrap();
    let artifact = publish(folder.path(), 1).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}");
    let predictor = predictor(folder.path(), &artifact, &["--eventlog", &url, "--eventlog-grace", "0.3"]);
    let web = Web::new();
    assert!(!web.ask(&predictor.url("listen"), &cart("c-1", &["P001"])).await.products().is_empty());
    let metrics = web.get(&format!("{}/metrics", predictor.url("metrics"))).await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(text.contains("endcap_live_following 0"), "{text}");
}
