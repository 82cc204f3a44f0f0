//! Experiments: versions side by side on fixed shares of the units, one at a time, never beside a rollout.

use std::collections::BTreeMap;

use endcap_crds::experiment::design::Direction;
use endcap_crds::experiment::status::{ArmBuckets, ArmResult, Conclusion, ExperimentPhase, ExperimentStatus};
use endcap_crds::model_version::status::VersionPhase;
use endcap_crds::promotion_policy::online::Online;
use endcap_crds::reasons::{condition, event};
use endcap_crds::recommender_model::status::{RecommenderModelStatus, RolloutPhase, Verdict};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::conditions::{self, Said};
use crate::decide::Deciding;
use crate::observed::{Experiment, ExperimentFacts, after, span};
use crate::plan::About;
use crate::rollout::replicas_for;
use crate::text::{decimal, number};
use crate::window::{self, Found, Rules, Sides};

/// Users in an experiment before its sample ratio is looked at for the first time; then at every doubling.
const FIRST_RATIO_LOOK: i64 = 1_000;
/// Windows of a guardrail that must fail.
const GUARDRAIL_FAILURES: usize = 2;

/// The experiment that owns traffic according to the stored statuses: the oldest of those that run.
pub fn running(seen: &crate::Observed) -> Option<String> {
    let of = |wanted: ExperimentPhase| {
        let found = seen.experiments.iter().filter(|experiment| experiment.status.phase == Some(wanted));
        found
            .min_by_key(|experiment| (experiment.created_at, experiment.name.clone()))
            .map(|experiment| experiment.name.clone())
    };
    of(ExperimentPhase::Running).or_else(|| of(ExperimentPhase::Stopping))
}

/// Whether an experiment that has not begun should be made ready.
pub fn is_due(experiment: &Experiment, model: &RecommenderModelStatus) -> bool {
    !experiment.deleting
        && !experiment.spec.stop
        && model.active_version.is_some()
        && model.rollout.as_ref().is_none_or(|rollout| rollout.phase == RolloutPhase::Cooling)
}

/// Moves every experiment by at most one transition.
pub(crate) fn look(cx: &mut Deciding<'_>) {
    let mut experiments: Vec<Experiment> = cx.seen.experiments.clone();
    experiments.sort_by_key(|experiment| (experiment.created_at, experiment.name.clone()));
    let mut owner = cx.running_experiment.clone();
    for experiment in &experiments {
        let Some(mut status) = cx.plan.experiments.remove(&experiment.name) else { continue };
        status.observed_generation = Some(experiment.generation);
        match status.phase {
            None | Some(ExperimentPhase::Pending) => begin(cx, experiment, &mut status, &mut owner),
            Some(ExperimentPhase::Running) => watch(cx, experiment, &mut status),
            Some(ExperimentPhase::Stopping) => {
                if cx.is_synced {
                    status.phase = Some(ExperimentPhase::Completed);
                    let text = status.conclusion.map_or_else(String::new, |conclusion| format!("{conclusion:?}"));
                    said(&mut status, experiment, cx.now, condition::COMPLETE, true, "Completed", &text);
                    said(&mut status, experiment, cx.now, condition::RUNNING, false, "Completed", &text);
                }
            }
            Some(ExperimentPhase::Completed | ExperimentPhase::Failed) => {}
        }
        cx.plan.experiments.insert(experiment.name.clone(), status);
    }
    cx.running_experiment = owner;
}

fn said(
    status: &mut ExperimentStatus,
    experiment: &Experiment,
    now: Timestamp,
    type_: &'static str,
    is_true: bool,
    why: &'static str,
    text: &str,
) {
    conditions::set(&mut status.conditions, &Said::new(type_, is_true, why, text), experiment.generation, now);
}

