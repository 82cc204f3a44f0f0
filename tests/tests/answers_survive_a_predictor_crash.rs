//! 300 questions a second for a minute, while the predictor is killed and started again: every answer holds something, nothing
//! forbidden, and only just after the kill may it come from a lower rung of the ladder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use endcap::stack::{Stack, StackSpec};
use endcap_recommender::response::{Kind, RecommendationResponse};
use endcap_serving::load::{Plan, run};
use endcap_tests::{Shop, load_model, seed};
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use serde_json::json;

const RATE: f64 = 300.0;
const SECONDS: u64 = 60;
const KILL_AT: Duration = Duration::from_secs(20);
/// What the contract allows after a kill.
const GRACE: Duration = Duration::from_secs(3);

struct Asked {
    cart: HashSet<String>,
    body: Bytes,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_of_load_with_a_kill_in_it() {
    let seed = seed();
    let shop = Shop::trained(seed, 600, 500).unwrap();
    let (model, baseline) = load_model(&shop.artifact_uri()).await.unwrap();
    let out_of_stock: HashSet<String> = baseline
        .shelf
        .stock
        .iter()
        .filter(|(_, level)| {
            let none = |amount: Option<Decimal>| amount.is_none_or(|amount| amount <= Decimal::ZERO);
            level.on_hand <= Decimal::ZERO && none(level.backordered)
        })
        .map(|(id, _)| id.to_string())
        .collect();
    let inactive: HashSet<String> = (0..model.catalogue.len() as u32)
        .filter(|p| !model.catalogue.is_active(*p))
        .map(|p| model.catalogue.id(p).to_owned())
        .collect();
    let blocked = model.catalogue.id(model.popularity.top[0]).to_owned();

    let spec = StackSpec {
        artifact: shop.artifact_uri(),
        state: shop.folder.path().join("state"),
        policy: json!({"blocklist": {"products": [blocked]}}),
        listen: "127.0.0.1:0".parse().unwrap(),
        digest: None,
    };
    let mut stack = Stack::start(spec).await.unwrap();
    let url = format!("{}/v1/recommendations", stack.url().unwrap());

    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let customers: Vec<_> = baseline.customers.keys().cloned().collect();
    let placements = ["order_entry", "cart", "product", "checkout", "post_purchase", "abandoned_cart", "home", "email"];
    let asked: Arc<Vec<Asked>> = Arc::new(
        (0..2_000)
            .map(|_| {
                let cart: Vec<String> = (0..rng.random_range(0..6))
                    .map(|_| model.catalogue.id(rng.random_range(0..model.catalogue.len() as u32)).to_owned())
                    .collect();
                let lines: Vec<_> = cart.iter().map(|id| json!({"product_id": id, "quantity": rng.random_range(1..10)})).collect();
                let mut question = json!({"placement": placements.choose(&mut rng).unwrap(), "cart": lines, "session_id": format!("s{}", rng.random_range(0..10_000))});
                if rng.random_bool(0.6) {
                    question["customer_id"] = json!(customers.choose(&mut rng).unwrap());
                }
                Asked { cart: cart.into_iter().collect(), body: Bytes::from(question.to_string()) }
            })
            .collect(),
    );

    let degraded_late = Arc::new(AtomicU64::new(0));
    let degraded_early = Arc::new(AtomicU64::new(0));
    let killed_at = Arc::new(Mutex::new(None::<Duration>));
    let began = Instant::now();
    let load = {
        let (asked, late, early, killed_at) =
            (asked.clone(), degraded_late.clone(), degraded_early.clone(), killed_at.clone());
        let questions = asked.clone();
        let plan = Plan {
            url: url.parse().unwrap(),
            rate: RATE,
            duration: Duration::from_secs(SECONDS),
            connections: 256,
            timeout: Duration::from_secs(10),
        };
        tokio::spawn(run(
            plan,
            move |number| questions[number as usize % questions.len()].body.clone(),
            move |answer| {
                if !answer.status.is_success() {
                    return Err(format!("status {}: {}", answer.status, String::from_utf8_lossy(answer.body)));
                }
                let response: RecommendationResponse =
                    serde_json::from_slice(answer.body).map_err(|error| error.to_string())?;
                if response.items.is_empty() {
                    return Err("an empty list".to_owned());
                }
                let question = &asked[answer.number as usize % asked.len()];
                for item in &response.items {
                    let id = item.product_id.as_str();
                    let in_cart = question.cart.contains(id) && item.kind != Kind::UpsellQuantity;
                    if id == blocked || out_of_stock.contains(id) || inactive.contains(id) || in_cart {
                        return Err(format!("forbidden: {item:?}"));
                    }
                }
                if response.degraded.is_some() {
                    let kill = *killed_at.lock().unwrap();
                    let is_early =
                        kill.is_some_and(|kill| answer.at + answer.took >= kill && answer.at <= kill + GRACE);
                    if is_early { &early } else { &late }.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            },
        ))
    };
    tokio::time::sleep(KILL_AT).await;
    *killed_at.lock().unwrap() = Some(began.elapsed());
    stack.kill_predictor().await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    stack.restart_predictor().await.unwrap();
    let report = load.await.unwrap().unwrap();
    stack.stop().await.unwrap();

    let (early, late) = (degraded_early.load(Ordering::Relaxed), degraded_late.load(Ordering::Relaxed));
    println!("{report}; degraded within 3 s of the kill {early}, at another time {late}");
    assert_eq!(report.failed, 0, "{:?}", report.complaints);
    assert_eq!(report.bad, 0, "{:?}", report.complaints);
    assert_eq!(report.answered, report.sent);
    assert!(report.sent >= RATE as u64 * SECONDS * 99 / 100);
    assert!(early > 0, "the kill went unnoticed, so this proves nothing");
    assert!(
        late * 1_000 <= report.answered,
        "{late} of {} answers were degraded outside the 3 s after the kill",
        report.answered
    );
}
