//! 300 questions a second through a promotion, a predictor's death and an abort: nobody goes without an answer, nobody changes sides
//! unless the weights do, and both routers follow within seconds, also when one of them is dead or deaf.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use endcap_recommender::response::{Kind, RecommendationResponse};
use endcap_serving::load::{Plan, run};
use endcap_tests::up::{Up, condition, generate, model, policy, signal, text};
use endcap_tests::{load_model, seed};
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use serde_json::{Value, json};

const RATE: f64 = 300.0;
const SECONDS: u64 = 100;
const UNITS: u32 = 10_000;
/// What the contract allows after a kill.
const GRACE: Duration = Duration::from_secs(3);
/// What the contract allows an abort, from the wish to the acknowledgement of every router.
const ABORT_WITHIN: Duration = Duration::from_secs(5);

struct Asked {
    unit: u32,
    cart: HashSet<String>,
    body: Bytes,
}

/// What a unit saw: when, and by which version.
type Seen = HashMap<u32, Vec<(Duration, String)>>;

fn questions(rng: &mut ChaCha8Rng, products: &[String]) -> Vec<Asked> {
    let placements = ["order_entry", "cart", "product", "checkout", "post_purchase", "abandoned_cart", "home", "email"];
    (0..20_000)
        .map(|_| {
            let cart: Vec<String> =
                (0..rng.random_range(0..5)).map(|_| products.choose(rng).unwrap().clone()).collect();
            let lines: Vec<Value> =
                cart.iter().map(|id| json!({"product_id": id, "quantity": rng.random_range(1..9)})).collect();
            let unit = rng.random_range(0..UNITS);
            let placement = placements.choose(rng).unwrap();
            let question = json!({"placement": placement, "cart": lines, "session_id": format!("s{unit}")});
            Asked { unit, cart: cart.into_iter().collect(), body: Bytes::from(question.to_string()) }
        })
        .collect()
}

