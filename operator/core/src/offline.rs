//! Offline gates: what a version must show in its evaluation before it takes any traffic, on the same data as the active version.

use endcap_crds::SignOff;
use endcap_crds::model_version::status::{Metric, ModelVersionStatus, VersionPhase};
use endcap_crds::promotion_policy::PromotionPolicySpec;
use endcap_crds::promotion_policy::offline::{OfflineGate, SignOffGate};
use endcap_crds::reasons::{annotation, condition, event, reason};

use crate::conditions::{self, Said};
use crate::decide::Deciding;
use crate::observed::Version;
use crate::plan::About;
use crate::text::number;

/// Judges every ready version once; its answer is a condition, which later looks keep as long as nothing it rests on has changed.
pub fn judge(cx: &mut Deciding<'_>) {
    let ready: Vec<&Version> = cx.seen.versions.iter().filter(|version| !version.deleting).collect();
    for version in ready {
        let Some(status) = cx.plan.versions.get(&version.name) else { continue };
        if status.phase != Some(VersionPhase::Ready) {
            continue;
        }
        let was = conditions::find(&status.conditions, condition::GATES_PASSED).map(|one| one.status == "True");
        // Nobody is asked about what serves everybody, or did: that has been decided.
        let served = cx.active() == Some(version.name.as_str()) || crate::target::is_restorable(cx, &version.name);
        let (why, text) = match verdict(&cx.policy, version, status) {
            Err(text) => (reason::GATE_FAILED, text),
            Ok(figures) => match cx.policy.offline.sign_off.as_ref().map(|gate| signed_off(gate, version, status)) {
                Some(Err(text)) if !served => (reason::SIGN_OFF_MISSING, text),
                Some(Ok(text)) => ("GatesPassed", format!("{figures}; {text}")),
                _ => ("GatesPassed", figures),
            },
        };
        let is_passed = why == "GatesPassed";
        if let Some(status) = cx.plan.versions.get_mut(&version.name) {
            let said = Said::new(condition::GATES_PASSED, is_passed, why, text.clone());
            conditions::set(&mut status.conditions, &said, version.generation, cx.now);
        }
        if was != Some(is_passed) {
            if is_passed {
                cx.plan.say(About::Version(version.name.clone()), event::GATE_PASSED, text);
            } else if why == reason::SIGN_OFF_MISSING {
                // It waits for a person; nothing is wrong with it.
                cx.plan.say(About::Version(version.name.clone()), event::HELD, text);
            } else {
                cx.plan.warn(About::Version(version.name.clone()), event::VERSION_REJECTED, text);
                if was.is_none() {
                    crate::trigger::rejected(cx);
                }
            }
        }
    }
}

/// Whether the offline gates said no.
pub fn is_refused(cx: &Deciding<'_>, version: &str) -> bool {
    let status = cx.plan.versions.get(version);
    let gates = status.and_then(|status| conditions::find(&status.conditions, condition::GATES_PASSED));
    gates.is_none_or(|gates| gates.status != "True")
}

/// What the gates say, with the numbers.
fn verdict(policy: &PromotionPolicySpec, version: &Version, status: &ModelVersionStatus) -> Result<String, String> {
    let offline = &policy.offline;
    let metrics = status.metrics.as_deref().unwrap_or_default();
    let mut passed = Vec::new();
    for gate in &offline.gates {
        let found = |metrics: &[Metric]| {
            let of_split = metrics.iter().filter(|metric| metric.split == offline.split);
            of_split.filter(|metric| metric.name == gate.metric).find_map(|metric| number(&metric.value))
        };
        let Some(own) = found(metrics) else {
            return Err(format!(
                "the evaluation of {} has no {} on split {}: name one of those in status.metrics in the policy's gate {}",
                version.name, gate.metric, offline.split, gate.name
            ));
        };
        passed.push(held_against(gate, own, compared(gate, status), version, offline.require_same_dataset)?);
    }
    Ok(if passed.is_empty() { "the policy has no offline gates".to_owned() } else { passed.join("; ") })
}

