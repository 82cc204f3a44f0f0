//! Carrying out a plan: trainings, programs, the routing table, what has expired.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use endcap_crds::model_version::status::{ModelVersionStatus, VersionPhase};
use endcap_crds::{Kind, RecommenderModel};
use endcap_dataplane::routers::put_table;
use endcap_operator_core::plan::Plan;
use endcap_routing::table::sign;

use super::fleet::{Slot, Wanted};
use super::model::Shell;
use super::objects::{Objects, text_at};
use super::training::{Place, Process};
use crate::programs;

impl Shell {
    pub(super) async fn train(&mut self, model: &RecommenderModel, plan: &Plan) -> Result<()> {
        let is_wanted = |version: &str| plan.trainings.iter().any(|run| run.version == version);
        // Ended ones are recorded by now; others were suspended or deleted.
        self.trainings.retain(|version, _| is_wanted(version));
        for run in &plan.trainings {
            if !self.trainings.contains_key(&run.version) {
                let exported = self.export().await;
                let (events, events_until) = exported.map_or((None, None), |(uri, until)| (Some(uri), until));
                if let Some(extent) = &self.extent {
                    extent.keep(&self.trainings_folder(), &run.version)?;
                }
                let place = Place {
                    folder: self.trainings_folder(),
                    namespace: self.namespace.clone(),
                    model: self.name.clone(),
                    uid: model.metadata.uid.clone().unwrap_or_default(),
                    store: model.spec.artifacts.uri.to_string(),
                    data: run.spec.data_ref.uri.as_str().trim_start_matches("file://").to_owned(),
                    events,
                    events_until,
                };
                self.trainings.insert(run.version.clone(), Process::new(run.clone(), place)?);
            }
        }
        for process in self.trainings.values_mut() {
            process.tend().await?;
        }
        Ok(())
    }

    async fn export(&self) -> Option<(String, Option<u64>)> {
        let url = self.eventlog.url("metrics")?;
        match endcap_dataplane::export(&self.shared.client, &url).await {
            // An empty log has exported nothing: there is nothing to learn from.
            Ok(until) => until.filter(|until| *until > 0).map(|until| (export_uri(&self.folder), Some(until))),
            Err(error) => {
                tracing::warn!(
                    "failed to export events for the training, which goes on without those since the last export: {error}"
                );
                self.folder.join("export").exists().then(|| (export_uri(&self.folder), None))
            }
        }
    }

