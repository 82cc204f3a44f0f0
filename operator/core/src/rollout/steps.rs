//! Preparing, stepping, promoting.

use endcap_crds::reasons::event;
use endcap_crds::recommender_model::status::{GateWindow, Outcome, RolloutPhase, RolloutStatus, Verdict};
use endcap_routing::table::{ACTIVE, CANDIDATE};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::end;
use super::hold::{held, is_approved, is_overdue, needed};
use crate::decide::Deciding;
use crate::history;
use crate::observed::{after, span};
use crate::plan::About;
use crate::text::message;
use crate::window::{self, Found, Rules, Sides};

/// The candidate is started; it takes traffic when it is ready and nothing holds it.
pub fn prepare(cx: &mut Deciding<'_>, mut rollout: RolloutStatus) {
    let arm = cx.seen.arm(rollout.version.as_str());
    if let Some(why) = arm.integrity_failure {
        hold(cx, rollout, format!("{why}; nothing moves until the artifact can be read"));
        return;
    }
    let deadline = rollout.deadline.as_ref().map(|deadline| deadline.0);
    let first = cx.policy.steps.first().map_or(100, |step| if rollout.restoring { 100 } else { step.weight });
    let needed = needed(cx.seen.model.spec.serving.replicas, first);
    if arm.ready < needed && deadline.is_some_and(|deadline| cx.now >= deadline) {
        let reason = format!("{} of {needed} predictors of {} were ready in time", arm.ready, rollout.version);
        end::take_back(cx, rollout, end::rejecting(Outcome::RolledBack, reason));
        return;
    }
    if let Some(why) = held(cx, &rollout, 0) {
        if let Some(deadline) = deadline {
            cx.plan.wake(deadline);
        }
        hold(cx, rollout, why);
        return;
    }
    // For the first version there is no table yet that routers could serve.
    if rollout.from.is_some() && !cx.is_synced {
        let why = cx.lagging();
        hold(cx, rollout, why);
        return;
    }
    rollout.deadline = None;
    enter(cx, rollout, 0);
}

/// Goes to a step; the clock and the evidence of the step begin when every live router serves its weight.
fn enter(cx: &mut Deciding<'_>, mut rollout: RolloutStatus, step: usize) {
    let Some(wanted) = cx.policy.steps.get(step).cloned() else { return };
    let weight = if rollout.restoring { 100 } else { wanted.weight };
    rollout.weight = weight;
    rollout.step = if rollout.restoring {
        cx.policy.steps.last().map(|last| last.name.clone())
    } else {
        Some(wanted.name.clone())
    };
    rollout.phase = if weight >= 100 { RolloutPhase::Promoting } else { RolloutPhase::Stepping };
    rollout.step_started_at = None;
    rollout.held_reason = None;
    if is_approved(cx, &rollout, step) && wanted.require_approval {
        cx.plan.say(About::Model, event::APPROVED, format!("step {} of {} was approved", wanted.name, rollout.version));
    }
    cx.plan.say(
        About::Model,
        event::STEP_ADVANCED,
        format!("{} gets {weight}% of the units (step {})", rollout.version, wanted.name),
    );
    cx.plan.status.rollout = Some(rollout);
}

