//! The control port: takes the signed routing table.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::get;
use axum::{Json, Router};
use endcap_eventlog::problem::Problem;
use endcap_serving::table::{Envelope, EnvelopeError};
use http::StatusCode;

use super::App;
use crate::tables::{Acknowledgement, TakeError};

const MAX_TABLE_BYTES: usize = 4 * 1024 * 1024;

pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/control/table", get(get_table).put(put_table))
        .layer(DefaultBodyLimit::max(MAX_TABLE_BYTES))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .fallback(|| async { Problem::not_found().detail("there is /control/table") })
        .with_state(app)
}

async fn put_table(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Acknowledgement>, Problem> {
    let envelope: Envelope = serde_json::from_slice(&body)
        .map_err(|error| problem(&EnvelopeError::NotAnEnvelope(error.to_string()).into()))?;
    let taken = super::blocking(move || app.tables.take(&envelope).map_err(|error| problem(&error))).await?;
    Ok(Json(taken))
}

async fn get_table(State(app): State<Arc<App>>) -> Result<Json<Acknowledgement>, Problem> {
    app.tables.acknowledgement().map(Json).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "no-table", "No table is in effect")
            .detail("send one with PUT /control/table")
    })
}

fn problem(error: &TakeError) -> Problem {
    let (status, slug, title) = match error {
        TakeError::Envelope(envelope) if envelope.is_forgery() => {
            (StatusCode::FORBIDDEN, "table-not-trusted", "The table is not trusted")
        }
        TakeError::Envelope(_) => (StatusCode::BAD_REQUEST, "invalid-table", "The table is not valid"),
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