fn begin(cx: &mut Deciding<'_>, experiment: &Experiment, status: &mut ExperimentStatus, owner: &mut Option<String>) {
    status.phase = Some(ExperimentPhase::Pending);
    let mut names: Vec<&endcap_crds::experiment::design::Arm> = experiment.spec.arms.iter().collect();
    names.sort_by_key(|arm| !arm.control);
    status.arm_names = Some(names.iter().map(|arm| arm.name.to_string()).collect::<Vec<_>>().join(",").as_str().into());
    let wrong = unusable(cx, experiment);
    let (is_accepted, why, text) = wrong
        .map_or((true, "Accepted", "every arm's version is ready".to_owned()), |text| (false, "VersionNotReady", text));
    said(status, experiment, cx.now, condition::ACCEPTED, is_accepted, why, &text);
    if experiment.spec.stop {
        status.phase = Some(ExperimentPhase::Completed);
        status.conclusion = Some(Conclusion::Stopped);
        said(status, experiment, cx.now, condition::COMPLETE, true, "Completed", "stopped before it began");
        said(status, experiment, cx.now, condition::RUNNING, false, "Completed", "stopped before it began");
        return;
    }
    let waits = if !is_accepted {
        Some(text)
    } else if let Some(other) = owner.as_ref() {
        Some(format!("experiment {other} runs: one at a time"))
    } else if let Some(rollout) =
        cx.plan.status.rollout.as_ref().filter(|rollout| rollout.phase != RolloutPhase::Cooling)
    {
        Some(format!("the rollout of {} must end first", rollout.version))
    } else if let Some(start) = experiment.spec.start_time.as_ref().filter(|start| start.0 > cx.now) {
        cx.plan.wake(start.0);
        Some(format!("it begins at {}", start.0))
    } else {
        unready(cx, experiment)
    };
    if let Some(text) = waits {
        said(status, experiment, cx.now, condition::RUNNING, false, "Waiting", &text);
        return;
    }
    *owner = Some(experiment.name.clone());
    status.phase = Some(ExperimentPhase::Running);
    status.started_at = Some(Time(cx.now));
    let ends = after(cx.now, span(&experiment.spec.max_duration));
    status.ends_at = Some(Time(ends));
    status.buckets = buckets(experiment);
    cx.plan.wake(after(cx.now, span(&experiment.spec.min_duration)));
    said(status, experiment, cx.now, condition::RUNNING, true, "Running", &format!("until {ends} at the latest"));
    let text = format!(
        "{} with {}% of the units",
        status.arm_names.as_ref().map(ToString::to_string).unwrap_or_default(),
        experiment.spec.traffic_percent
    );
    cx.plan.say(About::Experiment(experiment.name.clone()), event::EXPERIMENT_STARTED, text);
}

fn unusable(cx: &Deciding<'_>, experiment: &Experiment) -> Option<String> {
    if !cx.seen.model.spec.insights.enabled {
        return Some("spec.insights.enabled of the model is false: nothing would measure it".to_owned());
    }
    experiment.spec.arms.iter().find_map(|arm| {
        let phase = cx.plan.versions.get(arm.version_ref.as_str()).and_then(|status| status.phase);
        match phase {
            Some(VersionPhase::Ready) => None,
            None => Some(format!("spec.arms: {} of arm {} does not exist", arm.version_ref, arm.name)),
            Some(phase) => Some(format!("spec.arms: {} of arm {} is {phase:?}", arm.version_ref, arm.name)),
        }
    })
}

fn unready(cx: &Deciding<'_>, experiment: &Experiment) -> Option<String> {
    let sum: i32 = experiment.spec.arms.iter().map(|arm| arm.weight).sum();
    experiment.spec.arms.iter().find_map(|arm| {
        let share = (experiment.spec.traffic_percent * arm.weight / sum.max(1)).max(1);
        let needed = replicas_for(cx.seen.model.spec.serving.replicas, share).min(1);
        let ready = cx.seen.arm(arm.version_ref.as_str()).ready;
        (ready < needed).then(|| format!("{ready} of {needed} predictors of {} are ready", arm.version_ref))
    })
}

/// Contiguous ranges from 0, by weight; recorded once, so that a unit's arm survives everything.
fn buckets(experiment: &Experiment) -> Vec<ArmBuckets> {
    let total = i64::from(experiment.spec.traffic_percent) * 100;
    let sum: i64 = experiment.spec.arms.iter().map(|arm| i64::from(arm.weight)).sum::<i64>().max(1);
    let mut before = 0;
    let mut weight = 0;
    let of = experiment.spec.arms.iter().map(|arm| {
        weight += i64::from(arm.weight);
        let to = total * weight / sum;
        let range = ArmBuckets { arm: arm.name.clone(), from: before as i32, to: to as i32 };
        before = to;
        range
    });
    of.collect()
}

