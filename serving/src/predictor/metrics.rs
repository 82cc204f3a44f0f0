//! Numbers of a predictor. Labels are few and fixed.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds in seconds: from a tenth of the goal to the contract.
pub const LATENCY_BUCKETS: [f64; 12] = [0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.5];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    /// `answered`, `invalid`, `queue_full`, `deadline`, `policy_unknown`, `failed`
    pub outcome: &'static str,
}

pub struct Metrics {
    pub requests: Family<Outcome, Counter>,
    pub latency: Histogram,
    pub empty: Counter,
    pub waiting: Gauge,
    pub live_offset: Gauge<i64, AtomicI64>,
    /// 1 while the event log is followed.
    pub live_following: Gauge,
}

impl Metrics {
    pub fn register(registry: &mut Registry) -> Arc<Self> {
        let metrics = Self {
            requests: Family::default(),
            latency: Histogram::new(LATENCY_BUCKETS),
            empty: Counter::default(),
            waiting: Gauge::default(),
            live_offset: Gauge::default(),
            live_following: Gauge::default(),
        };
        let r = registry;
        r.register("endcap_predictor_requests", "Questions by outcome", metrics.requests.clone());
        r.register(
            "endcap_predictor_latency_seconds",
            "Time from question to answer, queue included",
            metrics.latency.clone(),
        );
        r.register("endcap_predictor_empty", "Answers without an item", metrics.empty.clone());
        r.register("endcap_predictor_waiting", "Questions in the queue", metrics.waiting.clone());
        r.register(
            "endcap_live_next_offset",
            "First offset of the event log that is not applied",
            metrics.live_offset.clone(),
        );
        r.register("endcap_live_following", "1 while the event log is followed", metrics.live_following.clone());
        Arc::new(metrics)
    }

    pub fn count(&self, outcome: &'static str) {
        self.requests.get_or_create(&Outcome { outcome }).inc();
    }
}
