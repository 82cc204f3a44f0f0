//! A small artifact made by hand, and our real programs as real processes on real sockets.

#![allow(
    dead_code,
    clippy::zombie_processes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "shared by several test files"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use endcap_eventlog::service::{self, Options, Running};
use endcap_recommender::artifact::{ArtifactManifest, DatasetSummary, FORMAT, ObjectEntry};
use endcap_recommender::fitted::{
    Associations, Catalogue, CatalogueRow, Habits, Model, Neighbour, PACK_PREFIX, Popularity, Repeat, Rows,
};
use endcap_serving::table::{KeyPair, Pack, Table, sign};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

pub const PRODUCTS: usize = 60;

pub fn product(number: usize) -> String {
    format!("P{number:03}")
}

/// Sixty products in six categories; each goes with its two neighbours, and lower numbers are more popular.
pub fn model() -> Model {
    let rows = (0..PRODUCTS).map(|number| CatalogueRow {
        id: product(number),
        name: format!("Product {number}"),
        category: Some(format!("C{}", number % 3)),
        subcategory: Some(format!("S{}", number % 6)),
        brand: Some(format!("B{}", number % 4)),
        list_price: Some(rust_decimal::Decimal::new(100 + 10 * number as i64, 2)),
        active: true,
        ..CatalogueRow::default()
    });
    let catalogue = Catalogue::build(rows.collect(), |_| None);
    let n = PRODUCTS as u32;
    let neighbours = (0..n).map(|at| {
        let mut row: Vec<Neighbour> = [(at + 1) % n, (at + n - 1) % n, (at + 7) % n]
            .into_iter()
            .map(|product| Neighbour { product, both: 200, expected: 20.0 })
            .collect();
        row.sort_by_key(|entry| entry.product);
        row
    });
    let share: Vec<f32> = (0..n).map(|at| 0.5 / (at + 2) as f32).collect();
    let popularity = Popularity {
        recent: share.clone(),
        share,
        season: vec![1.0; 12 * catalogue.category_ids.len()],
        top: (0..n).collect(),
        ..Popularity::default()
    };
    let each = |value: f32| vec![value; PRODUCTS];
    Model {
        associations: Associations {
            orders: 1_000,
            item_orders: vec![500; PRODUCTS],
            neighbours: Rows::from_rows(neighbours),
        },
        popularity: popularity.indexed(),
        repeat: Repeat { interval_days: each(30.0), repeat_rate: each(0.3), repeats: vec![50; PRODUCTS] },
        habits: Habits {
            reach: None,
            quantity_p50: each(2.0),
            quantity_p75: each(4.0),
            quantity_p90: each(8.0),
            breaks: Rows::from_rows((0..PRODUCTS).map(|_| Vec::new())),
            better: Rows::from_rows((0..PRODUCTS).map(|_| Vec::new())),
        },
        catalogue,
        ..Model::default()
    }
}

#[derive(Clone, Debug)]
pub struct Artifact {
    pub uri: String,
    pub digest: String,
    pub version: String,
    pub manifest: ArtifactManifest,
}

/// Publishes the model as `giftshop-v<number>` below `folder`.
pub async fn publish(folder: &Path, number: u32) -> Artifact {
    let version = format!("giftshop-v{number}");
    let place = folder.join(&version);
    std::fs::create_dir_all(&place).unwrap();
    let uri = place.to_str().unwrap().to_owned();
    let location = endcap_store::open(&uri).unwrap();
    let whole = model();
    let mut objects = BTreeMap::new();
    for (prefix, part) in [("", &whole), (PACK_PREFIX, &whole.pack(40, 10))] {
        for (name, bytes) in part.to_objects().unwrap() {
            let object = endcap_store::put(&location, bytes.into()).await.unwrap();
            objects.insert(format!("{prefix}{name}"), ObjectEntry { sha256: object.sha256, bytes: object.bytes });
        }
    }
    let manifest = ArtifactManifest {
        format: FORMAT.to_owned(),
        model: "giftshop".to_owned(),
        model_uid: None,
        version: version.clone(),
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
            products: PRODUCTS as u64,
            min_time: None,
            max_time: None,
        },
        metrics: Vec::new(),
        objects,
    };
    let committed = endcap_store::commit(&location, manifest.to_json().into()).await.unwrap();
    Artifact { uri, digest: committed.sha256, version, manifest }
}