fn watch(cx: &mut Deciding<'_>, experiment: &Experiment, status: &mut ExperimentStatus) {
    if let Some(facts) = &experiment.facts {
        write(status, facts);
    }
    let conclusion = stops(cx, experiment, status).or_else(|| concludes(cx, experiment, status));
    let Some((conclusion, text)) = conclusion else {
        let interval = span(&cx.policy.online.interval);
        cx.plan.wake(after(cx.now, interval));
        return;
    };
    status.phase = Some(ExperimentPhase::Stopping);
    status.conclusion = Some(conclusion);
    let is_conclusive = matches!(conclusion, Conclusion::Winner | Conclusion::NoDifference);
    said(status, experiment, cx.now, condition::CONCLUSIVE, is_conclusive, "Concluded", &text);
    let about = About::Experiment(experiment.name.clone());
    if conclusion == Conclusion::SampleRatioMismatch {
        cx.plan.warn(about, event::SAMPLE_RATIO_MISMATCH, text);
    } else {
        cx.plan.say(about, event::EXPERIMENT_CONCLUDED, format!("{conclusion:?}: {text}"));
    }
}

fn write(status: &mut ExperimentStatus, facts: &ExperimentFacts) {
    status.required_sample_per_arm = facts.required_per_arm.or(status.required_sample_per_arm);
    status.srm_p_value = facts.srm_p_value.map(decimal);
    status.arms = facts
        .arms
        .iter()
        .take(5)
        .map(|arm| ArmResult {
            name: arm.name.as_str().into(),
            users: arm.users,
            exposures: arm.exposures,
            events: arm.events,
            value: arm.value.map(decimal),
            ci_low: arm.low.map(decimal),
            ci_high: arm.high.map(decimal),
            lift: arm.lift.map(decimal),
            p_value: arm.p_value.map(decimal),
        })
        .collect();
}

/// What ends it before its time.
fn stops(
    cx: &mut Deciding<'_>,
    experiment: &Experiment,
    status: &mut ExperimentStatus,
) -> Option<(Conclusion, String)> {
    if experiment.spec.stop || experiment.deleting {
        return Some((Conclusion::Stopped, "spec.stop is true".to_owned()));
    }
    let aborted = &cx.seen.model.spec.rollout.abort_version;
    if let Some(arm) = experiment.spec.arms.iter().find(|arm| aborted.as_ref() == Some(&arm.version_ref)) {
        return Some((Conclusion::Stopped, format!("{} is named by spec.rollout.abortVersion", arm.version_ref)));
    }
    if let Some(text) = ratio(experiment, status, cx.now) {
        return Some((Conclusion::SampleRatioMismatch, text));
    }
    guardrails(cx, experiment, status).map(|text| (Conclusion::GuardrailBreach, text))
}

/// The sample ratio is looked at when the users have doubled; the error is spent over the looks.
fn ratio(experiment: &Experiment, status: &mut ExperimentStatus, now: Timestamp) -> Option<String> {
    let users: i64 = status.arms.iter().map(|arm| arm.users).sum();
    let looks = status.ratio_looks.unwrap_or(0);
    let due = FIRST_RATIO_LOOK.checked_shl(u32::try_from(looks).unwrap_or(40)).unwrap_or(i64::MAX);
    let p = status.srm_p_value.as_ref().and_then(number)?;
    if users < due {
        return None;
    }
    let look = looks + 1;
    status.ratio_looks = Some(look);
    let alpha = number(&experiment.spec.analysis.srm_alpha).unwrap_or(0.001);
    let share = alpha * 6.0 / (std::f64::consts::PI * f64::from(look)).powi(2);
    let is_healthy = p >= share;
    let text = format!("p {p:.5} at {users} users (limit {share:.6} at look {look})");
    said(
        status,
        experiment,
        now,
        condition::SAMPLE_RATIO_HEALTHY,
        is_healthy,
        if is_healthy { "Healthy" } else { "Mismatch" },
        &text,
    );
    (!is_healthy).then_some(text)
}

