//! The API's paths.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use super::commit::CommitQueue;
use super::exporter::ExportHandle;
use super::keeper::SnapshotInfo;
use super::metrics::Metrics;
use super::{submit, tail};
use crate::log::{Disk, LogReader};
use crate::problem::Problem;
use crate::program::{Health, probes};

/// What the handlers share.
pub(super) struct Api {
    pub queue: CommitQueue,
    pub reader: LogReader,
    pub disk: Arc<dyn Disk>,
    pub snapshot: Arc<Mutex<SnapshotInfo>>,
    pub metrics: Metrics,
    pub export: Option<ExportHandle>,
    pub stop: CancellationToken,
    pub retention: Duration,
    pub dedup_age: Duration,
    pub dedup_ids: usize,
}

pub(super) fn router(api: Arc<Api>, health: Arc<Health>) -> Router {
    Router::new()
        .route("/v1/events", post(submit::events))
        .route("/v1/log/events", get(tail::events))
        .route("/v1/log/snapshot", get(tail::snapshot))
        .route("/v1/log/status", get(tail::status))
        .with_state(api)
        .merge(probes(health))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .fallback(|| async {
            Problem::not_found().detail(
                "there are POST /v1/events and GET /v1/log/events, /v1/log/snapshot, /v1/log/status, /livez, /readyz",
            )
        })
        .layer(tower_http::catch_panic::CatchPanicLayer::new())
}
