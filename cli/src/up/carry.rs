//! Carrying out a plan: trainings, programs, the routing table, what has expired.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use endcap_crds::model_version::status::{ModelVersionStatus, VersionPhase};
use endcap_crds::{Kind, RecommenderModel};
use endcap_operator_core::plan::Plan;
use endcap_routing::table::sign;
use serde_json::Value;

use super::fleet::{Slot, Wanted};
use super::model::Shell;
use super::objects::{Objects, text_at};
use super::training::{Place, Process};

/// The state that a trainer writes beside an artifact.
const BASELINE: &str = "state/baseline.json.zst";

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
                self.trainings.insert(run.version.clone(), Process::new(run.clone(), place).await?);
            }
        }
        for process in self.trainings.values_mut() {
            process.tend().await?;
        }
        Ok(())
    }

    /// Everything that was acknowledged until now goes to where trainings read it.
    async fn export(&self) -> Option<(String, Option<u64>)> {
        let url = self.eventlog.url("metrics")?;
        let ask = self.shared.client.post(format!("{url}/v1/export")).timeout(Duration::from_secs(60));
        let answer = async { ask.send().await?.error_for_status()?.json::<Value>().await };
        match answer.await {
            Ok(status) => Some((self.export_uri(), status.get("exported_offset").and_then(Value::as_u64))),
            Err(error) => {
                tracing::warn!(
                    "failed to export events for the training, which goes on without those since the last export: {error}"
                );
                self.folder.join("export").exists().then(|| (self.export_uri(), None))
            }
        }
    }

    fn export_uri(&self) -> String {
        format!("file://{}", self.folder.join("export").display())
    }

    pub(super) async fn serve(&mut self, objects: &Objects, model: &RecommenderModel, plan: &Plan) -> Result<()> {
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
    pub(super) async fn route(&mut self, plan: &Plan) -> Result<()> {
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
