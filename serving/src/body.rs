//! Reads a body within bounds of size and time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use endcap_eventlog::problem::Problem;
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// A sender that needs longer for one body holds a connection for nothing.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    match tokio::time::timeout(PATIENCE, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large");
            Err(problem.detail(format!("send at most {limit} bytes")))
        }
        Ok(Err(error)) => {
            let problem = Problem::new(StatusCode::BAD_REQUEST, "body-broken", "The body could not be read");
            Err(problem.detail(error.to_string()))
        }
        Err(_) => {
            let problem = Problem::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", "The body did not come in time");
            Err(problem.detail(format!("send it within {} seconds", PATIENCE.as_secs())))
        }
    }
}
