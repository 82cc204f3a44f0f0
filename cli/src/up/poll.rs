//! Asking the programs how things are.

use std::path::Path;
use std::time::{Duration, Instant};

use endcap_crds::RecommenderModel;
use endcap_operator_core::observed;
use jiff::Timestamp;
use serde_json::Value;

use super::dataset::Extent;
use super::facts;
use super::model::{Shell, data_of};
use super::objects::Objects;

/// Insights is asked at most so often.
const ASK_EVERY: Duration = Duration::from_secs(3);

impl Shell {
    /// Asks routers and insights how things are.
    pub(super) async fn poll(&mut self, objects: &Objects, model: &RecommenderModel) {
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
        if self.asked_insights.elapsed() >= ASK_EVERY {
            self.asked_insights = Instant::now();
            self.ask(objects, model).await;
        }
    }

    /// What changes slowly: insights' figures, and how much there is to learn from.
    async fn ask(&mut self, objects: &Objects, model: &RecommenderModel) {
        let client = self.shared.client.clone();
        let mut offset = None;
        if let Some(url) = self.insights.url("listen") {
            let status = get(&client, &format!("{url}/v1/status")).await;
            offset = status.and_then(|status| status.get("offset")?.as_i64());
            let experiments = self.experiments(objects).unwrap_or_default();
            let running = facts::running(&experiments);
            self.insights_facts = facts::insights(&client, &url, model, running).await;
            if let Some(experiment) = running
                && let (Some(name), Some(found)) =
                    (&experiment.metadata.name, facts::experiment_facts(&client, &url, experiment).await)
            {
                self.experiment_facts.insert(name.clone(), found);
            }
        }
        let data = data_of(model);
        self.extent = Extent::read(Path::new(data.trim_start_matches("file://")), offset);
    }
}

async fn get(client: &reqwest::Client, url: &str) -> Option<Value> {
    let answer = client.get(url).timeout(Duration::from_secs(2)).send().await.ok()?.error_for_status().ok()?;
    answer.json().await.ok()
}