/// Rests until every ready router has the newest table, and the version has no weight any more.
async fn withdrawn(up: &Up, version: &str, since: Instant) -> Duration {
    up.until(&format!("{version} has no traffic on any router"), Duration::from_secs(120), |model| {
        let arms = model.pointer("/status/traffic").and_then(Value::as_array).cloned().unwrap_or_default();
        let gone = arms.iter().filter(|arm| text(arm, "/version") == version).all(|arm| arm["ackedWeight"] == json!(0));
        let is_candidate = text(model, "/status/rollout/version") == version
            && ["Stepping", "Preparing"].contains(&text(model, "/status/rollout/phase").as_str());
        (condition(model, "TrafficSynced") == Some("True") && gone && !is_candidate).then_some(())
    })
    .await
    .unwrap();
    since.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promotion_death_and_abort_under_load() {
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), seed, 400, 300).unwrap();
    let mut up = Up::start(folder.path()).await.unwrap();
    up.apply(policy(&json!({}))).await.unwrap();
    up.apply(model(folder.path(), &json!({}))).await.unwrap();
    let url = up.ready().await.unwrap();
    let artifact = format!("file://{}", folder.path().join("artifacts/default/shop/shop-v1/0").display());
    let (loaded, baseline) = load_model(&artifact).await.unwrap();
    let gone: HashSet<String> = baseline
        .shelf
        .stock
        .iter()
        .filter(|(_, level)| {
            level.on_hand <= Decimal::ZERO && level.backordered.is_none_or(|amount| amount <= Decimal::ZERO)
        })
        .map(|(id, _)| id.to_string())
        .collect();
    let catalogue = &loaded.catalogue;
    let all = 0..catalogue.len() as u32;
    let inactive: HashSet<String> =
        all.clone().filter(|p| !catalogue.is_active(*p)).map(|p| catalogue.id(p).to_owned()).collect();
    let products: Vec<String> = all.map(|p| catalogue.id(p).to_owned()).collect();

    let asked = Arc::new(questions(&mut ChaCha8Rng::seed_from_u64(seed), &products));
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let degraded: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let began = Instant::now();
    let load = {
        let (questions, asked, seen, degraded) = (asked.clone(), asked.clone(), seen.clone(), degraded.clone());
        let plan = Plan {
            url: format!("{url}/v1/recommendations").parse().unwrap(),
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
                let question = &asked[answer.number as usize % asked.len()];
                if response.items.is_empty() {
                    return Err("an empty list".to_owned());
                }
                for item in &response.items {
                    let id = item.product_id.as_str();
                    let again = question.cart.contains(id) && item.kind != Kind::UpsellQuantity;
                    if gone.contains(id) || inactive.contains(id) || again {
                        return Err(format!("forbidden: {item:?}"));
                    }
                }
                if response.degraded.is_some() {
                    degraded.lock().unwrap().push(answer.at + answer.took);
                } else {
                    seen.lock().unwrap().entry(question.unit).or_default().push((answer.at, response.version));
                }
                Ok(())
            },
        ))
    };

    // A promotion on its own.
    tokio::time::sleep(Duration::from_secs(3)).await;
    up.retrain("second").await.unwrap();
    up.serves("shop-v2").await.unwrap();
    let promoted_at = began.elapsed();

    // The active version's predictor dies.
    let killed_at = began.elapsed();
    signal(up.pid("predictor shop-v2").await.unwrap(), "KILL").unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;

    // A third version gets a tenth; a router dies; somebody aborts.
    up.retrain("third").await.unwrap();
    up.stands_at("shop-v3", 10).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    signal(up.pid("router-1").await.unwrap(), "KILL").unwrap();
    let wished = Instant::now();
    let aborted_at = began.elapsed();
    up.abort("shop-v3").await.unwrap();
    let acknowledged = withdrawn(&up, "shop-v3", wished).await;

    let report = load.await.unwrap().unwrap();
    let degraded = degraded.lock().unwrap().clone();
    let late = degraded.iter().filter(|at| **at < killed_at || **at > killed_at + GRACE).count();
    println!(
        "{report}; degraded {} in all, {late} of them not within 3 s of the kill; promoted after {:.0} s, abort acknowledged after {:.2} s",
        degraded.len(),
        promoted_at.as_secs_f64(),
        acknowledged.as_secs_f64()
    );
    assert_eq!(report.failed, 0, "{:?}", report.complaints);
    assert_eq!(report.bad, 0, "{:?}", report.complaints);
    assert!(!degraded.is_empty(), "the kill went unnoticed, so this proves nothing");
    assert!(late as u64 * 1_000 <= report.answered, "{late} of {} late", report.answered);
    assert!(acknowledged <= ABORT_WITHIN, "{acknowledged:?}");

    // v1 to v2 once, v2 to v3 while it had its tenth, back to v2 after the abort; nothing else, and no unit to and fro.
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let mut changes: HashMap<(String, String), u32> = HashMap::new();
    let mut odd = Vec::new();
    for (unit, answers) in &seen {
        let mut answers = answers.clone();
        answers.sort();
        let mut moves = Vec::new();
        for pair in answers.windows(2) {
            if pair[0].1 != pair[1].1 {
                moves.push((pair[0].1.clone(), pair[1].1.clone(), pair[1].0));
                *changes.entry((pair[0].1.clone(), pair[1].1.clone())).or_default() += 1;
            }
        }
        let names: Vec<(&str, &str)> = moves.iter().map(|(a, b, _)| (a.as_str(), b.as_str())).collect();
        // Answers under way at a change may arrive in either order: a second is allowed them.
        let is_plain = names.iter().collect::<HashSet<_>>().len() == names.len()
            && names.iter().all(|pair| {
                [("shop-v1", "shop-v2"), ("shop-v1", "shop-v3"), ("shop-v2", "shop-v3"), ("shop-v3", "shop-v2")]
                    .contains(pair)
            })
            // Nobody is answered by a version after it lost its last share.
            && answers.iter().all(|(at, version)| match version.as_str() {
                "shop-v1" => *at <= promoted_at + Duration::from_secs(1),
                "shop-v3" => *at <= aborted_at + acknowledged + Duration::from_secs(1),
                _ => true,
            });
        if !is_plain {
            odd.push((*unit, moves.clone()));
        }
    }
    println!("{} units; changes of side: {changes:?}", seen.len());
    assert!(odd.is_empty(), "{} units changed sides without a table change: {:?}", odd.len(), &odd[..odd.len().min(3)]);
    let of = |from: &str, to: &str| changes.get(&(from.to_owned(), to.to_owned())).copied().unwrap_or(0);
    assert!(of("shop-v1", "shop-v2") > 500, "hardly anybody was promoted, so this proves nothing: {changes:?}");

    // A router that is deaf for a minute is replaced.
    up.retrain("fourth").await.unwrap();
    up.stands_at("shop-v4", 10).await.unwrap();
    let deaf = up.pid("router-1").await.unwrap();
    signal(deaf, "STOP").unwrap();
    let wished = Instant::now();
    up.abort("shop-v4").await.unwrap();
    let acknowledged = withdrawn(&up, "shop-v4", wished).await;
    // One that does not run is not waited for: it comes a moment later.
    let until = Instant::now() + Duration::from_secs(20);
    let replaced = loop {
        match up.pid("router-1").await {
            Ok(pid) => break pid,
            Err(error) if Instant::now() > until => panic!("{error:#}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    println!("a deaf router was replaced, and the abort acknowledged by all after {:.1} s", acknowledged.as_secs_f64());
    assert_ne!(deaf, replaced, "the deaf router is still there");
    assert!(acknowledged < Duration::from_secs(90), "{acknowledged:?}");
    up.kill().await.unwrap();
    assert_eq!(up.ready().await.unwrap(), url, "the stable address changed over a restart");
    up.stop().await.unwrap();
}
