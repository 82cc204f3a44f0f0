//! What is known of a model as the core wants to see it: caches and the data plane's answers, nothing else is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use endcap_crds::common::pods::Device;
use endcap_crds::model_version::status::VersionPhase;
use endcap_crds::{Experiment, ModelVersion, RecommenderModel};
use endcap_dataplane::objects as seen;
use endcap_dataplane::{integrity, outcome};
use endcap_operator_core::observed::{Arm, Dataset, Observed, Policy, Release, Router, Training};
use endcap_routing::table::{Envelope, Table};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::Value;

use crate::build::meta::Component;
use crate::build::training::TRAINER;
use crate::build::{API, routing, url};
use crate::context::Context;
use crate::memory::Memory;
use crate::watch::Key;
use crate::watch::child::{Child, ChildKind, Facts, JobFacts, quantity};
use crate::watch::pod::{Ended, PodFacts};

/// Everything of one model, as objects.
pub struct Seen {
    pub model: Arc<RecommenderModel>,
    pub versions: Vec<Arc<ModelVersion>>,
    pub experiments: Vec<Arc<Experiment>>,
    pub children: Vec<Arc<Child>>,
    pub pods: Vec<Arc<PodFacts>>,
}

impl Seen {
    /// From the caches, with what was written since.
    pub fn read(cx: &Context, key: &Key, memory: &mut Memory) -> Option<Self> {
        let model = memory.model.over(cx.caches.models.get(key)?);
        let uid = model.uid().unwrap_or_default();
        let versions = cx.caches.versions.of(key);
        memory.versions.retain(|name, _| versions.iter().any(|version| &version.name == name));
        let versions = versions
            .into_iter()
            // Those of an earlier model of this name go with it.
            .filter(|version| version.model_uid == uid)
            .filter_map(|version| version.open())
            .map(|version| memory.versions.entry(version.name_any()).or_default().over(version))
            .collect();
        let experiments = cx.caches.experiments.of(key);
        memory.written_experiments.retain(|name, _| experiments.iter().any(|one| &one.name_any() == name));
        let experiments = experiments
            .into_iter()
            .map(|one| memory.written_experiments.entry(one.name_any()).or_default().over(one))
            .collect();
        let (children, pods) = (cx.caches.children.of(key), cx.caches.pods.of(key));
        Some(Self { model, versions, experiments, children, pods })
    }

    fn child(&self, kind: ChildKind, name: &str) -> Option<&Child> {
        self.children.iter().find(|child| child.kind == kind && child.name == name).map(AsRef::as_ref)
    }
}

pub fn observe(cx: &Context, key: &Key, seen: &Seen, memory: &mut Memory) -> Observed {
    let (namespace, name) = (&key.0, &key.1);
    let spec = &seen.model.spec;
    let policy = match &spec.promotion_policy_ref {
        None => Policy::BuiltIn,
        Some(wanted) => match cx.caches.policies.get(&(namespace.clone(), wanted.name.to_string())) {
            None => Policy::Missing { name: wanted.name.to_string() },
            Some(found) => Policy::Found { name: wanted.name.to_string(), spec: Box::new(found.spec.clone()) },
        },
    };
    if memory.table.is_none() {
        memory.table = kept_table(cx, seen, name);
    }
    let trainings = seen
        .versions
        .iter()
        .filter(|version| !is_final(version))
        .filter_map(|version| {
            let name = version.name_any();
            Some((name.clone(), training(seen, memory, &name)?))
        })
        .collect();
    let image = |device: Device| if device == Device::Gpu { cx.options.gpu_image() } else { cx.options.image.clone() };
    let source = spec.data.sources.iter().find_map(|source| source.object.as_ref());
    Observed {
        model: seen::model(&seen.model, Some(address(name, namespace))),
        policy,
        versions: seen.versions.iter().map(|version| seen::version(version.as_ref().clone())).collect(),
        experiments: seen
            .experiments
            .iter()
            .map(|one| seen::experiment(one.as_ref().clone(), memory.experiments.get(&one.name_any()).cloned()))
            .collect(),
        trainings,
        arms: arms(seen, namespace),
        routers: routers(seen, memory),
        table: memory.table.as_ref().map(|(table, _)| table.clone()),
        counters: memory.counters.clone(),
        insights: memory.insights.clone(),
        dataset: dataset(seen, memory.offset),
        free_trainings: cx.free_trainings(),
        release: Release {
            training_image: image(spec.training.device),
            serving_image: image(spec.serving.device),
            data_uri: source.map_or_else(|| spec.artifacts.uri.to_string(), |object| object.uri.to_string()),
        },
    }
}

