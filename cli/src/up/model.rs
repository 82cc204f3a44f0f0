//! One model on this machine: what is observed of it, and how a plan is carried out. Nothing here decides.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use endcap_crds::{Experiment, Kind, ModelVersion, PromotionPolicy, RecommenderModel};
use endcap_dataplane::counters::Sums;
use endcap_dataplane::objects as seen;
use endcap_dataplane::routers::Behind;
use endcap_operator_core::observed::{self, Observed, Policy, Release, Training};
use endcap_operator_core::plan::{About, Plan};
use endcap_routing::table::{KeyPair, Table};
use jiff::Timestamp;
use serde_json::{Map, json};

use super::dataset::Extent;
use super::events::{Events, Said};
use super::fleet::{Predictors, Slot};
use super::objects::{Objects, object};
use super::training::Process;

const MANAGER: &str = "endcap";

/// What all models share.
#[derive(Clone)]
pub struct Shared {
    pub state: PathBuf,
    pub keys: std::sync::Arc<KeyPair>,
    pub client: reqwest::Client,
}

/// The programs of one model.
pub struct Shell {
    pub namespace: String,
    pub name: String,
    pub(super) shared: Shared,
    pub(super) folder: PathBuf,
    pub(super) logs: PathBuf,
    /// Where the OMS calls.
    pub(super) listen: SocketAddr,
    pub(super) eventlog: Slot,
    pub(super) insights: Slot,
    pub(super) routers: Vec<Slot>,
    pub(super) predictors: Predictors,
    pub(super) trainings: BTreeMap<String, Process>,
    pub(super) sums: Sums,
    pub(super) table: Option<Table>,
    pub(super) behind: Behind,
    pub(super) routed: Vec<observed::Router>,
    pub(super) counted: Option<observed::Counters>,
    pub(super) insights_facts: Option<observed::Insights>,
    pub(super) experiment_facts: BTreeMap<String, observed::ExperimentFacts>,
    pub(super) extent: Option<Extent>,
    pub(super) asked_insights: Instant,
    pub(super) expired: Vec<String>,
    /// Where and which table insights took last.
    pub(super) told_insights: Option<(String, u64)>,
}

