//! P2 and P3 of the design: requests a second of router and predictor over HTTP under an open-loop load, and what the router adds.
//!
//! `cargo test -p endcap-serving --bench latency` (the profile of the demo; `cargo bench` would build everything a second time).
//! `ARTIFACT=<uri>` measures a trained artifact in place of the small one made by hand; `RATES=1000,2000` and `SECONDS=10` change the load.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Duration;

use axum::body::Bytes;
#[allow(clippy::wildcard_imports, reason = "as the tests do")]
use common::*;
use endcap_serving::load::{self, Plan, Report};
use endcap_serving::table::KeyPair;
use serde_json::json;

fn env<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("unknown")
        .trim_start_matches([' ', '\t', ':']);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{cpus} x {model}; load before {}", load.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}

fn question(products: &[String], number: u64) -> Bytes {
    let pick = |step: u64| {
        products.get((number.wrapping_mul(7_919).wrapping_add(step * 104_729) % products.len() as u64) as usize)
    };
    let cart: Vec<_> = (0..3).filter_map(pick).map(|id| json!({"product_id": id, "quantity": 2})).collect();
    json!({"placement": "cart", "customer_id": format!("c-{}", number % 5_000), "cart": cart, "limit": 8})
        .to_string()
        .into()
}

async fn measure(base: &str, products: &[String], rate: f64, seconds: u64) -> Report {
    let plan = Plan {
        url: format!("{base}/v1/recommendations").parse().unwrap(),
        rate,
        duration: Duration::from_secs(seconds),
        connections: 256,
        timeout: Duration::from_secs(10),
    };
    let body = |number| question(products, number);
    load::run(plan, body, |answer| {
        let json: serde_json::Value = serde_json::from_slice(answer.body).map_err(|error| error.to_string())?;
        let items = json.get("items").and_then(|items| items.as_array()).map_or(0, Vec::len);
        let degraded = json.get("degraded").is_some_and(|degraded| !degraded.is_null());
        if answer.status == 200 && items > 0 && !degraded {
            Ok(())
        } else {
            Err(format!("{} {items} items, degraded {degraded}", answer.status))
        }
    })
    .await
    .unwrap()
}

#[tokio::main]
async fn main() {
    // `cargo test` passes options of its own test runner; there are none here.
    let seconds: u64 = env("SECONDS", 10);
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (artifact, products) = match std::env::var("ARTIFACT") {
        Ok(uri) => existing(&uri).await,
        Err(_) => (publish(at, 1).await, (0..PRODUCTS).map(product).collect()),
    };
    let log = EventLog::start(at).await;
    let url = log.url();
    let predictor = predictor(at, &artifact, &["--eventlog", &url]);
    let keys = KeyPair::generate();
    let mut table = table(1, &artifact, &[predictor.url("listen")]);
    table.model.clone_from(&artifact.manifest.model);
    table.request_timeout_ms = 2_000;
    let router = router(at, &keys, &table, &["--eventlog", &url]);
    println!("machine: {}", machine());
    println!(
        "artifact: {} ({} products); router, predictor, event log and load share this machine",
        artifact.version,
        products.len()
    );

    measure(&router.url("listen"), &products, 200.0, 2).await;
    println!("\nP3: what the router adds (interleaved rounds, same load)");
    let rate = env("P3_RATE", 200.0);
    let (mut direct, mut routed) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        direct.push(measure(&predictor.url("listen"), &products, rate, seconds.div_ceil(2)).await);
        routed.push(measure(&router.url("listen"), &products, rate, seconds.div_ceil(2)).await);
    }
    let total = |reports: &[Report]| {
        let mut all = reports.first().unwrap().latency_us.clone();
        for report in reports.iter().skip(1) {
            all.add(&report.latency_us).unwrap();
        }
        all
    };
    let (direct, routed) = (total(&direct), total(&routed));
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        let (one, two) =
            (direct.value_at_quantile(quantile) as f64 / 1e3, routed.value_at_quantile(quantile) as f64 / 1e3);
        println!("  {name}: direct {one:.2} ms, through the router {two:.2} ms, added {:.2} ms", two - one);
    }

    println!("\nP2: open-loop load through the router (goal: 2000/s at p99 <= 25 ms)");
    let rates = std::env::var("RATES").unwrap_or_else(|_| "500,1000,2000,3000".to_owned());
    for rate in rates.split(',').filter_map(|rate| rate.trim().parse::<f64>().ok()) {
        let report = measure(&router.url("listen"), &products, rate, seconds).await;
        println!("  {rate:.0}/s: {report}");
        for complaint in report.complaints.iter().take(2) {
            println!("    {complaint}");
        }
    }
}

/// A trained artifact, and its products.
async fn existing(uri: &str) -> (Artifact, Vec<String>) {
    let location = endcap_store::open(uri).unwrap();
    let fetched =
        endcap_serving::artifact::fetch(&location, None, endcap_serving::artifact::Part::Whole).await.unwrap();
    let loaded = fetched.decode().await.unwrap();
    let products = loaded.model.catalogue.ids.iter().map(str::to_owned).collect();
    let version = loaded.manifest.version.clone();
    (Artifact { uri: uri.to_owned(), digest: loaded.digest, version, manifest: loaded.manifest }, products)
}
