//! One look at a model: observe, validate, decide, record, build, apply, route.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use endcap_crds::model_version::status::VersionPhase;
use endcap_crds::reasons::{condition, reason};
use endcap_dataplane::routers;
use endcap_operator_core::{Plan, Said, decide, set_condition};
use endcap_routing::table::sign;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt};

use crate::build::meta::Component;
use crate::build::{self, CONTROL, Input, training};
use crate::context::Context;
use crate::memory::{Export, Memory};
use crate::observe::{self, Seen, observe};
use crate::watch::Key;
use crate::watch::child::{ChildKind, Facts};
use crate::{apply, deletion, poll, record, validate};

/// While something moves, counts and acknowledgements are asked for so often.
const MOVING: Duration = Duration::from_secs(1);
/// While nothing does; sooner when windows of monitoring are short, so that none is passed over.
const SETTLED: Duration = Duration::from_secs(30);
const LOOKS_A_WINDOW: u32 = 4;
/// How often an export that a training waits for is looked after.
const EXPORT_POLL: Duration = Duration::from_millis(200);
/// After a table was sent: what was acknowledged is decided on at once.
const AFTER_TABLE: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody wrote the object meanwhile: the next look sees it.
    #[error("failed to write a status: it was changed meanwhile")]
    Conflict,
    #[error("failed to write to the Kubernetes API")]
    Api(#[source] kube::Error),
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.is_conflict() => Self::Conflict,
            other => Self::Api(other),
        }
    }
}

/// Looks at one model; returns when to look again if nothing changes before.
pub async fn reconcile(cx: &Context, key: &Key) -> Result<Option<Duration>, Error> {
    let memory = cx.memories.of(key);
    let mut memory = memory.lock().await;
    let memory = &mut *memory;
    let Some(seen) = Seen::read(cx, key, memory) else {
        if let Some(status) = memory.reported.take() {
            cx.metrics.forget(&key.0, &key.1, &status);
        }
        cx.memories.forget(key);
        // What it left behind goes with it; only artifacts that wait for their deletion are looked after.
        return Ok(deletion::look(cx, key, None).await?);
    };
    if seen.model.metadata.deletion_timestamp.is_some() {
        return Ok(deletion::of_model(cx, key, &seen.model).await?);
    }
    poll::poll(cx, key, &seen.model, memory).await;
    let observed = observe(cx, key, &seen, memory);
    let mut plan = decide(&observed, Timestamp::now());
    if let Some(refusal) = validate::refusal(&seen.model) {
        refuse(&seen, &mut plan, &refusal);
    }
    carry_out(cx, key, &seen, &plan, memory).await
}

/// Nothing new begins; what runs goes on.
fn refuse(seen: &Seen, plan: &mut Plan, refusal: &str) {
    let generation = seen.model.metadata.generation.unwrap_or(1);
    let said = Said::new(condition::ACCEPTED, false, reason::INVALID_COMBINATION, refusal);
    set_condition(&mut plan.status.conditions, &said, generation, Timestamp::now());
    plan.create.clear();
    plan.trainings.clear();
}

async fn carry_out(
    cx: &Context,
    key: &Key,
    seen: &Seen,
    plan: &Plan,
    memory: &mut Memory,
) -> Result<Option<Duration>, Error> {
    record::statuses(cx, key, seen, plan, memory).await?;
    cx.metrics.model(&key.0, &key.1, &plan.status);
    memory.reported = Some(plan.status.clone());
    record::events(cx, seen, plan).await;
    if seen.model.spec.paused {
        return Ok(Some(SETTLED));
    }
    record::versions(cx, key, seen, plan).await?;
    deletion::hold(cx, key, seen).await?;
    let mut again = again(seen, plan);
    let envelope = envelope(cx, plan, memory);
    let input = Input {
        options: &cx.options,
        model: &seen.model,
        versions: &seen.versions,
        plan,
        children: &seen.children,
        envelope,
        keys: &cx.keys,
    };
    let desired = build::build(&input);
    let applied = apply::children(cx, key, &desired, &seen.children, memory).await;
    // With nothing to serve, what serves is left alone: a status that was lost must not end what runs.
    let keep = plan.arms.is_empty();
    if applied.is_ok() {
        apply::prune(cx, key, &desired, &seen.children, keep).await?;
    }
    if route(cx, key, plan, memory).await {
        soonest(&mut again, Some(AFTER_TABLE));
    }
    replace_routers(cx, key, plan, memory).await?;
    soonest(&mut again, trainings(cx, key, seen, plan, memory).await?);
    soonest(&mut again, deletion::look(cx, key, Some(&seen.model)).await?);
    applied?;
    Ok(again)
}

