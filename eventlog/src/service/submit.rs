//! `POST /v1/events`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;

use super::SOURCE_HEADER;
use super::api::Api;
use super::commit::Refused;
use super::metrics::Outcome;
use crate::event::{EventOutcome, EventsResponse};
use crate::intake::{BodyError, Format, Intake, MAX_BODY_BYTES, Rejection, Source, parse_body};
use crate::log::{Append, Record, event_key};
use crate::problem::Problem;

/// A body that comes slower than this is given up.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Larger bodies are parsed off the async threads.
const PARSE_INLINE_BYTES: usize = 128 * 1024;

pub(super) async fn events(State(api): State<Arc<Api>>, request: Request) -> Response {
    match take(&api, request).await {
        Ok(answer) => Json(answer).into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn take(api: &Api, request: Request) -> Result<EventsResponse, Problem> {
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let format = Format::of(header(CONTENT_TYPE.as_str()));
    let source = if header(SOURCE_HEADER) == Some("router") { Source::Router } else { Source::Client };
    let body = read_body(body).await?;
    let prepared = if body.len() > PARSE_INLINE_BYTES {
        tokio::task::spawn_blocking(move || prepare(&body, format, source))
            .await
            .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The event log failed"))?
    } else {
        prepare(&body, format, source)
    };
    let (events, records) = prepared.map_err(|error| body_problem(&error))?;
    let wanted = records.len();
    let appended = api.queue.append(records).await.map_err(|refused| {
        api.metrics.count(Outcome::Refused, wanted);
        refusal(&refused)
    })?;
    let answer = answer(events, appended);
    api.metrics.count(Outcome::Accepted, answer.accepted);
    api.metrics.count(Outcome::Duplicate, answer.duplicates);
    api.metrics.count(Outcome::Rejected, answer.rejected);
    Ok(answer)
}

async fn read_body(body: Body) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The batch is too large")
            .detail(format!("the body has more than {MAX_BODY_BYTES} bytes; send smaller batches"))
    };
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Problem::new(StatusCode::BAD_REQUEST, "cut-off", "The request was cut off")
            .detail(format!("the body could not be read: {error}; send it again"))),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "The request came too slowly")
            .detail("the body did not come within 30 s; send smaller batches")),
    }
}

enum Prepared {
    /// Its id; what becomes of it stands in the answer of the log.
    Record(String),
    Rejected(Rejection),
}

/// Parses, checks and writes as JSON. Events without a time happened now.
fn prepare(body: &[u8], format: Format, source: Source) -> Result<(Vec<Prepared>, Vec<Record>), BodyError> {
    let now = Timestamp::now();
    let intake: Intake = parse_body(body, format, source, now)?;
    let mut events = Vec::with_capacity(intake.len());
    let mut records = Vec::with_capacity(intake.len());
    for parsed in intake {
        let written = parsed.and_then(|mut event| {
            event.at.get_or_insert(now);
            let json = serde_json::to_vec(&event).map_err(|error| Rejection {
                event_id: Some(event.event_id.clone()),
                errors: vec![endcap_recommender::request::FieldError {
                    pointer: String::new(),
                    detail: format!("cannot be written as JSON: {error}"),
                }],
            })?;
            Ok((event.event_id, json))
        });
        events.push(match written {
            Ok((event_id, json)) => {
                records.push(Record { key: event_key(&event_id), json: json.into() });
                Prepared::Record(event_id)
            }
            Err(rejection) => Prepared::Rejected(rejection),
        });
    }
    Ok((events, records))
}

fn answer(events: Vec<Prepared>, appended: Vec<Append>) -> EventsResponse {
    let mut appended = appended.into_iter();
    let mut answer =
        EventsResponse { accepted: 0, duplicates: 0, rejected: 0, results: Vec::with_capacity(events.len()) };
    for (index, event) in events.into_iter().enumerate() {
        answer.results.push(match event {
            Prepared::Rejected(rejection) => {
                answer.rejected += 1;
                rejection.outcome(index)
            }
            Prepared::Record(event_id) => match appended.next() {
                Some(Append::Accepted(offset)) => {
                    answer.accepted += 1;
                    EventOutcome::Accepted { event_id, offset }
                }
                Some(Append::Duplicate) | None => {
                    answer.duplicates += 1;
                    EventOutcome::Duplicate { event_id }
                }
            },
        });
    }
    answer
}

fn body_problem(error: &BodyError) -> Problem {
    match error {
        BodyError::Empty | BodyError::NotJson(_) => {
            Problem::new(StatusCode::BAD_REQUEST, "not-json", "The body is not JSON").detail(error.to_string())
        }
        BodyError::TooMany(_) => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The batch is too large").detail(error.to_string())
        }
    }
}

fn refusal(refused: &Refused) -> Problem {
    let slug = match refused {
        Refused::Busy => "busy",
        Refused::NotWritable(_) => "not-writable",
        Refused::Stopping => "stopping",
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, slug, "Events cannot be taken now")
        .detail(refused.to_string())
        .retry_after(refused.retry_after())
}
