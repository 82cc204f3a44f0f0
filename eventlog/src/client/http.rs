//! A small HTTP client: one host, a timeout for every call.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the address {url:?} is wrong: {why}; write it as http://HOST:PORT")]
    Url { url: String, why: String },
    #[error("failed to reach the event log at {url}: {why}")]
    Unreachable { url: String, why: String },
    #[error("the event log at {url} did not answer within {timeout_ms} ms")]
    Timeout { url: String, timeout_ms: u128 },
    /// It answered, and the answer is no. `retry_after` where it named one.
    #[error("the event log refused with status {status}: {detail}")]
    Refused { status: StatusCode, detail: String, retry_after: Option<Duration> },
    #[error("the event log's answer could not be read: {why}")]
    BadAnswer { why: String },
}

/// An answer, whole.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Clone)]
pub(super) struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

impl Http {
    pub(super) fn new(url: &str) -> Result<Self, ClientError> {
        let wrong = |why: &str| ClientError::Url { url: url.to_owned(), why: why.to_owned() };
        let base = url.trim_end_matches('/').to_owned();
        let uri: http::Uri = base.parse().map_err(|_| wrong("it is no address"))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            return Err(wrong("it must start with http:// and name a host"));
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .build(connector);
        Ok(Self { client, base })
    }

    pub(super) fn url(&self) -> &str {
        &self.base
    }

    /// One call with its whole answer, within `timeout`, whatever its status.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
        timeout: Duration,
        max_bytes: usize,
    ) -> Result<Answer, ClientError> {
        let url = format!("{}{path}", self.base);
        let wrong = |why: String| ClientError::Url { url: url.clone(), why };
        let mut request = Request::builder().method(method).uri(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).map_err(|error| wrong(error.to_string()))?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| self.unreachable(&error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, max_bytes)
                .collect()
                .await
                .map_err(|error| ClientError::BadAnswer { why: error.to_string() })?
                .to_bytes();
            Ok(Answer { status: parts.status, headers: parts.headers, body })
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Timeout { url: self.base.clone(), timeout_ms: timeout.as_millis() }),
        }
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> ClientError {
        // The client's own words say little; the cause below them does.
        let mut why = error.to_string();
        let mut cause = error.source();
        while let Some(deeper) = cause {
            why = format!("{why}: {deeper}");
            cause = deeper.source();
        }
        ClientError::Unreachable { url: self.base.clone(), why }
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The refusal of an answer that is no success.
    pub(super) fn refusal(&self) -> ClientError {
        let detail = serde_json::from_slice::<serde_json::Value>(&self.body)
            .ok()
            .and_then(|problem| problem.get("detail").and_then(|detail| detail.as_str()).map(str::to_owned))
            .unwrap_or_else(|| "no reason was given".to_owned());
        let retry_after = self.header("retry-after").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        ClientError::Refused { status: self.status, detail, retry_after }
    }
}