/// Whether a person has signed off this very artifact, and what is to be done if not.
fn signed_off(gate: &SignOffGate, version: &Version, status: &ModelVersionStatus) -> Result<String, String> {
    let name = &version.name;
    let Some(text) = &version.sign_off else {
        return Err(format!(
            "{name} waits for a sign-off: run endcap validate with --sign-off-by, and put what it wrote into the annotation {} of {name}",
            annotation::SIGN_OFF
        ));
    };
    let signed = SignOff::read(text).map_err(|error| {
        format!(
            "the annotation {} of {name} is no sign-off ({error}): put there what endcap validate wrote",
            annotation::SIGN_OFF
        )
    })?;
    let own = status.artifact.as_ref().map_or("", |artifact| artifact.sha256.as_str());
    if signed.artifact_sha256 != own {
        return Err(format!(
            "the sign-off of {name} is for another artifact, {} with digest {}: sign off this one, {own}",
            signed.version, signed.artifact_sha256
        ));
    }
    if let Some(wanted) = gate.scenarios_sha256.as_ref().filter(|wanted| wanted.as_str() != signed.scenarios_sha256) {
        return Err(format!(
            "the sign-off of {name} is by scenarios {}, the policy asks for {wanted}: validate with that file",
            signed.scenarios_sha256
        ));
    }
    Ok(format!("signed off by {} at {}", signed.signed_off_by, signed.signed_off_at))
}

/// This version's figure and the active version's, on the same split of the same data.
fn compared(gate: &OfflineGate, status: &ModelVersionStatus) -> Option<(f64, f64)> {
    let baselines = status.baseline_metrics.as_deref().unwrap_or_default();
    let baseline = baselines.iter().find(|metric| metric.name == gate.metric)?;
    let own = status.metrics.as_deref().unwrap_or_default();
    let own = own.iter().find(|metric| metric.name == gate.metric && metric.split == baseline.split)?;
    Some((number(&own.value)?, number(&baseline.value)?))
}

fn held_against(
    gate: &OfflineGate,
    own: f64,
    compared: Option<(f64, f64)>,
    version: &Version,
    same_dataset: bool,
) -> Result<String, String> {
    let metric = &gate.metric;
    let mut said = vec![format!("{metric} {own:.4}")];
    if let Some(min) = gate.min.as_ref().and_then(number) {
        if own < min {
            return Err(format!("{metric} {own:.4} is below {min}"));
        }
        said.push(format!(" >= {min}"));
    }
    if let Some(max) = gate.max.as_ref().and_then(number) {
        if own > max {
            return Err(format!("{metric} {own:.4} is above {max}"));
        }
        said.push(format!(" <= {max}"));
    }
    if let Some(percent) = gate.max_regression_percent.as_ref().and_then(number) {
        match (compared, &version.spec.parent_version) {
            (Some((own, baseline)), _) => {
                let limit = baseline * (1.0 - percent / 100.0);
                if own < limit {
                    return Err(format!(
                        "{metric} {own:.4} is below {limit:.4}, {percent}% under the active version's {baseline:.4} on the same data"
                    ));
                }
                said.push(format!(
                    "; on the same data as the active version's {baseline:.4}: {own:.4} >= {limit:.4} ({percent}% under it)"
                ));
            }
            (None, Some(parent)) if same_dataset => {
                return Err(format!(
                    "{metric} of {parent} was not measured on the data of {}: too few orders came after it was trained; train again later, or set offline.requireSameDataset: false",
                    version.name
                ));
            }
            (None, Some(parent)) => {
                said.push(format!(", with too few orders since {parent} was trained to compare with it"));
            }
            // Nothing served when it was trained: there is nothing to be worse than.
            (None, None) => said.push(", with no active version to compare with".to_owned()),
        }
    }
    Ok(said.concat())
}
