//! The real program: killed, in the way of another one, without room, without the one that started it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use endcap_eventlog::client::{ClientError, EventSender};
use endcap_eventlog::log::{self, LogConfig};
use endcap_eventlog::{Event, EventOutcome};
use serde_json::{Value, json};

struct Program {
    child: Child,
    url: String,
    stdin: Option<ChildStdin>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(data: &Path, listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_endcap-eventlog"));
    command.arg("--data").arg(data).args(["--listen", listen, "--metrics-listen", "127.0.0.1:0", "--exit-with-stdin"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("RUST_LOG", "error");
    command
}

fn run(data: &Path) -> Program {
    let mut child = command(data, "127.0.0.1:0").stderr(Stdio::inherit()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no ready line: {line:?}"));
    assert_eq!((&ready["ready"], &ready["program"]), (&json!(true), &json!("endcap-eventlog")));
    assert!(ready["metrics"].as_str().unwrap().starts_with("127.0.0.1:"));
    let stdin = child.stdin.take();
    Program { child, url: format!("http://{}", ready["listen"].as_str().unwrap()), stdin }
}

/// Ends by itself with an error; returns what it said.
fn fails(mut command: Command) -> String {
    let mut child = command.spawn().unwrap();
    let _stdin = child.stdin.take();
    let status = child.wait().unwrap();
    assert!(!status.success());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    said
}

fn search(id: &str, text: &str) -> Event {
    serde_json::from_value(json!({"event_id": id, "type": "search", "session_id": "s", "context": {"query": text}}))
        .unwrap()
}

/// Sends until told to stop; notes what was acknowledged, tries again what was not.
async fn client(
    name: u64,
    url: Arc<Mutex<String>>,
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<HashMap<String, Option<u64>>>>,
) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let batch: Vec<Event> = (0..3).map(|line| search(&format!("c{name}-{number}-{line}"), "lunch bag")).collect();
        loop {
            let at = url.lock().unwrap().clone();
            let sent = EventSender::new(&at, Duration::from_secs(5)).unwrap().send(&batch).await;
            if let Ok(answer) = sent {
                let mut acknowledged = acknowledged.lock().unwrap();
                for outcome in answer.results {
                    match outcome {
                        EventOutcome::Accepted { event_id, offset } => {
                            let before = acknowledged.insert(event_id.clone(), Some(offset));
                            assert!(before.is_none(), "{event_id} was accepted twice");
                        }
                        // Stored by the try whose answer was lost.
                        EventOutcome::Duplicate { event_id } => {
                            acknowledged.entry(event_id).or_insert(None);
                        }
                        EventOutcome::Rejected { detail, .. } => panic!("{detail}"),
                    }
                }
                count.fetch_add(3, Ordering::Relaxed);
                break;
            }
            if stop.load(Ordering::Relaxed) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        number += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_program_loses_nothing_that_it_acknowledged_and_stores_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let acknowledged = Arc::new(Mutex::new(HashMap::new()));
    let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut program = run(folder.path());
    let url = Arc::new(Mutex::new(program.url.clone()));
    let clients: Vec<_> = (0..4)
        .map(|name| {
            tokio::spawn(client(
                name,
                Arc::clone(&url),
                Arc::clone(&count),
                Arc::clone(&stop),
                Arc::clone(&acknowledged),
            ))
        })
        .collect();
    for round in 1..=4 {
        // Killed in the midst of work, not in a pause.
        let until = count.load(Ordering::Relaxed) + 60 * round;
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while count.load(Ordering::Relaxed) < until {
            assert!(std::time::Instant::now() < deadline, "no progress");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        program.child.kill().unwrap();
        program.child.wait().unwrap();
        program = run(folder.path());
        url.lock().unwrap().clone_from(&program.url);
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    drop(program);
    let (opened, _) = log::open(folder.path(), LogConfig::default(), 0).unwrap();
    let mut places: HashMap<String, u64> = HashMap::new();
    let mut from = 0;
    while from < opened.reader.next() {
        for stored in opened.reader.read(from, 1_000, usize::MAX).unwrap() {
            let event: Event = serde_json::from_slice(&stored.json).unwrap();
            assert!(
                places.insert(event.event_id.clone(), stored.offset).is_none(),
                "{} is there twice",
                event.event_id
            );
            from = stored.offset + 1;
        }
    }
    let acknowledged = acknowledged.lock().unwrap();
    for (id, offset) in acknowledged.iter() {
        let place = places.get(id).unwrap_or_else(|| panic!("{id} was acknowledged and is gone"));
        assert!(offset.is_none_or(|offset| offset == *place));
    }
    println!("{} events acknowledged over 4 kills", acknowledged.len());
    assert!(acknowledged.len() > 500);
}

#[test]
fn a_taken_port_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = holder.local_addr().unwrap().to_string();
    let said = fails(command(folder.path(), &addr));
    assert!(said.contains(&addr) && said.contains("--listen") && said.contains("another program"), "{said}");
}

#[test]
fn a_held_folder_is_named_with_its_holder() {
    let folder = tempfile::tempdir().unwrap();
    let program = run(folder.path());
    let said = fails(command(folder.path(), "127.0.0.1:0"));
    assert!(said.contains(&format!("process {}", program.child.id())), "{said}");
    assert!(said.contains(folder.path().to_str().unwrap()), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_its_standard_input_and_keeps_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = run(folder.path());
    let sender = EventSender::new(&program.url, Duration::from_secs(10)).unwrap();
    sender.send(&[search("e", "x")]).await.unwrap();
    drop(program.stdin.take());
    assert!(program.child.wait().unwrap().success());
    let snapshot = std::fs::File::open(folder.path().join("state.snapshot")).unwrap();
    let (head, _) = endcap_eventlog::live::read_snapshot(snapshot, None).unwrap();
    assert_eq!(head.next_offset, 1);
}

#[test]
fn it_ends_cleanly_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = run(folder.path());
    let sent = Command::new("kill").args(["-TERM", &program.child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert!(program.child.wait().unwrap().success());
}

/// A file system of 1 MiB, where this may be mounted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_refused_with_retry_after_and_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: a file system cannot be mounted here (the fault disk tests the same without one)");
        return;
    };
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![0; 400 * 1024]).unwrap();
    let program = run(&disk.0.path().join("log"));
    let sender = EventSender::new(&program.url, Duration::from_secs(10)).unwrap();
    let text = "x".repeat(2_000);
    let mut accepted = 0_u64;
    let refused = loop {
        let batch: Vec<Event> = (0..20).map(|line| search(&format!("e{accepted}-{line}"), &text)).collect();
        match sender.send(&batch).await {
            Ok(answer) => accepted += answer.accepted as u64,
            Err(error) => break error,
        }
        assert!(accepted < 10_000, "the disk never filled");
    };
    match &refused {
        ClientError::Refused { status, detail, retry_after } => {
            assert_eq!(status.as_u16(), 503);
            assert!(detail.contains("No space left") && detail.contains("segment"), "{detail}");
            assert!(retry_after.is_some());
        }
        other => panic!("{other}"),
    }
    // Reading goes on.
    let mut follow = endcap_eventlog::client::Follower::start(
        endcap_eventlog::client::FollowerOptions::new(&program.url),
        tokio_util::sync::CancellationToken::new(),
    )
    .unwrap();
    let mut seen = 0;
    while seen < accepted {
        let told = tokio::time::timeout(Duration::from_secs(20), follow.recv()).await.unwrap().unwrap();
        if let endcap_eventlog::client::Follow::Updates { next, .. } = told {
            seen = next;
        }
    }
    // And so does writing, once there is room, from where it stood.
    std::fs::remove_file(&ballast).unwrap();
    let answer = sender.send(&[search("after", "x")]).await.unwrap();
    assert_eq!(answer.results, [EventOutcome::Accepted { event_id: "after".to_owned(), offset: accepted }]);
    println!("{accepted} events fitted");
}
