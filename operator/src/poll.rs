//! Asking the data plane how things are. Nobody there calls the operator.

use std::sync::Arc;
use std::time::{Duration, Instant};

use endcap_crds::RecommenderModel;
use endcap_dataplane::{get, insights, objects, routers};
use futures::future::join_all;
use jiff::Timestamp;

use crate::build::meta::Component;
use crate::build::{API, CONTROL, METRICS};
use crate::context::Context;
use crate::memory::{Memory, Progress};
use crate::watch::Key;
use crate::watch::pod::PodFacts;

/// Routers are asked at most so often, whatever changes in the cluster.
const ROUTERS_EVERY: Duration = Duration::from_millis(400);
/// What changes slowly: figures of insights.
const INSIGHTS_EVERY: Duration = Duration::from_secs(3);

/// Pods of a component that run, those that are on their way out too.
pub fn running(pods: &[Arc<PodFacts>], component: Component) -> impl Iterator<Item = &PodFacts> {
    pods.iter().map(AsRef::as_ref).filter(move |pod| pod.component == component.as_str() && pod.is_running)
}

pub async fn poll(cx: &Context, key: &Key, model: &RecommenderModel, memory: &mut Memory) {
    let pods = cx.caches.pods.of(key);
    let is_due = |last: Option<Instant>, every: Duration| last.is_none_or(|last| last.elapsed() >= every);
    if is_due(memory.polled, ROUTERS_EVERY) {
        memory.polled = Some(Instant::now());
        poll_routers(cx, &pods, memory).await;
        poll_trainings(cx, &pods, memory).await;
    }
    if is_due(memory.asked, INSIGHTS_EVERY) {
        memory.asked = Some(Instant::now());
        ask_insights(cx, key, model, &pods, memory).await;
    }
}

async fn poll_routers(cx: &Context, pods: &[Arc<PodFacts>], memory: &mut Memory) {
    let live = running(pods, Component::Router).filter(|pod| !pod.is_deleting);
    let asked = join_all(live.filter_map(|pod| {
        let url = pod.url(CONTROL)?;
        Some(async move { routers::look(&cx.http, &pod.name, &url).await })
    }))
    .await;
    let mut found = Vec::new();
    let mut reports = Vec::new();
    let mut is_whole = true;
    for (router, counters) in asked {
        match counters {
            Some(counters) => reports.push((router.name.clone(), counters)),
            None => is_whole = false,
        }
        found.push(router);
    }
    let wanted = memory.table.as_ref().map(|(table, _)| table.revision);
    memory.behind.note(&mut found, wanted, Timestamp::now());
    memory.routers = found;
    memory.counters = (is_whole && !reports.is_empty()).then(|| memory.sums.add(&reports));
}

async fn poll_trainings(cx: &Context, pods: &[Arc<PodFacts>], memory: &mut Memory) {
    let mut progress = std::collections::BTreeMap::new();
    for pod in running(pods, Component::Training) {
        let (Some(version), Some(url)) = (&pod.version, pod.url(METRICS)) else { continue };
        if let Some(report) = get(&cx.http, &format!("{url}/progress"), &[]).await {
            progress.insert(version.clone(), Progress::read(&report, Timestamp::now()));
        }
    }
    memory.progress = progress;
}

async fn ask_insights(cx: &Context, key: &Key, model: &RecommenderModel, pods: &[Arc<PodFacts>], memory: &mut Memory) {
    let url =
        running(pods, Component::Insights).find(|pod| pod.is_ready && !pod.is_deleting).and_then(|pod| pod.url(API));
    let Some(url) = url else {
        memory.insights = None;
        return;
    };
    memory.offset = insights::offset(&cx.http, &url).await;
    let experiments: Vec<_> = cx.caches.experiments.of(key).iter().map(|one| one.as_ref().clone()).collect();
    let running = objects::running(&experiments);
    memory.insights = insights::insights(&cx.http, &url, model, running).await;
    if let Some(experiment) = running
        && let (Some(name), Some(found)) =
            (&experiment.metadata.name, insights::experiment_facts(&cx.http, &url, experiment).await)
    {
        memory.experiments.insert(name.clone(), found);
    }
}

/// Where the event log takes the control plane's wishes, while it runs.
pub fn eventlog(cx: &Context, key: &Key) -> Option<String> {
    let pods = cx.caches.pods.of(key);
    running(&pods, Component::Eventlog).find(|pod| !pod.is_deleting).and_then(|pod| pod.url(METRICS))
}

/// Everything that the log has acknowledged goes to where trainings read it.
pub async fn export(http: reqwest::Client, eventlog: Option<String>) -> Option<u64> {
    match endcap_dataplane::export(&http, &eventlog?).await {
        // An empty log has exported nothing that could be read.
        Ok(until) => until.filter(|until| *until > 0),
        Err(error) => {
            tracing::warn!(
                "failed to export events for a training, which goes on without those since the last export: {error}"
            );
            None
        }
    }
}
