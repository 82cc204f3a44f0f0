//! What the operator remembers of a model between looks, beside what lies in the cluster. All of it can be lost.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use endcap_crds::{Experiment, ModelVersion, RecommenderModel};
use endcap_dataplane::counters::Sums;
use endcap_dataplane::routers::Behind;
use endcap_operator_core::observed;
use endcap_routing::table::Table;
use kube::ResourceExt;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::context::Context;
use crate::watch::Key;

/// A training's own report.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    pub percent: Option<i32>,
    pub eta_s: Option<i64>,
    pub at: Option<jiff::Timestamp>,
}

#[derive(Debug, Default)]
pub struct Memory {
    pub behind: Behind,
    pub sums: Sums,
    pub routers: Vec<observed::Router>,
    pub counters: Option<observed::Counters>,
    pub insights: Option<observed::Insights>,
    pub experiments: BTreeMap<String, observed::ExperimentFacts>,
    /// How far insights has read the log.
    pub offset: Option<i64>,
    pub progress: BTreeMap<String, Progress>,
    pub polled: Option<Instant>,
    pub asked: Option<Instant>,
    /// The table that was signed last, and its signed form.
    pub table: Option<(Table, String)>,
    /// Where and which table insights took last.
    pub told_insights: Option<(String, u64)>,
    /// Objects as this program wrote them, until the watch brings them.
    pub model: Written<RecommenderModel>,
    pub versions: BTreeMap<String, Written<ModelVersion>>,
    pub written_experiments: BTreeMap<String, Written<Experiment>>,
    /// The status that metrics show.
    pub reported: Option<endcap_crds::recommender_model::status::RecommenderModelStatus>,
    /// Exports of events that trainings wait for.
    pub exports: BTreeMap<String, Export>,
    /// When the model's status was last written.
    pub status_written: Option<Instant>,
    /// What was applied last, by kind and name: digest of the object.
    pub applied: HashMap<(crate::watch::child::ChildKind, String), (String, Instant)>,
}

/// An export under way, with its training's place among those that may run: no cache knows its Job yet.
#[derive(Debug)]
pub struct Export {
    pub task: JoinHandle<Option<u64>>,
    pub place: Place,
}

impl Export {
    pub fn begin(cx: &Context, key: &Key) -> Self {
        let place = Place::take(&cx.starting);
        Self { task: tokio::spawn(crate::poll::export(cx.http.clone(), crate::poll::eventlog(cx, key))), place }
    }
}

#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(places: &Arc<AtomicUsize>) -> Self {
        places.fetch_add(1, Ordering::AcqRel);
        Self(places.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An object that was written, until the watch has caught up.
#[derive(Debug)]
pub struct Written<K> {
    /// What was answered, and the versions that are older than that.
    last: Option<(Vec<String>, Arc<K>)>,
}

impl<K> Default for Written<K> {
    fn default() -> Self {
        Self { last: None }
    }
}

impl<K: ResourceExt> Written<K> {
    /// The newer one of what the watch knows and what was written.
    pub fn over(&mut self, known: Arc<K>) -> Arc<K> {
        let version = known.resource_version().unwrap_or_default();
        match &self.last {
            Some((older, written)) if older.contains(&version) => written.clone(),
            _ => {
                self.last = None;
                known
            }
        }
    }

    pub fn wrote(&mut self, replaced: &K, mut answer: K) {
        let mut older = self.last.take().map(|(older, _)| older).unwrap_or_default();
        older.extend(replaced.resource_version());
        answer.managed_fields_mut().clear();
        self.last = Some((older, Arc::new(answer)));
    }
}

/// Memories of all models.
#[derive(Debug, Default)]
pub struct Memories {
    all: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<Memory>>>>,
}

impl Memories {
    pub fn of(&self, key: &Key) -> Arc<tokio::sync::Mutex<Memory>> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(key.clone()).or_default().clone()
    }

    pub fn forget(&self, key: &Key) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// What a training says of itself.
impl Progress {
    pub fn read(report: &Value, now: jiff::Timestamp) -> Self {
        let number = |key: &str| report.get(key).and_then(Value::as_f64);
        Self {
            percent: number("percent").map(|percent| percent.clamp(0.0, 100.0) as i32),
            eta_s: number("eta_seconds").map(|eta| eta.max(0.0) as i64),
            at: Some(now),
        }
    }
}
