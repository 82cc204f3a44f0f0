//! The export of the real program: killed, asked, without its store, over S3. Every acknowledged event is in it exactly once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use endcap_eventlog::client::EventSender;
use endcap_eventlog::export::{Content, Export};
use endcap_eventlog::service::{Options, start};
use endcap_eventlog::{Event, EventOutcome};
use futures::TryStreamExt;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// `ENDCAP_TEST_SEED`, else one drawn anew; printed, so that a failure can be repeated.
fn seed() -> u64 {
    let given = std::env::var("ENDCAP_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!("ENDCAP_TEST_SEED={seed}");
    seed
}

struct Program {
    child: Child,
    url: String,
    metrics: String,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(data: &Path, export: &str) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_endcap-eventlog"));
    command.arg("--data").arg(data).args(["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
    command.args(["--export", export, "--export-interval", "1s", "--exit-with-stdin"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).env("RUST_LOG", "error");
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no ready line: {line:?}"));
    let url = format!("http://{}", ready["listen"].as_str().unwrap());
    Program { child, url, metrics: ready["metrics"].as_str().unwrap().to_owned() }
}

/// Status and body of a request without a body.
async fn ask(method: &str, addr: &str, path: &str) -> Result<(u16, String), std::io::Error> {
    let mut stream = tokio::net::TcpStream::connect(addr).await?;
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other("cut off"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, body.to_owned()))
}

fn event(id: &str, day: u64) -> Event {
    let at = format!("2026-02-{:02}T10:00:00Z", 1 + day % 4);
    serde_json::from_value(json!({"event_id": id, "type": "purchase", "customer_id": "c", "at": at,
        "lines": [{"product_id": "a", "quantity": 2, "unit_price": "1.50"}]}))
    .unwrap()
}

/// Ids by offset, as committed.
async fn exported(uri: &str) -> BTreeMap<u64, String> {
    let export = Export::open(endcap_store::open(uri).unwrap()).await.unwrap();
    let ranges: Vec<_> = export.read(0..u64::MAX).try_collect().await.unwrap();
    let mut ids = BTreeMap::new();
    for exported in ranges.into_iter().flat_map(|range| range.events) {
        let Content::Event(event) = exported.content else { panic!("unreadable") };
        assert!(ids.insert(exported.offset, event.event_id).is_none(), "twice");
    }
    ids
}

/// Sends events and asks for exports while the program is killed again and again.
async fn killed_again_and_again(uri: &str, rounds: u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(seed());
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    let mut number = 0;
    for round in 0..rounds {
        let mut program = run(folder.path(), uri);
        let sender = EventSender::new(&program.url, Duration::from_secs(5)).unwrap();
        let metrics = program.metrics.clone();
        let asking = tokio::spawn(async move { while ask("POST", &metrics, "/v1/export").await.is_ok() {} });
        let killed_after = Duration::from_millis(random.random_range(20..400));
        let sending = async {
            loop {
                let batch: Vec<Event> = (0..20).map(|line| event(&format!("r{round}-{number}-{line}"), line)).collect();
                number += 1;
                let Ok(answer) = sender.send(&batch).await else { continue };
                for outcome in answer.results {
                    let EventOutcome::Accepted { event_id, offset } = outcome else { panic!("{outcome:?}") };
                    acknowledged.insert(offset, event_id);
                }
            }
        };
        let _ = tokio::time::timeout(killed_after, sending).await;
        program.child.kill().unwrap();
        program.child.wait().unwrap();
        asking.await.unwrap();
    }
    let program = run(folder.path(), uri);
    let (status, body) = ask("POST", &program.metrics, "/v1/export").await.unwrap();
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    let found = exported(uri).await;
    assert_eq!(answer["exported_offset"], answer["next_offset"]);
    assert_eq!(found.len() as u64, answer["exported_offset"].as_u64().unwrap(), "every offset once");
    for (offset, id) in &acknowledged {
        assert_eq!(found.get(offset), Some(id), "offset {offset}");
    }
    println!("{} events acknowledged, {} exported, {rounds} kills", acknowledged.len(), found.len());
    assert!(acknowledged.len() > 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_the_committed_files_hold_every_event_once() {
    let folder = tempfile::tempdir().unwrap();
    killed_again_and_again(&format!("file://{}/export", folder.path().display()), 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_over_s3() {
    if std::env::var("ENDCAP_TEST_S3_ENDPOINT").is_err() {
        println!("SKIPPED: ENDCAP_TEST_S3_ENDPOINT is not set; `make test` starts a store and sets it");
        return;
    }
    let bucket = std::env::var("ENDCAP_TEST_S3_BUCKET").expect("ENDCAP_TEST_S3_BUCKET names a bucket of the store");
    killed_again_and_again(&format!("s3://{bucket}/events/{}", rand::random::<u32>()), 5).await;
}

fn options(data: &Path, export: &Path) -> Options {
    let mut options = Options::on_loopback(data.to_owned());
    options.export = Some(export.display().to_string());
    options
}

fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(&format!("endcap_eventlog_{name} ")));
    line.and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or_else(|| panic!("{name} in {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_holds_up_nothing_and_is_caught_up_with() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder should be: nothing can be written below it.
    let store = folder.path().join("store");
    std::fs::write(&store, "in the way").unwrap();
    let export = store.join("export");
    let running = start(options(&folder.path().join("log"), &export)).await.unwrap();
    let sender = EventSender::new(&running.url(), Duration::from_secs(10)).unwrap();
    let batch: Vec<Event> = (0..50).map(|line| event(&format!("e{line}"), line)).collect();
    assert_eq!(sender.send(&batch).await.unwrap().accepted, 50);
    let metrics = running.metrics_listen.to_string();
    let (status, body) = ask("POST", &metrics, "/v1/export").await.unwrap();
    assert!(status == 503 && body.contains("store/export/_export.json"), "{status} {body}");
    let (_, text) = ask("GET", &metrics, "/metrics").await.unwrap();
    assert!(metric(&text, "export_failures_total") >= 1.0);
    let lag = metric(&text, "export_lag_events");
    assert!((lag - 50.0).abs() < 0.5, "{lag}");

    std::fs::remove_file(&store).unwrap();
    let (status, body) = ask("POST", &metrics, "/v1/export").await.unwrap();
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&answer["exported_offset"], &answer["trouble"]), (&json!(50), &Value::Null));
    assert_eq!(exported(export.to_str().unwrap()).await.len(), 50);
    // What is left when the program ends is exported then.
    sender.send(&[event("last", 0)]).await.unwrap();
    running.stop().await;
    assert_eq!(exported(export.to_str().unwrap()).await.get(&50).map(String::as_str), Some("last"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_not_asked_for_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(Options::on_loopback(folder.path().to_owned())).await.unwrap();
    let (status, body) = ask("POST", &running.metrics_listen.to_string(), "/v1/export").await.unwrap();
    assert!(status == 404 && body.contains("--export URI"), "{status} {body}");
    running.stop().await;
    let mut wrong = Options::on_loopback(folder.path().to_owned());
    wrong.export = Some("ftp://somewhere".to_owned());
    let error = start(wrong).await.err().unwrap().to_string();
    assert!(error.contains("--export") && error.contains("s3://bucket/prefix"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_waits_for_the_export_and_no_longer_than_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    std::fs::write(&store, "in the way").unwrap();
    let mut options = options(&folder.path().join("log"), &store.join("export"));
    options.retention = Duration::from_secs(1);
    options.dedup_age = Duration::from_secs(1);
    options.snapshot_interval = Duration::from_millis(300);
    options.segment_bytes = 1_000;
    options.export_hold = Duration::from_secs(6);
    let running = start(options).await.unwrap();
    let sender = EventSender::new(&running.url(), Duration::from_secs(10)).unwrap();
    let began = std::time::Instant::now();
    let mut sent = 0;
    let first = |text: &str| metric(text, "first_offset");
    let mut held = false;
    loop {
        sender.send(&[event(&format!("e{sent}"), 0)]).await.unwrap();
        sent += 1;
        let (_, text) = ask("GET", &running.metrics_listen.to_string(), "/metrics").await.unwrap();
        let removed = first(&text) > 0.0;
        held |= !removed && began.elapsed() > Duration::from_secs(3);
        if removed {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "never removed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(held, "events were removed before the hold was over");
    std::fs::remove_file(&store).unwrap();
    let (status, body) = ask("POST", &running.metrics_listen.to_string(), "/v1/export").await.unwrap();
    assert_eq!(status, 200, "{body}");
    let (_, text) = ask("GET", &running.metrics_listen.to_string(), "/metrics").await.unwrap();
    // The store never held anything: its first event is the oldest that is left.
    assert!(exported(store.join("export").to_str().unwrap()).await.len() < sent);
    assert!(metric(&text, "export_lag_events") < 0.5);
    running.stop().await;
}
