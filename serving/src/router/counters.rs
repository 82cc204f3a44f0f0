//! What gates read: counts per version and arm, monotone since the start that `start_id` names.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Upper bounds of the latency histogram, milliseconds; one more bucket holds what is slower.
pub const BOUNDS_MS: [f64; 14] = [0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 50.0, 100.0, 150.0, 200.0, 500.0, 1_000.0];
/// Versions and arms that are counted; tables that name more share the last one.
const MAX_ARMS: usize = 256;

/// Of one version in one arm. An answer from another rung counts in the arm that was assigned, not in the one that helped.
#[derive(Default)]
pub struct ArmCounts {
    pub requests: AtomicU64,
    pub errors: AtomicU64,
    pub fallback: AtomicU64,
    pub empty: AtomicU64,
    pub late: AtomicU64,
    buckets: [AtomicU64; BOUNDS_MS.len() + 1],
    sum_us: AtomicU64,
}

impl ArmCounts {
    pub fn observe(&self, took: Duration) {
        let ms = took.as_secs_f64() * 1e3;
        let at = BOUNDS_MS.iter().position(|bound| ms <= *bound).unwrap_or(BOUNDS_MS.len());
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }
}

/// Adds one.
pub fn one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArmKey {
    pub version: String,
    pub arm: String,
    pub experiment: Option<String>,
}

pub struct Counters {
    pub start_id: String,
    pub started_at: Timestamp,
    arms: RwLock<BTreeMap<ArmKey, Arc<ArmCounts>>>,
    /// Requests without a unit: routed by chance, left out of experiments.
    pub unkeyed: AtomicU64,
    pub invalid: AtomicU64,
    pub overloaded: AtomicU64,
    /// Answers of the pack.
    pub pack: AtomicU64,
    pub overridden: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            start_id: uuid::Uuid::now_v7().to_string(),
            started_at: Timestamp::now(),
            arms: RwLock::default(),
            unkeyed: AtomicU64::new(0),
            invalid: AtomicU64::new(0),
            overloaded: AtomicU64::new(0),
            pack: AtomicU64::new(0),
            overridden: AtomicU64::new(0),
        }
    }
}

impl Counters {
    /// The counts of an arm; they outlive tables.
    pub fn arm(&self, key: ArmKey) -> Arc<ArmCounts> {
        let mut arms = self.arms.write().unwrap_or_else(PoisonError::into_inner);
        if arms.len() >= MAX_ARMS && !arms.contains_key(&key) {
            let rest = ArmKey { version: "other".to_owned(), arm: "other".to_owned(), experiment: None };
            return arms.entry(rest).or_default().clone();
        }
        arms.entry(key).or_default().clone()
    }

    pub fn arms(&self) -> Vec<(ArmKey, Arc<ArmCounts>)> {
        let arms = self.arms.read().unwrap_or_else(PoisonError::into_inner);
        arms.iter().map(|(key, counts)| (key.clone(), counts.clone())).collect()
    }

    pub fn report(&self, revision: Option<u64>, exposures: ExposureCounts) -> CountersReport {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let arms = self.arms().into_iter().map(|(key, counts)| {
            let buckets: Vec<u64> = counts.buckets.iter().map(load).collect();
            ArmReport {
                version: key.version,
                arm: key.arm,
                experiment: key.experiment,
                requests: load(&counts.requests),
                errors: load(&counts.errors),
                fallback: load(&counts.fallback),
                empty: load(&counts.empty),
                late: load(&counts.late),
                latency: LatencyReport {
                    le_ms: BOUNDS_MS.to_vec(),
                    count: buckets.iter().sum(),
                    buckets,
                    sum_ms: load(&counts.sum_us) as f64 / 1e3,
                },
            }
        });
        CountersReport {
            start_id: self.start_id.clone(),
            started_at: self.started_at.to_string(),
            revision,
            arms: arms.collect(),
            unkeyed: load(&self.unkeyed),
            invalid: load(&self.invalid),
            overloaded: load(&self.overloaded),
            pack: load(&self.pack),
            overridden: load(&self.overridden),
            exposures,
        }
    }
}

/// Answer of `GET /control/counters`. All counts only rise while `start_id` stays the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CountersReport {
    pub start_id: String,
    pub started_at: String,
    /// Of the table in effect.
    pub revision: Option<u64>,
    pub arms: Vec<ArmReport>,
    pub unkeyed: u64,
    pub invalid: u64,
    pub overloaded: u64,
    pub pack: u64,
    pub overridden: u64,
    pub exposures: ExposureCounts,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ArmReport {
    pub version: String,
    pub arm: String,
    pub experiment: Option<String>,
    /// Questions whose unit belongs to this arm.
    pub requests: u64,
    /// Of them, those that this version's predictors did not answer.
    pub errors: u64,
    /// Of them, those that another rung answered.
    pub fallback: u64,
    /// Answers without an item.
    pub empty: u64,
    /// Answers later than the request timeout, by the router's own clock.
    pub late: u64,
    pub latency: LatencyReport,
}

/// How long whole answers took at the router. `buckets[i]` counts those at most `le_ms[i]` and above the bound before; the last one has no bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LatencyReport {
    pub le_ms: Vec<f64>,
    pub buckets: Vec<u64>,
    pub count: u64,
    pub sum_ms: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExposureCounts {
    /// On disk in the event log.
    pub sent: u64,
    /// The spool was full, or the log refused them.
    pub dropped: u64,
    /// In the spool.
    pub waiting: u64,
}
