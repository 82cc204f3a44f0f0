//! `POST /v1/events`: passed on to the event log as it came. Only the log can acknowledge: while it is away, events are refused with
//! the time to come back, and recommendations go on.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use endcap_eventlog::intake::MAX_BODY_BYTES;
use endcap_eventlog::problem::Problem;

use super::App;
use crate::body;

const RETRY_IN: Duration = Duration::from_secs(1);

fn away(detail: &str) -> Problem {
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "eventlog-away", "The event log is away");
    problem.detail(format!("{detail}; nothing was acknowledged: send the same batch again")).retry_after(RETRY_IN)
}

pub async fn forward(app: &App, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
    let Some(sender) = &app.events else {
        return Err(away("this router has no event log (--eventlog)"));
    };
    let bytes = body::read(body, MAX_BODY_BYTES).await?;
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    // Nothing but body and type is passed on: a client cannot speak as the router.
    let answer = sender.forward(bytes, kind).await.map_err(|error| {
        tracing::warn!(%error, "the event log is away");
        away("it does not answer")
    })?;
    if answer.status.is_server_error() && answer.status != StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(status = %answer.status, "the event log failed");
        return Err(away("it failed"));
    }
    let mut response = (answer.status, answer.body).into_response();
    for (name, value) in [(CONTENT_TYPE, answer.content_type), (RETRY_AFTER, answer.retry_after)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}
