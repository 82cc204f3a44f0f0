//! Who needs a version, and which artifacts may go.

use std::collections::{BTreeMap, BTreeSet};

use endcap_crds::experiment::status::ExperimentPhase;
use endcap_crds::model_version::status::VersionPhase;
use endcap_crds::reasons::{condition, event};

use crate::conditions::{self, Said};
use crate::decide::Deciding;
use crate::history;
use crate::observed::{Version, after, span};
use crate::plan::About;

/// Writes down who uses each version, and lets those go that nobody needs and retention does not keep.
pub fn look(cx: &mut Deciding<'_>) {
    let used = users(cx);
    let kept = kept(cx);
    let versions: Vec<Version> = cx.seen.versions.clone();
    for version in &versions {
        let Some(mut status) = cx.plan.versions.remove(&version.name) else { continue };
        let users = used.get(&version.name).cloned().unwrap_or_default();
        let text = if users.is_empty() { "nobody".to_owned() } else { users.join(", ") };
        let said =
            Said::new(condition::IN_USE, !users.is_empty(), if users.is_empty() { "Unused" } else { "InUse" }, text);
        conditions::set(&mut status.conditions, &said, version.generation, cx.now);
        let is_used = !users.is_empty();
        status.used_by = users.iter().take(16).map(|user| user.as_str().into()).collect();
        if status.phase == Some(VersionPhase::Ready) && !is_used && !kept.contains(&version.name) && !cx.is_paused {
            status.phase = Some(VersionPhase::Expired);
            cx.plan.say(
                About::Version(version.name.clone()),
                event::ARTIFACT_DELETED,
                format!("the artifact of {} goes: spec.artifacts.retention does not keep it", version.name),
            );
        }
        if status.phase == Some(VersionPhase::Expired) {
            cx.plan.expire.push(version.name.clone());
            let said = Said::new(condition::RETAINED, false, "Expired", "spec.artifacts.retention does not keep it");
            conditions::set(&mut status.conditions, &said, version.generation, cx.now);
        }
        cx.plan.versions.insert(version.name.clone(), status);
    }
}

fn users(cx: &Deciding<'_>) -> BTreeMap<String, Vec<String>> {
    let mut used: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut needs = |version: &str, who: &str| used.entry(version.to_owned()).or_default().push(who.to_owned());
    let status = &cx.plan.status;
    if let Some(active) = &status.active_version {
        needs(active.as_str(), "Active");
    }
    if let Some(previous) = &status.previous_version {
        needs(previous.as_str(), "Previous");
    }
    if let Some(rollout) = &status.rollout
        && status.active_version.as_ref() != Some(&rollout.version)
    {
        needs(rollout.version.as_str(), "Rollout");
    }
    for experiment in &cx.seen.experiments {
        let phase = cx.plan.experiments.get(&experiment.name).and_then(|status| status.phase);
        if !matches!(phase, Some(ExperimentPhase::Completed | ExperimentPhase::Failed)) {
            for arm in &experiment.spec.arms {
                needs(arm.version_ref.as_str(), &format!("Experiment/{}", experiment.name));
            }
        }
    }
    for version in cx.seen.versions.iter().filter(|version| version.pinned) {
        needs(&version.name, "Pin");
    }
    used
}

fn kept(cx: &Deciding<'_>) -> BTreeSet<String> {
    let retention = &cx.seen.model.spec.artifacts.retention;
    let mut ready: Vec<&Version> = cx
        .seen
        .versions
        .iter()
        .filter(|version| {
            cx.plan.versions.get(&version.name).is_some_and(|status| status.phase == Some(VersionPhase::Ready))
        })
        .collect();
    ready.sort_by_key(|version| std::cmp::Reverse(version.spec.version));
    let is_young = |version: &&&Version| {
        retention.max_age.as_ref().is_none_or(|age| after(version.created_at, span(age)) > cx.now)
    };
    let last = ready
        .iter()
        .take(usize::try_from(retention.keep_last).unwrap_or(1))
        .filter(is_young)
        .map(|version| version.name.clone());
    let promoted =
        history::promoted(&cx.plan.status).into_iter().take(usize::try_from(retention.keep_promoted).unwrap_or(2));
    let wanted = cx.seen.model.spec.promoted_version.iter().map(ToString::to_string);
    last.chain(promoted).chain(wanted).collect()
}
