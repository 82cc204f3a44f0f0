//! kill -9 of `endcap up` and of each of its children, in every phase: what comes out is what an undisturbed run comes to. Twenty kills
//! here, more of them with `ENDCAP_KILL_ROUNDS`; a failure names its seed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use endcap_tests::seed;
use endcap_tests::up::{Up, generate, model, policy, signal, text};
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const EVENTS: u32 = 60;
const PHASES: [&str; 6] = ["event writing", "training", "publishing", "tenth", "half", "rollback"];

/// One kill: when, and of what.
#[derive(Clone, Copy, Debug)]
struct Kill {
    phase: &'static str,
    target: &'static str,
    delay: Duration,
}

/// What must be the same whatever was killed.
#[derive(Clone, Debug, PartialEq)]
struct End {
    active: String,
    /// Phase, trigger and the digests of the objects of each version.
    versions: BTreeMap<String, (String, String, BTreeMap<String, String>)>,
    /// Version, outcome and who did it, newest first.
    history: Vec<(String, String, String)>,
    /// Ids of the events that were acknowledged, as the export holds them.
    events: Vec<String>,
    trainings: usize,
}

async fn strike(up: &mut Up, kill: Kill) {
    tokio::time::sleep(kill.delay).await;
    // What has ended by itself by now cannot be killed: then it is `endcap up`, so that every kill is one.
    match up.pid(kill.target).await.ok().filter(|_| kill.target != "up") {
        Some(pid) if signal(pid, "KILL").is_ok() => {}
        _ => up.kill().await.unwrap(),
    }
}

