//! Predictors as the router sees them: which are ready, passive ejection, active probing.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use axum::body::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// A connection that is refused or reset ejects at once; slow or failing answers only when so many come in a row.
const SOFT_FAILURES: u32 = 3;
const PROBE_EVERY: Duration = Duration::from_millis(100);
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// Names are looked up so often, and so long at most.
const LOOK_UP_EVERY: Duration = Duration::from_secs(1);
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(2);
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

/// One address of a table: a predictor, or the name under which several are found (a Service without an address of its own).
pub struct Target {
    url: String,
    /// The name and port to look up; none when the address is a predictor's own.
    name: Option<(String, u16)>,
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
}

impl Target {
    pub fn endpoints(&self) -> Guard<Arc<Vec<Arc<Endpoint>>>> {
        self.endpoints.load()
    }
}

/// All endpoints by address, so that what is known of one outlives a change of the table.
#[derive(Default)]
pub struct Endpoints {
    known: Mutex<Vec<Weak<Endpoint>>>,
    targets: Mutex<Vec<Weak<Target>>>,
    is_new: Notify,
}

impl Endpoints {
    pub fn target(&self, url: &str) -> Option<Arc<Target>> {
        let url = url.trim_end_matches('/');
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.retain(|target| target.strong_count() > 0);
        if let Some(target) = targets.iter().filter_map(Weak::upgrade).find(|target| target.url == url) {
            return Some(target);
        }
        // Until the name is looked up, whoever it leads to answers.
        let endpoint = self.get(url)?;
        let target = Arc::new(Target {
            url: url.to_owned(),
            name: name_of(url),
            endpoints: ArcSwap::from_pointee(vec![endpoint]),
        });
        targets.push(Arc::downgrade(&target));
        if target.name.is_some() {
            self.is_new.notify_one();
        }
        Some(target)
    }

    /// Looks names up again and again, so that pods come and go without a new table. What a name led to last is kept while it leads
    /// nowhere: a name server that is away takes nobody out of service.
    pub async fn follow_names(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let targets: Vec<Arc<Target>> = {
                let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
                targets.iter().filter_map(Weak::upgrade).collect()
            };
            for target in targets {
                let Some((host, port)) = &target.name else { continue };
                let asked = tokio::time::timeout(LOOK_UP_TIMEOUT, tokio::net::lookup_host((host.as_str(), *port)));
                let Ok(Ok(addresses)) = asked.await else { continue };
                let mut urls: Vec<String> = addresses.map(|address| format!("http://{address}")).collect();
                urls.sort();
                urls.dedup();
                let known = target.endpoints.load();
                if urls.is_empty() || known.iter().map(|endpoint| &endpoint.url).eq(&urls) {
                    continue;
                }
                tracing::info!(name = target.url, endpoints = ?urls, "predictors came or went");
                target.endpoints.store(Arc::new(urls.iter().filter_map(|url| self.get(url)).collect()));
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_UP_EVERY) => {}
                () = self.is_new.notified() => {}
            }
        }
    }

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

/// The name and port of an address that is no number.
fn name_of(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.host()?;
    let is_number = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    (!is_number).then(|| (host.to_owned(), uri.port_u16().unwrap_or(80)))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_looked_up_and_numbers_are_not() {
        assert_eq!(name_of("http://feed-v3.shop.svc:8080"), Some(("feed-v3.shop.svc".to_owned(), 8080)));
        assert_eq!(name_of("http://10.0.0.7:8080"), None);
        assert_eq!(name_of("http://[fd00::7]:8080"), None);
    }

    #[tokio::test]
    async fn a_name_becomes_the_addresses_behind_it() {
        let endpoints = Arc::new(Endpoints::default());
        let stop = CancellationToken::new();
        let task = tokio::spawn(endpoints.clone().follow_names(stop.clone()));
        let target = endpoints.target("http://localhost:9").unwrap();
        let nowhere = endpoints.target("http://nobody.invalid:9").unwrap();
        for _ in 0..100 {
            if target.endpoints().iter().all(|endpoint| !endpoint.url.contains("localhost")) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(target.endpoints().iter().any(|endpoint| endpoint.url == "http://127.0.0.1:9"));
        assert_eq!(nowhere.endpoints().len(), 1, "what leads nowhere keeps what it had");
        assert!(Arc::ptr_eq(&endpoints.target("http://localhost:9").unwrap(), &target));
        stop.cancel();
        task.await.unwrap();
    }
}
