//! The rollout: from the first start of a candidate until the version before it is let go, or until the candidate is taken back.
//!
//! ```text
//! (stable) -> Preparing -> Stepping(0..n) -> Promoting -> Cooling -> (stable)
//!                  \____________\_______________\___________\____-> RollingBack -> (stable)
//! ```
//!
//! Abort and rollback win from everywhere, in one transition. A weight rises only when a window closed with every gate passed, every
//! live router serves the weight before it, and nothing holds it: a pause, a freeze, an approval, capacity.

mod begin;
mod cool;
mod end;
mod hold;
mod steps;

use endcap_crds::recommender_model::status::RolloutPhase;

use crate::decide::Deciding;
use crate::target;

/// Makes at most one transition.
pub fn advance(cx: &mut Deciding<'_>) {
    begin::honour_retry(cx);
    let target = target::resolve(cx);
    cx.refused.clone_from(&target.refused);
    let Some(rollout) = cx.plan.status.rollout.clone() else {
        begin::begin(cx, &target);
        return;
    };
    if rollout.phase == RolloutPhase::RollingBack {
        end::finish(cx, &rollout);
        return;
    }
    if let Some(ending) = end::must_end(cx, &rollout, &target) {
        end::take_back(cx, rollout, ending);
        return;
    }
    match rollout.phase {
        RolloutPhase::Preparing => steps::prepare(cx, rollout),
        RolloutPhase::Stepping => steps::step(cx, rollout),
        RolloutPhase::Promoting => steps::promote(cx, rollout),
        RolloutPhase::Cooling => cool::cool(cx, rollout, &target),
        RolloutPhase::RollingBack => {}
    }
}

/// Without its policy nothing is promoted; an abort is honoured all the same, and a way back is gone to its end.
pub fn advance_without_policy(cx: &mut Deciding<'_>) {
    let aborted = cx.seen.model.spec.rollout.abort_version.as_ref();
    let rollout = cx.plan.status.rollout.as_ref();
    let is_way_back = rollout.is_some_and(|rollout| rollout.restoring || rollout.phase == RolloutPhase::RollingBack);
    let names = [rollout.map(|rollout| &rollout.version), cx.plan.status.active_version.as_ref()];
    if is_way_back || (aborted.is_some() && names.contains(&aborted)) {
        advance(cx);
    }
}

pub use hold::replicas_for;
pub use steps::{close, describe};
