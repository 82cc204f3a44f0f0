//! What holds a weight.

use endcap_crds::recommender_model::status::RolloutStatus;
use jiff::{SignedDuration, Timestamp};

use crate::cron::Cron;
use crate::decide::Deciding;
use crate::observed::{after, span};

/// Predictors that a share of the units needs, with a quarter to spare while it is a share.
pub fn replicas_for(replicas: i32, weight: i32) -> i32 {
    if weight >= 100 {
        return replicas.max(1);
    }
    let wanted = (f64::from(replicas) * f64::from(weight) * 1.25 / 100.0).ceil() as i32;
    wanted.clamp(1, replicas.max(1))
}

/// Until when no weight rises, if a freeze is on.
pub fn is_frozen(cx: &Deciding<'_>) -> Option<Timestamp> {
    cx.policy
        .freeze
        .iter()
        .filter_map(|freeze| {
            let long = span(&freeze.duration);
            let cron = Cron::parse(freeze.cron.as_str(), freeze.time_zone.as_str()).ok()?;
            let began = cron.last(cx.now.checked_sub(long).unwrap_or(Timestamp::MIN), cx.now)?;
            let ends = after(began, long);
            (ends > cx.now).then_some(ends)
        })
        .max()
}

/// Why the weight may not rise to that of a step, if it may not.
pub fn held(cx: &mut Deciding<'_>, rollout: &RolloutStatus, step: usize) -> Option<String> {
    let spec = &cx.seen.model.spec;
    // The way back is never held: abort and rollback win over a pause and a freeze.
    let is_way_back = rollout.restoring && rollout.from.is_some();
    if spec.rollout.paused && !is_way_back {
        return Some("paused by spec.rollout.paused".to_owned());
    }
    if let Some(until) = is_frozen(cx).filter(|_| !rollout.restoring) {
        cx.plan.wake(until);
        return Some(format!("frozen by the policy until {until}"));
    }
    let wanted = cx.policy.steps.get(step)?;
    let approved = is_approved(cx, rollout, step);
    if wanted.require_approval && !approved && !rollout.restoring {
        return Some(format!(
            "step {} waits for approval: set spec.rollout.approvedStep to {{version: {}, step: {}}}",
            wanted.name, rollout.version, wanted.name
        ));
    }
    let weight = if rollout.restoring { 100 } else { wanted.weight };
    let needed = needed(spec.serving.replicas, weight);
    let ready = cx.seen.arm(rollout.version.as_str()).ready;
    if ready < needed {
        return Some(format!("{ready} of {needed} predictors of {} are ready", rollout.version));
    }
    None
}

pub fn is_approved(cx: &Deciding<'_>, rollout: &RolloutStatus, step: usize) -> bool {
    let approved = cx.seen.model.spec.rollout.approved_step.as_ref();
    let name = cx.policy.steps.get(step).map(|step| &step.name);
    approved.is_some_and(|approved| approved.version == rollout.version && Some(&approved.step) == name)
}

/// Ready predictors without which a share is not served.
pub fn needed(replicas: i32, weight: i32) -> i32 {
    (f64::from(replicas) * f64::from(weight) / 100.0).ceil().max(1.0) as i32
}

/// How long after the last verdict a person must be asked.
pub fn is_overdue(cx: &Deciding<'_>, since: Timestamp, judged_at: Option<Timestamp>) -> bool {
    let last = judged_at.map_or(since, |judged| judged.max(since));
    let limit = span(&cx.policy.online.max_hold);
    limit > SignedDuration::ZERO && cx.now > after(last, limit)
}
