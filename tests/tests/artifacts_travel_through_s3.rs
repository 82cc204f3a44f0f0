//! Training publishes to an S3-compatible store and serving reads from it. `make test` starts a real one (versitygw) and names it in
//! `ENDCAP_TEST_S3_ENDPOINT`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use endcap::stack::{Stack, StackSpec};
use endcap_tests::{Shop, seed};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn published_to_a_bucket_and_served_from_it() {
    if std::env::var("ENDCAP_TEST_S3_ENDPOINT").is_err() {
        println!("SKIPPED: ENDCAP_TEST_S3_ENDPOINT is not set; `make test` starts a store and sets it");
        return;
    }
    let shop = Shop::trained(seed(), 200, 150).unwrap();
    let bucket = std::env::var("ENDCAP_TEST_S3_BUCKET").expect("ENDCAP_TEST_S3_BUCKET names a bucket of the store");
    let uri = format!("s3://{bucket}/models/{}", shop.seed);
    shop.train(&uri, 1).unwrap();

    let digest = |uri: String| async move {
        endcap_store::read_manifest(&endcap_store::open(&uri).unwrap()).await.unwrap().1.sha256
    };
    assert_eq!(digest(uri.clone()).await, digest(shop.artifact_uri()).await, "the store changes nothing");

    // Immutable: other bytes are refused at the same place.
    let refused = shop.train(&uri, 2).unwrap_err().to_string();
    assert!(refused.contains("already holds another artifact") || refused.contains("immutable"), "{refused}");

    let spec = StackSpec {
        artifact: uri,
        state: shop.folder.path().join("state"),
        policy: serde_json::Value::Null,
        listen: "127.0.0.1:0".parse().unwrap(),
        digest: None,
    };
    let stack = Stack::start(spec).await.unwrap();
    let url = format!("{}/v1/recommendations", stack.url().unwrap());
    let answer = reqwest::Client::new().post(url).json(&json!({"placement": "home"})).send().await.unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(answer["version"], "shop-v1");
    assert!(answer["degraded"].is_null() && !answer["items"].as_array().unwrap().is_empty(), "{answer}");
    stack.stop().await.unwrap();
}
