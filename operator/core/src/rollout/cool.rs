//! Cooling: the candidate is active, the version before it is kept warm, and its gates are still looked at.

use endcap_crds::common::gates::{Compare, OnlineGate};
use endcap_crds::reasons::event;
use endcap_crds::recommender_model::status::{Outcome, RolloutStatus, Verdict};
use endcap_routing::table::ACTIVE;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::steps::{close, describe};
use super::{begin, end};
use crate::decide::Deciding;
use crate::observed::{after, span};
use crate::plan::About;
use crate::target::Target;
use crate::window::{self, Found, Rules, Sides};

pub fn cool(cx: &mut Deciding<'_>, mut rollout: RolloutStatus, target: &Target) {
    let ends = rollout.deadline.as_ref().map_or(cx.now, |deadline| deadline.0);
    let is_other = target.version.as_deref().is_some_and(|wanted| wanted != rollout.version.as_str());
    if cx.now >= ends || is_other {
        let previous = cx.plan.status.previous_version.take();
        cx.plan.status.rollout = None;
        if is_other {
            begin::begin(cx, target);
        }
        // What is wanted next may be the very version that is still warm.
        if cx.plan.status.rollout.is_none() && is_other {
            cx.plan.status.previous_version = previous;
            cx.plan.status.rollout = Some(rollout);
        }
        return;
    }
    cx.plan.wake(ends);
    let Some(counters) = &cx.seen.counters else {
        cx.plan.status.rollout = Some(rollout);
        return;
    };
    let version = rollout.version.to_string();
    let sides = Sides { arm: ACTIVE, version: &version, other: None };
    if rollout.step_started_at.is_none() {
        if cx.is_synced {
            let number = rollout.window.take().map_or(1, |last| last.number);
            rollout.window = Some(window::open(counters, sides, number, Vec::new(), cx.now));
            rollout.step_started_at = Some(Time(cx.now));
            cx.plan.wake(after(cx.now, span(&cx.policy.online.interval)));
        }
        cx.plan.status.rollout = Some(rollout);
        return;
    }
    let Some(mut open) = rollout.window.take() else {
        rollout.step_started_at = None;
        cx.plan.status.rollout = Some(rollout);
        return;
    };
    let gates: Vec<OnlineGate> = cx.policy.online.gates.iter().filter_map(absolute).collect();
    let rules = Rules { gates: &gates, online: &cx.policy.online };
    let found = window::look(&mut open, rules, Some(counters), cx.seen.insights.as_ref(), sides, cx.now);
    cx.plan.wake(after(cx.now.max(open.started_at.0), span(&cx.policy.online.interval)));
    if let Found::Closed(verdicts) = found {
        let (worst, decisive) = window::worst(&verdicts);
        let text = decisive.map(describe).unwrap_or_default();
        let requests =
            counters.arms.iter().find(|counts| counts.arm.as_str() == ACTIVE && counts.version.as_str() == version);
        close(&mut open, worst, requests.map_or(0, |counts| counts.requests), cx.now, cx.policy.online.failure_window);
        let failures = open.failed.len();
        rollout.last_gate = decisive.cloned();
        rollout.gates = verdicts;
        rollout.window = Some(open);
        if worst == Verdict::Fail {
            cx.plan.warn(About::Model, event::GATE_FAILED, format!("{version}: {text} (after its promotion)"));
            if failures >= usize::try_from(cx.policy.online.failure_limit).unwrap_or(1) && cx.policy.rollback.automatic
            {
                end::take_back(
                    cx,
                    rollout,
                    end::rejecting(Outcome::RolledBack, format!("gate failed after the promotion: {text}")),
                );
                return;
            }
        }
    } else {
        rollout.window = Some(open);
    }
    cx.plan.status.rollout = Some(rollout);
}

/// What of a gate can be judged when nobody else serves.
fn absolute(gate: &OnlineGate) -> Option<OnlineGate> {
    (gate.min.is_some() || gate.max.is_some()).then(|| OnlineGate {
        compare: Compare::Absolute,
        max_regression_percent: None,
        ..gate.clone()
    })
}
