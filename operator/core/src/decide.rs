//! One look at a model: from what is observed to what is to be done.

use std::borrow::Cow;

use endcap_crds::PromotionPolicySpec;
use endcap_crds::common::text::VersionName;
use endcap_crds::model_version::status::VersionPhase;
use endcap_crds::reasons::{condition, event, reason};
use endcap_crds::recommender_model::status::{ModelPhase, RolloutPhase};
use endcap_routing::table::Table;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::conditions::{self, Said, is_true};
use crate::observed::{Observed, Policy};
use crate::plan::{About, Plan};
use crate::{arms, columns, drift, experiment, offline, retention, rollout, training, trigger};

/// A ready router that does not take the table for so long is replaced.
const ROUTER_PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// What is known while deciding.
pub(crate) struct Deciding<'a> {
    pub seen: &'a Observed,
    pub now: Timestamp,
    pub policy: Cow<'a, PromotionPolicySpec>,
    pub plan: Plan,
    /// Every live router serves what the stored status asks for.
    pub is_synced: bool,
    pub is_paused: bool,
    /// The experiment that owns traffic.
    pub running_experiment: Option<String>,
    /// Why what was asked for is refused.
    pub refused: Option<String>,
    /// Why what was asked for waits.
    pub waiting: Option<String>,
}

impl Deciding<'_> {
    pub fn active(&self) -> Option<&str> {
        self.plan.status.active_version.as_ref().map(VersionName::as_str)
    }

    /// Whether a version could serve.
    pub fn is_usable(&self, name: &str) -> bool {
        let phase = self.plan.versions.get(name).and_then(|status| status.phase);
        phase == Some(VersionPhase::Ready) && self.seen.version(name).is_some_and(|version| !version.deleting)
    }

    pub fn lagging(&self) -> String {
        let live = self.seen.routers.iter().filter(|router| router.ready).count();
        let revision = self.seen.table.as_ref().map(|table| table.revision);
        let synced = self.seen.routers.iter().filter(|router| router.ready && router.revision == revision).count();
        if live == 0 {
            "no router answers".to_owned()
        } else {
            format!("{synced} of {live} routers serve the newest table")
        }
    }
}

/// Decides everything about one model.
pub fn decide(seen: &Observed, now: Timestamp) -> Plan {
    let (policy, missing) = match &seen.policy {
        Policy::Found { spec, .. } => (Cow::Borrowed(spec.as_ref()), None),
        Policy::BuiltIn => (Cow::Owned(built_in()), None),
        Policy::Missing { name } => (Cow::Owned(built_in()), Some(name)),
    };
    let plan = Plan {
        status: seen.model.status.clone(),
        versions: seen.versions.iter().map(|version| (version.name.clone(), version.status.clone())).collect(),
        experiments: seen
            .experiments
            .iter()
            .map(|experiment| (experiment.name.clone(), experiment.status.clone()))
            .collect(),
        ..Plan::default()
    };
    let stored = arms::table(seen, &plan.status, &plan.experiments);
    let is_synced = arms::is_synced(seen, stored.as_ref());
    let mut cx = Deciding {
        seen,
        now,
        policy,
        plan,
        is_synced,
        is_paused: seen.model.spec.paused,
        running_experiment: experiment::running(seen),
        refused: None,
        waiting: None,
    };
    cx.plan.status.observed_generation = Some(seen.model.generation);
    if seen.model.deleting {
        cx.plan.status.phase = Some(ModelPhase::Deleting);
        return cx.plan;
    }
    training::record(&mut cx);
    if cx.is_paused {
        keep_as_it_is(&mut cx);
    } else {
        offline::judge(&mut cx);
        // A missing policy moves nothing; what runs goes on.
        if missing.is_none() {
            rollout::advance(&mut cx);
        } else {
            rollout::advance_without_policy(&mut cx);
        }
        experiment::look(&mut cx);
        drift::look(&mut cx);
        trigger::look(&mut cx);
        retention::look(&mut cx);
        serve(&mut cx);
    }
    report(&mut cx, missing);
    columns::write(&mut cx.plan, &seen.experiments);
    cx.plan
}

