//! An open-loop load: questions leave at their appointed times whether or not earlier ones were answered, and latency counts from the
//! appointed time, so that a stall is seen by everybody who would have waited (no coordinated omission).

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use hdrhistogram::Histogram;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;

/// How to load.
#[derive(Clone, Debug)]
pub struct Plan {
    pub url: Uri,
    /// Questions a second.
    pub rate: f64,
    pub duration: Duration,
    /// Questions under way at once; further ones wait for room, and their waiting counts.
    pub connections: usize,
    /// A question that takes longer counts as failed.
    pub timeout: Duration,
}

/// One answer, for the check.
#[derive(Debug)]
pub struct Answer<'a> {
    /// Place in the load, from 0.
    pub number: u64,
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    /// When it was to be asked, since the start of the load.
    pub at: Duration,
    /// From then to the whole answer.
    pub took: Duration,
}

/// What came of a load. Latencies in microseconds.
#[derive(Clone, Debug)]
pub struct Report {
    pub sent: u64,
    /// With a status, whatever it is.
    pub answered: u64,
    /// Without an answer: refused, reset, timed out.
    pub failed: u64,
    /// Whose check said no.
    pub bad: u64,
    /// The first few complaints.
    pub complaints: Vec<String>,
    pub latency_us: Histogram<u64>,
    pub elapsed: Duration,
}

impl Report {
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latency_us.value_at_quantile(quantile) as f64 / 1e3
    }

    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |quantile| self.quantile_ms(quantile);
        write!(
            f,
            "{} sent, {} answered ({:.0}/s), {} failed, {} bad; p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms",
            self.sent,
            self.answered,
            self.rate(),
            self.failed,
            self.bad,
            ms(0.5),
            ms(0.9),
            ms(0.99),
            ms(0.999),
            self.latency_us.max() as f64 / 1e3
        )
    }
}

const MAX_COMPLAINTS: usize = 10;

#[derive(Debug, thiserror::Error)]
#[error("failed to make the latency histogram: {0}")]
pub struct LoadError(#[from] hdrhistogram::CreationError);

/// Runs a load. `body` makes question `n`; `check` looks at each answer and complains.
pub async fn run<B, C>(plan: Plan, body: B, check: C) -> Result<Report, LoadError>
where
    B: Fn(u64) -> Bytes + Send,
    C: Fn(&Answer<'_>) -> Result<(), String> + Send + Sync + 'static,
{
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(plan.connections)
        .build::<_, Full<Bytes>>(connector);
    // A microsecond to ten minutes, three digits.
    let report = Report {
        sent: 0,
        answered: 0,
        failed: 0,
        bad: 0,
        complaints: Vec::new(),
        latency_us: Histogram::new_with_bounds(1, 600_000_000, 3)?,
        elapsed: Duration::ZERO,
    };
    let report = Arc::new(Mutex::new(report));
    let check = Arc::new(check);
    let room = Arc::new(Semaphore::new(plan.connections));
    let total = (plan.rate * plan.duration.as_secs_f64()).round() as u64;
    let started = Instant::now();
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..total {
        let at = Duration::from_secs_f64(number as f64 / plan.rate);
        tokio::time::sleep_until((started + at).into()).await;
        let request = Request::post(plan.url.clone())
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(body(number)));
        let (client, room, check, report) = (client.clone(), room.clone(), check.clone(), report.clone());
        let timeout = plan.timeout;
        asked.spawn(async move {
            let exchange = async {
                let _room = room.acquire().await.map_err(|error| error.to_string())?;
                let response = client.request(request.map_err(|error| error.to_string())?).await;
                let (parts, body) = response.map_err(|error| format!("{error:?}"))?.into_parts();
                let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
                Ok::<_, String>((parts, body))
            };
            let result = within(timeout, exchange).await;
            let took = started.elapsed().saturating_sub(at);
            let verdict = result.as_ref().map_err(Clone::clone).and_then(|(parts, body)| {
                check(&Answer { number, status: parts.status, headers: &parts.headers, body, at, took })
            });
            let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
            match &result {
                Ok(_) => {
                    report.answered += 1;
                    report.latency_us.saturating_record(took.as_micros().max(1) as u64);
                    report.bad += u64::from(verdict.is_err());
                }
                Err(_) => report.failed += 1,
            }
            if let Err(complaint) = verdict
                && report.complaints.len() < MAX_COMPLAINTS
            {
                report.complaints.push(format!("question {number} at {:.3} s: {complaint}", at.as_secs_f64()));
            }
        });
        // Finished tasks are cleared away as we go.
        while asked.try_join_next().is_some() {}
    }
    while asked.join_next().await.is_some() {}
    let mut report = report.lock().unwrap_or_else(PoisonError::into_inner).clone();
    report.sent = total;
    report.elapsed = started.elapsed();
    Ok(report)
}

async fn within<T>(timeout: Duration, exchange: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(format!("no answer within {timeout:?}")))
}
