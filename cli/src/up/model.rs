//! One model on this machine: what is observed of it, and how a plan is carried out. Nothing here decides.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use endcap_crds::model_version::status::{ModelVersionStatus, VersionPhase};
use endcap_crds::{Experiment, Kind, ModelVersion, PromotionPolicy, RecommenderModel};
use endcap_operator_core::observed::{self, Observed, Policy, Release, Training};
use endcap_operator_core::plan::{About, Plan};
use endcap_routing::table::{KeyPair, Table, sign};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::counters::Sums;
use super::events::{Events, Said};
use super::facts;
use super::fleet::{Predictors, Slot, Wanted};
use super::objects::{Objects, object, text_at};
use super::training::{Place, Process};

const MANAGER: &str = "endcap";
/// The state that a trainer writes beside an artifact.
const BASELINE: &str = "state/baseline.json.zst";

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
    shared: Shared,
    folder: PathBuf,
    logs: PathBuf,
    /// Where the OMS calls.
    listen: SocketAddr,
    eventlog: Slot,
    insights: Slot,
    routers: Vec<Slot>,
    predictors: Predictors,
    trainings: BTreeMap<String, Process>,
    sums: Sums,
    table: Option<Table>,
    /// By router: since when it is behind.
    behind: BTreeMap<String, Timestamp>,
    baseline: Option<PathBuf>,
    routed: Vec<observed::Router>,
    counted: Option<observed::Counters>,
    insights_facts: Option<observed::Insights>,
    asked_insights: Instant,
    expired: Vec<String>,
    /// Where and which table insights took last.
    told_insights: Option<(String, u64)>,
}