/// What is to be said of a policy: schedules are the only thing that its schema cannot judge.
pub fn accepted(policy: &PromotionPolicySpec) -> Said {
    let wrong = policy.freeze.iter().enumerate().find_map(|(at, freeze)| {
        let error = crate::cron::Cron::parse(freeze.cron.as_str(), freeze.time_zone.as_str()).err()?;
        Some(format!("spec.freeze[{at}]: {error}"))
    });
    match wrong {
        Some(text) => Said::new(condition::ACCEPTED, false, reason::INVALID_COMBINATION, text),
        None => Said::new(condition::ACCEPTED, true, "Accepted", "the policy is coherent"),
    }
}

fn built_in() -> PromotionPolicySpec {
    // The schema's own defaults: a policy that names nothing.
    serde_json::from_value(json!({})).unwrap_or_else(|_| PromotionPolicySpec {
        mode: endcap_crds::promotion_policy::Mode::Manual,
        offline: endcap_crds::promotion_policy::offline::Offline::default(),
        steps: Vec::new(),
        online: endcap_crds::promotion_policy::online::Online::default(),
        rollback: endcap_crds::promotion_policy::Rollback::default(),
        progress_deadline: "30m".into(),
        freeze: Vec::new(),
        superseding: endcap_crds::promotion_policy::Superseding::default(),
    })
}

/// `spec.paused`: nothing is written; what runs goes on running.
fn keep_as_it_is(cx: &mut Deciding<'_>) {
    cx.plan.table.clone_from(&cx.seen.table);
    cx.plan.arms = cx
        .seen
        .arms
        .iter()
        .filter(|(_, arm)| arm.replicas > 0)
        .map(|(version, arm)| (version.clone(), arm.replicas))
        .collect();
    cx.plan.trainings.clear();
    let running = cx.seen.trainings.keys().filter_map(|name| cx.seen.version(name));
    for version in running {
        if !training::is_final(version.status.phase) {
            cx.plan.trainings.push(crate::plan::TrainingRun {
                version: version.name.clone(),
                spec: version.spec.clone(),
                active: None,
                deadline_s: crate::observed::span(&cx.seen.model.spec.training.active_deadline).as_secs(),
                backoff_limit: cx.seen.model.spec.training.backoff_limit,
            });
        }
    }
}

fn serve(cx: &mut Deciding<'_>) {
    let steps: Vec<i32> = cx.policy.steps.iter().map(|step| step.weight).collect();
    let next = |weight: i32| steps.iter().copied().find(|step| *step > weight).unwrap_or(100);
    cx.plan.arms = arms::replicas(cx.seen, &cx.plan.status, &cx.plan.experiments, next);
    cx.plan.table = arms::table(cx.seen, &cx.plan.status, &cx.plan.experiments);
    let late = cx.seen.routers.iter().filter(|router| router.ready);
    let late = late.filter_map(|router| Some((router.name.clone(), router.behind_since?)));
    for (name, since) in late {
        let until = crate::observed::after(since, ROUTER_PATIENCE);
        if cx.now < until {
            cx.plan.wake(until);
        } else if cx.plan.replace_routers.is_empty() {
            // One at a time: the others go on answering.
            cx.plan.warn(
                About::Model,
                reason::TRAFFIC_NOT_SYNCED,
                format!("router {name} did not take the table for {} s and is replaced", ROUTER_PATIENCE.as_secs()),
            );
            cx.plan.replace_routers.push(name);
        }
    }
}