fn guardrails(cx: &mut Deciding<'_>, experiment: &Experiment, status: &mut ExperimentStatus) -> Option<String> {
    let counters = cx.seen.counters.as_ref()?;
    let control = experiment.spec.arms.iter().find(|arm| arm.control)?;
    let treatment = experiment.spec.arms.iter().find(|arm| !arm.control)?;
    let sides = Sides {
        arm: treatment.name.as_str(),
        version: treatment.version_ref.as_str(),
        other: Some((control.name.as_str(), control.version_ref.as_str())),
    };
    if !cx.is_synced && status.window.is_none() {
        return None;
    }
    let mut open = match status.window.take() {
        Some(open) => open,
        None => window::open(counters, sides, 1, Vec::new(), cx.now),
    };
    let online = Online {
        gates: experiment.spec.guardrails.clone(),
        failure_limit: GUARDRAIL_FAILURES as i32,
        ..cx.policy.online.clone()
    };
    let rules = Rules { gates: &experiment.spec.guardrails, online: &online };
    let found = window::look(&mut open, rules, Some(counters), cx.seen.insights.as_ref(), sides, cx.now);
    let mut breach = None;
    if let Found::Closed(verdicts) = found {
        let (worst, decisive) = window::worst(&verdicts);
        let text = decisive.map(crate::rollout::describe).unwrap_or_default();
        let requests = counters
            .arms
            .iter()
            .find(|counts| counts.arm.as_str() == sides.arm && counts.version.as_str() == sides.version);
        crate::rollout::close(
            &mut open,
            worst,
            requests.map_or(0, |counts| counts.requests),
            cx.now,
            online.failure_window,
        );
        said(
            status,
            experiment,
            cx.now,
            condition::GUARDRAILS_HEALTHY,
            worst != Verdict::Fail,
            if worst == Verdict::Fail { "Breached" } else { "Healthy" },
            &text,
        );
        if open.failed.len() >= GUARDRAIL_FAILURES {
            breach = Some(text);
        }
        status.guardrails = verdicts;
    }
    status.window = Some(open);
    breach
}

/// A fixed horizon: judged once, when the sample is there and the time has passed, or at the end.
fn concludes(
    cx: &mut Deciding<'_>,
    experiment: &Experiment,
    status: &mut ExperimentStatus,
) -> Option<(Conclusion, String)> {
    let started = status.started_at.as_ref()?.0;
    let ends = status.ends_at.as_ref()?.0;
    let least = after(started, span(&experiment.spec.min_duration));
    let has_sample = status
        .required_sample_per_arm
        .is_some_and(|wanted| !status.arms.is_empty() && status.arms.iter().all(|arm| arm.users >= wanted));
    cx.plan.wake(if cx.now < least { least } else { ends });
    if cx.now < least || (!has_sample && cx.now < ends) {
        return None;
    }
    let alpha = number(&experiment.spec.analysis.alpha).unwrap_or(0.05);
    let treatments = experiment.spec.arms.len().saturating_sub(1).max(1);
    let mut best: Option<(&ArmResult, f64, f64)> = None;
    for arm in &status.arms {
        let (Some(lift), Some(p)) = (arm.lift.as_ref().and_then(number), arm.p_value.as_ref().and_then(number)) else {
            continue;
        };
        let gain = if experiment.spec.primary_metric.direction == Direction::Increase { lift } else { -lift };
        // Several treatments share the error (Bonferroni).
        if p < alpha / treatments as f64 && gain > 0.0 && best.is_none_or(|known| gain > known.1) {
            best = Some((arm, gain, p));
        }
    }
    let metric = &experiment.spec.primary_metric.name;
    let (conclusion, text) = match best {
        Some((arm, gain, p)) => {
            let text = format!("{} is better in {metric} by {:.1}% (p {p:.4})", arm.name, 100.0 * gain);
            let name = arm.name.clone();
            status.winner = Some(name);
            (Conclusion::Winner, text)
        }
        None => (Conclusion::NoDifference, format!("no arm is surely better in {metric} than the control")),
    };
    Some((conclusion, text))
}

/// The version that won last and is to be promoted, if an experiment asked for it.
pub(crate) fn winner(cx: &Deciding<'_>) -> Option<String> {
    let last_promotion = cx.plan.status.history.first().map(|entry| entry.time.0);
    let statuses: &BTreeMap<String, ExperimentStatus> = &cx.plan.experiments;
    cx.seen.experiments.iter().find_map(|experiment| {
        let status = statuses.get(&experiment.name)?;
        let complete = conditions::find(&status.conditions, condition::COMPLETE)?.last_transition_time.0;
        let is_wanted = experiment.spec.on_conclusion == endcap_crds::experiment::OnConclusion::PromoteWinner
            && status.phase == Some(ExperimentPhase::Completed)
            && last_promotion.is_none_or(|last| last < complete);
        let winner = status.winner.as_ref().filter(|_| is_wanted)?;
        experiment.spec.arms.iter().find(|arm| &arm.name == winner).map(|arm| arm.version_ref.to_string())
    })
}
