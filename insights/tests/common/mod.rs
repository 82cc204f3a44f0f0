//! A small artifact made by hand, a real event log, and our real program on real sockets.

#![allow(
    dead_code,
    clippy::zombie_processes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "shared by several test files"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use endcap_eventlog::Event;
use endcap_recommender::artifact::{ArtifactManifest, DatasetSummary, FORMAT, ObjectEntry};
use endcap_recommender::fitted::{Catalogue, CatalogueRow, Model};
use endcap_recommender::profile::{self, OrderFacts, Profile, Reference};
use endcap_serving::table::{KeyPair, Pack, Table, sign};
use serde_json::{Value, json};

/// Three products in two categories, and a reference of 1,000 orders.
pub async fn publish(folder: &Path) -> Pack {
    let row = |id: &str, name: &str, category: &str| CatalogueRow {
        id: id.to_owned(),
        name: name.to_owned(),
        category: Some(category.to_owned()),
        list_price: Some("2.50".parse().unwrap()),
        active: true,
        ..CatalogueRow::default()
    };
    let rows =
        vec![row("A", "Lunch Bag Red", "BAGS"), row("B", "Lunch Bag Blue", "BAGS"), row("C", "Paper Cup", "CUPS")];
    let model = Model { catalogue: Catalogue::build(rows, |id| Some(format!("All {id}"))), ..Model::default() };
    let uri = folder.to_str().unwrap().to_owned();
    let location = endcap_store::open(&uri).unwrap();
    let mut objects: Vec<(String, Vec<u8>)> =
        model.to_objects().unwrap().into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    let reference = json!({"quantiles": [0.5], profile::FIELD: reference()});
    objects.push(("reference".to_owned(), serde_json::to_vec(&reference).unwrap()));
    let mut entries = BTreeMap::new();
    for (name, bytes) in objects {
        let object = endcap_store::put(&location, bytes.into()).await.unwrap();
        entries.insert(name, ObjectEntry { sha256: object.sha256, bytes: object.bytes });
    }
    let manifest = ArtifactManifest {
        format: FORMAT.to_owned(),
        model: "m".to_owned(),
        model_uid: None,
        version: "m-v1".to_owned(),
        architecture: "Rules".to_owned(),
        seed: 1,
        hyperparameters: BTreeMap::new(),
        program: "by hand".to_owned(),
        cpu: "any".to_owned(),
        dataset: DatasetSummary {
            manifest_sha256: "0".repeat(64),
            rows: 0,
            orders: 1_000,
            customers: 0,
            products: 3,
            min_time: None,
            max_time: None,
        },
        metrics: Vec::new(),
        objects: entries,
    };
    let committed = endcap_store::commit(&location, manifest.to_json().into()).await.unwrap();
    Pack { uri, digest: committed.sha256 }
}

fn reference() -> Reference {
    let mut orders = Profile::default();
    for number in 0..1_000_i64 {
        let lines = (0..=number % 3).map(|line| (1.0 + line as f64, Some(2.5))).collect();
        orders.add(&OrderFacts { at_s: number * 5_000, has_customer: number % 10 != 0, lines });
    }
    let categories = BTreeMap::from([("BAGS".to_owned(), 1_500), ("CUPS".to_owned(), 500)]);
    Reference { format: profile::FORMAT.to_owned(), orders, categories, ..Reference::default() }
}

/// A table with an experiment of two even arms.
pub fn table(revision: u64, pack: Pack) -> Table {
    let mut table = Table::single("shop", "m", revision, "m-v1", Vec::new(), pack);
    let arm = |name: &str, version: &str, from: u16| json!({"name": name, "version": version, "ranges": [[from, from + 5_000]], "artifactDigest": "0".repeat(64)});
    let experiment = json!({"name": "exp", "salt": "s", "arms": [arm("old", "m-v1", 0), arm("new", "m-v2", 5_000)]});
    table.experiment = Some(serde_json::from_value(experiment).unwrap());
    table
}

pub fn signed(keys: &KeyPair, table: &Table) -> String {
    serde_json::to_string(&sign(table, &keys.signing).unwrap()).unwrap()
}

pub fn event(json: Value) -> Event {
    serde_json::from_value(json).unwrap()
}

/// A list, shown so many seconds after a fixed moment.
pub fn shown(id: &str, customer: Option<&str>, at: &str, arm: (&str, &str), products: &[&str]) -> Event {
    let items: Vec<Value> = products
        .iter()
        .zip(1..)
        .map(|(product, rank)| {
            json!({"product_id": product, "rank": rank, "kind": "popular", "score": 0.5, "propensity": 1.0})
        })
        .collect();
    let (arm, version) = arm;
    let experiment = if arm == "active" { Value::Null } else { json!("exp") };
    event(json!({"event_id": id, "type": "recommendation_shown", "at": at, "customer_id": customer, "request_id": id,
        "placement": "cart", "exposure": {"model": "m", "version": version, "arm": arm, "experiment": experiment, "items": items}}))
}

/// Our program, running. Killed when dropped.
pub struct Program {
    pub child: Child,
    pub ready: Value,
    stdin: Option<ChildStdin>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    pub fn start(data: &Path, eventlog: &str, keys: &KeyPair) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_endcap-insights"))
            .arg("--data")
            .arg(data)
            .args(["--eventlog", eventlog, "--public-key", &keys.public_hex(), "--keep-interval", "100ms"])
            .args(["--listen", "127.0.0.1:0", "--control-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"])
            .arg("--exit-with-stdin")
            .env("RUST_LOG", "warn")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no ready line: {line:?}"));
        assert_eq!((&ready["ready"], &ready["program"]), (&json!(true), &json!("endcap-insights")));
        let stdin = child.stdin.take();
        Self { child, ready, stdin }
    }

    fn address(&self, port: &str) -> &str {
        self.ready[port].as_str().unwrap()
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = call(self.address("listen"), "GET", path, "");
        (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}")))
    }

    pub fn ok(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub fn metrics(&self) -> String {
        call(self.address("metrics"), "GET", "/metrics", "").1
    }

    pub fn put_table(&self, envelope: &str) -> (u16, Value) {
        let (status, body) = call(self.address("control"), "PUT", "/control/table", envelope);
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Waits until its status is as wanted.
    pub fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let status = self.ok("/v1/status");
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{status}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes its standard input; it must end by itself and well.
    pub fn end(mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

fn call(address: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
