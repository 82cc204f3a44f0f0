//! Sending events.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};

use super::http::{ClientError, Http};
use crate::event::{Event, EventsResponse};
use crate::service::SOURCE_HEADER;

const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Sends events to one event log. Cheap to clone; connections are shared.
#[derive(Clone)]
pub struct EventSender {
    http: Http,
    timeout: Duration,
}

/// The log's own answer, to be handed on.
#[derive(Clone, Debug)]
pub struct Forwarded {
    pub status: StatusCode,
    pub content_type: Option<String>,
    pub retry_after: Option<String>,
    pub body: Bytes,
}

impl EventSender {
    /// `url` such as `http://127.0.0.1:8080`. `timeout` holds for every call.
    pub fn new(url: &str, timeout: Duration) -> Result<Self, ClientError> {
        Ok(Self { http: Http::new(url)?, timeout })
    }

    pub fn url(&self) -> &str {
        self.http.url()
    }

    /// Sends a batch (at most 10,000 events) of the program's own, exposures included. What was accepted is synced when this returns.
    /// After an error the same batch may be sent again: what was accepted before is a duplicate then.
    pub async fn send(&self, events: &[Event]) -> Result<EventsResponse, ClientError> {
        let body = serde_json::to_vec(events).map_err(|error| ClientError::BadAnswer { why: error.to_string() })?;
        let headers = [("content-type", "application/json"), (SOURCE_HEADER, "router")];
        let answer =
            self.http.call(Method::POST, "/v1/events", &headers, body.into(), self.timeout, MAX_ANSWER_BYTES).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.refusal());
        }
        serde_json::from_slice(&answer.body).map_err(|error| ClientError::BadAnswer { why: error.to_string() })
    }

    /// Hands on what a client sent, as it is: the log parses and checks it, and its answer is the answer. A client may not write
    /// exposures.
    pub async fn forward(&self, body: Bytes, content_type: Option<&str>) -> Result<Forwarded, ClientError> {
        let headers = [("content-type", content_type.unwrap_or("application/json")), (SOURCE_HEADER, "client")];
        let answer = self.http.call(Method::POST, "/v1/events", &headers, body, self.timeout, MAX_ANSWER_BYTES).await?;
        Ok(Forwarded {
            status: answer.status,
            content_type: answer.header("content-type").map(str::to_owned),
            retry_after: answer.header("retry-after").map(str::to_owned),
            body: answer.body,
        })
    }
}