/// The candidate takes a share: its gates are looked at.
pub fn step(cx: &mut Deciding<'_>, mut rollout: RolloutStatus) {
    let at = cx.policy.steps.iter().position(|step| Some(&step.name) == rollout.step.as_ref());
    let Some(at) = at else {
        // The policy's steps were changed under way: go on from the first that gives more.
        let next = cx
            .policy
            .steps
            .iter()
            .position(|step| step.weight > rollout.weight)
            .unwrap_or(cx.policy.steps.len().saturating_sub(1));
        let why = format!(
            "the policy no longer has step {:?}",
            rollout.step.as_ref().map(ToString::to_string).unwrap_or_default()
        );
        if held(cx, &rollout, next).is_none() && cx.is_synced {
            // Evidence starts again at the present weight under the nearest step's name.
            rollout.step = cx.policy.steps.get(next.saturating_sub(1)).map(|step| step.name.clone());
        }
        rollout.step_started_at = None;
        hold(cx, rollout, why);
        return;
    };
    if !cx.is_synced {
        let why = cx.lagging();
        hold(cx, rollout, why);
        return;
    }
    let Some(counters) = &cx.seen.counters else {
        hold(cx, rollout, "routers' counts cannot be read: nothing moves on missing data".to_owned());
        return;
    };
    let (version, from) =
        (rollout.version.to_string(), rollout.from.as_ref().map(ToString::to_string).unwrap_or_default());
    let sides = Sides { arm: CANDIDATE, version: &version, other: Some((ACTIVE, &from)) };
    let Some(began) = rollout.step_started_at.clone() else {
        let (number, failed) = rollout.window.take().map_or((1, Vec::new()), |last| (last.number, last.failed));
        rollout.window = Some(window::open(counters, sides, number, failed, cx.now));
        rollout.step_started_at = Some(Time(cx.now));
        cx.plan.wake(after(cx.now, span(&cx.policy.online.interval)));
        hold(cx, rollout, "the step has begun".to_owned());
        return;
    };
    let mut open = match rollout.window.take() {
        Some(open) => open,
        None => window::open(counters, sides, 1, Vec::new(), cx.now),
    };
    let next = at + 1;
    let is_overdue = is_overdue(cx, open.since.0, open.judged_at.as_ref().map(|at| at.0));
    let rules = Rules { gates: &cx.policy.online.gates, online: &cx.policy.online };
    let found = window::look(&mut open, rules, Some(counters), cx.seen.insights.as_ref(), sides, cx.now);
    let evidence = window::evidence(&open, counters, None, CANDIDATE, &version);
    let samples = evidence.counts.map_or(0, |counts| counts.requests);
    let seen_requests = counters
        .arms
        .iter()
        .find(|counts| counts.arm.as_str() == CANDIDATE && counts.version.as_str() == version)
        .map_or(0, |counts| counts.requests);
    match found {
        Found::Blind => {
            rollout.window = Some(open);
            hold(cx, rollout, "routers' counts cannot be read: nothing moves on missing data".to_owned());
        }
        Found::Open(why) => {
            cx.plan.wake(after(cx.now.max(open.started_at.0), span(&cx.policy.online.interval)));
            rollout.window = Some(open);
            // What a person must do is more worth saying than how long a window lasts.
            let why = if is_overdue { overdue(cx, &rollout) } else { held(cx, &rollout, next).unwrap_or(why) };
            hold(cx, rollout, why);
        }
        Found::Closed(verdicts) => {
            let (worst, decisive) = window::worst(&verdicts);
            let text = decisive.map_or_else(|| "no gates".to_owned(), describe);
            rollout.last_gate = decisive.cloned();
            rollout.gates = verdicts;
            close(&mut open, worst, seen_requests, cx.now, cx.policy.online.failure_window);
            cx.plan.wake(after(cx.now, span(&cx.policy.online.interval)));
            let failures = open.failed.len();
            rollout.window = Some(open);
            judge(cx, rollout, &Closed { worst, text, failures, began: began.0, samples, at, is_overdue });
        }
    }
}

/// The next window begins; failures are remembered as far as the policy looks back.
pub fn close(open: &mut GateWindow, worst: Verdict, requests: i64, now: jiff::Timestamp, look_back: i32) {
    if worst == Verdict::Fail {
        open.failed.push(open.number);
    }
    if worst != Verdict::Inconclusive {
        open.judged_at = Some(Time(now));
    }
    open.number += 1;
    let oldest = open.number - look_back;
    open.failed.retain(|number| *number >= oldest);
    open.samples_at = requests;
    open.started_at = Time(now);
}

struct Closed {
    worst: Verdict,
    text: String,
    failures: usize,
    began: jiff::Timestamp,
    samples: i64,
    at: usize,
    is_overdue: bool,
}

fn judge(cx: &mut Deciding<'_>, rollout: RolloutStatus, closed: &Closed) {
    let name = rollout.version.to_string();
    match closed.worst {
        Verdict::Fail => {
            let limit = usize::try_from(cx.policy.online.failure_limit).unwrap_or(1);
            let count = format!("{} of {limit} failed windows", closed.failures);
            cx.plan.warn(About::Model, event::GATE_FAILED, format!("{name}: {} ({count})", closed.text));
            if closed.failures < limit {
                hold(cx, rollout, format!("gate failed: {} ({count})", closed.text));
            } else if cx.policy.rollback.automatic {
                end::take_back(
                    cx,
                    rollout,
                    end::rejecting(Outcome::RolledBack, format!("gate failed: {}", closed.text)),
                );
            } else {
                hold(
                    cx,
                    rollout,
                    format!("gate failed: {}; rollback.automatic is false: abort it or let it go on", closed.text),
                );
            }
        }
        Verdict::Inconclusive => {
            let why = if closed.is_overdue {
                format!("{}; {}", overdue(cx, &rollout), closed.text)
            } else {
                format!("gate is inconclusive: {}", closed.text)
            };
            hold(cx, rollout, why);
        }
        Verdict::Pass => {
            let step = cx.policy.steps.get(closed.at).cloned();
            let lasts = step.as_ref().map_or(jiff::SignedDuration::ZERO, |step| span(&step.min_duration));
            let wanted = step.map_or(0, |step| step.min_samples);
            let ends = after(closed.began, lasts);
            if cx.now < ends {
                cx.plan.wake(ends);
                hold(
                    cx,
                    rollout,
                    format!("gates pass ({}); the step lasts until {}", closed.text, ends.strftime("%H:%M:%S")),
                );
            } else if closed.samples < wanted {
                hold(
                    cx,
                    rollout,
                    format!("gates pass ({}); {} of {wanted} requests of the step", closed.text, closed.samples),
                );
            } else if let Some(why) = held(cx, &rollout, closed.at + 1) {
                hold(cx, rollout, why);
            } else {
                cx.plan.say(About::Model, event::GATE_PASSED, format!("{name}: {}", closed.text));
                enter(cx, rollout, closed.at + 1);
            }
        }
    }
}