/// The stable address for the OMS.
pub fn address(model: &str, namespace: &str) -> String {
    format!("http://{model}.{namespace}.svc")
}

fn is_final(version: &ModelVersion) -> bool {
    let phase = version.status.as_ref().and_then(|status| status.phase);
    matches!(phase, Some(VersionPhase::Ready | VersionPhase::Failed | VersionPhase::Expired))
}

/// The table as an earlier operator signed it. Whoever else wrote into the ConfigMap is not believed.
fn kept_table(cx: &Context, seen: &Seen, model: &str) -> Option<(Table, String)> {
    let child = seen.child(ChildKind::ConfigMap, &routing::name(model))?;
    let Facts::Table(Some(text)) = &child.facts else { return None };
    let envelope: Envelope = serde_json::from_str(text).ok()?;
    let keys = cx.keys.own.as_str();
    let other = cx.keys.other.as_deref();
    let keys: Vec<_> = std::iter::once(keys)
        .chain(other)
        .filter_map(|key| endcap_routing::table::parse_public_key(key).ok())
        .collect();
    match endcap_routing::table::verify(&envelope, &keys) {
        Ok(table) => Some((table, text.clone())),
        Err(error) => {
            tracing::warn!(model, "the kept routing table is not believed: {error}");
            None
        }
    }
}

/// Routers as they said, and whether their Service sends them requests already: it does once their pod is ready.
fn routers(seen: &Seen, memory: &Memory) -> Vec<Router> {
    let in_service = |name: &str| seen.pods.iter().any(|pod| pod.name == name && pod.is_ready);
    let known = memory.routers.iter().cloned();
    known.map(|router| Router { in_service: in_service(&router.name), ..router }).collect()
}

/// Predictors by version. Routers find them by the name of their Service, which outlives every pod.
fn arms(seen: &Seen, namespace: &str) -> BTreeMap<String, Arm> {
    let deployments = seen.children.iter().filter(|child| child.kind == ChildKind::Deployment && !child.is_deleting);
    deployments
        .filter(|child| child.name != Component::Router.of(&seen.model.name_any()))
        .map(|child| {
            let Facts::Workload { ready } = child.facts else { return (child.name.clone(), Arm::default()) };
            let pods = seen.pods.iter().filter(|pod| {
                pod.component == Component::Predictor.as_str() && pod.version.as_deref() == Some(child.name.as_str())
            });
            let failure =
                pods.filter(|pod| !pod.is_ready).filter_map(|pod| pod.ended.as_ref()).find_map(integrity_failure);
            let arm = Arm {
                replicas: child.replicas.unwrap_or(0),
                ready,
                endpoints: vec![url(&child.name, namespace, API)],
                integrity_failure: failure,
            };
            (child.name.clone(), arm)
        })
        .collect()
}

/// What a predictor ends with when its artifact is not what it must be, or is not there.
const EXIT_ARTIFACT: i32 = 3;

/// Why a predictor refuses its artifact, from the end of its log.
fn integrity_failure(ended: &Ended) -> Option<String> {
    if ended.exit_code != EXIT_ARTIFACT {
        return None;
    }
    let line = ended.message.lines().rev().find(|line| integrity::is_failure(line))?;
    Some(line.chars().take(400).collect())
}

