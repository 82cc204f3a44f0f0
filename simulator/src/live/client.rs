//! The two calls that a shop makes.

use std::time::Duration;

use endcap_recommender::request::RecommendationRequest;
use endcap_recommender::response::RecommendationResponse;
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::SimulatorError;

/// Longest wait before events are sent again, whatever the server asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

pub(super) struct Client {
    http: reqwest::Client,
    recommendations: Url,
    events: Url,
    event_attempts: u32,
}

/// What became of a batch of events.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Outcome {
    pub accepted: u64,
    pub duplicates: u64,
    pub rejected: u64,
    results: Vec<Value>,
}

impl Outcome {
    /// What the server said about the first event that it refused.
    pub fn first_rejection(&self) -> Option<String> {
        let rejected =
            self.results.iter().find(|result| result.get("status").is_some_and(|status| status == "rejected"))?;
        let text = |field| rejected.get(field).and_then(Value::as_str).unwrap_or_default();
        Some(format!("{}: {}", text("pointer"), text("detail")))
    }
}

/// Why a call brought nothing: a short reason to count by, and what was said.
#[derive(Debug)]
pub(super) struct Failure {
    pub reason: String,
    pub detail: String,
}

fn failure(error: &reqwest::Error) -> Failure {
    let reason = if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "connection_failed"
    } else if error.is_decode() || error.is_body() {
        "bad_answer"
    } else {
        "call_failed"
    };
    // The chain of causes says more than "error sending request".
    let mut detail = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        detail.push_str(": ");
        detail.push_str(&inner.to_string());
        cause = inner.source();
    }
    Failure { reason: reason.to_owned(), detail }
}

async fn refused(response: reqwest::Response) -> Failure {
    let status = response.status();
    let mut detail = response.text().await.unwrap_or_default();
    detail.truncate(detail.char_indices().nth(300).map_or(detail.len(), |(at, _)| at));
    Failure { reason: format!("status_{}", status.as_u16()), detail }
}

impl Client {
    pub fn new(url: &Url, timeout: Duration, event_attempts: u32) -> Result<Self, SimulatorError> {
        // The shop stands beside its router: no proxy of the environment lies between.
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout)
            .no_proxy()
            .build()
            .map_err(SimulatorError::Client)?;
        let path = |path: &str| {
            let mut url = url.clone();
            url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
            url
        };
        Ok(Self {
            http,
            recommendations: path("/v1/recommendations"),
            events: path("/v1/events"),
            event_attempts: event_attempts.max(1),
        })
    }

    /// Asks once: a page that waits for a second try has been left.
    pub async fn recommend(
        &self,
        request: &RecommendationRequest,
    ) -> (Duration, Result<RecommendationResponse, Failure>) {
        let began = Instant::now();
        let answer = async {
            let response = self
                .http
                .post(self.recommendations.clone())
                .json(request)
                .send()
                .await
                .map_err(|error| failure(&error))?;
            if !response.status().is_success() {
                return Err(refused(response).await);
            }
            response.json().await.map_err(|error| failure(&error))
        };
        let answer = answer.await;
        (began.elapsed(), answer)
    }

    /// Sends a batch. It is sent again, with the same ids, while the server is away or asks to wait.
    pub async fn send(&self, events: &[Value]) -> (Duration, Result<Outcome, Failure>) {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let began = Instant::now();
            let response = self.http.post(self.events.clone()).json(events).send().await;
            let (failed, wait, again) = match response {
                Ok(response) if response.status().is_success() => {
                    let outcome = response.json().await.map_err(|error| failure(&error));
                    return (began.elapsed(), outcome);
                }
                Ok(response) => {
                    let again =
                        matches!(response.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
                    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                    let wait = header.and_then(|text| text.parse().ok()).map(Duration::from_secs);
                    (refused(response).await, wait, again)
                }
                Err(error) => (failure(&error), None, error.is_timeout() || error.is_connect() || error.is_request()),
            };
            if !again || attempt >= self.event_attempts {
                return (began.elapsed(), Err(failed));
            }
            let wait = wait.unwrap_or_else(|| Duration::from_millis(100 << attempt.min(5)));
            tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
        }
    }
}
