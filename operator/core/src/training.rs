//! Versions and their trainings: outcomes are recorded once, and a finished training never runs again.

use endcap_crds::model_version::status::{ArtifactRecord, DatasetRecord, JobRecord, ModelVersionStatus, VersionPhase};
use endcap_crds::reasons::{condition, event, reason};
use endcap_crds::recommender_model::status::TrainingStatus;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::conditions::{self, Said};
use crate::decide::Deciding;
use crate::observed::{Outcome, Training, Version, after, span};
use crate::plan::{About, TrainingRun};

pub fn is_final(phase: Option<VersionPhase>) -> bool {
    matches!(phase, Some(VersionPhase::Ready | VersionPhase::Failed | VersionPhase::Expired))
}

/// Writes down what trainings did, and says which must run.
pub fn record(cx: &mut Deciding<'_>) {
    let versions: Vec<Version> = cx.seen.versions.clone();
    for version in &versions {
        let Some(mut status) = cx.plan.versions.remove(&version.name) else { continue };
        status.observed_generation = Some(version.generation);
        if !is_final(status.phase) && !version.deleting {
            look(cx, version, &mut status);
        }
        if !is_final(status.phase) && !version.deleting && !cx.seen.model.spec.training.suspend && !cx.is_paused {
            let spec = &cx.seen.model.spec.training;
            let active =
                cx.active().filter(|active| *active != version.name).and_then(|active| cx.seen.version(active));
            cx.plan.trainings.push(TrainingRun {
                version: version.name.clone(),
                spec: version.spec.clone(),
                active: active
                    .and_then(|active| active.status.artifact.as_ref())
                    .map(|artifact| artifact.uri.to_string()),
                deadline_s: span(&spec.active_deadline).as_secs(),
                backoff_limit: spec.backoff_limit,
            });
        }
        cx.plan.versions.insert(version.name.clone(), status);
    }
    cx.plan.status.training = None;
    // The newest of them, if there are several.
    let running = cx.plan.trainings.iter().max_by_key(|run| run.spec.version).cloned();
    if let Some(run) = running {
        let status = cx.plan.versions.get(&run.version).cloned().unwrap_or_default();
        let attempt = match cx.seen.trainings.get(&run.version) {
            Some(Training::Running { attempt, .. }) => Some(*attempt),
            _ => None,
        };
        cx.plan.status.training = Some(TrainingStatus {
            version: run.version.as_str().into(),
            job: status.job.as_ref().map(|job| job.name.clone()),
            attempt,
            progress_percent: status.progress_percent,
            eta_seconds: status.eta_seconds,
            started_at: status.job.and_then(|job| job.started_at),
            last_report_time: status.last_report_time,
        });
    }
}

fn look(cx: &mut Deciding<'_>, version: &Version, status: &mut ModelVersionStatus) {
    let about = About::Version(version.name.clone());
    let name = &version.name;
    match cx.seen.trainings.get(name) {
        None => {
            status.phase.get_or_insert(VersionPhase::Pending);
        }
        Some(Training::Pending { since }) => {
            status.phase.get_or_insert(VersionPhase::Pending);
            let deadline = after(*since, span(&cx.seen.model.spec.training.pending_deadline));
            // One that is suspended waits because somebody wants it to; one that ran before lost its place, and its active deadline bounds it.
            if cx.seen.model.spec.training.suspend || status.phase == Some(VersionPhase::Training) {
                return;
            }
            if cx.now >= deadline {
                let waited = span(&cx.seen.model.spec.training.pending_deadline);
                fail(
                    cx,
                    version,
                    status,
                    "PendingDeadline",
                    &format!("the training found no place to run within {waited:#}"),
                    cx.now,
                );
            } else {
                cx.plan.wake(deadline);
            }
        }
        Some(Training::Running { attempt, started_at, percent, eta_s, reported_at }) => {
            if status.phase != Some(VersionPhase::Training) {
                status.phase = Some(VersionPhase::Training);
                cx.plan.say(about, event::TRAINING_STARTED, format!("{name} is being trained"));
            }
            status.job = Some(JobRecord {
                name: name.as_str().into(),
                uid: None,
                attempts: Some(*attempt),
                started_at: Some(Time(*started_at)),
                finished_at: None,
                gpu_seconds: None,
            });
            status.progress_percent = percent.or(status.progress_percent);
            status.eta_seconds = *eta_s;
            status.last_report_time = reported_at.map(Time);
        }
        Some(Training::Succeeded(outcome)) => {
            succeed(status, outcome);
            let said =
                Said::new(condition::TRAINED, true, "Published", format!("published in {} attempts", outcome.attempts));
            conditions::set(&mut status.conditions, &said, version.generation, cx.now);
            let said = Said::new(
                condition::ARTIFACT_VERIFIED,
                true,
                "DigestRecorded",
                "every reader checks the digest before it serves",
            );
            conditions::set(&mut status.conditions, &said, version.generation, cx.now);
            let said = Said::new(condition::READY, true, "Ready", "it can be promoted");
            conditions::set(&mut status.conditions, &said, version.generation, cx.now);
            cx.plan.say(
                about.clone(),
                event::TRAINING_SUCCEEDED,
                format!("{name} was trained on {} order lines", outcome.rows),
            );
            cx.plan.say(about, event::VERSION_READY, format!("{name} is ready"));
            cover(cx, outcome);
        }
        Some(Training::Failed { reason, message, attempts, started_at, finished_at }) => {
            status.job = Some(JobRecord {
                name: name.as_str().into(),
                uid: None,
                attempts: Some(*attempts),
                started_at: started_at.map(Time),
                finished_at: Some(Time(*finished_at)),
                gpu_seconds: None,
            });
            let short: &'static str = match reason.as_str() {
                "DataQuality" => reason::DATA_QUALITY,
                "DeadlineExceeded" => reason::DEADLINE_EXCEEDED,
                _ => reason::TRAINING_FAILED,
            };
            fail(cx, version, status, short, message, *finished_at);
        }
        Some(Training::Taken { highest, finished_at }) => {
            let mark = cx.plan.status.version_high_water.unwrap_or(0).max(*highest);
            cx.plan.status.version_high_water = Some(mark);
            let text =
                format!("the store holds versions up to {highest} of an earlier cluster; the next one is {}", mark + 1);
            fail(cx, version, status, crate::trigger::VERSION_TAKEN, &text, *finished_at);
        }
    }
}