    pub(super) async fn serve(&mut self, objects: &Objects, model: &RecommenderModel, plan: &Plan) -> Result<()> {
        let artifact = |version: &str| -> Option<(String, String)> {
            let found = objects.get(Kind::ModelVersion, &self.namespace, version)?;
            let (uri, digest) =
                (text_at(&found, "/status/artifact/uri"), text_at(&found, "/status/artifact/manifestSha256"));
            (!uri.is_empty()).then_some((uri, digest))
        };
        // Nothing to serve, nothing to run.
        if plan.arms.is_empty() {
            return Ok(());
        }
        let (folder, logs, public) = (self.folder.clone(), self.logs.clone(), self.shared.keys.public_hex());
        let wanted = |program: &'static str, args: Vec<String>, may_wait: bool| {
            Some(Wanted { program, args, logs: logs.clone(), may_wait })
        };
        let log = || {
            let (uri, _) = plan.arms.keys().find_map(|version| artifact(version))?;
            let listen = fixed(&folder, "eventlog").unwrap_or_else(|| programs::ANY.to_owned());
            let mut args = programs::eventlog(&folder.join("eventlog"), &listen, &uri);
            args.extend(["--export".to_owned(), export_uri(&folder)]);
            args.extend(["--export-interval".to_owned(), model.spec.events.export_interval.to_string()]);
            wanted("endcap-eventlog", args, false)
        };
        self.eventlog.tend("eventlog", log).await;
        let Some(eventlog) = self.eventlog.url("listen") else { return Ok(()) };
        self.remember("eventlog", &eventlog)?;
        if model.spec.insights.enabled {
            let args = || programs::insights(&public, &folder.join("insights"), &eventlog);
            self.insights.tend("insights", || wanted("endcap-insights", args(), true)).await;
        }
        let routers = usize::try_from(model.spec.routing.replicas).unwrap_or(1).max(1);
        self.routers.resize_with(routers, Slot::default);
        let (stable, own) = (self.listen.to_string(), format!("{}/{}", self.namespace, self.name));
        for (at, slot) in self.routers.iter_mut().enumerate() {
            let name = format!("router-{at}");
            let args = || {
                let listen = if at == 0 { stable.as_str() } else { programs::ANY };
                let cache = folder.join(format!("{name}.table.json"));
                let mut args = programs::router(&public, &cache, &eventlog, listen);
                args.extend(["--model".to_owned(), own.clone()]);
                args
            };
            slot.tend(&name, || wanted("endcap-router", args(), true)).await;
        }
        let how = |version: &str| {
            let (uri, digest) = artifact(version)?;
            wanted("endcap-predictor", programs::predictor(&uri, &digest, &eventlog, programs::ANY), false)
        };
        self.predictors.tend(&plan.arms, how).await;
        Ok(())
    }

    fn remember(&self, name: &str, url: &str) -> Result<()> {
        let path = self.folder.join(format!("{name}.address"));
        let address = url.trim_start_matches("http://");
        if std::fs::read_to_string(&path).is_ok_and(|known| known == address) {
            return Ok(());
        }
        super::objects::write_whole(&path, address.as_bytes())
    }

    /// Keeps the table; sends it, signed, to every router and insights that have not taken it.
    pub(super) async fn route(&mut self, plan: &Plan) -> Result<()> {
        let Some(table) = &plan.table else { return Ok(()) };
        if self.table.as_ref() != Some(table) {
            super::objects::write_whole(&self.folder.join("table.json"), &serde_json::to_vec_pretty(table)?)?;
            self.table = Some(table.clone());
        }
        let held = |at: usize| {
            let name = format!("router-{at}");
            self.routed.iter().find(|router| router.name == name).and_then(|router| router.revision)
        };
        let behind = self.routers.iter().enumerate().filter(|(at, _)| held(*at) != Some(table.revision));
        let routers: Vec<String> = behind.filter_map(|(_, slot)| slot.url("control")).collect();
        let told = |url: &String| self.told_insights.as_ref() == Some(&(url.clone(), table.revision));
        let insights = self.insights.url("control").filter(|url| !told(url));
        if !routers.is_empty() || insights.is_some() {
            let envelope = serde_json::to_value(sign(table, &self.shared.keys.signing)?)?;
            for url in routers {
                put_table(&self.shared.client, &url, &envelope).await;
            }
            if let Some(url) = insights
                && put_table(&self.shared.client, &url, &envelope).await.is_some()
            {
                self.told_insights = Some((url, table.revision));
            }
        }
        for name in &plan.replace_routers {
            let at = name.strip_prefix("router-").and_then(|at| at.parse::<usize>().ok());
            if let Some(slot) = at.and_then(|at| self.routers.get_mut(at)) {
                slot.replace().await;
                self.behind.forget(name);
            }
        }
        Ok(())
    }

    /// Deletes the artifacts of versions that have expired.
    pub(super) fn expire(&mut self, objects: &Objects, plan: &Plan) -> Result<()> {
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
}

/// An address that others hold on to: the same one after a restart, while it is free.
fn fixed(folder: &Path, name: &str) -> Option<String> {
    let known = std::fs::read_to_string(folder.join(format!("{name}.address"))).ok()?;
    let address = known.trim();
    std::net::TcpListener::bind(address).is_ok().then(|| address.to_owned())
}

fn export_uri(folder: &Path) -> String {
    format!("file://{}", folder.join("export").display())
}
