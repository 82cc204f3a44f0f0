//! A small world around the core: it carries plans out as a shell does, at once and completely unless told otherwise, and lets time,
//! traffic and trouble happen. Nothing of it decides anything.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use endcap_crds::model_version::status::{Metric, ModelVersionStatus, VersionPhase};
use endcap_crds::recommender_model::status::{ArmCounts, RecommenderModelStatus};
use endcap_crds::{Kind, ModelVersionSpec, PromotionPolicySpec, RecommenderModelSpec, apply_defaults};
use endcap_operator_core::observed::{
    Arm, Counters, Dataset, Experiment, Insights, Model, Observed, Outcome, Policy, Release, Router, Training, Version,
};
use endcap_operator_core::plan::Plan;
use endcap_operator_core::{decide, text};
use endcap_routing::table::Table;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub const BOUNDS: [f64; 14] = [0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 50.0, 100.0, 150.0, 200.0, 500.0, 1_000.0];

/// How a version behaves when it answers.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    pub error_rate: f64,
    pub ndcg: f64,
    /// Index of the latency bucket that most answers fall into.
    pub bucket: usize,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { error_rate: 0.0, ndcg: 0.3, bucket: 2 }
    }
}

#[derive(Clone, Debug)]
pub struct StoredVersion {
    pub spec: ModelVersionSpec,
    pub status: ModelVersionStatus,
    pub created_at: Timestamp,
    pub pinned: bool,
    pub sign_off: Option<String>,
    pub trained_after: Option<Timestamp>,
}

/// What trouble there is.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools)]
pub struct Trouble {
    pub no_counters: bool,
    /// Routers answer but take no table.
    pub deaf: bool,
    pub no_ready: bool,
    pub training_fails: bool,
}

pub struct World {
    pub now: Timestamp,
    pub spec: RecommenderModelSpec,
    pub generation: i64,
    pub status: RecommenderModelStatus,
    pub policy: Option<PromotionPolicySpec>,
    pub versions: BTreeMap<String, StoredVersion>,
    pub experiments: Vec<Experiment>,
    pub behaviour: BTreeMap<String, Behaviour>,
    pub table: Option<Table>,
    pub routers: Vec<Router>,
    pub arms: BTreeMap<String, i32>,
    pub counts: BTreeMap<(String, String), ArmCounts>,
    pub epoch: String,
    pub trouble: Trouble,
    pub insights: Option<Insights>,
    pub dataset: Option<Dataset>,
    pub training_time: SignedDuration,
    pub promoted_by: Option<String>,
    pub events: Vec<(String, String)>,
    pub log: Vec<Plan>,
    /// Names of all versions that were ever created.
    pub created: Vec<String>,
    pub trained: BTreeSet<String>,
    chance: u64,
}

pub fn model_spec(changes: &Value) -> RecommenderModelSpec {
    let mut object = json!({
        "apiVersion": "endcap.dev/v1alpha1", "kind": "RecommenderModel", "metadata": {"name": "shop", "namespace": "default"},
        "spec": {
            "data": {"sources": [{"name": "sales", "provides": ["Orders"], "object": {"uri": "file:///data", "format": "Parquet"}}]},
            "artifacts": {"uri": "file:///artifacts"}
        }
    });
    merge(&mut object["spec"], changes);
    apply_defaults(Kind::RecommenderModel, &mut object);
    serde_json::from_value(object["spec"].clone()).unwrap()
}

pub fn policy_spec(changes: &Value) -> PromotionPolicySpec {
    let mut object = json!({"apiVersion": "endcap.dev/v1alpha1", "kind": "PromotionPolicy", "metadata": {"name": "p", "namespace": "default"}, "spec": {}});
    merge(&mut object["spec"], changes);
    apply_defaults(Kind::PromotionPolicy, &mut object);
    serde_json::from_value(object["spec"].clone()).unwrap()
}

