//! Followers: snapshot, then the tail; over restarts of the log and past what it forgot.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use endcap_eventlog::client::{EventSender, Follow, Follower, FollowerOptions, Spool, SpoolOptions};
use endcap_eventlog::service::{Options, Running, start};
use endcap_eventlog::{Event, EventOutcome, LiveState};
use serde_json::json;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

fn purchase(id: &str, product: &str) -> Event {
    serde_json::from_value(json!({"event_id": id, "type": "purchase", "customer_id": "c", "product_id": product}))
        .unwrap()
}

fn options(folder: &Path) -> Options {
    Options::on_loopback(folder.to_owned())
}

fn sender(running: &Running) -> EventSender {
    EventSender::new(&running.url(), Duration::from_secs(10)).unwrap()
}

async fn next(follow: &mut Receiver<Follow>) -> Follow {
    tokio::time::timeout(Duration::from_secs(20), follow.recv())
        .await
        .expect("nothing came")
        .expect("the follower ended")
}

/// Follows until the state has so many events.
async fn fold_to(follow: &mut Receiver<Follow>, live: &mut LiveState, offset: u64) {
    while live.next_offset() < offset {
        match next(follow).await {
            Follow::Snapshot { state, .. } => *live = *state,
            Follow::Updates { updates, .. } => updates.iter().for_each(|update| live.apply(update)),
            Follow::Away { .. } => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_purchase_is_seen_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(options(folder.path())).await.unwrap();
    let stop = CancellationToken::new();
    let mut follow = Follower::start(FollowerOptions::new(running.url()), stop.clone()).unwrap();
    assert!(matches!(next(&mut follow).await, Follow::Snapshot { .. }));
    assert!(matches!(next(&mut follow).await, Follow::Updates { caught_up: true, next: 0, .. }));
    let sender = sender(&running);
    let mut live = LiveState::default();
    let mut slowest = Duration::ZERO;
    for number in 0..20_u64 {
        let answer = sender.send(&[purchase(&format!("e{number}"), "A")]).await.unwrap();
        assert_eq!(answer.results, [EventOutcome::Accepted { event_id: format!("e{number}"), offset: number }]);
        let accepted = Instant::now();
        fold_to(&mut follow, &mut live, number + 1).await;
        slowest = slowest.max(accepted.elapsed());
        assert_eq!(live.customer("c").unwrap().orders.len() as u64, number + 1);
    }
    println!("slowest from acknowledgement to follower: {slowest:?}");
    // The assertion is the promise of a second; the number above is what to look at.
    assert!(slowest < Duration::from_secs(1));
    stop.cancel();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_goes_on_over_a_restart_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(options(folder.path())).await.unwrap();
    let listen: SocketAddr = running.listen;
    let mut follow = Follower::start(FollowerOptions::new(running.url()), CancellationToken::new()).unwrap();
    sender(&running).send(&[purchase("e0", "A")]).await.unwrap();
    let mut live = LiveState::default();
    fold_to(&mut follow, &mut live, 1).await;
    running.stop().await;
    loop {
        if let Follow::Away { why } = next(&mut follow).await {
            assert!(why.contains(&listen.to_string()), "{why}");
            break;
        }
    }
    let again = Options { listen, ..options(folder.path()) };
    let running = start(again).await.unwrap();
    let answer = sender(&running).send(&[purchase("e0", "A"), purchase("e1", "B")]).await.unwrap();
    assert_eq!((answer.accepted, answer.duplicates), (1, 1));
    fold_to(&mut follow, &mut live, 2).await;
    assert_eq!(live.customer("c").unwrap().orders.len(), 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_takes_a_snapshot_when_the_log_forgot_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(options(folder.path())).await.unwrap();
    let listen = running.listen;
    let mut follow = Follower::start(FollowerOptions::new(running.url()), CancellationToken::new()).unwrap();
    let mut live = LiveState::default();
    sender(&running).send(&[purchase("e0", "A")]).await.unwrap();
    fold_to(&mut follow, &mut live, 1).await;
    running.stop().await;
    // While the follower waits, another log takes the place of this one, with other offsets.
    let other = tempfile::tempdir().unwrap();
    let running = start(Options { listen, ..options(other.path()) }).await.unwrap();
    sender(&running).send(&[purchase("x0", "X"), purchase("x1", "Y")]).await.unwrap();
    loop {
        match next(&mut follow).await {
            Follow::Snapshot { state, .. } => {
                live = *state;
                break;
            }
            Follow::Updates { updates, .. } => assert!(updates.is_empty(), "{updates:?}"),
            Follow::Away { .. } => {}
        }
    }
    fold_to(&mut follow, &mut live, 2).await;
    let bought: Vec<&str> = live.customer("c").unwrap().orders.iter().map(|order| order.lines[0].0.as_str()).collect();
    assert_eq!(bought, ["X", "Y"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_baseline_is_where_an_empty_log_starts_and_a_restart_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let baseline = folder.path().join("baseline.json");
    std::fs::write(
        &baseline,
        r#"{"customers":{"c":{"orders":[{"at_s":1,"lines":[["A",2.0]]}]}},
        "shelf":{"stock":{"A":{"on_hand":7,"as_of":"2020-01-01T00:00:00Z"}}}}"#,
    )
    .unwrap();
    let data = folder.path().join("log");
    let running = start(Options { baseline: Some(baseline), ..options(&data) }).await.unwrap();
    running.stop().await;
    // Without --baseline from now on.
    let running = start(options(&data)).await.unwrap();
    sender(&running).send(&[purchase("e0", "A")]).await.unwrap();
    let mut follow = Follower::start(FollowerOptions::new(running.url()), CancellationToken::new()).unwrap();
    let mut live = LiveState::default();
    fold_to(&mut follow, &mut live, 1).await;
    assert_eq!(live.customer("c").unwrap().orders.len(), 2);
    assert_eq!(live.shelf().stock["A"].on_hand, 6.into());
    running.stop().await;

    // A lost snapshot is not passed over in silence, and can be rebuilt.
    std::fs::remove_file(data.join("state.snapshot")).unwrap();
    let error = start(options(&data)).await.err().unwrap().to_string();
    assert!(error.contains("state.snapshot") && error.contains("--rebuild-state"), "{error}");
    let running = start(Options { rebuild_state: true, ..options(&data) }).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_events_that_are_missing_behind_the_snapshot_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(options(folder.path())).await.unwrap();
    for number in 0..3 {
        sender(&running).send(&[purchase(&format!("e{number}"), "A")]).await.unwrap();
    }
    running.stop().await;
    // One bit of the last group: it looks like a torn one, but the snapshot knows better.
    let segment = folder.path().join("00000000000000000000.segment");
    let mut bytes = std::fs::read(&segment).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let error = start(options(folder.path())).await.err().unwrap().to_string();
    assert!(error.contains("acknowledged events are missing"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spool_keeps_events_while_the_log_is_away_and_counts_what_it_drops() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(options(folder.path())).await.unwrap();
    let listen = running.listen;
    let sender = sender(&running);
    running.stop().await;
    let stop = CancellationToken::new();
    let (spool, task) =
        Spool::start(sender, SpoolOptions { capacity: 50, batch: 10, ..SpoolOptions::default() }, stop.clone());
    let taken = (0..100).filter(|number| spool.offer(purchase(&format!("e{number}"), "A"))).count() as u64;
    assert!((50..=60).contains(&taken), "{taken}");
    assert_eq!(spool.counts().dropped, 100 - taken);
    let running = start(Options { listen, ..options(folder.path()) }).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while spool.counts().sent < taken {
        assert!(Instant::now() < deadline, "{:?}", spool.counts());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(spool.counts().waiting, 0);
    stop.cancel();
    task.await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_is_handed_on_with_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(options(folder.path())).await.unwrap();
    let sender = sender(&running);
    let batch = r#"[{"event_id":"a","type":"search","session_id":"s"},{"event_id":"b"},{"event_id":"a","type":"search","session_id":"s"}]"#;
    let answer = sender.forward(batch.into(), None).await.unwrap();
    assert_eq!(answer.status, 200);
    let answer: endcap_eventlog::EventsResponse = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.accepted, answer.rejected, answer.duplicates), (1, 1, 1));
    assert!(matches!(&answer.results[1], EventOutcome::Rejected { index: 1, pointer, .. } if pointer == "/type"));

    for (body, status, kind) in [("nonsense", 400, "not-json"), ("", 400, "not-json")] {
        let answer = sender.forward(body.into(), None).await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), answer.content_type.as_deref()),
            (status, Some("application/problem+json"))
        );
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(problem["type"].as_str().unwrap().ends_with(kind), "{problem}");
        assert_eq!(problem["status"], status);
    }
    let large = vec![b' '; 9 * 1024 * 1024];
    match sender.forward(large.into(), None).await {
        Ok(answer) => assert_eq!(answer.status, 413),
        // The log answers before it has read everything, and the connection may go with it.
        Err(error) => println!("the connection went: {error}"),
    }
    running.stop().await;
}