fn soonest(again: &mut Option<Duration>, other: Option<Duration>) {
    *again = match (*again, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
}

/// When to look again by what moves.
fn again(seen: &Seen, plan: &Plan) -> Option<Duration> {
    let now = Timestamp::now();
    let status = &plan.status;
    let is_synced = status
        .routing
        .as_ref()
        .is_none_or(|routing| routing.routers_total > 0 && routing.routers_synced == routing.routers_total);
    let is_moving = status.rollout.is_some()
        || !plan.trainings.is_empty()
        || !is_synced
        || status.traffic_owner.as_ref().is_some_and(|owner| owner.as_str().starts_with("Experiment"))
        || record::is_behind(seen, plan);
    let mut again = match (is_moving, plan.arms.is_empty()) {
        (true, _) => Some(MOVING),
        (false, false) => {
            let window = seen.model.spec.monitoring.interval.as_duration().unwrap_or(SETTLED);
            Some((window / LOOKS_A_WINDOW).clamp(MOVING, SETTLED))
        }
        (false, true) => None,
    };
    if let Some(at) = plan.wake_at {
        let left = at.duration_since(now).max(SignedDuration::ZERO);
        let left = Duration::try_from(left).unwrap_or_default();
        soonest(&mut again, Some(left.max(Duration::from_millis(50))));
    }
    again
}

/// Jobs: created when a training must run, suspended and resumed, deleted once their outcome is recorded and their logs are old.
async fn trainings(
    cx: &Context,
    key: &Key,
    seen: &Seen,
    plan: &Plan,
    memory: &mut Memory,
) -> Result<Option<Duration>, Error> {
    let mut again = None;
    memory.exports.retain(|version, _| plan.trainings.iter().any(|run| &run.version == version));
    let is_suspended = seen.model.spec.training.suspend;
    for run in &plan.trainings {
        let Some(version) = seen.versions.iter().find(|version| version.name_any() == run.version) else { continue };
        let known = seen.children.iter().find(|child| child.kind == ChildKind::Job && child.name == run.version);
        match known {
            None => {
                // What the log has acknowledged is exported first; traffic does not wait for that.
                let begun = memory.exports.entry(run.version.clone()).or_insert_with(|| Export::begin(cx, key));
                if !begun.task.is_finished() {
                    soonest(&mut again, Some(EXPORT_POLL));
                    continue;
                }
                let Some(Export { task, place }) = memory.exports.remove(&run.version) else { continue };
                let until = task.await.ok().flatten();
                create_training(cx, key, seen, version, run, until).await?;
                drop(place);
            }
            Some(child) if observe::is_lost(child, &seen.pods) => apply::delete(cx, key, child).await?,
            Some(child) => {
                if let Facts::Job(job) = &child.facts
                    && job.is_suspended
                {
                    apply::suspend_job(cx, &key.0, &child.name, false).await?;
                }
            }
        }
    }
    for child in seen.children.iter().filter(|child| child.kind == ChildKind::Job && !child.is_deleting) {
        let Facts::Job(job) = &child.facts else { continue };
        let Some(version) = seen.versions.iter().find(|version| version.name_any() == child.name) else { continue };
        let phase = version.status.as_ref().and_then(|status| status.phase);
        let is_recorded = matches!(phase, Some(VersionPhase::Ready | VersionPhase::Failed | VersionPhase::Expired));
        match &job.finished {
            Some((at, _)) if is_recorded => {
                let ttl = SignedDuration::try_from(cx.options.job_ttl).unwrap_or(SignedDuration::from_secs(3_600));
                let left = ttl - Timestamp::now().duration_since(*at);
                if left.is_positive() {
                    soonest(&mut again, Duration::try_from(left).ok());
                } else {
                    apply::delete(cx, key, child).await?;
                }
            }
            // It failed for good, so that trying again is of no use.
            None if phase == Some(VersionPhase::Failed) && version.metadata.deletion_timestamp.is_none() => {
                apply::delete(cx, key, child).await?;
            }
            None if is_suspended && !job.is_suspended && !is_recorded => {
                apply::suspend_job(cx, &key.0, &child.name, true).await?;
            }
            _ => {}
        }
    }
    Ok(again)
}

async fn create_training(
    cx: &Context,
    key: &Key,
    seen: &Seen,
    version: &endcap_crds::ModelVersion,
    run: &endcap_operator_core::plan::TrainingRun,
    until: Option<u64>,
) -> Result<(), Error> {
    // Without a new export a training learns from the last one, when there was one.
    let was_exported = seen.versions.iter().any(|version| {
        version
            .status
            .as_ref()
            .and_then(|status| status.dataset.as_ref())
            .is_some_and(|data| data.events_until.is_some())
    });
    let uri = (until.is_some() || was_exported).then(|| build::eventlog::export_uri_of(&seen.model));
    let job = training::job(&cx.options, &seen.model, version, run, &training::EventsOf { uri, until });
    Ok(apply::create_job(cx, &key.0, &job).await?)
}

/// The plan's table in its signed form; signed only when it is another one.
fn envelope(cx: &Context, plan: &Plan, memory: &mut Memory) -> Option<String> {
    let table = plan.table.as_ref()?;
    if let Some((known, envelope)) = &memory.table
        && known == table
    {
        return Some(envelope.clone());
    }
    let signed = sign(table, &cx.signing.signing).and_then(|envelope| serde_json::to_string(&envelope));
    match signed {
        Ok(envelope) => {
            memory.table = Some((table.clone(), envelope.clone()));
            Some(envelope)
        }
        Err(error) => {
            tracing::error!("failed to sign the routing table: {error}");
            None
        }
    }
}

/// Sends the table to every router and to insights that do not have it. Returns whether any was sent.
async fn route(cx: &Context, key: &Key, plan: &Plan, memory: &mut Memory) -> bool {
    let (Some(table), Some((_, text))) = (&plan.table, &memory.table) else { return false };
    let Ok(envelope) = serde_json::from_str(text) else { return false };
    let pods = cx.caches.pods.of(key);
    let held: BTreeMap<&str, Option<u64>> =
        memory.routers.iter().map(|router| (router.name.as_str(), router.revision)).collect();
    // Those on their way out still answer: they get it too, and nobody waits for them.
    let behind = poll::running(&pods, Component::Router)
        .filter(|pod| held.get(pod.name.as_str()).copied().flatten() != Some(table.revision));
    let sent = futures::future::join_all(behind.filter_map(|pod| {
        let (url, envelope) = (pod.url(CONTROL)?, &envelope);
        Some(async move { (pod, routers::put_table(&cx.http, &url, envelope).await) })
    }))
    .await;
    let mut is_sent = false;
    for (pod, report) in &sent {
        if let Some(report) = report {
            is_sent = true;
            let said = routers::said(&pod.name, Some(report));
            if let Some(router) = memory.routers.iter_mut().find(|router| router.name == said.name) {
                *router = said;
            }
        }
    }
    if is_sent {
        // What was sent is asked back before anything is decided on it.
        memory.polled = None;
    }
    let insights =
        poll::running(&pods, Component::Insights).find(|pod| !pod.is_deleting).and_then(|pod| pod.url(CONTROL));
    if let Some(url) = insights
        && memory.told_insights.as_ref() != Some(&(url.clone(), table.revision))
        && routers::put_table(&cx.http, &url, &envelope).await.is_some()
    {
        memory.told_insights = Some((url, table.revision));
    }
    is_sent
}

async fn replace_routers(cx: &Context, key: &Key, plan: &Plan, memory: &mut Memory) -> Result<(), Error> {
    let api: Api<Pod> = Api::namespaced(cx.client.clone(), &key.0);
    for name in &plan.replace_routers {
        apply::gone(api.delete(name, &DeleteParams::default()).await.map(|_| ()))?;
        memory.behind.forget(name);
        cx.metrics.routers_replaced.inc();
    }
    Ok(())
}

/// Runs one piece of work, measures it, and says when it is wanted again.
pub async fn measured(cx: &Context, key: &Key) -> Result<Option<Duration>, Error> {
    let began = Instant::now();
    let result = reconcile(cx, key).await;
    cx.metrics.seconds.observe(began.elapsed().as_secs_f64());
    result
}