pub fn merge(to: &mut Value, from: &Value) {
    match (to, from) {
        (Value::Object(to), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    to.remove(key);
                } else {
                    merge(to.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (to, from) => *to = from.clone(),
    }
}

/// A policy that moves fast enough for a test.
pub fn quick_policy() -> PromotionPolicySpec {
    policy_spec(&json!({
        "mode": "Automatic",
        "steps": [{"name": "ten", "weight": 10, "minDuration": "20s"}, {"name": "half", "weight": 50, "minDuration": "20s"}, {"name": "all", "weight": 100}],
        "online": {"interval": "10s", "minSamples": 100, "gates": [
            {"name": "success-rate", "builtin": "SuccessRate", "min": "0.97"},
            {"name": "latency", "builtin": "LatencyP99", "max": "150"}]},
        "rollback": {"keepPreviousWarm": "60s"},
        "progressDeadline": "2m"
    }))
}

impl World {
    pub fn new(spec: &Value, policy: Option<PromotionPolicySpec>) -> Self {
        let router = |name: &str| Router {
            name: name.to_owned(),
            ready: true,
            in_service: true,
            revision: None,
            hash: None,
            weights: Vec::new(),
            behind_since: None,
        };
        Self {
            now: "2026-01-05T10:00:00Z".parse().unwrap(),
            spec: model_spec(spec),
            generation: 1,
            status: RecommenderModelStatus::default(),
            policy,
            versions: BTreeMap::new(),
            experiments: Vec::new(),
            behaviour: BTreeMap::new(),
            table: None,
            routers: vec![router("r0"), router("r1")],
            arms: BTreeMap::new(),
            counts: BTreeMap::new(),
            epoch: "e1".to_owned(),
            trouble: Trouble::default(),
            insights: None,
            dataset: None,
            training_time: SignedDuration::from_secs(30),
            promoted_by: None,
            events: Vec::new(),
            log: Vec::new(),
            created: Vec::new(),
            trained: BTreeSet::new(),
            chance: 1,
        }
    }

    /// Changes the spec as a merge patch does.
    pub fn patch(&mut self, changes: &Value) {
        let mut spec = serde_json::to_value(&self.spec).unwrap();
        merge(&mut spec, changes);
        let mut object = json!({"spec": spec});
        apply_defaults(Kind::RecommenderModel, &mut object);
        self.spec = serde_json::from_value(object["spec"].clone()).unwrap();
        self.generation += 1;
    }

    pub fn observe(&self) -> Observed {
        let versions = self.versions.iter().map(|(name, stored)| Version {
            name: name.clone(),
            generation: 1,
            created_at: stored.created_at,
            deleting: false,
            pinned: stored.pinned,
            sign_off: stored.sign_off.clone(),
            spec: stored.spec.clone(),
            status: stored.status.clone(),
        });
        let arms = self.arms.iter().map(|(version, replicas)| {
            let ready = if self.trouble.no_ready { 0 } else { *replicas };
            let endpoints = if ready > 0 { vec![format!("http://{version}")] } else { Vec::new() };
            (version.clone(), Arm { replicas: *replicas, ready, endpoints, integrity_failure: None })
        });
        Observed {
            model: Model {
                namespace: "default".to_owned(),
                name: "shop".to_owned(),
                uid: "uid-1".to_owned(),
                generation: self.generation,
                created_at: self.now,
                deleting: false,
                promoted_by: self.promoted_by.clone(),
                spec: self.spec.clone(),
                status: self.status.clone(),
                url: Some("http://shop".to_owned()),
            },
            policy: self
                .policy
                .clone()
                .map_or(Policy::BuiltIn, |spec| Policy::Found { name: "p".to_owned(), spec: Box::new(spec) }),
            versions: versions.collect(),
            experiments: self.experiments.clone(),
            trainings: self.trainings(),
            arms: arms.collect(),
            routers: self.routers.clone(),
            table: self.table.clone(),
            counters: (!self.trouble.no_counters).then(|| Counters {
                epoch: self.epoch.clone(),
                bounds_ms: BOUNDS.to_vec(),
                arms: self.counts.values().cloned().collect(),
            }),
            insights: self.insights.clone(),
            dataset: self.dataset.clone(),
            free_trainings: 10,
            release: Release {
                training_image: "endcap:1".to_owned(),
                serving_image: "endcap:1".to_owned(),
                data_uri: "file:///data".to_owned(),
            },
        }
    }

    fn trainings(&self) -> BTreeMap<String, Training> {
        let open = self.versions.iter().filter_map(|(name, stored)| {
            let started = stored.trained_after?;
            let training = if self.now < started.checked_add(self.training_time).unwrap() {
                Training::Running {
                    attempt: 1,
                    started_at: started,
                    percent: Some(50),
                    eta_s: Some(10),
                    reported_at: None,
                }
            } else if self.trouble.training_fails {
                Training::Failed {
                    reason: "TrainingFailed".to_owned(),
                    message: "no".to_owned(),
                    attempts: 3,
                    started_at: Some(started),
                    finished_at: self.now,
                }
            } else {
                Training::Succeeded(Box::new(self.outcome(name, started)))
            };
            Some((name.clone(), training))
        });
        open.collect()
    }

    fn outcome(&self, name: &str, started: Timestamp) -> Outcome {
        let metric = |version: &str| {
            vec![Metric {
                name: "ndcg@10".into(),
                value: text::decimal(self.behaviour(version).ndcg),
                split: "validation".into(),
            }]
        };
        let active = self.status.active_version.as_ref().map(ToString::to_string);
        Outcome {
            attempts: 1,
            started_at: started,
            finished_at: self.now,
            gpu_seconds: None,
            uri: format!("file:///artifacts/{name}"),
            manifest_sha256: format!("{:064x}", name.len() as u64 * 1000 + u64::from(name.as_bytes()[name.len() - 1])),
            size_bytes: 1,
            format_version: 1,
            dataset_sha256: "d".repeat(64),
            rows: 1000,
            min_time: None,
            max_time: None,
            events_until: None,
            metrics: metric(name),
            baseline_metrics: active.map(|active| metric(&active)).unwrap_or_default(),
            customers: 100_000,
            orders: 100_000,
            products: 1000,
        }
    }

    pub fn behaviour(&self, version: &str) -> Behaviour {
        self.behaviour.get(version).copied().unwrap_or_default()
    }

    /// One look, carried out.
    pub fn look(&mut self) -> Plan {
        let plan = decide(&self.observe(), self.now);
        self.carry_out(&plan);
        plan
    }

    pub fn carry_out(&mut self, plan: &Plan) {
        self.status = plan.status.clone();
        for (name, status) in &plan.versions {
            if let Some(stored) = self.versions.get_mut(name) {
                stored.status = status.clone();
            }
        }
        for experiment in &mut self.experiments {
            if let Some(status) = plan.experiments.get(&experiment.name) {
                experiment.status = status.clone();
            }
        }
        for (name, spec) in &plan.create {
            assert!(!self.created.contains(name), "{name} was created twice");
            self.created.push(name.clone());
            self.versions.insert(
                name.clone(),
                StoredVersion {
                    spec: spec.clone(),
                    status: ModelVersionStatus::default(),
                    created_at: self.now,
                    pinned: false,
                    sign_off: None,
                    trained_after: None,
                },
            );
        }
        for run in &plan.trainings {
            let stored = self.versions.get_mut(&run.version).unwrap();
            let is_final =
                matches!(stored.status.phase, Some(VersionPhase::Ready | VersionPhase::Failed | VersionPhase::Expired));
            assert!(!is_final, "{} is finished and would be trained again", run.version);
            if stored.trained_after.is_none() {
                assert!(self.trained.insert(run.version.clone()), "{} is trained twice", run.version);
                stored.trained_after = Some(self.now);
            }
        }
        self.arms = plan.arms.clone();
        if let Some(table) = &plan.table {
            self.table = Some(table.clone());
        }
        for name in &plan.replace_routers {
            if let Some(router) = self.routers.iter_mut().find(|router| &router.name == name) {
                *router = Router {
                    name: name.clone(),
                    ready: true,
                    in_service: true,
                    revision: None,
                    hash: None,
                    weights: Vec::new(),
                    behind_since: None,
                };
            }
        }
        for router in &mut self.routers {
            let Some(table) = &self.table else { continue };
            if self.trouble.deaf {
                if router.revision != Some(table.revision) && router.behind_since.is_none() {
                    router.behind_since = Some(self.now);
                }
            } else if router.ready {
                router.revision = Some(table.revision);
                router.weights = table.weights();
                router.behind_since = None;
            }
        }
        self.events.extend(plan.events.iter().map(|event| (event.reason.to_owned(), event.note.clone())));
        self.log.push(plan.clone());
    }

    /// Requests that arrive at the routers, by the table that they serve.
    pub fn traffic(&mut self, requests: i64) {
        let Some(weights) = self.routers.first().map(|router| router.weights.clone()) else { return };
        for weight in weights {
            let own = requests * i64::from(weight.buckets) / 10_000;
            let behaviour = self.behaviour(&weight.version);
            let errors = self.binomial(own, behaviour.error_rate);
            let counts = self.counts.entry((weight.arm.clone(), weight.version.clone())).or_insert_with(|| ArmCounts {
                arm: weight.arm.as_str().into(),
                version: weight.version.as_str().into(),
                requests: 0,
                errors: 0,
                fallback: 0,
                empty: 0,
                latency: vec![0; BOUNDS.len() + 1],
            });
            counts.requests += own;
            counts.errors += errors;
            counts.fallback += errors;
            counts.latency[behaviour.bucket] += own;
        }
    }

    fn binomial(&mut self, n: i64, p: f64) -> i64 {
        if p <= 0.0 {
            return 0;
        }
        let mut hits = 0;
        for _ in 0..n {
            // splitmix64
            self.chance = self.chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.chance;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            hits += i64::from(((z ^ (z >> 31)) >> 11) as f64 / ((1_u64 << 53) as f64) < p);
        }
        hits
    }

    pub fn pass(&mut self, seconds: i64) {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    /// So many looks, some seconds and requests apart.
    pub fn live(&mut self, looks: usize, seconds: i64, requests: i64) {
        for _ in 0..looks {
            self.look();
            self.pass(seconds);
            self.traffic(requests);
        }
    }

    /// Lives until something is so; panics with the story when it never is.
    pub fn until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        for _ in 0..400 {
            if is_so(self) {
                return;
            }
            self.live(1, 5, 1_000);
        }
        panic!("it never came to this: {what}\n{:#?}\n{:#?}", self.status, self.events);
    }

    pub fn active(&self) -> Option<String> {
        self.status.active_version.as_ref().map(ToString::to_string)
    }

    pub fn condition(&self, type_: &str) -> Option<(String, String, String)> {
        let found = self.status.conditions.iter().find(|condition| condition.type_ == type_)?;
        Some((found.status.clone(), found.reason.clone(), found.message.clone()))
    }

    /// Percent of the units that a version's arms have in the table.
    pub fn weight(&self, version: &str) -> i32 {
        let Some(table) = &self.table else { return 0 };
        table
            .weights()
            .iter()
            .filter(|weight| weight.version == version && weight.experiment.is_none())
            .map(|weight| i32::from(weight.buckets))
            .sum()
    }

    pub fn said(&self, reason: &str) -> usize {
        self.events.iter().filter(|event| event.0 == reason).count()
    }
}
