//! One question to one predictor.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use endcap_eventlog::event::ShownItem;
use endcap_recommender::ids::{OfferId, ProductId};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use serde::Deserialize;

use super::endpoint::{Endpoint, Failure, HttpClient};
use super::routing::{RoutedArm, Routing};
use crate::headers;

/// An answer is at most this large: 100 items with evidence.
const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;

/// Why a predictor gave no answer. The words stand in `degraded.why`, metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    NoReadyEndpoint,
    ConnectionFailed,
    Deadline,
    PredictorOverloaded,
    PredictorError,
    WrongVersion,
    RouterOverloaded,
}

impl Why {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoReadyEndpoint => "no_ready_endpoint",
            Self::ConnectionFailed => "connection_failed",
            Self::Deadline => "deadline",
            Self::PredictorOverloaded => "predictor_overloaded",
            Self::PredictorError => "predictor_error",
            Self::WrongVersion => "wrong_version",
            Self::RouterOverloaded => "router_overloaded",
        }
    }
}

/// What is sent with a question.
pub struct Question<'a> {
    pub body: &'a Bytes,
    pub request_id: &'a HeaderValue,
    /// The arm that was assigned.
    pub assigned: &'a RoutedArm,
    /// Why the active version answers for it.
    pub instead: Option<Why>,
}

/// A predictor's answer: its bytes as they go to the OMS, and what an exposure tells of it.
pub struct Answer {
    pub json: Bytes,
    pub shown: Vec<ShownItem>,
}

#[derive(Deserialize)]
struct AnswerView<'a> {
    #[serde(borrow)]
    version: Cow<'a, str>,
    #[serde(borrow)]
    items: Vec<ItemView<'a>>,
}

#[derive(Deserialize)]
struct ItemView<'a> {
    rank: u32,
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    score: f64,
    propensity: f64,
    #[serde(borrow, default)]
    offer: Option<OfferView<'a>>,
}

#[derive(Deserialize)]
struct OfferView<'a> {
    #[serde(borrow)]
    offer_id: Cow<'a, str>,
}

/// Asks an arm's predictors until `until`: one, and where that fails at once or in time, another.
pub async fn ask_arm(
    client: &HttpClient,
    routing: &Routing,
    arm: &RoutedArm,
    question: &Question<'_>,
    until: Instant,
) -> Result<Answer, Why> {
    let mut tried: Option<Arc<Endpoint>> = None;
    let mut why = Why::NoReadyEndpoint;
    for _attempt in 0..2 {
        let Some(endpoint) = arm.pick(tried.as_ref()) else { break };
        let left = until.saturating_duration_since(Instant::now());
        if left < Duration::from_millis(1) {
            why = Why::Deadline;
            break;
        }
        // Where another one could help, not all the time is spent on the first.
        let has_other = tried.is_none() && arm.pick(Some(&endpoint)).is_some();
        let wait = if has_other { left.mul_f64(0.7) } else { left };
        match ask(client, routing, arm, &endpoint, question, wait).await {
            Ok(answer) => {
                endpoint.succeeded();
                return Ok(answer);
            }
            Err((failed, failure)) => {
                if let Some(failure) = failure {
                    endpoint.failed(failure);
                }
                why = failed;
                tried = Some(endpoint);
            }
        }
    }
    Err(why)
}

type Failed = (Why, Option<Failure>);

async fn ask(
    client: &HttpClient,
    routing: &Routing,
    arm: &RoutedArm,
    endpoint: &Arc<Endpoint>,
    question: &Question<'_>,
    wait: Duration,
) -> Result<Answer, Failed> {
    let _in_flight = endpoint.enter();
    let call = async {
        let (mut status, mut json) = send(client, routing, endpoint, question, wait).await?;
        if status == StatusCode::PRECONDITION_REQUIRED {
            put_policy(client, routing, endpoint).await?;
            (status, json) = send(client, routing, endpoint, question, wait).await?;
        }
        match status {
            StatusCode::OK => read(arm, &json),
            StatusCode::SERVICE_UNAVAILABLE => Err((Why::PredictorOverloaded, None)),
            StatusCode::GATEWAY_TIMEOUT => Err((Why::Deadline, Some(Failure::Soft))),
            status => {
                tracing::warn!(endpoint = endpoint.url, %status, answer = %String::from_utf8_lossy(json.get(..json.len().min(500)).unwrap_or_default()), "predictor refused");
                Err((Why::PredictorError, Some(Failure::Soft)))
            }
        }
    };
    tokio::time::timeout(wait, call).await.unwrap_or(Err((Why::Deadline, Some(Failure::Soft))))
}