/// One of our programs, running. Killed when dropped.
pub struct Program {
    child: Child,
    pub ready: Value,
    stderr: PathBuf,
}

const PATIENCE: Duration = Duration::from_secs(30);

fn command(program: &str, args: &[String], stderr: &Path) -> Command {
    let path = match program {
        "endcap-router" => env!("CARGO_BIN_EXE_endcap-router"),
        "endcap-predictor" => env!("CARGO_BIN_EXE_endcap-predictor"),
        other => panic!("no program {other}"),
    };
    let mut command = Command::new(path);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(std::fs::File::create(stderr).unwrap());
    command
}

impl Program {
    /// Starts it and waits for the first line that `wanted` accepts.
    pub fn start_until(folder: &Path, program: &str, args: &[String], wanted: impl Fn(&Value) -> bool) -> Self {
        let stderr = folder.join(format!("{program}-{}.log", uuid::Uuid::now_v7()));
        let mut child = command(program, args, &stderr).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (send, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
                let _ = child.kill();
                panic!(
                    "{program} {args:?} is not ready; it said:\n{}",
                    std::fs::read_to_string(&stderr).unwrap_or_default()
                );
            };
            let line: Value = serde_json::from_str(&line).unwrap();
            if wanted(&line) {
                return Self { child, ready: line, stderr };
            }
        }
    }

    pub fn start(folder: &Path, program: &str, args: &[String]) -> Self {
        Self::start_until(folder, program, args, |line| line.get("ready") == Some(&Value::Bool(true)))
    }

    pub fn addr(&self, name: &str) -> String {
        self.ready.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name} in {}", self.ready)).to_owned()
    }

    pub fn url(&self, name: &str) -> String {
        format!("http://{}", self.addr(name))
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        // On a busy machine a thread may still answer for a while before it stops.
        let deadline = Instant::now() + PATIENCE;
        while name == "STOP" && !self.is_stopped() {
            assert!(Instant::now() < deadline, "it does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        threads.flatten().all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, fields)| fields.starts_with('T'))
        })
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end; it said:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it to end and waits.
    pub fn stop(mut self) -> std::process::ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- {} said:\n{}", self.ready, self.said());
        }
    }
}

/// Runs a program that must end by itself with an error; returns its exit code and what it said.
pub fn must_fail(folder: &Path, program: &str, args: &[String]) -> (i32, String) {
    let stderr = folder.join(format!("{program}-{}.log", uuid::Uuid::now_v7()));
    let child = command(program, args, &stderr).spawn().unwrap();
    let mut program = Program { child, ready: Value::Null, stderr };
    let status = program.wait();
    assert!(!status.success());
    (status.code().unwrap(), program.said())
}

