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

pub use hold::replicas_for;
pub use steps::{close, describe};
