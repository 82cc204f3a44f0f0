//! The task that exports: every so often, and when asked. A store that is away is tried again; it never holds up the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle as Task;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::now_ms;
use crate::export::{ExportError, RangeLimits, Writer};
use crate::log::LogReader;
use crate::problem::Problem;

/// After a failure it is tried again after this, then twice as long, up to [`MOST_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const MOST_BACKOFF: Duration = Duration::from_mins(1);
/// How often the lag is measured.
const MEASURE: Duration = Duration::from_secs(5);
/// What is left to export when the program ends gets so long.
const LAST_CALL: Duration = Duration::from_secs(5);
/// How long `POST /v1/export` waits for the store.
const ASKED_WAIT: Duration = Duration::from_mins(1);
/// Requests for an export that may wait.
const ASKED: usize = 64;

/// How far an export is; what `POST /v1/export` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportStatus {
    pub uri: String,
    pub log_id: String,
    /// The first event that the export does not hold.
    pub exported_offset: u64,
    /// End of the log.
    pub next_offset: u64,
    /// Why the last attempt failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

type Answer = oneshot::Sender<Result<(), String>>;

/// The way to the exporting task. Cheap to clone.
#[derive(Clone)]
pub(super) struct ExportHandle {
    uri: String,
    reader: LogReader,
    exported: Arc<AtomicU64>,
    trouble: Arc<Mutex<Option<String>>>,
    asked: mpsc::Sender<Answer>,
}

impl ExportHandle {
    pub(super) fn status(&self) -> ExportStatus {
        ExportStatus {
            uri: self.uri.clone(),
            log_id: self.reader.log_id().to_owned(),
            exported_offset: self.exported.load(Ordering::Acquire),
            next_offset: self.reader.next(),
            trouble: self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// The first event that the export lacks, as retention looks at it; 0 until the store was asked.
    pub(super) fn exported(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.exported)
    }

    /// Exports everything that is acknowledged when this is called.
    async fn now(&self) -> Result<ExportStatus, Problem> {
        let (answer, wait) = oneshot::channel();
        self.asked
            .try_send(answer)
            .map_err(|_| failed("too many ask for an export at once, or the log is stopping"))?;
        match tokio::time::timeout(ASKED_WAIT, wait).await {
            Ok(Ok(Ok(()))) => Ok(self.status()),
            Ok(Ok(Err(why))) => Err(failed(&why)),
            Ok(Err(_)) => Err(failed("the log is stopping")),
            Err(_) => Err(failed("the store did not answer within 60 s")),
        }
    }
}

fn failed(why: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-exported", "The export failed")
        .detail(why)
        .retry_after(Duration::from_secs(5))
}

/// Set once the log is open; `None` where there is no `--export`.
pub(super) type Slot = Arc<OnceLock<Option<ExportHandle>>>;

/// `GET` and `POST /v1/export`, for the metrics port.
pub(super) fn control(slot: Slot) -> Router {
    Router::new().route("/v1/export", post(export).get(status)).with_state(slot)
}

fn handle(slot: &Slot) -> Result<&ExportHandle, Box<Problem>> {
    match slot.get() {
        Some(Some(handle)) => Ok(handle),
        Some(None) => Err(Box::new(
            Problem::new(StatusCode::NOT_FOUND, "no-export", "Events are not exported")
                .detail("start endcap-eventlog with --export URI"),
        )),
        None => Err(Box::new(failed("the log is being opened"))),
    }
}

async fn status(State(slot): State<Slot>) -> Response {
    match handle(&slot) {
        Ok(handle) => Json(handle.status()).into_response(),
        Err(problem) => (*problem).into_response(),
    }
}

async fn export(State(slot): State<Slot>) -> Response {
    let done = match handle(&slot) {
        Ok(handle) => handle.now().await,
        Err(problem) => Err(*problem),
    };
    done.map_or_else(IntoResponse::into_response, |status| Json(status).into_response())
}

struct Exporter {
    handle: ExportHandle,
    writer: Writer,
    metrics: Metrics,
    interval: Duration,
}

/// Starts the task. It ends after `stop`, with a last attempt.
pub(super) fn start(
    reader: LogReader,
    to: endcap_store::Location,
    interval: Duration,
    metrics: Metrics,
    stop: CancellationToken,
) -> (ExportHandle, Task<()>) {
    let (asked, requests) = mpsc::channel(ASKED);
    let handle = ExportHandle {
        uri: to.uri.clone(),
        reader: reader.clone(),
        exported: Arc::default(),
        trouble: Arc::default(),
        asked,
    };
    let writer = Writer::new(reader, to, RangeLimits::default());
    let exporter = Exporter { handle: handle.clone(), writer, metrics, interval };
    (handle, tokio::spawn(exporter.run(requests, stop)))
}

impl Exporter {
    async fn run(mut self, mut requests: mpsc::Receiver<Answer>, stop: CancellationToken) {
        // At once: what the store holds decides what retention may remove.
        let mut due = Instant::now();
        let mut backoff = FIRST_BACKOFF;
        let mut measure = tokio::time::interval(MEASURE);
        while !stop.is_cancelled() {
            let mut answers = Vec::new();
            tokio::select! {
                () = stop.cancelled() => break,
                request = requests.recv() => answers.extend(request),
                () = tokio::time::sleep_until(due) => {}
                _ = measure.tick() => {
                    self.measure().await;
                    continue;
                }
            }
            while let Ok(more) = requests.try_recv() {
                answers.push(more);
            }
            let done = tokio::select! {
                done = self.all() => done,
                () = async { stop.cancelled().await; tokio::time::sleep(LAST_CALL).await } => return,
            };
            due = Instant::now() + self.interval;
            backoff = if let Err(error) = &done {
                tracing::error!(%error, uri = self.handle.uri, "failed to export; it is tried again");
                due = Instant::now()
                    + backoff.min(self.interval.max(FIRST_BACKOFF)).mul_f64(rand::random_range(0.8..1.2));
                (backoff * 2).min(MOST_BACKOFF)
            } else {
                FIRST_BACKOFF
            };
            for answer in answers {
                // Whoever asked may be gone.
                let _ = answer.send(done.as_ref().copied().map_err(ToString::to_string));
            }
            self.measure().await;
        }
        let last = tokio::time::timeout(LAST_CALL, self.all()).await;
        if !matches!(last, Ok(Ok(()))) {
            tracing::warn!("what was not exported when the log ended is exported after its next start");
        }
    }