impl Shell {
    pub fn new(namespace: &str, name: &str, listen: SocketAddr, shared: &Shared) -> Result<Self> {
        let folder = shared.state.join("models").join(namespace).join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("failed to make the folder {}", folder.display()))?;
        let logs = super::fleet::logs(&folder)?;
        let table = std::fs::read(folder.join("table.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let baseline = Some(folder.join("baseline.json.zst")).filter(|path| path.exists());
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
            behind: BTreeMap::new(),
            baseline,
            routed: Vec::new(),
            counted: None,
            insights_facts: None,
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

    /// One look: observe, decide, carry out. Returns when to look again.
    pub async fn look(&mut self, objects: &Objects, events: &Events) -> Result<Option<Timestamp>> {
        let Some(model) = objects.get(Kind::RecommenderModel, &self.namespace, &self.name) else { return Ok(None) };
        let model: RecommenderModel = serde_json::from_value(model).context("failed to read the model")?;
        self.poll(&model).await;
        let observed = self.observe(objects, &model)?;
        let plan = endcap_operator_core::decide(&observed, Timestamp::now());
        self.carry_out(objects, events, &model, &plan).await?;
        Ok(plan.wake_at)
    }

    fn observe(&self, objects: &Objects, model: &RecommenderModel) -> Result<Observed> {
        let meta = &model.metadata;
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
                versions.push(facts::version(version));
            }
        }
        let mut experiments = Vec::new();
        for value in objects.list(Kind::Experiment, namespace).0 {
            let experiment: Experiment = serde_json::from_value(value).context("failed to read an experiment")?;
            if experiment.spec.model_ref.name.as_str() == self.name {
                experiments.push(facts::experiment(experiment));
            }
        }
        let trainings: BTreeMap<String, Training> =
            self.trainings.iter().map(|(version, process)| (version.clone(), process.facts())).collect();
        let annotation = |key: &str| meta.annotations.as_ref().and_then(|all| all.get(key)).cloned();
        Ok(Observed {
            model: observed::Model {
                namespace: self.namespace.clone(),
                name: self.name.clone(),
                uid: meta.uid.clone().unwrap_or_default(),
                generation: meta.generation.unwrap_or(1),
                created_at: meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
                deleting: meta.deletion_timestamp.is_some(),
                promoted_by: annotation(endcap_crds::reasons::annotation::PROMOTED_BY),
                spec: model.spec.clone(),
                status: model.status.clone().unwrap_or_default(),
                url: Some(self.router_url()),
            },
            policy,
            versions,
            experiments,
            trainings,
            arms: self.predictors.arms(),
            routers: self.routed.clone(),
            table: self.table.clone(),
            counters: self.counted.clone(),
            insights: self.insights_facts.clone(),
            dataset: None,
            free_trainings: 1,
            release: Release {
                training_image: format!("endcap:{}", env!("CARGO_PKG_VERSION")),
                serving_image: format!("endcap:{}", env!("CARGO_PKG_VERSION")),
                data_uri: data_of(model),
            },
        })
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
            labels.insert(endcap_crds::reasons::label::VERSION.to_owned(), json!(spec.version.to_string()));
            labels.insert(endcap_crds::reasons::label::TRIGGER.to_owned(), json!(format!("{:?}", spec.trigger.type_)));
            let created = object(Kind::ModelVersion, &self.namespace, name, labels, serde_json::to_value(spec)?);
            objects.apply(Kind::ModelVersion, created, MANAGER, true).map_err(refused)?;
        }
        self.train(model, plan).await?;
        self.serve(objects, model, plan).await?;
        self.route(plan).await?;
        self.expire(objects, plan)?;
        Ok(())
    }

    async fn train(&mut self, model: &RecommenderModel, plan: &Plan) -> Result<()> {
        let is_wanted = |version: &str| plan.trainings.iter().any(|run| run.version == version);
        // Ended ones are recorded by now; others were suspended or deleted.
        self.trainings.retain(|version, _| is_wanted(version));
        for run in &plan.trainings {
            if !self.trainings.contains_key(&run.version) {
                let events = self.export().await;
                let place = Place {
                    folder: self.folder.join("trainings"),
                    namespace: self.namespace.clone(),
                    model: self.name.clone(),
                    uid: model.metadata.uid.clone().unwrap_or_default(),
                    store: model.spec.artifacts.uri.to_string(),
                    data: run.spec.data_ref.uri.as_str().trim_start_matches("file://").to_owned(),
                    events,
                };
                self.trainings.insert(run.version.clone(), Process::new(run.clone(), place).await?);
            }
        }
        for process in self.trainings.values_mut() {
            process.tend().await?;
        }
        Ok(())
    }

    /// Everything that was acknowledged until now goes to where trainings read it.
    async fn export(&self) -> Option<String> {
        let url = self.eventlog.url("metrics")?;
        let answer = self.shared.client.post(format!("{url}/v1/export")).timeout(Duration::from_secs(60)).send().await;
        match answer.and_then(reqwest::Response::error_for_status) {
            Ok(_) => Some(self.export_uri()),
            Err(error) => {
                tracing::warn!(
                    "failed to export events for the training, which goes on without those since the last export: {error}"
                );
                self.folder.join("export").exists().then(|| self.export_uri())
            }
        }
    }

    fn export_uri(&self) -> String {
        format!("file://{}", self.folder.join("export").display())
    }

    async fn serve(&mut self, objects: &Objects, model: &RecommenderModel, plan: &Plan) -> Result<()> {
        let artifact = |version: &str| -> Option<(String, String)> {
            let found = objects.get(Kind::ModelVersion, &self.namespace, version)?;
            let (uri, digest) =
                (text_at(&found, "/status/artifact/uri"), text_at(&found, "/status/artifact/manifestSha256"));
            (!uri.is_empty()).then_some((uri, digest))
        };
        // Nothing to serve, nothing to run.
        let Some(first) = plan.arms.keys().next() else { return Ok(()) };
        if self.baseline.is_none() {
            let Some((uri, _)) = artifact(first) else { return Ok(()) };
            let path = self.folder.join("baseline.json.zst");
            let bytes = endcap_store::read_beside(&endcap_store::open(&uri)?, BASELINE).await?.unwrap_or_default();
            super::objects::write_whole(&path, &bytes)?;
            self.baseline = Some(path);
        }
        let text = |path: &Path| path.display().to_string();
        let any = "127.0.0.1:0".to_owned();
        let wanted = |program: &'static str, label: &str, args: Vec<String>, may_wait: bool| Wanted {
            program,
            label: label.to_owned(),
            args,
            logs: self.logs.clone(),
            may_wait,
        };
        let mut args = vec![
            "--data".to_owned(),
            text(&self.folder.join("eventlog")),
            "--listen".to_owned(),
            self.fixed("eventlog", &any),
            "--metrics-listen".to_owned(),
            any.clone(),
        ];
        if let Some(baseline) = self.baseline.as_ref().filter(|path| path.metadata().is_ok_and(|data| data.len() > 0)) {
            args.extend(["--baseline".to_owned(), text(baseline)]);
        }
        args.extend([
            "--export".to_owned(),
            self.export_uri(),
            "--export-interval".to_owned(),
            model.spec.events.export_interval.to_string(),
        ]);
        let log = wanted("endcap-eventlog", "eventlog", args, false);
        self.eventlog.tend(&log).await;
        let Some(eventlog) = self.eventlog.url("listen") else { return Ok(()) };
        self.remember("eventlog", &eventlog)?;
        let public = self.shared.keys.public_hex();
        if model.spec.insights.enabled {
            let args = [
                "--eventlog",
                &eventlog,
                "--data",
                &text(&self.folder.join("insights")),
                "--public-key",
                &public,
                "--listen",
                &any,
                "--control-listen",
                &any,
                "--metrics-listen",
                &any,
            ];
            let wanted = wanted("endcap-insights", "insights", args.map(str::to_owned).to_vec(), true);
            self.insights.tend(&wanted).await;
        }
        let routers = usize::try_from(model.spec.routing.replicas).unwrap_or(1).max(1);
        self.routers.resize_with(routers, Slot::default);
        for at in 0..routers {
            let listen = if at == 0 { self.listen.to_string() } else { any.clone() };
            let cache = self.folder.join(format!("router-{at}.table.json"));
            let own = format!("{}/{}", self.namespace, self.name);
            let args = [
                "--public-key",
                &public,
                "--table-cache",
                &text(&cache),
                "--model",
                &own,
                "--eventlog",
                &eventlog,
                "--listen",
                &listen,
                "--control-listen",
                &any,
                "--metrics-listen",
                &any,
            ];
            let wanted = wanted("endcap-router", &format!("router-{at}"), args.map(str::to_owned).to_vec(), true);
            if let Some(slot) = self.routers.get_mut(at) {
                slot.tend(&wanted).await;
            }
        }
        let logs = self.logs.clone();
        let how = |version: &str, at: usize| {
            let (uri, digest) = artifact(version)?;
            let args = [
                "--artifact",
                &uri,
                "--digest",
                &digest,
                "--eventlog",
                &eventlog,
                "--listen",
                "127.0.0.1:0",
                "--metrics-listen",
                "127.0.0.1:0",
            ];
            Some(Wanted {
                program: "endcap-predictor",
                label: format!("predictor-{version}-{at}"),
                args: args.map(str::to_owned).to_vec(),
                logs: logs.clone(),
                may_wait: false,
            })
        };
        self.predictors.tend(&plan.arms, how).await;
        Ok(())
    }

    /// An address that others hold on to: the same one after a restart, while it is free.
    fn fixed(&self, name: &str, otherwise: &str) -> String {
        let known = std::fs::read_to_string(self.folder.join(format!("{name}.address"))).ok();
        let free = known.filter(|address| std::net::TcpListener::bind(address.trim()).is_ok());
        free.map_or_else(|| otherwise.to_owned(), |address| address.trim().to_owned())
    }

    fn remember(&self, name: &str, url: &str) -> Result<()> {
        let path = self.folder.join(format!("{name}.address"));
        let address = url.trim_start_matches("http://");
        if std::fs::read_to_string(&path).is_ok_and(|known| known == address) {
            return Ok(());
        }
        super::objects::write_whole(&path, address.as_bytes())
    }

    /// Signs the table, keeps it, sends it to every router and to insights.
    async fn route(&mut self, plan: &Plan) -> Result<()> {
        let Some(table) = &plan.table else { return Ok(()) };
        if self.table.as_ref() != Some(table) {
            super::objects::write_whole(&self.folder.join("table.json"), &serde_json::to_vec_pretty(table)?)?;
            self.table = Some(table.clone());
        }
        let envelope = serde_json::to_value(sign(table, &self.shared.keys.signing)?)?;
        for (at, slot) in self.routers.iter().enumerate() {
            let name = format!("router-{at}");
            let held = self.routed.iter().find(|router| router.name == name).and_then(|router| router.revision);
            if held == Some(table.revision) {
                continue;
            }
            if let Some(url) = slot.url("control") {
                put(&self.shared.client, &url, &envelope).await;
            }
        }
        if let Some(url) = self.insights.url("control")
            && self.told_insights.as_ref() != Some(&(url.clone(), table.revision))
            && put(&self.shared.client, &url, &envelope).await
        {
            self.told_insights = Some((url, table.revision));
        }
        for name in &plan.replace_routers {
            let at = name.strip_prefix("router-").and_then(|at| at.parse::<usize>().ok());
            if let Some(slot) = at.and_then(|at| self.routers.get_mut(at)) {
                slot.replace().await;
                self.behind.remove(name);
            }
        }
        Ok(())
    }

    /// Deletes the artifacts of versions that have expired.
    fn expire(&mut self, objects: &Objects, plan: &Plan) -> Result<()> {
        for version in plan.expire.iter().filter(|version| !self.expired.contains(version)).cloned().collect::<Vec<_>>()
        {
            let found = objects.get(Kind::ModelVersion, &self.namespace, &version).unwrap_or_default();
            let status: ModelVersionStatus =
                serde_json::from_value(found.get("status").cloned().unwrap_or_default()).unwrap_or_default();
            if status.phase != Some(VersionPhase::Expired) {
                continue;
            }
            // Only what lies in a folder of ours is deleted here; other stores are swept by their owners.
            let path = status
                .artifact
                .as_ref()
                .and_then(|artifact| artifact.uri.as_str().strip_prefix("file://").map(PathBuf::from));
            if let Some(path) = path.filter(|path| path.join(endcap_store::MANIFEST_FILE).exists()) {
                std::fs::remove_dir_all(&path)
                    .with_context(|| format!("failed to delete the artifact {}", path.display()))?;
            }
            self.expired.push(version);
        }
        Ok(())
    }

    /// Asks routers and insights how things are.
    async fn poll(&mut self, model: &RecommenderModel) {
        let mut routed = Vec::new();
        let mut reports = Vec::new();
        let mut is_whole = true;
        let wanted = self.table.as_ref().map(|table| table.revision);
        for (at, slot) in self.routers.iter().enumerate() {
            let name = format!("router-{at}");
            let Some(url) = slot.url("control") else {
                self.behind.remove(&name);
                routed.push(observed::Router {
                    name,
                    ready: false,
                    revision: None,
                    hash: None,
                    weights: Vec::new(),
                    behind_since: None,
                });
                continue;
            };
            let report = get(&self.shared.client, &format!("{url}/control/table")).await;
            let revision = report.as_ref().and_then(|report| report.get("revision")?.as_u64());
            let weights = report
                .as_ref()
                .and_then(|report| serde_json::from_value(report.get("weights")?.clone()).ok())
                .unwrap_or_default();
            if revision == wanted {
                self.behind.remove(&name);
            } else {
                self.behind.entry(name.clone()).or_insert_with(Timestamp::now);
            }
            routed.push(observed::Router {
                behind_since: self.behind.get(&name).copied(),
                name: name.clone(),
                ready: true,
                revision,
                hash: report.as_ref().and_then(|report| Some(report.get("hash")?.as_str()?.to_owned())),
                weights,
            });
            match get(&self.shared.client, &format!("{url}/control/counters")).await {
                Some(counters) => reports.push((name, counters)),
                None => is_whole = false,
            }
        }
        self.routed = routed;
        self.counted = (is_whole && !reports.is_empty()).then(|| self.sums.add(&reports));
        let every = Duration::from_secs(5);
        if self.asked_insights.elapsed() >= every
            && let Some(url) = self.insights.url("listen")
        {
            self.asked_insights = Instant::now();
            self.insights_facts = facts::insights(&self.shared.client, &url, model).await;
        }
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

async fn put(client: &reqwest::Client, control: &str, envelope: &Value) -> bool {
    let answer =
        client.put(format!("{control}/control/table")).json(envelope).timeout(Duration::from_secs(2)).send().await;
    match answer.and_then(reqwest::Response::error_for_status) {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!("failed to send the routing table: {error}");
            false
        }
    }
}

async fn get(client: &reqwest::Client, url: &str) -> Option<Value> {
    let answer = client.get(url).timeout(Duration::from_secs(2)).send().await.ok()?.error_for_status().ok()?;
    answer.json().await.ok()
}

/// The folder of the canonical tables that the model's sources name.
fn data_of(model: &RecommenderModel) -> String {
    let source = model.spec.data.sources.iter().find_map(|source| source.object.as_ref());
    source.map_or_else(|| "file:///".to_owned(), |object| object.uri.to_string())
}
