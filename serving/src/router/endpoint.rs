//! Predictors as the router sees them: which are ready, passive ejection, active probing.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio_util::sync::CancellationToken;

pub type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// A connection that is refused or reset ejects at once; slow or failing answers only when so many come in a row.
const SOFT_FAILURES: u32 = 3;
const PROBE_EVERY: Duration = Duration::from_millis(100);
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// An endpoint that keeps failing is probed this seldom at most.
const MAX_BACKOFF: Duration = Duration::from_secs(2);

pub fn http_client() -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_millis(500)));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(256)
        .build(connector)
}

/// How a call failed, as far as the endpoint's health is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody answers at this address.
    Hard,
    /// Too slow, or a wrong answer.
    Soft,
}

/// One predictor.
pub struct Endpoint {
    pub url: String,
    pub recommendations: Uri,
    ready: AtomicBool,
    failures: AtomicU32,
    in_flight: AtomicU32,
    /// When to probe next and how long to wait after that.
    probe: Mutex<(Instant, Duration)>,
    pub ejections: AtomicU64,
}

impl Endpoint {
    fn new(url: &str) -> Option<Self> {
        let recommendations = format!("{}/v1/recommendations", url.trim_end_matches('/')).parse().ok()?;
        Some(Self {
            url: url.trim_end_matches('/').to_owned(),
            recommendations,
            // Taken as ready until it proves otherwise: a new table must not wait for a probe.
            ready: AtomicBool::new(true),
            failures: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            probe: Mutex::new((Instant::now(), PROBE_EVERY)),
            ejections: AtomicU64::new(0),
        })
    }

    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    pub fn succeeded(&self) {
        self.failures.store(0, Ordering::Release);
    }

    pub fn failed(&self, failure: Failure) {
        let failures = self.failures.fetch_add(1, Ordering::AcqRel) + 1;
        if (failure == Failure::Hard || failures >= SOFT_FAILURES) && self.ready.swap(false, Ordering::AcqRel) {
            self.ejections.fetch_add(1, Ordering::Relaxed);
            *self.probe.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now() + PROBE_EVERY, PROBE_EVERY);
            tracing::warn!(endpoint = self.url, ?failure, failures, "endpoint ejected");
        }
    }

    fn readmit(&self) {
        self.failures.store(0, Ordering::Release);
        if !self.ready.swap(true, Ordering::AcqRel) {
            tracing::info!(endpoint = self.url, "endpoint is back");
        }
    }

    /// Counts a call for as long as the guard lives.
    pub fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(self.clone())
    }

    /// Whether a probe is due; if so, the next one comes later.
    fn probe_due(&self) -> bool {
        let mut probe = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now < probe.0 {
            return false;
        }
        *probe = (now + probe.1, (probe.1 * 2).min(MAX_BACKOFF));
        true
    }
}

pub struct InFlight(Arc<Endpoint>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The least busy ready endpoint beside `not`; `turn` breaks ties, so that load is spread.
pub fn pick(endpoints: &[Arc<Endpoint>], not: Option<&Arc<Endpoint>>, turn: usize) -> Option<Arc<Endpoint>> {
    let count = endpoints.len().max(1);
    let turned = endpoints.iter().cycle().skip(turn % count).take(endpoints.len());
    turned
        .filter(|endpoint| endpoint.is_ready() && not.is_none_or(|not| !Arc::ptr_eq(not, endpoint)))
        .min_by_key(|endpoint| endpoint.in_flight.load(Ordering::Acquire))
        .cloned()
}

/// All endpoints by address, so that what is known of one outlives a change of the table.
#[derive(Default)]
pub struct Endpoints {
    known: Mutex<Vec<Weak<Endpoint>>>,
}

impl Endpoints {
    pub fn get(&self, url: &str) -> Option<Arc<Endpoint>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|endpoint| endpoint.strong_count() > 0);
        let url = url.trim_end_matches('/');
        if let Some(endpoint) = known.iter().filter_map(Weak::upgrade).find(|endpoint| endpoint.url == url) {
            return Some(endpoint);
        }
        let endpoint = Arc::new(Endpoint::new(url)?);
        known.push(Arc::downgrade(&endpoint));
        Some(endpoint)
    }

    fn ejected(&self) -> Vec<Arc<Endpoint>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter_map(Weak::upgrade).filter(|endpoint| !endpoint.is_ready()).collect()
    }

    /// Asks ejected endpoints whether they are ready again.
    pub async fn probe(self: Arc<Self>, client: HttpClient, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PROBE_EVERY / 2) => {}
            }
            for endpoint in self.ejected().into_iter().filter(|endpoint| endpoint.probe_due()) {
                tokio::spawn(probe_one(client.clone(), endpoint));
            }
        }
    }
}

async fn probe_one(client: HttpClient, endpoint: Arc<Endpoint>) {
    let Ok(request) = Request::get(format!("{}/readyz", endpoint.url)).body(Full::default()) else { return };
    let answer = tokio::time::timeout(PROBE_TIMEOUT, async {
        let response = client.request(request).await.ok()?;
        let status = response.status();
        response.into_body().collect().await.ok()?;
        Some(status.is_success())
    });
    if matches!(answer.await, Ok(Some(true))) {
        endpoint.readmit();
    }
}
