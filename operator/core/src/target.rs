//! Which version shall serve: what the spec names, else what the policy chooses.

use endcap_crds::model_version::status::VersionPhase;
use endcap_crds::promotion_policy::Mode;

use crate::decide::Deciding;
use crate::observed::Version;

/// What shall serve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    pub version: Option<String>,
    pub by: String,
    /// Why what was asked for is not the target.
    pub refused: Option<String>,
}

pub fn resolve(cx: &Deciding<'_>) -> Target {
    let spec = &cx.seen.model.spec;
    let status = &cx.plan.status;
    let by = cx.seen.model.promoted_by.clone().unwrap_or_else(|| "unknown".to_owned());
    let active = status.active_version.as_ref().map(ToString::to_string);
    let is_aborted = |name: &str| spec.rollout.abort_version.as_ref().is_some_and(|aborted| aborted.as_str() == name);
    if let Some(wanted) = &spec.promoted_version {
        let name = wanted.as_str();
        let refused = if is_aborted(name) {
            Some(format!("{name} is named by spec.rollout.abortVersion; remove it there to promote it"))
        } else if active.as_deref() == Some(name) {
            None
        } else if let Some(rejected) = status.rejected_versions.iter().find(|one| one.version.as_str() == name) {
            Some(format!("{name} was rejected ({}); change spec.rollout.retryToken to try it again", rejected.reason))
        } else {
            match cx.seen.version(name) {
                None => Some(format!("{name} does not exist")),
                Some(version) => unusable(cx, version),
            }
        };
        let version = if refused.is_some() { None } else { Some(name.to_owned()) };
        return Target { version, by, refused };
    }
    let by = "policy".to_owned();
    let automatic = cx.policy.mode == Mode::Automatic;
    if !automatic && active.is_some() {
        return Target { by, ..Target::default() };
    }
    // Without any active version there is nothing to protect: the first good one serves, whatever the mode.
    // An experiment that was to decide has decided.
    let winner = crate::experiment::winner(cx).filter(|_| automatic);
    if let Some(winner) = winner.filter(|winner| !is_aborted(winner) && cx.is_usable(winner)) {
        let version = (active.as_deref() != Some(winner.as_str())).then_some(winner);
        return Target { version, by: "experiment".to_owned(), refused: None };
    }
    let newest = cx.seen.versions.iter().filter(|version| {
        !is_aborted(&version.name)
            && !status.rejected_versions.iter().any(|one| one.version.as_str() == version.name)
            && unusable(cx, version).is_none()
            && !crate::offline::is_refused(cx, &version.name)
    });
    let newest = newest.max_by_key(|version| version.spec.version);
    let is_newer = |version: &&Version| {
        active
            .as_deref()
            .and_then(|name| cx.seen.version(name))
            .is_none_or(|active| version.spec.version > active.spec.version)
    };
    Target { version: newest.filter(is_newer).map(|version| version.name.clone()), by, refused: None }
}

fn unusable(cx: &Deciding<'_>, version: &Version) -> Option<String> {
    let name = &version.name;
    if version.deleting {
        return Some(format!("{name} is being deleted"));
    }
    if version.spec.model_uid.as_str() != cx.seen.model.uid {
        return Some(format!("{name} belongs to an earlier model of this name"));
    }
    let phase = cx.plan.versions.get(name).and_then(|status| status.phase);
    match phase {
        Some(VersionPhase::Ready) => None,
        Some(VersionPhase::Failed) => Some(format!("the training of {name} failed")),
        Some(VersionPhase::Expired) => {
            Some(format!("the artifact of {name} has been deleted by spec.artifacts.retention"))
        }
        _ => Some(format!("{name} is not ready yet")),
    }
}

/// Whether a version may come back without steps: among the last that served everybody.
pub fn is_restorable(cx: &Deciding<'_>, version: &str) -> bool {
    let window = usize::try_from(cx.policy.rollback.window).unwrap_or(0);
    crate::history::promoted(&cx.plan.status)
        .into_iter()
        .filter(|name| Some(name.as_str()) != cx.active())
        .take(window)
        .any(|name| name == version)
}
