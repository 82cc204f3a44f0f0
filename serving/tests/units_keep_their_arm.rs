//! Invariant 3: a unit's arm depends on (salt, unit, routing table) alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::HashMap;

use common::*;
use endcap_serving::assign::{Salt, candidate_ranges, complement};
use endcap_serving::table::{Arm, Experiment, KeyPair, Range, Table};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Vectors {
    buckets: Vec<BucketVector>,
    #[serde(rename = "candidateRanges")]
    ranges: Vec<RangeVector>,
}

#[derive(Deserialize)]
struct BucketVector {
    salt: String,
    unit: String,
    bucket: u16,
}

#[derive(Deserialize)]
struct RangeVector {
    salt: String,
    candidate: String,
    buckets: u16,
    ranges: Vec<Range>,
}

/// `vectors.json` is written and checked by another implementation: `vectors.py`.
#[test]
fn the_published_vectors_hold() {
    let vectors: Vectors = serde_json::from_str(include_str!("vectors.json")).unwrap();
    assert!(vectors.buckets.len() >= 15 && vectors.ranges.len() >= 3);
    for vector in vectors.buckets {
        assert_eq!(Salt::new(&vector.salt).bucket(&vector.unit), vector.bucket, "{} {}", vector.salt, vector.unit);
    }
    for vector in vectors.ranges {
        assert_eq!(candidate_ranges(&vector.salt, &vector.candidate, vector.buckets), vector.ranges);
    }
    let docs = include_str!("../../docs/api.md");
    for line in ["| `default/giftshop` | `17850` | 8889 |", "| `default/giftshop` | `13047` | 8639 |"] {
        assert!(docs.contains(line), "docs/api.md lacks {line}");
    }
}

fn with_candidate(revision: u64, stable: &Artifact, candidate: &Artifact, buckets: u16, urls: [&str; 2]) -> Table {
    let mut table = table(revision, stable, &[urls[0].to_owned()]);
    let ranges = candidate_ranges(&table.salt, &candidate.version, buckets);
    table.arms[0].ranges = complement(&ranges);
    table.arms.push(Arm {
        name: "candidate".to_owned(),
        version: candidate.version.clone(),
        endpoints: vec![urls[1].to_owned()],
        ranges,
        artifact_digest: candidate.digest.clone(),
    });
    table
}

async fn arms(web: &Web, base: &str, units: &[String]) -> HashMap<String, String> {
    let mut arms = HashMap::new();
    for unit in units {
        let reply = web.ask(base, &json!({"placement": "home", "customer_id": unit})).await;
        let arm = reply.header("x-endcap-arm").unwrap().to_owned();
        let expected = if arm == "active" { "giftshop-v1" } else { "giftshop-v2" };
        assert_eq!(reply.json()["version"], expected);
        arms.insert(unit.clone(), arm);
    }
    arms
}

