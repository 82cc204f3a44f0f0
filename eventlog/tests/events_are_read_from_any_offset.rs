//! Readers that fold events themselves: from the beginning, from a place of their own, and when that place is gone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use endcap_eventlog::Event;
use endcap_eventlog::client::{EventSender, EventTail, FollowerOptions, Tail, TailPlace};
use endcap_eventlog::service::{Options, Running, start};
use serde_json::json;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

fn shown(id: &str) -> Event {
    serde_json::from_value(json!({"event_id": id, "type": "recommendation_shown", "customer_id": "c", "request_id": id,
        "exposure": {"model": "m", "version": "m-v1", "items": [
            {"product_id": "A", "rank": 1, "kind": "popular", "score": 0.5, "propensity": 1.0}]}}))
    .unwrap()
}

async fn send(running: &Running, ids: &[&str]) {
    let sender = EventSender::new(&running.url(), Duration::from_secs(10)).unwrap();
    let events: Vec<Event> = ids.iter().map(|id| shown(id)).collect();
    assert_eq!(sender.send(&events).await.unwrap().accepted, ids.len());
}

async fn next(tail: &mut Receiver<Tail>) -> Tail {
    tokio::time::timeout(Duration::from_secs(20), tail.recv()).await.expect("nothing came").expect("the reader ended")
}

/// The place it began at, and the ids up to the log's end.
async fn to_the_end(tail: &mut Receiver<Tail>) -> (TailPlace, Vec<String>) {
    let Tail::Begin(place) = next(tail).await else { panic!("no beginning") };
    let mut ids = Vec::new();
    loop {
        if let Tail::Updates { updates, caught_up, .. } = next(tail).await {
            assert!(updates.iter().all(|update| update.event.exposure.is_some()));
            ids.extend(updates.into_iter().map(|update| update.event.event_id));
            if caught_up {
                return (place, ids);
            }
        }
    }
}

fn read(running: &Running, from: Option<TailPlace>) -> Receiver<Tail> {
    EventTail::start(FollowerOptions::new(running.url()), from, CancellationToken::new()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn exposures_come_whole_from_the_beginning_and_from_any_offset() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(Options::on_loopback(folder.path().to_owned())).await.unwrap();
    send(&running, &["a", "b", "c"]).await;
    let mut tail = read(&running, None);
    let (place, ids) = to_the_end(&mut tail).await;
    assert_eq!((place.next, ids), (0, vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
    let from = TailPlace { next: 2, ..place.clone() };
    let mut again = read(&running, Some(from.clone()));
    assert_eq!(to_the_end(&mut again).await, (from, vec!["c".to_owned()]));
    send(&running, &["d"]).await;
    for tail in [&mut tail, &mut again] {
        let Tail::Updates { updates, next, .. } = next(tail).await else { panic!("no news") };
        assert_eq!((updates.len(), next), (1, 4));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_not_in_the_log_begins_at_its_oldest_event() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(Options::on_loopback(folder.path().to_owned())).await.unwrap();
    send(&running, &["a"]).await;
    let (place, _) = to_the_end(&mut read(&running, None)).await;
    let beyond = TailPlace { next: 9, ..place.clone() };
    let elsewhere = TailPlace { log_id: "another".to_owned(), next: 1 };
    for from in [beyond, elsewhere] {
        let (begun, ids) = to_the_end(&mut read(&running, Some(from))).await;
        assert_eq!((begun, ids), (place.clone(), vec!["a".to_owned()]));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_told_when_another_log_takes_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(Options::on_loopback(folder.path().to_owned())).await.unwrap();
    send(&running, &["a", "b"]).await;
    let listen = running.listen;
    let mut tail = read(&running, None);
    let (place, _) = to_the_end(&mut tail).await;
    running.stop().await;
    let other = tempfile::tempdir().unwrap();
    let running = start(Options { listen, ..Options::on_loopback(other.path().to_owned()) }).await.unwrap();
    send(&running, &["x"]).await;
    loop {
        match next(&mut tail).await {
            Tail::Begin(begun) => {
                assert_ne!(begun.log_id, place.log_id);
                assert_eq!(begun.next, 0);
                break;
            }
            Tail::Updates { updates, .. } => assert!(updates.is_empty(), "{updates:?}"),
            Tail::Away { .. } => {}
        }
    }
    let Tail::Updates { updates, .. } = next(&mut tail).await else { panic!("no news") };
    assert_eq!(updates.first().unwrap().event.event_id, "x");
    running.stop().await;
}