    /// Exports all that is acknowledged when this is called.
    async fn all(&mut self) -> Result<(), ExportError> {
        let target = self.handle.reader.next();
        let done = async {
            loop {
                let step = self.writer.step().await?;
                let exported = self.writer.exported().unwrap_or(0);
                self.handle.exported.store(exported, Ordering::Release);
                self.metrics.export_offset.set(exported as i64);
                if let Some(step) = step {
                    self.metrics.export_files.inc_by(step.files);
                    self.metrics.export_bytes.inc_by(step.bytes);
                    self.metrics.export_lost.inc_by(step.lost);
                    tracing::debug!(events = step.events, files = step.files, exported, "events were exported");
                }
                if step.is_none() || exported >= target {
                    return Ok(());
                }
            }
        }
        .await;
        let trouble = done.as_ref().err().map(|error: &ExportError| error.to_string());
        if trouble.is_some() {
            self.metrics.export_failures.inc();
        }
        *self.handle.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        done
    }

    /// How many events wait for the export, and since when the oldest of them does.
    async fn measure(&self) {
        let (exported, next) = (self.handle.exported.load(Ordering::Acquire), self.handle.reader.next());
        self.metrics.export_lag_events.set(next.saturating_sub(exported) as i64);
        let mut lag_s = 0.0;
        if exported < next {
            let reader = self.handle.reader.clone();
            let oldest = tokio::task::spawn_blocking(move || reader.read(exported.max(reader.first()), 1, 1)).await;
            if let Ok(Ok(events)) = oldest
                && let Some(event) = events.first()
            {
                lag_s = now_ms().saturating_sub(event.accepted_ms).max(0) as f64 / 1000.0;
            }
        }
        self.metrics.export_lag_seconds.set(lag_s);
    }
}