#[tokio::test(flavor = "multi_thread")]
async fn arms_are_sticky_across_restarts_and_a_candidate_only_grows() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (one, two) = (publish(at, 1).await, publish(at, 2).await);
    let (first, second) = (predictor(at, &one, &[]), predictor(at, &two, &[]));
    let (first_url, second_url) = (first.url("listen"), second.url("listen"));
    let keys = KeyPair::generate();
    let web = Web::new();
    let units: Vec<String> = (0..150).map(|number| format!("customer-{number}")).collect();

    let small = with_candidate(1, &one, &two, 2_000, [&first_url, &second_url]);
    let running = router(at, &keys, &small, &[]);
    let before = arms(&web, &running.url("listen"), &units).await;
    running.kill();
    // Another process (a replica, a restart): the same arms.
    let running = router(at, &keys, &small, &[]);
    let base = running.url("listen");
    assert_eq!(arms(&web, &base, &units).await, before);
    let salt = Salt::new("default/giftshop");
    let owned = candidate_ranges("default/giftshop", "giftshop-v2", 2_000);
    for unit in &units {
        let is_candidate = owned.iter().any(|range| range.contains(salt.bucket(unit)));
        assert_eq!(before[unit] == "candidate", is_candidate, "{unit}");
    }
    // The header names the unit over the body; no unit at all is counted.
    let candidate = units.iter().find(|unit| before[*unit] == "candidate").unwrap();
    let stable = units.iter().find(|unit| before[*unit] == "active").unwrap();
    let by_header = web
        .ask_with(&base, &[("x-endcap-unit", candidate)], &json!({"placement": "home", "customer_id": stable}))
        .await;
    assert_eq!(by_header.header("x-endcap-arm"), Some("candidate"));
    let by_session = web.ask(&base, &json!({"placement": "home", "session_id": candidate})).await;
    assert_eq!(by_session.header("x-endcap-arm"), Some("candidate"));
    web.ask(&base, &json!({"placement": "home"})).await.products();
    let counters = web.get(&format!("{}/control/counters", running.url("control"))).await.json();
    assert_eq!(counters["unkeyed"], 1);

    let grown = with_candidate(2, &one, &two, 6_000, [&first_url, &second_url]);
    assert_eq!(web.put_table(&running, &keys, &grown).await.status, 200);
    let after = arms(&web, &base, &units).await;
    assert!(units.iter().all(|unit| before[unit] != "candidate" || after[unit] == "candidate"));
    assert!(
        after.values().filter(|arm| *arm == "candidate").count()
            > before.values().filter(|arm| *arm == "candidate").count()
    );

    // An experiment has cohorts of its own; who is outside it keeps the table's arms.
    let mut tested = grown.clone();
    tested.revision = 3;
    tested.experiment = Some(Experiment {
        name: "holiday".to_owned(),
        salt: "default/giftshop#holiday".to_owned(),
        arms: vec![Arm {
            name: "treatment".to_owned(),
            ranges: vec![Range { from: 0, to: 5_000 }],
            ..grown.arms[1].clone()
        }],
    });
    assert_eq!(web.put_table(&running, &keys, &tested).await.status, 200);
    let salt = Salt::new("default/giftshop#holiday");
    for unit in &units {
        let reply = web.ask(&base, &json!({"placement": "home", "customer_id": unit})).await;
        let is_in = salt.bucket(unit) < 5_000;
        assert_eq!(reply.header("x-endcap-experiment"), is_in.then_some("holiday"));
        assert_eq!(reply.json()["experiment"].as_str(), is_in.then_some("holiday"));
        assert_eq!(reply.header("x-endcap-arm"), Some(if is_in { "treatment" } else { after[unit].as_str() }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_qa_port_lets_a_caller_choose_the_version() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (one, two) = (publish(at, 1).await, publish(at, 2).await);
    let (first, second) = (predictor(at, &one, &[]), predictor(at, &two, &[]));
    let keys = KeyPair::generate();
    let table = with_candidate(1, &one, &two, 0, [&first.url("listen"), &second.url("listen")]);
    let router = router(at, &keys, &table, &["--qa-listen", "127.0.0.1:0"]);
    let web = Web::new();
    let question = cart("c-1", &["P001"]);
    let wish = [("x-endcap-version", "giftshop-v2")];
    let main = web.ask_with(&router.url("listen"), &wish, &question).await;
    assert_eq!(main.json()["version"], "giftshop-v1");
    let qa = web.ask_with(&router.url("qa"), &wish, &question).await;
    assert_eq!(qa.json()["version"], "giftshop-v2");
    assert_eq!(web.ask(&router.url("qa"), &question).await.json()["version"], "giftshop-v1");
    let unknown = web.ask_with(&router.url("qa"), &[("x-endcap-version", "giftshop-v9")], &question).await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.json()["detail"].as_str().unwrap().contains("giftshop-v1, giftshop-v2"));
    // What QA looked at is in no gate's numbers.
    let counters = web.get(&format!("{}/control/counters", router.url("control"))).await.json();
    assert_eq!(counters["overridden"], 1);
    let candidate = counters["arms"].as_array().unwrap().iter().find(|arm| arm["arm"] == "candidate").unwrap();
    assert_eq!(candidate["requests"], 0);
}
