//! The routing table by PUT: who may send one, which ones are taken, and that a restart remembers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use base64::Engine;
use common::*;
use endcap_serving::table::{Envelope, KeyPair, Range, sign};
use http::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn only_trusted_tables_with_rising_revisions_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let artifact = publish(at, 1).await;
    let (keys, next_keys, stranger) = (KeyPair::generate(), KeyPair::generate(), KeyPair::generate());
    let public = at.join("public.key");
    std::fs::write(&public, next_keys.public_hex()).unwrap();
    let cache = at.join("cache").join("table.json");
    let more = ["--public-key", public.to_str().unwrap(), "--table-cache", cache.to_str().unwrap()];
    let options = router_args(&keys, &more);
    let router = Program::start_until(at, "endcap-router", &options, |line| line["waiting_for"] == "table");
    let web = Web::new();
    let control = format!("{}/control/table", router.url("control"));
    assert_eq!(web.get(&control).await.status, 404);
    assert_eq!(web.get(&format!("{}/readyz", router.url("listen"))).await.status, 503);
    assert_eq!(web.ask(&router.url("listen"), &json!({"placement": "home"})).await.status, 503);

    let five = table(5, &artifact, &[]);
    let taken = web.put_table(&router, &keys, &five).await;
    assert_eq!(taken.status, 200, "{:?}", taken.body);
    let report = taken.json();
    let envelope = sign(&five, &keys.signing).unwrap();
    assert_eq!(report["revision"], 5);
    assert_eq!(report["hash"], json!(envelope.sha256));
    assert_eq!(
        report["weights"],
        json!([{"arm": "active", "version": "giftshop-v1", "experiment": null, "buckets": 10000}])
    );
    assert_eq!(report["persisted"], true);
    until("ready", std::time::Duration::from_secs(10), || async {
        web.get(&format!("{}/readyz", router.url("listen"))).await.status == 200
    })
    .await;

    // The same again is fine; another content under the same revision, and a lower one, are not.
    assert_eq!(web.put_table(&router, &keys, &five).await.status, 200);
    let mut other = five.clone();
    other.request_timeout_ms = 99;
    assert_eq!(web.put_table(&router, &keys, &other).await.status, 409);
    assert_eq!(web.put_table(&router, &keys, &table(4, &artifact, &[])).await.status, 409);
    // A stranger's signature, a changed payload, another model's table, nonsense.
    let six = table(6, &artifact, &[]);
    let refused = web.put_table(&router, &stranger, &six).await;
    assert_eq!(refused.status, 403);
    assert!(refused.json()["detail"].as_str().unwrap().contains("--public-key"));
    let mut forged: Envelope = sign(&six, &keys.signing).unwrap();
    let mut payload: Value = serde_json::to_value(&six).unwrap();
    payload["revision"] = json!(60);
    forged.payload = base64::engine::general_purpose::STANDARD.encode(payload.to_string());
    assert_eq!(web.call(Method::PUT, &control, &[], serde_json::to_vec(&forged).unwrap()).await.status, 403);
    let mut foreign = table(7, &artifact, &[]);
    foreign.model = "grocery".to_owned();
    assert_eq!(web.put_table(&router, &keys, &foreign).await.status, 409);
    assert_eq!(web.call(Method::PUT, &control, &[], "{}").await.status, 400);
    let mut invalid = table(8, &artifact, &[]);
    invalid.arms[0].ranges = vec![Range { from: 9, to: 3 }];
    let refused = web.put_table(&router, &keys, &invalid).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/arms/0/ranges/0");
    assert_eq!(web.get(&control).await.json()["revision"], 5);

    // The second key is trusted too, and what it signed survives a restart, over an older table in --table.
    assert_eq!(web.put_table(&router, &next_keys, &six).await.status, 200);
    let start_id = web.get(&control).await.json()["start_id"].clone();
    assert!(start_id.is_string());
    router.kill();
    let old = at.join("old.json");
    write_table(&old, &keys, &five);
    let mut again = options.clone();
    again.extend(args(&["--table", old.to_str().unwrap()]));
    let router = Program::start(at, "endcap-router", &again);
    let control = format!("{}/control/table", router.url("control"));
    let report = web.get(&control).await.json();
    assert_eq!(report["revision"], 6);
    assert_ne!(report["start_id"], start_id);
    assert!(!web.ask(&router.url("listen"), &json!({"placement": "home"})).await.products().is_empty());
    router.kill();

    // A damaged cache does not stop the router from starting with --table.
    std::fs::write(&cache, "{\"payload\":").unwrap();
    let router = Program::start(at, "endcap-router", &again);
    assert_eq!(web.get(&format!("{}/control/table", router.url("control"))).await.json()["revision"], 5);
}