/// Status fields and conditions that follow from all of it.
fn report(cx: &mut Deciding<'_>, missing: Option<&String>) {
    let table: Option<Table> = cx.plan.table.clone();
    let (traffic, routing) = arms::traffic(cx.seen, table.as_ref());
    cx.plan.status.traffic = traffic;
    cx.plan.status.routing = routing;
    cx.plan.status.url.clone_from(&cx.seen.model.url.as_ref().map(|url| url.as_str().into()));
    let newest = cx.seen.versions.iter().max_by_key(|version| version.spec.version).map(|version| version.name.clone());
    cx.plan.status.latest_version = newest.as_deref().map(Into::into);
    let active = cx.active().map(str::to_owned);
    let arm = active.as_deref().map(|active| cx.seen.arm(active)).unwrap_or_default();
    cx.plan.status.replicas = Some(arm.replicas);
    cx.plan.status.ready_replicas = Some(arm.ready);
    cx.plan.status.selector = active.as_ref().map(|active| format!("endcap.dev/version={active}").as_str().into());
    let owner = match (&cx.running_experiment, &cx.plan.status.rollout) {
        (Some(experiment), _) => format!("Experiment/{experiment}"),
        (None, Some(rollout)) if rollout.phase != RolloutPhase::Cooling => "Rollout".to_owned(),
        _ => "None".to_owned(),
    };
    cx.plan.status.traffic_owner = Some(owner.as_str().into());
    let generation = cx.seen.model.generation;
    integrity(cx);
    for said in said(cx, missing, newest.as_deref()) {
        conditions::set(&mut cx.plan.status.conditions, &said, generation, cx.now);
    }
    cx.plan.status.phase = Some(phase(cx));
}

/// A version whose predictors refuse its artifact, and why.
fn corrupt(seen: &Observed) -> Option<(&String, &String)> {
    seen.arms.iter().find_map(|(version, arm)| Some((version, arm.integrity_failure.as_ref()?)))
}

/// Says once that predictors refuse an artifact; the condition says it for as long as they do.
fn integrity(cx: &mut Deciding<'_>) {
    let known = conditions::find(&cx.seen.model.status.conditions, condition::DEGRADED);
    if known.is_some_and(|degraded| degraded.reason == reason::ARTIFACT_CORRUPT) {
        return;
    }
    if let Some((version, why)) = corrupt(cx.seen) {
        let note = format!("predictors of {version} refuse its artifact: {why}");
        cx.plan.warn(About::Version(version.clone()), event::INTEGRITY_FAILURE, note);
    }
}

