//! How a rollout begins.

use endcap_crds::common::text::VersionName;
use endcap_crds::reasons::event;
use endcap_crds::recommender_model::status::{RolloutPhase, RolloutStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::decide::Deciding;
use crate::observed::{after, span};
use crate::plan::About;
use crate::target::{Target, is_restorable};
use crate::{history, offline};

/// A new retry token lets the version that the spec names be tried again.
pub fn honour_retry(cx: &mut Deciding<'_>) {
    let spec = &cx.seen.model.spec;
    let token = &spec.rollout.retry_token;
    if token == &cx.plan.status.retry_token_seen {
        return;
    }
    cx.plan.status.retry_token_seen.clone_from(token);
    if token.is_some() {
        let named = spec.promoted_version.as_ref().map(VersionName::as_str);
        cx.plan.status.rejected_versions.retain(|one| named.is_some_and(|named| one.version.as_str() != named));
    }
}

/// Begins a rollout to the target, or the way back when the active version is aborted.
pub fn begin(cx: &mut Deciding<'_>, target: &Target) {
    if let Some(aborted) = aborted_active(cx) {
        go_back(cx, &aborted);
        return;
    }
    let Some(version) = target.version.clone() else { return };
    let active = cx.active().map(str::to_owned);
    if active.as_deref() == Some(version.as_str()) {
        return;
    }
    if let Some(experiment) = &cx.running_experiment {
        cx.waiting = Some(format!("{version} waits until experiment {experiment} has ended"));
        return;
    }
    let restoring = active.is_none() || is_restorable(cx, &version);
    // What served everybody before has shown what it can; what never did shows its evaluation first.
    if (active.is_none() || !restoring) && offline::is_refused(cx, &version) {
        cx.refused = Some(format!("{version} did not pass the offline gates; see its condition GatesPassed"));
        return;
    }
    start(cx, &version, active.as_deref(), &target.by, restoring);
    let note = match (&active, restoring) {
        (None, _) => format!("{version} is the first version and takes all traffic once it is ready"),
        (Some(active), true) => format!("{version} served before and replaces {active} without steps"),
        (Some(active), false) => format!("{version} is to replace {active} in {} steps", cx.policy.steps.len()),
    };
    cx.plan.say(About::Model, event::PROMOTION_STARTED, note);
}

fn start(cx: &mut Deciding<'_>, version: &str, from: Option<&str>, by: &str, restoring: bool) {
    let deadline = after(cx.now, span(&cx.policy.progress_deadline));
    cx.plan.status.target_version = Some(VersionName(version.to_owned()));
    cx.plan.status.rollout = Some(RolloutStatus {
        version: VersionName(version.to_owned()),
        phase: RolloutPhase::Preparing,
        from: from.map(|from| VersionName(from.to_owned())),
        by: Some(by.chars().filter(|one| *one != '\n').take(256).collect::<String>().as_str().into()),
        step: None,
        weight: 0,
        restoring,
        started_at: Some(Time(cx.now)),
        step_started_at: None,
        deadline: Some(Time(deadline)),
        last_gate: None,
        gates: Vec::new(),
        window: None,
        held_reason: None,
        ending: None,
    });
    cx.plan.wake(deadline);
}

fn aborted_active(cx: &Deciding<'_>) -> Option<String> {
    let aborted = cx.seen.model.spec.rollout.abort_version.as_ref()?;
    (cx.active() == Some(aborted.as_str())).then(|| aborted.to_string())
}

/// The active version is to be left at once, for the last one that served everybody and still can.
fn go_back(cx: &mut Deciding<'_>, aborted: &str) {
    let served = history::promoted(&cx.plan.status);
    let is_rejected = |name: &str| cx.plan.status.rejected_versions.iter().any(|one| one.version.as_str() == name);
    let usable = served.into_iter().find(|name| name != aborted && cx.is_usable(name) && !is_rejected(name));
    let Some(version) = usable else {
        cx.refused =
            Some(format!("{aborted} is to be left, but no earlier version can take its place: it goes on serving"));
        return;
    };
    history::reject(&mut cx.plan.status, aborted, "Aborted", cx.now);
    let by = cx.seen.model.promoted_by.clone().unwrap_or_else(|| "unknown".to_owned());
    start(cx, &version, Some(aborted), &by, true);
    cx.plan.warn(About::Model, event::ABORTED, format!("{aborted} is left for {version}, which served before"));
}
