//! How a candidate is taken back.

use endcap_crds::common::text::VersionName;
use endcap_crds::model_version::status::VersionPhase;
use endcap_crds::promotion_policy::Superseding;
use endcap_crds::reasons::event;
use endcap_crds::recommender_model::status::{Ending, Outcome, RolloutPhase, RolloutStatus};

use crate::decide::Deciding;
use crate::history;
use crate::plan::About;
use crate::target::Target;
use crate::text::message;

pub fn rejecting(outcome: Outcome, reason: String) -> Ending {
    Ending { outcome, reason: message(reason), rejected: true }
}

/// Why the rollout must end, whatever its phase.
pub fn must_end(cx: &Deciding<'_>, rollout: &RolloutStatus, target: &Target) -> Option<Ending> {
    let spec = &cx.seen.model.spec;
    let name = rollout.version.as_str();
    if spec.rollout.abort_version.as_ref() == Some(&rollout.version) {
        return Some(rejecting(Outcome::Aborted, "named by spec.rollout.abortVersion".to_owned()));
    }
    let is_cooling = rollout.phase == RolloutPhase::Cooling;
    let phase = cx.plan.versions.get(name).and_then(|status| status.phase);
    let is_gone = cx.seen.version(name).is_none_or(|version| version.deleting) || phase != Some(VersionPhase::Ready);
    if is_gone && !is_cooling {
        return Some(Ending {
            outcome: Outcome::Aborted,
            reason: message(format!("{name} was deleted")),
            rejected: false,
        });
    }
    let is_left =
        |name: Option<&str>| name.is_some() && spec.rollout.abort_version.as_ref().map(VersionName::as_str) == name;
    // The way back from an aborted version is gone to its end, whatever else is wanted.
    if is_cooling || (rollout.restoring && is_left(rollout.from.as_ref().map(VersionName::as_str))) {
        return None;
    }
    if is_left(cx.active()) && !rollout.restoring {
        return Some(Ending {
            outcome: Outcome::Superseded,
            reason: message("the active version is aborted: the one before it comes first"),
            rejected: false,
        });
    }
    let wanted = target.version.as_deref().filter(|wanted| *wanted != name)?;
    if Some(wanted) == cx.active() {
        let reason = message("spec.promotedVersion names the active version again");
        return Some(Ending { outcome: Outcome::Aborted, reason, rejected: false });
    }
    (cx.policy.superseding == Superseding::Replace).then(|| Ending {
        outcome: Outcome::Superseded,
        reason: message(format!("{wanted} was wanted instead")),
        rejected: false,
    })
}

/// In one transition the candidate takes nothing any more.
pub fn take_back(cx: &mut Deciding<'_>, mut rollout: RolloutStatus, ending: Ending) {
    let name = rollout.version.to_string();
    if rollout.phase == RolloutPhase::Cooling {
        cx.plan.status.active_version.clone_from(&rollout.from);
        cx.plan.status.previous_version = None;
    }
    let what = match ending.outcome {
        Outcome::Aborted => event::ABORTED,
        _ => event::ROLLBACK_STARTED,
    };
    cx.plan.warn(About::Model, what, format!("{name} takes no traffic any more: {}", ending.reason));
    rollout.phase = RolloutPhase::RollingBack;
    rollout.weight = 0;
    rollout.step = None;
    rollout.step_started_at = None;
    rollout.deadline = None;
    rollout.window = None;
    rollout.held_reason = None;
    rollout.ending = Some(ending);
    cx.plan.status.rollout = Some(rollout);
}

/// Every live router serves without it: the rollout is over.
pub fn finish(cx: &mut Deciding<'_>, rollout: &RolloutStatus) {
    // A first version that is taken back leaves nothing that routers could serve instead: there is no table to wait for.
    if !cx.is_synced && rollout.from.is_some() {
        let mut rollout = rollout.clone();
        rollout.held_reason = Some(message(cx.lagging()));
        cx.plan.status.rollout = Some(rollout);
        return;
    }
    let name = rollout.version.to_string();
    let ending = rollout.ending.clone().unwrap_or_else(|| rejecting(Outcome::RolledBack, "unknown".to_owned()));
    let by = match ending.outcome {
        Outcome::RolledBack => "policy".to_owned(),
        _ => rollout.by.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    let from = rollout.from.as_ref().map(ToString::to_string);
    let entry = history::Entry {
        version: &name,
        from: from.as_deref(),
        outcome: ending.outcome,
        by: &by,
        reason: ending.reason.as_str(),
    };
    history::add(&mut cx.plan.status, &entry, cx.now);
    if ending.rejected {
        let reason = if ending.outcome == Outcome::Aborted { "Aborted" } else { "GateFailed" };
        history::reject(&mut cx.plan.status, &name, reason, cx.now);
    }
    if ending.outcome == Outcome::RolledBack {
        crate::trigger::rejected(cx);
    }
    cx.plan.status.rollout = None;
    cx.plan.status.target_version = None;
    cx.plan.say(About::Model, event::ROLLBACK_FINISHED, format!("{name} is out of all routers: {}", ending.reason));
}