fn said(cx: &Deciding<'_>, missing: Option<&String>, newest: Option<&str>) -> Vec<Said> {
    let status = &cx.plan.status;
    let ready_routers = cx.seen.routers.iter().filter(|router| router.in_service && router.revision.is_some()).count();
    let arm = cx.active().map(|active| cx.seen.arm(active)).unwrap_or_default();
    let ready = match cx.active() {
        None => Said::new(condition::READY, false, reason::NO_VERSION_YET, "no version serves yet"),
        Some(_) if ready_routers == 0 => {
            let running = cx.seen.routers.iter().filter(|router| router.ready).count();
            let why = if running == 0 {
                "no router answers".to_owned()
            } else {
                format!("{running} routers run, none of them is ready for requests")
            };
            Said::new(condition::READY, false, reason::ROUTER_UNAVAILABLE, why)
        }
        Some(active) if arm.ready == 0 => Said::new(
            condition::READY,
            false,
            reason::NO_READY_REPLICAS,
            format!("no predictor of {active} is ready; the router answers from its pack"),
        ),
        Some(active) => Said::new(
            condition::READY,
            true,
            reason::SERVING,
            format!("{active} answers: {} predictors, {ready_routers} routers", arm.ready),
        ),
    };
    let mut all = vec![ready, progressing(cx), degraded(cx), complete(cx)];
    let (synced, total) =
        status.routing.as_ref().map_or((0, 0), |routing| (routing.routers_synced, routing.routers_total));
    let is_synced = total > 0 && synced == total;
    let why = if is_synced { reason::SYNCED } else { reason::ROUTERS_LAGGING };
    all.push(Said::new(
        condition::TRAFFIC_SYNCED,
        is_synced,
        why,
        format!("{synced} of {total} routers serve the newest table"),
    ));
    if let Some(newest) = newest {
        let found = cx.plan.versions.get(newest);
        let is_ready = found.is_some_and(|status| {
            status.phase == Some(VersionPhase::Ready) && is_true(&status.conditions, condition::GATES_PASSED)
        });
        let gates = found
            .and_then(|status| conditions::find(&status.conditions, condition::GATES_PASSED))
            .map(|gates| gates.message.clone());
        let text = gates.unwrap_or_else(|| {
            format!("{newest} is {:?}", found.and_then(|status| status.phase).unwrap_or(VersionPhase::Pending))
        });
        all.push(Said::new(
            condition::LATEST_VERSION_READY,
            is_ready,
            if is_ready { "Ready" } else { "NotReady" },
            text,
        ));
    }
    let keep = cx.seen.model.spec.artifacts.retention.keep_promoted;
    all.push(if let Some(name) = missing {
        Said::new(
            condition::ACCEPTED,
            false,
            reason::POLICY_NOT_FOUND,
            format!("spec.promotionPolicyRef names {name}, which does not exist: nothing is promoted until it does"),
        )
    } else if keep <= cx.policy.rollback.window {
        let text = format!(
            "artifacts.retention.keepPromoted ({keep}) must exceed the policy's rollback.window ({})",
            cx.policy.rollback.window
        );
        Said::new(condition::ACCEPTED, false, reason::INVALID_COMBINATION, text)
    } else {
        Said::new(condition::ACCEPTED, true, "Accepted", "references exist and the spec is coherent")
    });
    all.push(Said::new(
        condition::PAUSED,
        cx.is_paused,
        if cx.is_paused { "Paused" } else { "Running" },
        if cx.is_paused { "spec.paused is true: nothing is written" } else { "" },
    ));
    all
}

fn progressing(cx: &Deciding<'_>) -> Said {
    let status = &cx.plan.status;
    let held = |rollout: &endcap_crds::recommender_model::status::RolloutStatus| {
        rollout.held_reason.as_ref().map_or_else(String::new, |held| format!(": {held}"))
    };
    if let Some(rollout) = status.rollout.as_ref().filter(|rollout| rollout.phase != RolloutPhase::Cooling) {
        let text = format!("{} at {}%{}", rollout.version, rollout.weight, held(rollout));
        let held = rollout.held_reason.as_ref().map(ToString::to_string).unwrap_or_default();
        let why = match rollout.phase {
            RolloutPhase::Preparing if held.contains("approval") => reason::WAITING_FOR_APPROVAL,
            RolloutPhase::Preparing => reason::WAITING_FOR_REPLICAS,
            _ if held.contains("approval") || held.contains("approve") => reason::WAITING_FOR_APPROVAL,
            _ if held.contains("frozen") => reason::FROZEN,
            _ if held.contains("requests") || held.contains("inconclusive") => reason::WAITING_FOR_SAMPLES,
            _ => reason::STEP_WEIGHT,
        };
        return Said::new(condition::PROGRESSING, true, why, text);
    }
    if let Some(text) = &cx.waiting {
        return Said::new(condition::PROGRESSING, false, reason::EXPERIMENT_RUNNING, text);
    }
    if let Some(training) = &status.training {
        let text = format!("{} is {}% trained", training.version, training.progress_percent.unwrap_or(0));
        return Said::new(condition::PROGRESSING, true, reason::TRAINING, text);
    }
    Said::new(condition::PROGRESSING, false, "Settled", cx.refused.clone().unwrap_or_default())
}

