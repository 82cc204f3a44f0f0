//! What followers read: the tail, the snapshot, the state of the log.

use std::io::Write;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use super::api::Api;
use super::exporter::{ExportHandle, ExportStatus};
use super::keeper::{SNAPSHOT_FILE, SnapshotInfo};
use super::{END_OFFSET_HEADER, FIRST_OFFSET_HEADER, LOG_ID_HEADER, NEXT_OFFSET_HEADER};
use crate::log::{DiskFile, ReadError, Stored};
use crate::problem::Problem;

const MAX_WAIT: Duration = Duration::from_secs(30);
const MAX_EVENTS: usize = 10_000;
const DEFAULT_EVENTS: usize = 1_000;
const MAX_BYTES: usize = 4 * 1024 * 1024;
const SNAPSHOT_CHUNK: u64 = 256 * 1024;

#[derive(Debug, Deserialize)]
pub(super) struct TailQuery {
    from: u64,
    /// How long to wait for an event when there is none yet, milliseconds.
    #[serde(default)]
    wait_ms: u64,
    limit: Option<usize>,
    /// The log that `from` belongs to.
    log_id: Option<String>,
}

pub(super) async fn events(State(api): State<Arc<Api>>, query: Result<Query<TailQuery>, QueryRejection>) -> Response {
    api.metrics.tail_requests.inc();
    let Query(query) = match query {
        Ok(query) => query,
        Err(error) => {
            return Problem::new(StatusCode::BAD_REQUEST, "bad-query", "The query is wrong")
                .detail(format!("{}; send from=OFFSET and, if wanted, wait_ms, limit and log_id", error.body_text()))
                .into_response();
        }
    };
    match read(&api, &query).await {
        Ok(events) => respond(&api, query.from, &events),
        Err(problem) => problem.into_response(),
    }
}

async fn read(api: &Arc<Api>, query: &TailQuery) -> Result<Vec<Stored>, Problem> {
    if query.log_id.as_deref().is_some_and(|id| id != api.reader.log_id()) {
        return Err(Problem::new(StatusCode::GONE, "another-log", "This is another log")
            .detail(format!("the log is {}; take a snapshot and go on from it", api.reader.log_id())));
    }
    let limit = query.limit.unwrap_or(DEFAULT_EVENTS).clamp(1, MAX_EVENTS);
    // Subscribed before the first read: what comes in between is not missed.
    let mut changes = api.reader.watch();
    let deadline = tokio::time::Instant::now() + Duration::from_millis(query.wait_ms).min(MAX_WAIT);
    loop {
        let recent = api.reader.read_recent(query.from, limit, MAX_BYTES).map_err(|error| read_problem(&error))?;
        let events = if let Some(events) = recent {
            events
        } else {
            let (reader, from) = (api.reader.clone(), query.from);
            tokio::task::spawn_blocking(move || reader.read(from, limit, MAX_BYTES))
                .await
                .map_err(|_| internal())?
                .map_err(|error| read_problem(&error))?
        };
        if !events.is_empty() {
            return Ok(events);
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Ok(Vec::new()) },
            () = tokio::time::sleep_until(deadline) => return Ok(Vec::new()),
            () = api.stop.cancelled() => return Ok(Vec::new()),
        }
    }
}

fn respond(api: &Api, from: u64, events: &[Stored]) -> Response {
    let next = events.last().map_or(from, |last| last.offset + 1);
    let mut body = Vec::with_capacity(events.iter().map(|event| event.json.len() + 64).sum());
    for event in events {
        // Writing to a vector does not fail.
        let _ = write!(body, "{{\"offset\":{},\"accepted_ms\":{},\"event\":", event.offset, event.accepted_ms);
        body.extend_from_slice(&event.json);
        body.extend_from_slice(b"}\n");
    }
    let mut response = ([(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))], body).into_response();
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static(FIRST_OFFSET_HEADER), api.reader.first().into());
    headers.insert(HeaderName::from_static(NEXT_OFFSET_HEADER), next.into());
    headers.insert(HeaderName::from_static(END_OFFSET_HEADER), api.reader.next().into());
    if let Ok(id) = HeaderValue::from_str(api.reader.log_id()) {
        headers.insert(HeaderName::from_static(LOG_ID_HEADER), id);
    }
    response
}

fn read_problem(error: &ReadError) -> Problem {
    match error {
        ReadError::Expired { .. } => {
            Problem::new(StatusCode::GONE, "offset-expired", "These events are no longer in the log")
        }
        ReadError::Beyond { .. } => {
            Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "offset-beyond", "The log does not reach this offset")
        }
        ReadError::Log(error) => {
            tracing::error!(%error, "failed to read the log for a follower");
            internal()
        }
    }
    .detail(error.to_string())
}

fn internal() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The event log failed")
}

pub(super) async fn snapshot(State(api): State<Arc<Api>>) -> Response {
    let disk = Arc::clone(&api.disk);
    // The open file stays whole when a newer snapshot takes its name.
    let opened = tokio::task::spawn_blocking(move || disk.open(SNAPSHOT_FILE)).await;
    let file = match opened {
        Ok(Ok(file)) => file,
        Ok(Err(error)) => return internal().detail(format!("failed to open {SNAPSHOT_FILE}: {error}")).into_response(),
        Err(_) => return internal().into_response(),
    };
    let chunks = stream::try_unfold((file, 0_u64), |(file, position)| async move {
        let (file, chunk) = tokio::task::spawn_blocking(move || {
            let chunk = file.read_range(position, position + SNAPSHOT_CHUNK);
            (file, chunk)
        })
        .await
        .map_err(std::io::Error::other)?;
        let chunk = Bytes::from(chunk?);
        let next = position + chunk.len() as u64;
        Ok::<_, std::io::Error>((!chunk.is_empty()).then_some((chunk, (file as Arc<dyn DiskFile>, next))))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zstd"));
    if let Ok(id) = HeaderValue::from_str(api.reader.log_id()) {
        headers.insert(HeaderName::from_static(LOG_ID_HEADER), id);
    }
    response
}

#[derive(Serialize)]
struct Status {
    log_id: String,
    /// Oldest event that can be read.
    first_offset: u64,
    /// End of the log.
    next_offset: u64,
    /// All before it is synced; always the end, because nothing else is ever shown.
    synced_offset: u64,
    writable: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
    snapshot: SnapshotInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    export: Option<ExportStatus>,
    retention_s: u64,
    dedup_age_s: u64,
    dedup_ids: usize,
}

pub(super) async fn status(State(api): State<Arc<Api>>) -> Response {
    let trouble = api.queue.trouble();
    let next = api.reader.next();
    Json(Status {
        log_id: api.reader.log_id().to_owned(),
        first_offset: api.reader.first(),
        next_offset: next,
        synced_offset: next,
        writable: trouble.is_none(),
        trouble,
        snapshot: api.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        export: api.export.as_ref().map(ExportHandle::status),
        retention_s: api.retention.as_secs(),
        dedup_age_s: api.dedup_age.as_secs(),
        dedup_ids: api.dedup_ids,
    })
    .into_response()
}