fn read(arm: &RoutedArm, json: &Bytes) -> Result<Answer, Failed> {
    let view: AnswerView<'_> = serde_json::from_slice(json).map_err(|error| {
        tracing::warn!(%error, "failed to read a predictor's answer");
        (Why::PredictorError, Some(Failure::Soft))
    })?;
    // An address may have passed to another version's pod: what is on the wire counts, not what the table hopes.
    if view.version != arm.version {
        tracing::warn!(wanted = arm.version, found = %view.version, "predictor serves another version");
        return Err((Why::WrongVersion, Some(Failure::Hard)));
    }
    let shown = view.items.into_iter().map(|item| ShownItem {
        product_id: ProductId::from(&*item.product_id),
        rank: item.rank,
        kind: item.kind.into_owned(),
        score: item.score,
        propensity: item.propensity,
        offer_id: item.offer.map(|offer| OfferId::from(&*offer.offer_id)),
    });
    Ok(Answer { shown: shown.collect(), json: json.clone() })
}

async fn send(
    client: &HttpClient,
    routing: &Routing,
    endpoint: &Endpoint,
    question: &Question<'_>,
    wait: Duration,
) -> Result<(StatusCode, Bytes), Failed> {
    let mut request = Request::post(endpoint.recommendations.clone())
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(headers::REQUEST_ID, question.request_id)
        .header(headers::DEADLINE, HeaderValue::from(wait.as_millis() as u64))
        .header(headers::POLICY, &routing.policy_hash);
    for (name, value) in
        [(headers::ARM, &question.assigned.name_header), (headers::EXPERIMENT, &question.assigned.experiment_header)]
    {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    if let Some(why) = question.instead {
        request = request.header(headers::FALLBACK, HeaderValue::from_static(why.as_str()));
    }
    let request = request.body(Full::new(question.body.clone())).map_err(|_| (Why::PredictorError, None))?;
    exchange(client, endpoint, request).await
}

async fn put_policy(client: &HttpClient, routing: &Routing, endpoint: &Endpoint) -> Result<(), Failed> {
    let hash = routing.policy_hash.to_str().unwrap_or_default();
    let request =
        Request::put(format!("{}/v1/policies/{hash}", endpoint.url)).body(Full::new(routing.policy_text.clone()));
    let request = request.map_err(|_| (Why::PredictorError, None))?;
    let (status, _) = exchange(client, endpoint, request).await?;
    if status.is_success() { Ok(()) } else { Err((Why::PredictorError, Some(Failure::Soft))) }
}

async fn exchange(
    client: &HttpClient,
    endpoint: &Endpoint,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), Failed> {
    let broken = |error: &dyn std::fmt::Display| {
        tracing::debug!(endpoint = endpoint.url, %error, "call failed");
        (Why::ConnectionFailed, Some(Failure::Hard))
    };
    let response = client.request(request).await.map_err(|error| broken(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await.map_err(|error| broken(&error))?;
    Ok((status, body.to_bytes()))
}

/// Sends the policy of a new table ahead, so that the first question under it need not.
pub async fn announce_policy(client: HttpClient, routing: Arc<Routing>) {
    let mut endpoints: Vec<Arc<Endpoint>> = routing.endpoints();
    endpoints.dedup_by(|a, b| Arc::ptr_eq(a, b));
    for endpoint in endpoints {
        let put = tokio::time::timeout(Duration::from_secs(1), put_policy(&client, &routing, &endpoint)).await;
        if !matches!(put, Ok(Ok(()))) {
            tracing::debug!(
                endpoint = endpoint.url,
                "the policy could not be sent ahead; it goes with the first question"
            );
        }
    }
}