fn degraded(cx: &Deciding<'_>) -> Said {
    use endcap_crds::recommender_model::status::Outcome;
    let status = &cx.plan.status;
    if let Some((version, why)) = corrupt(cx.seen) {
        return Said::new(condition::DEGRADED, true, reason::ARTIFACT_CORRUPT, format!("{version}: {why}"));
    }
    if let Some(refused) = &cx.refused {
        return Said::new(condition::DEGRADED, true, reason::GATE_FAILED, refused);
    }
    if let Some(last) = status.history.first() {
        let text =
            || format!("{}: {}", last.version, last.reason.as_ref().map(ToString::to_string).unwrap_or_default());
        match last.outcome {
            Outcome::RolledBack => return Said::new(condition::DEGRADED, true, reason::PROMOTION_ROLLED_BACK, text()),
            Outcome::Aborted if status.rejected_versions.iter().any(|one| one.version == last.version) => {
                return Said::new(condition::DEGRADED, true, reason::PROMOTION_ABORTED, text());
            }
            _ => {}
        }
    }
    let newest = cx.seen.versions.iter().max_by_key(|version| version.spec.version);
    let failed = newest.filter(|version| {
        cx.plan.versions.get(&version.name).is_some_and(|status| status.phase == Some(VersionPhase::Failed))
    });
    if let Some(version) = failed {
        let why = cx
            .plan
            .versions
            .get(&version.name)
            .and_then(|status| conditions::find(&status.conditions, condition::TRAINED))
            .map(|one| one.message.clone());
        return Said::new(
            condition::DEGRADED,
            true,
            reason::TRAINING_FAILED,
            format!("{}: {}", version.name, why.unwrap_or_default()),
        );
    }
    Said::new(condition::DEGRADED, false, "AsAsked", "")
}

fn complete(cx: &Deciding<'_>) -> Said {
    let status = &cx.plan.status;
    let wanted = cx.seen.model.spec.promoted_version.as_ref();
    let is_under_way = status.rollout.as_ref().is_some_and(|rollout| rollout.phase != RolloutPhase::Cooling);
    match (&status.active_version, wanted) {
        (Some(active), wanted) if !is_under_way && wanted.is_none_or(|wanted| wanted == active) => {
            Said::new(condition::PROMOTION_COMPLETE, true, reason::PROMOTED, format!("{active} serves everybody"))
        }
        (_, Some(wanted)) if status.rejected_versions.iter().any(|one| &one.version == wanted) => {
            let why = if cx.refused.as_deref().is_some_and(|text| text.contains("abortVersion")) {
                reason::ABORTED
            } else {
                reason::ROLLED_BACK
            };
            Said::new(condition::PROMOTION_COMPLETE, false, why, cx.refused.clone().unwrap_or_default())
        }
        _ => Said::new(
            condition::PROMOTION_COMPLETE,
            false,
            reason::IN_PROGRESS,
            cx.refused.clone().or_else(|| cx.waiting.clone()).unwrap_or_default(),
        ),
    }
}

fn phase(cx: &Deciding<'_>) -> ModelPhase {
    let status = &cx.plan.status;
    if cx.is_paused {
        return ModelPhase::Paused;
    }
    match status.rollout.as_ref().map(|rollout| rollout.phase) {
        Some(RolloutPhase::RollingBack) => return ModelPhase::RollingBack,
        Some(RolloutPhase::Preparing | RolloutPhase::Stepping | RolloutPhase::Promoting)
            if status.active_version.is_some() =>
        {
            return ModelPhase::RollingOut;
        }
        _ => {}
    }
    if cx.running_experiment.is_some() {
        return ModelPhase::Experimenting;
    }
    if status.active_version.is_none() {
        return if status.training.is_some() { ModelPhase::Training } else { ModelPhase::Pending };
    }
    if is_true(&status.conditions, condition::DEGRADED) { ModelPhase::Degraded } else { ModelPhase::Serving }
}
