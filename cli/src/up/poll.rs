//! Asking the programs how things are.

use std::path::Path;
use std::time::{Duration, Instant};

use endcap_crds::RecommenderModel;
use endcap_dataplane::{insights, objects, routers};
use jiff::Timestamp;

use super::dataset::Extent;
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
        for (at, slot) in self.routers.iter().enumerate() {
            let name = format!("router-{at}");
            let Some(url) = slot.url("control") else {
                routed.push(routers::away(&name));
                continue;
            };
            let (router, counters) = routers::look(&self.shared.client, &name, &url).await;
            routed.push(router);
            match counters {
                Some(counters) => reports.push((name, counters)),
                None => is_whole = false,
            }
        }
        self.behind.note(&mut routed, self.table.as_ref().map(|table| table.revision), Timestamp::now());
        self.routed = routed;
        self.counted = (is_whole && !reports.is_empty()).then(|| self.sums.add(&reports));
        if self.asked_insights.elapsed() >= ASK_EVERY {
            self.asked_insights = Instant::now();
            self.ask(objects, model).await;
        }
    }

    /// What changes slowly: insights' figures, and how much there is to learn from.
    async fn ask(&mut self, stored: &Objects, model: &RecommenderModel) {
        let client = self.shared.client.clone();
        let mut offset = None;
        if let Some(url) = self.insights.url("listen") {
            offset = insights::offset(&client, &url).await;
            let experiments = self.experiments(stored).unwrap_or_default();
            let running = objects::running(&experiments);
            self.insights_facts = insights::insights(&client, &url, model, running).await;
            if let Some(experiment) = running
                && let (Some(name), Some(found)) =
                    (&experiment.metadata.name, insights::experiment_facts(&client, &url, experiment).await)
            {
                self.experiment_facts.insert(name.clone(), found);
            }
        }
        let data = data_of(model);
        self.extent = Extent::read(Path::new(data.trim_start_matches("file://")), offset);
    }
}