fn fail(
    cx: &mut Deciding<'_>,
    version: &Version,
    status: &mut ModelVersionStatus,
    reason: &'static str,
    message: &str,
    at: Timestamp,
) {
    status.phase = Some(VersionPhase::Failed);
    if reason != crate::trigger::VERSION_TAKEN {
        crate::trigger::rejected(cx);
    }
    status.eta_seconds = None;
    if let Some(job) = &mut status.job {
        job.finished_at = Some(Time(at));
    }
    let said = Said::new(condition::TRAINED, false, reason, message);
    conditions::set(&mut status.conditions, &said, version.generation, cx.now);
    cx.plan.warn(About::Version(version.name.clone()), event::TRAINING_FAILED, format!("{}: {message}", version.name));
}

/// Written once.
fn succeed(status: &mut ModelVersionStatus, outcome: &Outcome) {
    status.phase = Some(VersionPhase::Ready);
    status.progress_percent = Some(100);
    status.eta_seconds = None;
    let name = status.job.as_ref().map(|job| job.name.clone());
    status.job = Some(JobRecord {
        name: name.unwrap_or_else(|| "training".into()),
        uid: None,
        attempts: Some(outcome.attempts),
        started_at: Some(Time(outcome.started_at)),
        finished_at: Some(Time(outcome.finished_at)),
        gpu_seconds: outcome.gpu_seconds,
    });
    status.artifact.get_or_insert_with(|| ArtifactRecord {
        uri: outcome.uri.as_str().into(),
        sha256: outcome.manifest_sha256.clone(),
        size_bytes: outcome.size_bytes,
        format_version: outcome.format_version,
        manifest_sha256: outcome.manifest_sha256.as_str().into(),
    });
    status.dataset.get_or_insert_with(|| DatasetRecord {
        manifest_sha256: outcome.dataset_sha256.as_str().into(),
        rows: outcome.rows,
        min_time: outcome.min_time.map(Time),
        max_time: outcome.max_time.map(Time),
        events_until: outcome.events_until,
    });
    status.metrics.get_or_insert_with(|| outcome.metrics.iter().take(64).cloned().collect());
    if !outcome.baseline_metrics.is_empty() {
        status.baseline_metrics.get_or_insert_with(|| outcome.baseline_metrics.iter().take(64).cloned().collect());
    }
}

/// Whether the data was enough to learn from.
fn cover(cx: &mut Deciding<'_>, outcome: &Outcome) {
    let minimum = &cx.seen.model.spec.data.minimum;
    let counts = [
        ("active customers", outcome.customers, minimum.active_customers),
        ("orders", outcome.orders, minimum.orders),
        ("products", outcome.products, minimum.products),
    ];
    let missing: Vec<String> = counts
        .iter()
        .filter(|(_, found, least)| found < least)
        .map(|(what, found, least)| format!("{found} {what} of {least}"))
        .collect();
    let said = if missing.is_empty() {
        let text = counts.map(|(what, found, _)| format!("{found} {what}")).join(", ");
        Said::new(condition::DATA_COVERED, true, reason::COVERED, text)
    } else {
        Said::new(
            condition::DATA_COVERED,
            false,
            reason::BELOW_MINIMUM,
            format!("{}: what it learned may be weak", missing.join(", ")),
        )
    };
    conditions::set(&mut cx.plan.status.conditions, &said, cx.seen.model.generation, cx.now);
}