pub fn args(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

const ANY: &str = "127.0.0.1:0";

/// A predictor of an artifact. `more`: further options.
pub fn predictor(folder: &Path, artifact: &Artifact, more: &[&str]) -> Program {
    predictor_at(folder, artifact, ANY, more)
}

pub fn predictor_at(folder: &Path, artifact: &Artifact, listen: &str, more: &[&str]) -> Program {
    let mut all = args(&["--artifact", &artifact.uri, "--digest", &artifact.digest, "--threads", "2"]);
    all.extend(args(&["--listen", listen, "--metrics-listen", ANY]));
    all.extend(args(more));
    Program::start(folder, "endcap-predictor", &all)
}

/// A router's options without its table.
pub fn router_args(keys: &KeyPair, more: &[&str]) -> Vec<String> {
    let mut all =
        args(&["--public-key", &keys.public_hex(), "--listen", ANY, "--control-listen", ANY, "--metrics-listen", ANY]);
    all.extend(args(more));
    all
}

/// A router that starts with a table.
pub fn router(folder: &Path, keys: &KeyPair, table: &Table, more: &[&str]) -> Program {
    let file = folder.join(format!("table-{}.json", uuid::Uuid::now_v7()));
    write_table(&file, keys, table);
    let mut all = router_args(keys, more);
    all.extend(args(&["--table", file.to_str().unwrap()]));
    Program::start(folder, "endcap-router", &all)
}

pub fn write_table(file: &Path, keys: &KeyPair, table: &Table) {
    std::fs::write(file, serde_json::to_vec(&sign(table, &keys.signing).unwrap()).unwrap()).unwrap();
}

pub fn table(revision: u64, artifact: &Artifact, endpoints: &[String]) -> Table {
    let pack = Pack { uri: artifact.uri.clone(), digest: artifact.digest.clone() };
    let mut table = Table::single("default", "giftshop", revision, &artifact.version, endpoints.to_vec(), pack);
    // Room for a busy machine: what is tested is who answers, not how fast.
    table.request_timeout_ms = 2_000;
    table
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn products(&self) -> Vec<String> {
        assert_eq!(self.status, 200, "{:?}", self.body);
        let json = self.json();
        let items = json["items"].as_array().unwrap();
        items.iter().map(|item| item["product_id"].as_str().unwrap().to_owned()).collect()
    }

    pub fn is_degraded(&self) -> bool {
        !self.json()["degraded"].is_null()
    }
}

#[derive(Clone)]
pub struct Web {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Web {
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    pub async fn try_call(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Reply, String> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).unwrap();
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| format!("{error:?}"))?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok(Reply { status: parts.status, headers: parts.headers, body })
        };
        tokio::time::timeout(Duration::from_secs(20), exchange).await.map_err(|_| "no answer".to_owned())?
    }

    pub async fn call(&self, method: Method, url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        self.try_call(method, url, headers, body.into()).await.unwrap()
    }

    pub async fn get(&self, url: &str) -> Reply {
        self.call(Method::GET, url, &[], "").await
    }

    pub async fn ask(&self, base: &str, question: &Value) -> Reply {
        self.ask_with(base, &[], question).await
    }

    pub async fn ask_with(&self, base: &str, headers: &[(&str, &str)], question: &Value) -> Reply {
        self.call(Method::POST, &format!("{base}/v1/recommendations"), headers, question.to_string()).await
    }

    pub async fn tell(&self, base: &str, events: &Value) -> Reply {
        self.call(
            Method::POST,
            &format!("{base}/v1/events"),
            &[("content-type", "application/json")],
            events.to_string(),
        )
        .await
    }

    pub async fn put_table(&self, router: &Program, keys: &KeyPair, table: &Table) -> Reply {
        let envelope = serde_json::to_vec(&sign(table, &keys.signing).unwrap()).unwrap();
        self.call(Method::PUT, &format!("{}/control/table", router.url("control")), &[], envelope).await
    }
}

pub fn cart(customer: &str, products: &[&str]) -> Value {
    let cart: Vec<Value> = products.iter().map(|id| json!({"product_id": id, "quantity": 1})).collect();
    json!({"placement": "cart", "customer_id": customer, "cart": cart, "limit": 20})
}

/// Waits until `f` says yes; panics with `what` when that takes longer than `patience`.
pub async fn until<F, T>(what: &str, patience: Duration, mut f: F) -> Duration
where
    F: FnMut() -> T,
    T: Future<Output = bool>,
{
    let started = Instant::now();
    loop {
        if f().await {
            return started.elapsed();
        }
        assert!(started.elapsed() < patience, "{what}: not within {patience:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The real event log on a runtime of its own, always at the same address.
pub struct EventLog {
    options: Options,
    running: Option<(Running, tokio::runtime::Runtime)>,
}

impl EventLog {
    pub async fn start(folder: &Path) -> Self {
        let mut log = Self { options: Options::on_loopback(folder.join("log")), running: None };
        log.start_again().await;
        log
    }

    pub async fn start_again(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let running = runtime.spawn(service::start(self.options.clone())).await.unwrap().unwrap();
        self.options.listen = running.listen;
        self.running = Some((running, runtime));
    }

    pub async fn stop(&mut self) {
        let (running, runtime) = self.running.take().unwrap();
        runtime.spawn(running.stop()).await.unwrap();
        runtime.shutdown_background();
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.options.listen)
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        if let Some((running, runtime)) = self.running.take() {
            // On a thread of its own: this may be an async one.
            let _ = std::thread::spawn(move || runtime.block_on(running.stop())).join();
        }
    }
}