/// Nothing was decided for as long as the policy bears it: said once. A verdict, when it comes, still counts.
fn overdue(cx: &mut Deciding<'_>, rollout: &RolloutStatus) -> String {
    const TEXT: &str = "no verdict within maxHold";
    let is_news = rollout.held_reason.as_ref().is_none_or(|held| !held.as_str().starts_with(TEXT));
    let note = format!("{TEXT}: look at the gates and the traffic of {}, or abort it", rollout.version);
    if is_news {
        cx.plan.warn(About::Model, event::GATE_INCONCLUSIVE, note.clone());
    }
    note
}

/// A verdict in words.
pub fn describe(verdict: &endcap_crds::recommender_model::status::GateVerdict) -> String {
    let text = |value: &Option<endcap_crds::common::text::DecimalText>| {
        value.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string)
    };
    format!(
        "{} {} ({} to {}) against {}, n={}",
        verdict.name,
        text(&verdict.value),
        text(&verdict.low),
        text(&verdict.high),
        text(&verdict.threshold),
        verdict.samples.unwrap_or(0)
    )
}

/// The candidate takes everything: once every live router says so, it is the active version.
pub fn promote(cx: &mut Deciding<'_>, mut rollout: RolloutStatus) {
    if !cx.is_synced {
        let why = cx.lagging();
        hold(cx, rollout, why);
        return;
    }
    let version = rollout.version.to_string();
    let from = rollout.from.as_ref().map(ToString::to_string);
    let by = rollout.by.as_ref().map(ToString::to_string).unwrap_or_default();
    let reason = match (&from, rollout.restoring) {
        (None, _) => "the first version".to_owned(),
        (Some(from), true) => format!("taken up again in place of {from}"),
        (Some(_), false) => rollout
            .last_gate
            .as_ref()
            .map_or_else(|| "passed its steps".to_owned(), |gate| format!("passed its steps; {}", describe(gate))),
    };
    let entry = history::Entry {
        version: &version,
        from: from.as_deref(),
        outcome: Outcome::Promoted,
        by: &by,
        reason: &reason,
    };
    history::add(&mut cx.plan.status, &entry, cx.now);
    cx.plan.status.active_version = Some(rollout.version.clone());
    cx.plan.status.target_version = None;
    cx.plan.status.previous_version.clone_from(&rollout.from);
    if let Some(retraining) = &mut cx.plan.status.retraining {
        retraining.consecutive_rejected = Some(0);
    }
    cx.plan.say(About::Model, "Promoted", format!("{version} serves everybody: {reason}"));
    let warm = span(&cx.policy.rollback.keep_previous_warm);
    let is_aborted =
        |name: &str| cx.seen.model.spec.rollout.abort_version.as_ref().is_some_and(|one| one.as_str() == name);
    if from.as_deref().is_none_or(is_aborted) || warm.is_zero() {
        cx.plan.status.rollout = None;
        cx.plan.status.previous_version = None;
        return;
    }
    let ends = after(cx.now, warm);
    let number = rollout.window.as_ref().map_or(1, |window| window.number);
    rollout.phase = RolloutPhase::Cooling;
    rollout.step_started_at = None;
    rollout.deadline = Some(Time(ends));
    rollout.held_reason = None;
    rollout.window = rollout.window.take().map(|window| GateWindow { number, failed: Vec::new(), ..window });
    cx.plan.wake(ends);
    cx.plan.status.rollout = Some(rollout);
}

/// Nothing moves, and why.
pub fn hold(cx: &mut Deciding<'_>, mut rollout: RolloutStatus, why: String) {
    rollout.held_reason = Some(message(why));
    cx.plan.status.rollout = Some(rollout);
}