impl Shell {
    pub fn new(namespace: &str, name: &str, listen: SocketAddr, shared: &Shared) -> Result<Self> {
        let folder = shared.state.join("models").join(namespace).join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("failed to make the folder {}", folder.display()))?;
        let logs = super::fleet::logs(&folder)?;
        let table = std::fs::read(folder.join("table.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            shared: shared.clone(),
            folder,
            logs,
            listen,
            eventlog: Slot::default(),
            insights: Slot::default(),
            routers: Vec::new(),
            predictors: Predictors::default(),
            trainings: BTreeMap::new(),
            sums: Sums::default(),
            table,
            behind: Behind::default(),
            routed: Vec::new(),
            counted: None,
            insights_facts: None,
            experiment_facts: BTreeMap::new(),
            extent: None,
            asked_insights: Instant::now(),
            expired: Vec::new(),
            told_insights: None,
        })
    }

    pub fn router_url(&self) -> String {
        format!("http://{}", self.listen)
    }

    pub fn insights_url(&self) -> Option<String> {
        self.insights.url("listen")
    }

    pub fn eventlog_url(&self) -> Option<String> {
        self.eventlog.url("listen")
    }

    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Children by what they are, for people and for tests that end them.
    pub fn pids(&self) -> Vec<(String, u32)> {
        let own = [("eventlog", &self.eventlog), ("insights", &self.insights)];
        let own = own.into_iter().filter_map(|(name, slot)| Some((name.to_owned(), slot.pid()?)));
        let routers =
            self.routers.iter().enumerate().filter_map(|(at, slot)| Some((format!("router-{at}"), slot.pid()?)));
        let trainings = self
            .trainings
            .iter()
            .filter_map(|(version, process)| Some((format!("training {version}"), process.pid()?)));
        let predictors = self.predictors.pids().into_iter().map(|(version, pid)| (format!("predictor {version}"), pid));
        own.chain(routers).chain(trainings).chain(predictors).collect()
    }

    /// One look: observe, decide, carry out.
    pub async fn look(&mut self, objects: &Objects, events: &Events) -> Result<()> {
        let Some(model) = objects.get(Kind::RecommenderModel, &self.namespace, &self.name) else { return Ok(()) };
        let model: RecommenderModel = serde_json::from_value(model).context("failed to read the model")?;
        self.poll(objects, &model).await;
        let observed = self.observe(objects, &model)?;
        let plan = endcap_operator_core::decide(&observed, Timestamp::now());
        self.carry_out(objects, events, &model, &plan).await
    }

    fn observe(&self, objects: &Objects, model: &RecommenderModel) -> Result<Observed> {
        let namespace = Some(self.namespace.as_str());
        let policy = match &model.spec.promotion_policy_ref {
            None => Policy::BuiltIn,
            Some(wanted) => match objects.get(Kind::PromotionPolicy, &self.namespace, wanted.name.as_str()) {
                None => Policy::Missing { name: wanted.name.to_string() },
                Some(found) => {
                    let found: PromotionPolicy = serde_json::from_value(found).context("failed to read the policy")?;
                    Policy::Found { name: wanted.name.to_string(), spec: Box::new(found.spec) }
                }
            },
        };
        let mut versions = Vec::new();
        for value in objects.list(Kind::ModelVersion, namespace).0 {
            let version: ModelVersion = serde_json::from_value(value).context("failed to read a version")?;
            if version.spec.model_ref.name.as_str() == self.name {
                versions.push(version);
            }
        }
        let dataset = self.extent.as_ref().and_then(|extent| extent.since(&self.trainings_folder(), &versions));
        let versions = versions.into_iter().map(seen::version).collect();
        let experiments = self.experiments(objects)?.into_iter().map(|experiment| {
            let found = self.experiment_facts.get(experiment.metadata.name.as_deref().unwrap_or_default());
            seen::experiment(experiment, found.cloned())
        });
        let experiments = experiments.collect();
        let trainings: BTreeMap<String, Training> =
            self.trainings.iter().map(|(version, process)| (version.clone(), process.facts())).collect();
        Ok(Observed {
            model: seen::model(model, Some(self.router_url())),
            policy,
            versions,
            experiments,
            trainings,
            arms: self.predictors.arms(),
            routers: self.routed.clone(),
            table: self.table.clone(),
            counters: self.counted.clone(),
            insights: self.insights_facts.clone(),
            dataset,
            free_trainings: 1,
            release: Release {
                training_image: format!("endcap:{}", env!("CARGO_PKG_VERSION")),
                serving_image: format!("endcap:{}", env!("CARGO_PKG_VERSION")),
                data_uri: data_of(model),
            },
        })
    }

    pub(super) fn experiments(&self, objects: &Objects) -> Result<Vec<Experiment>> {
        let all = objects.list(Kind::Experiment, Some(&self.namespace)).0.into_iter();
        let read = all.map(|value| serde_json::from_value(value).context("failed to read an experiment"));
        let all: Vec<Experiment> = read.collect::<Result<_>>()?;
        Ok(all.into_iter().filter(|experiment| experiment.spec.model_ref.name.as_str() == self.name).collect())
    }

    pub(super) fn trainings_folder(&self) -> PathBuf {
        self.folder.join("trainings")
    }

    async fn carry_out(
        &mut self,
        objects: &Objects,
        events: &Events,
        model: &RecommenderModel,
        plan: &Plan,
    ) -> Result<()> {
        let refused = |refused: super::objects::Refused| anyhow::anyhow!(refused.message);
        // Statuses are the memory: they are written before anything follows from them.
        for (name, status) in &plan.versions {
            objects
                .put_status(Kind::ModelVersion, &self.namespace, name, serde_json::to_value(status)?)
                .map_err(refused)?;
        }
        for (name, status) in &plan.experiments {
            objects
                .put_status(Kind::Experiment, &self.namespace, name, serde_json::to_value(status)?)
                .map_err(refused)?;
        }
        objects
            .put_status(Kind::RecommenderModel, &self.namespace, &self.name, serde_json::to_value(&plan.status)?)
            .map_err(refused)?;
        for event in &plan.events {
            let (kind, name) = match &event.about {
                About::Model => ("RecommenderModel", self.name.as_str()),
                About::Version(name) => ("ModelVersion", name.as_str()),
                About::Experiment(name) => ("Experiment", name.as_str()),
            };
            events.say(&Said {
                namespace: &self.namespace,
                kind,
                name,
                reason: event.reason,
                note: &event.note,
                warning: event.warning,
            })?;
        }
        for (name, spec) in &plan.create {
            let mut labels = Map::new();
            labels.insert(endcap_crds::reasons::label::MODEL.to_owned(), json!(self.name));
            labels.insert(endcap_crds::reasons::label::VERSION.to_owned(), json!(name));
            labels.insert(endcap_crds::reasons::label::TRIGGER.to_owned(), json!(format!("{:?}", spec.trigger.type_)));
            let created = object(Kind::ModelVersion, &self.namespace, name, &labels, &serde_json::to_value(spec)?);
            objects.apply(Kind::ModelVersion, created, MANAGER, true).map_err(refused)?;
        }
        self.train(model, plan).await?;
        self.serve(objects, model, plan).await?;
        self.route(plan).await?;
        self.expire(objects, plan)?;
        Ok(())
    }

    /// Ends everything in the order in which requests flow.
    pub async fn end(mut self) {
        self.trainings.clear();
        for slot in self.routers {
            let _ = slot.end().await;
        }
        for task in self.predictors.end() {
            let _ = task.await;
        }
        let _ = self.insights.end().await;
        let _ = self.eventlog.end().await;
    }
}

/// The folder of the canonical tables that the model's sources name.
pub(super) fn data_of(model: &RecommenderModel) -> String {
    let source = model.spec.data.sources.iter().find_map(|source| source.object.as_ref());
    source.map_or_else(|| "file:///".to_owned(), |object| object.uri.to_string())
}