/// How a training goes, by its Job and the pod that carries it.
fn training(seen: &Seen, memory: &Memory, version: &str) -> Option<Training> {
    let child = seen.child(ChildKind::Job, version)?;
    let Facts::Job(job) = &child.facts else { return None };
    let mut pods: Vec<&PodFacts> = seen
        .pods
        .iter()
        .map(AsRef::as_ref)
        .filter(|pod| pod.component == Component::Training.as_str() && pod.version.as_deref() == Some(version))
        .collect();
    pods.sort_by_key(|pod| pod.created_at);
    let pod = pods.last().copied();
    let attempts = 1 + pod.map_or(0, |pod| pod.restarts) + job.failed_pods;
    let since = job.created_at.unwrap_or_default();
    let started_at = job.started_at.unwrap_or(since);
    let ended = pod.and_then(|pod| pod.ended.as_ref());
    let message = ended.map(|ended| serde_json::from_str::<Value>(&ended.message).unwrap_or_default());
    if let (Some(ended), Some(message)) = (ended, &message) {
        let finished_at = ended.finished_at.unwrap_or(since);
        let failed = |reason: String, message: String| Training::Failed {
            reason,
            message,
            attempts,
            started_at: Some(started_at),
            finished_at,
        };
        let said = || {
            let (reason, text) = outcome::failure(message);
            // What prepares the data says it in its log.
            let text = if message.is_object() { text } else { last_line(&ended.message) };
            (reason, text)
        };
        match ended.exit_code {
            0 if ended.container == TRAINER => {
                let run = outcome::Run {
                    attempts,
                    started_at,
                    finished_at,
                    gpu_seconds: gpu_seconds(&seen.model, started_at, finished_at),
                };
                return Some(match outcome::read(message, run) {
                    Some(outcome) => Training::Succeeded(Box::new(outcome)),
                    None => failed("OutcomeUnreadable".to_owned(), format!("its last words were {:?}", ended.message)),
                });
            }
            outcome::exit::VERSION_TAKEN if ended.container == TRAINER => {
                return Some(Training::Taken { highest: outcome::highest(message), finished_at });
            }
            outcome::exit::REFUSED | outcome::exit::ARTIFACT_TAKEN => {
                let (reason, text) = said();
                return Some(failed(reason, text));
            }
            _ => {
                if let Some((at, Err((reason, text)))) = &job.finished {
                    let (said_reason, said_text) = said();
                    let reason = if reason == "DeadlineExceeded" { reason.clone() } else { said_reason };
                    return Some(Training::Failed {
                        reason,
                        message: format!("{said_text} ({text})"),
                        attempts,
                        started_at: Some(started_at),
                        finished_at: *at,
                    });
                }
            }
        }
    }
    Some(match &job.finished {
        Some((at, Err((reason, text)))) => Training::Failed {
            reason: reason.clone(),
            message: text.clone(),
            attempts,
            started_at: Some(started_at),
            finished_at: *at,
        },
        // Its pod is gone before anybody read what it said: see `is_lost`.
        Some((_, Ok(()))) => Training::Pending { since: Timestamp::now() },
        None => running(job, pod, memory.progress.get(version).copied(), attempts),
    })
}

fn running(
    job: &JobFacts,
    pod: Option<&PodFacts>,
    progress: Option<crate::memory::Progress>,
    attempts: i32,
) -> Training {
    // A Job that was suspended begins anew.
    let since = job.started_at.or(job.created_at).unwrap_or_default();
    match pod.filter(|pod| pod.is_scheduled && pod.phase != "Failed") {
        None => Training::Pending { since },
        Some(pod) if !pod.is_running && pod.ended.is_none() && pod.phase == "Pending" => Training::Pending { since },
        Some(_) => Training::Running {
            attempt: attempts,
            started_at: job.started_at.unwrap_or(since),
            percent: progress.and_then(|progress| progress.percent),
            eta_s: progress.and_then(|progress| progress.eta_s),
            reported_at: progress.and_then(|progress| progress.at),
        },
    }
}

/// A Job has completed, but its pod went before its words were read. Run again it finds its artifact published and says them anew.
pub fn is_lost(child: &Child, pods: &[Arc<PodFacts>]) -> bool {
    let Facts::Job(job) = &child.facts else { return false };
    matches!(job.finished, Some((_, Ok(()))))
        && !pods.iter().any(|pod| {
            pod.component == Component::Training.as_str() && pod.version.as_deref() == Some(child.name.as_str())
        })
}

fn last_line(text: &str) -> String {
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").chars().take(900).collect()
}

fn gpu_seconds(model: &RecommenderModel, from: Timestamp, to: Timestamp) -> Option<i64> {
    let training = &model.spec.training;
    if training.device == Device::Cpu {
        return None;
    }
    let limits = training.resources.limits.iter().filter(|(name, _)| name.ends_with("/gpu"));
    let gpus: f64 = limits.filter_map(|(_, size)| quantity(&size.0)).sum();
    Some(((to.as_second() - from.as_second()).max(0) as f64 * gpus) as i64)
}

/// How much there is to learn from, against what the newest version learned from: events that came since.
fn dataset(seen: &Seen, offset: Option<i64>) -> Option<Dataset> {
    let trained = seen
        .versions
        .iter()
        .filter_map(|version| Some((version.spec.version, version.status.as_ref()?.dataset.as_ref()?)));
    let (_, known) = trained.max_by_key(|(number, _)| *number)?;
    let new = (offset? - known.events_until.unwrap_or(0)).max(0);
    // The sources may have changed too, which nobody here can see: a due training is never passed over as needless.
    Some(Dataset { sha256: "unknown".to_owned(), rows: known.rows + new })
}
