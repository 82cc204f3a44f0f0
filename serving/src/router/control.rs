//! The control port: only the control plane reaches it (its own port, closed to others by the network policy).

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::get;
use endcap_eventlog::problem::Problem;

use super::App;
use super::call::announce_policy;
use super::counters::CountersReport;
use super::state::{TableReport, TakeError};
use crate::table::{Envelope, EnvelopeError};

/// A table with 500 blocked products and 16 arms of many endpoints stays far below.
const MAX_TABLE_BYTES: usize = 4 * 1024 * 1024;

pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/control/table", get(get_table).put(put_table))
        .route("/control/counters", get(get_counters))
        .layer(DefaultBodyLimit::max(MAX_TABLE_BYTES))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .fallback(|| async { Problem::not_found().detail("there are /control/table and /control/counters") })
        .with_state(app)
}

async fn put_table(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<TableReport>, Problem> {
    let envelope: Envelope = serde_json::from_slice(&body)
        .map_err(|error| problem(&EnvelopeError::NotAnEnvelope(error.to_string()).into()))?;
    let taking = app.clone();
    let taken = tokio::task::spawn_blocking(move || taking.tables.take(&envelope)).await;
    let persisted = match taken {
        Ok(taken) => taken.map_err(|error| problem(&error))?,
        Err(error) => return Err(internal(&error.to_string())),
    };
    if let Some(routing) = app.tables.current() {
        tokio::spawn(announce_policy(app.ladder.client.clone(), routing));
    }
    report(&app, persisted)
}

async fn get_table(State(app): State<Arc<App>>) -> Result<Json<TableReport>, Problem> {
    report(&app, true)
}

fn report(app: &App, persisted: bool) -> Result<Json<TableReport>, Problem> {
    let pack = app.ladder.pack.current().map(|pack| pack.digest.clone());
    app.tables.report(pack, persisted).map(Json).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "no-table", "No table is in effect")
            .detail("send one with PUT /control/table")
    })
}

fn internal(detail: &str) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "The table could not be taken").detail(detail)
}

fn problem(error: &TakeError) -> Problem {
    let (status, slug, title) = match error {
        TakeError::Envelope(envelope) if envelope.is_forgery() => {
            (StatusCode::FORBIDDEN, "table-not-trusted", "The table is not trusted")
        }
        TakeError::Envelope(_) | TakeError::Routing(_) => {
            (StatusCode::BAD_REQUEST, "invalid-table", "The table is not valid")
        }
        TakeError::LowerRevision { .. } | TakeError::SameRevision { .. } => {
            (StatusCode::CONFLICT, "table-revision", "The table's revision does not follow")
        }
        TakeError::OtherModel { .. } => (StatusCode::CONFLICT, "other-model", "The table is for another model"),
    };
    let problem = Problem::new(status, slug, title).detail(error.to_string());
    match error {
        TakeError::Envelope(EnvelopeError::Invalid(errors)) => problem.errors(errors.clone()),
        _ => problem,
    }
}

async fn get_counters(State(app): State<Arc<App>>) -> Json<CountersReport> {
    let revision = app.tables.current().map(|routing| routing.table.revision);
    Json(app.ladder.counters.report(revision, app.exposures.counts()))
}