/// The second version's artifact has begun to be there.
async fn publishes(folder: &Path) {
    for _ in 0..600 {
        if folder.join("artifacts/default/shop/shop-v2").exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Posts one event until it is acknowledged.
async fn post(up: &Up, number: u32) {
    let event = json!([{
        "event_id": format!("e-{number}"), "type": "purchase", "session_id": format!("s-{number}"), "order_id": format!("o-{number}"),
        "at": "2026-01-01T00:00:00Z", "lines": [{"product_id": "P1", "quantity": 1, "unit_price": "1.00"}]
    }]);
    for _ in 0..300 {
        if let Ok(model) = up.model().await {
            let url = format!("{}/v1/events", text(&model, "/status/url"));
            let answer = up.client.http.post(url).timeout(Duration::from_secs(3)).json(&event).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("event {number} was never acknowledged");
}

/// The whole way of two versions, with kills on it.
async fn run(base: &Path, folder: &Path, kills: &[Kill]) -> End {
    copy(&base.join("state"), &folder.join("state"));
    let mut up = Up::start(folder).await.unwrap();
    // The same data for every run, a store of its own for each.
    let store = json!({"spec": {"artifacts": {"uri": format!("file://{}", folder.join("artifacts").display())}}});
    up.apply(model(base, &store)).await.unwrap();
    up.ready().await.unwrap();
    let of = |phase: &str| kills.iter().copied().filter(|kill| kill.phase == phase).collect::<Vec<_>>();

    let mut struck = of("event writing").into_iter();
    for number in 0..EVENTS {
        if number % 20 == 10
            && let Some(kill) = struck.next()
        {
            strike(&mut up, kill).await;
        }
        post(&up, number).await;
    }
    up.ready().await.unwrap();
    retry(|| up.retrain("second")).await;
    for kill in of("training") {
        strike(&mut up, kill).await;
    }
    for kill in of("publishing") {
        publishes(folder).await;
        strike(&mut up, kill).await;
    }
    for (phase, weight) in [("tenth", 10), ("half", 50)] {
        let wanted = of(phase);
        if !wanted.is_empty() {
            up.stands_at("shop-v2", weight).await.unwrap();
        }
        for kill in wanted {
            strike(&mut up, kill).await;
        }
    }
    up.serves("shop-v2").await.unwrap();
    retry(|| up.retrain("third")).await;
    up.stands_at("shop-v3", 10).await.unwrap();
    retry(|| up.abort("shop-v3")).await;
    for kill in of("rollback") {
        strike(&mut up, kill).await;
    }
    up.until("shop-v3 is out", Duration::from_secs(120), |model| {
        let is_over = model.pointer("/status/rollout").is_none_or(Value::is_null);
        let history = text(model, "/status/history/0/version");
        (is_over && history == "shop-v3" && text(model, "/status/activeVersion") == "shop-v2").then_some(())
    })
    .await
    .unwrap();
    let end = end(&up, folder).await;
    up.stop().await.unwrap();
    end
}

/// Kubernetes' clients try again when the API is away; so does this test.
async fn retry<F: Future<Output = anyhow::Result<()>>>(act: impl Fn() -> F) {
    for _ in 0..200 {
        if act().await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the API stayed away");
}

async fn end(up: &Up, folder: &Path) -> End {
    let model = up.model().await.unwrap();
    let (objects, _) = up.client.list(endcap_crds::Kind::ModelVersion).await.unwrap();
    let mut versions = BTreeMap::new();
    for version in &objects {
        let uri = text(version, "/status/artifact/uri");
        let manifest = std::fs::read(Path::new(uri.trim_start_matches("file://")).join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let digests = manifest["objects"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, object)| (name.clone(), text(object, "/sha256")));
        // The card tells the time of its training.
        let digests = digests.filter(|(name, _)| !name.starts_with("card") && name != "report").collect();
        versions.insert(
            text(version, "/metadata/name"),
            (text(version, "/status/phase"), text(version, "/spec/trigger/type"), digests),
        );
    }
    let history = model.pointer("/status/history").and_then(Value::as_array).cloned().unwrap_or_default();
    let history =
        history.iter().map(|entry| (text(entry, "/version"), text(entry, "/outcome"), text(entry, "/by"))).collect();
    let events = stored(up).await;
    let attempts = std::fs::read_dir(folder.join("artifacts/default/shop")).unwrap().count();
    End { active: text(&model, "/status/activeVersion"), versions, history, events, trainings: attempts }
}

/// Ids in the log, in order; the log may be on its way back.
async fn stored(up: &Up) -> Vec<String> {
    for _ in 0..200 {
        let programs = up.client.http.get(format!("{}/console/programs", up.client.server));
        let log = up.client.send(programs).await.map(|programs| text(&programs, "/0/eventlog")).unwrap_or_default();
        let answer = up.client.http.get(format!("{log}/v1/log/events?from=0&limit=10000")).send().await;
        if let Ok(answer) = answer.and_then(reqwest::Response::error_for_status) {
            let lines = answer.text().await.unwrap();
            let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            return events.map(|stored| stored["event"]["event_id"].as_str().unwrap().to_owned()).collect();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the event log stayed away");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// A kill of each phase, what it hits and when drawn anew.
fn draw(rng: &mut ChaCha8Rng) -> Vec<Kill> {
    let of = |phase: &'static str, targets: &[&'static str], most_ms: u64, rng: &mut ChaCha8Rng| Kill {
        phase,
        target: targets.choose(rng).copied().unwrap(),
        delay: Duration::from_millis(rng.random_range(0..most_ms)),
    };
    let children = ["up", "router-0", "router-1", "predictor", "insights", "eventlog"];
    vec![
        of(PHASES[0], &["up", "eventlog", "router-0"], 50, rng),
        of(PHASES[1], &["up", "training"], 1_200, rng),
        of(PHASES[2], &["up", "training"], 60, rng),
        of(PHASES[3], &children, 3_000, rng),
        of(PHASES[4], &children, 3_000, rng),
        of(PHASES[5], &children, 300, rng),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_in_every_phase_change_nothing_in_the_end() {
    let seed = seed();
    let rounds: usize = std::env::var("ENDCAP_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    generate(&base, seed, 300, 200).unwrap();
    let up = Up::start(&base).await.unwrap();
    up.apply(policy(&json!({}))).await.unwrap();
    up.apply(model(&base, &json!({}))).await.unwrap();
    up.ready().await.unwrap();
    up.serves("shop-v1").await.unwrap();
    up.stop().await.unwrap();

    let wanted = run(&base, &folder.path().join("calm"), &[]).await;
    let ids: Vec<String> = (0..EVENTS).map(|number| format!("e-{number}")).collect();
    assert_eq!(wanted.events, ids);
    assert_eq!(wanted.active, "shop-v2");
    assert_eq!(wanted.trainings, 2, "v2 and v3, each once");
    println!("undisturbed: {:?}", wanted.history);

    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for round in 0..rounds {
        let kills = draw(&mut rng);
        println!("round {round}: {kills:?}");
        let end = run(&base, &folder.path().join(format!("round-{round}")), &kills).await;
        assert_eq!(end, wanted, "seed {seed}, round {round}, kills {kills:?}");
        for kill in kills {
            *counts.entry(kill.phase).or_default() += 1;
        }
    }
    println!("kills by phase: {counts:?}, {} in all; every run came to the same end", counts.values().sum::<u32>());
    assert!(PHASES.iter().all(|phase| counts.get(phase).is_some_and(|count| *count >= 2)));
}
