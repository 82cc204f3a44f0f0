//! Writing down what was decided: statuses, versions, events. The status is the memory, so that it is written before anything follows
//! from it.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use endcap_crds::model_version::status::ModelVersionStatus;
use endcap_crds::reasons::{ARTIFACT_FINALIZER, label};
use endcap_crds::recommender_model::artifacts::DeletionPolicy;
use endcap_crds::recommender_model::status::RecommenderModelStatus;
use endcap_crds::{ModelVersion, ModelVersionSpec, RecommenderModel};
use endcap_operator_core::Plan;
use endcap_operator_core::plan::About;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt};

use crate::build;
use crate::context::Context;
use crate::memory::Memory;
use crate::observe::Seen;
use crate::watch::Key;

/// Progress alone is written no more often.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Writes the statuses that changed. Each write says which version of the object it replaces: one that was decided on older facts is
/// refused, and the look begins anew.
pub async fn statuses(
    cx: &Context,
    key: &Key,
    seen: &Seen,
    plan: &Plan,
    memory: &mut Memory,
) -> Result<(), kube::Error> {
    let is_due = memory.status_written.is_none_or(|last| last.elapsed() >= HEARTBEAT);
    let versions: Api<ModelVersion> = Api::namespaced(cx.client.clone(), &key.0);
    for version in &seen.versions {
        let name = version.name_any();
        let Some(wanted) = plan.versions.get(&name) else { continue };
        let known = version.status.clone().unwrap_or_default();
        if known == *wanted || (!is_due && quiet_version(&known) == quiet_version(wanted)) {
            continue;
        }
        let mut object = version.as_ref().clone();
        object.status = Some(wanted.clone());
        let answer = versions.replace_status(&name, &PostParams::default(), &object).await?;
        memory.versions.entry(name).or_default().wrote(version, answer);
    }
    let experiments = Api::namespaced(cx.client.clone(), &key.0);
    for experiment in &seen.experiments {
        let name = experiment.name_any();
        let Some(wanted) = plan.experiments.get(&name) else { continue };
        if experiment.status.as_ref() == Some(wanted) {
            continue;
        }
        let mut object = experiment.as_ref().clone();
        object.status = Some(wanted.clone());
        let answer = experiments.replace_status(&name, &PostParams::default(), &object).await?;
        memory.written_experiments.entry(name).or_default().wrote(experiment, answer);
    }
    let known = seen.model.status.clone().unwrap_or_default();
    if known == plan.status || (!is_due && quiet(&known) == quiet(&plan.status)) {
        return Ok(());
    }
    let models: Api<RecommenderModel> = Api::namespaced(cx.client.clone(), &key.0);
    let mut object = seen.model.as_ref().clone();
    object.status = Some(plan.status.clone());
    let answer = models.replace_status(&key.1, &PostParams::default(), &object).await?;
    memory.model.wrote(&seen.model, answer);
    memory.status_written = Some(Instant::now());
    Ok(())
}

/// Whether something waits for the next heartbeat.
pub fn is_behind(seen: &Seen, plan: &Plan) -> bool {
    seen.model.status.as_ref() != Some(&plan.status)
}

/// A status without what only says how far something is.
fn quiet(status: &RecommenderModelStatus) -> RecommenderModelStatus {
    let mut quiet = status.clone();
    if let Some(training) = &mut quiet.training {
        training.progress_percent = None;
        training.eta_seconds = None;
        training.last_report_time = None;
    }
    quiet.columns.remove("training");
    for condition in &mut quiet.conditions {
        if condition.reason == endcap_crds::reasons::reason::TRAINING {
            condition.message.clear();
        }
    }
    quiet
}

fn quiet_version(status: &ModelVersionStatus) -> ModelVersionStatus {
    ModelVersionStatus { progress_percent: None, eta_seconds: None, last_report_time: None, ..status.clone() }
}

/// Creates the versions that were decided on. One that exists already was created by somebody faster: the next look sees it.
pub async fn versions(cx: &Context, key: &Key, seen: &Seen, plan: &Plan) -> Result<(), kube::Error> {
    let api: Api<ModelVersion> = Api::namespaced(cx.client.clone(), &key.0);
    for (name, spec) in &plan.create {
        match api.create(&PostParams::default(), &version(&seen.model, name, spec)).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            other => {
                other?;
            }
        }
    }
    Ok(())
}

fn version(model: &RecommenderModel, name: &str, spec: &ModelVersionSpec) -> ModelVersion {
    let mut version = ModelVersion::new(name, spec.clone());
    let meta = version.meta_mut();
    meta.namespace = model.namespace();
    meta.labels = Some(
        [
            (label::MODEL.to_owned(), model.name_any()),
            (label::VERSION.to_owned(), name.to_owned()),
            (label::TRIGGER.to_owned(), format!("{:?}", spec.trigger.type_)),
        ]
        .into(),
    );
    meta.owner_references = serde_json::from_value(serde_json::json!([build::owner(model).reference()])).ok();
    if model.spec.artifacts.deletion_policy == DeletionPolicy::Delete {
        meta.finalizers = Some(vec![ARTIFACT_FINALIZER.to_owned()]);
    }
    version
}

/// Says what happened, for people. That it cannot be said stops nothing.
pub async fn events(cx: &Context, seen: &Seen, plan: &Plan) {
    for event in &plan.events {
        let about = match &event.about {
            About::Model => Some(seen.model.object_ref(&())),
            About::Version(name) => reference(&seen.versions, name),
            About::Experiment(name) => reference(&seen.experiments, name),
        };
        // A version that was created in this very look is not known yet.
        let about = about.unwrap_or_else(|| seen.model.object_ref(&()));
        say(cx, &about, event.reason, &event.note, event.warning).await;
    }
}

fn reference<K: Resource<DynamicType = ()> + ResourceExt>(all: &[Arc<K>], name: &str) -> Option<ObjectReference> {
    all.iter().find(|one| one.name_any() == name).map(|one| one.object_ref(&()))
}

/// The API server takes so many bytes of a note.
const NOTE_BYTES: usize = 1_024;

/// Says one event. The same words about the same object are one Event with a count, whichever operator says them: its name follows from
/// them. That it cannot be said stops nothing.
pub async fn say(cx: &Context, about: &ObjectReference, reason: &str, note: &str, is_warning: bool) {
    let mut note = note.to_owned();
    while note.len() > NOTE_BYTES {
        note.pop();
    }
    let name = about.name.clone().unwrap_or_default();
    let mark = build::meta::digest(&serde_json::json!([about.uid, reason, note]));
    let now = MicroTime(Timestamp::now());
    let event = Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{mark}")),
            namespace: about.namespace.clone(),
            ..ObjectMeta::default()
        },
        action: Some(reason.to_owned()),
        reason: Some(reason.to_owned()),
        note: Some(note),
        type_: Some(if is_warning { "Warning" } else { "Normal" }.to_owned()),
        event_time: Some(now.clone()),
        regarding: Some(about.clone()),
        reporting_controller: Some("endcap.dev/operator".to_owned()),
        reporting_instance: Some(cx.identity.clone()),
        ..Event::default()
    };
    let api: Api<Event> = Api::namespaced(cx.client.clone(), about.namespace.as_deref().unwrap_or("default"));
    let said = match api.create(&PostParams::default(), &event).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            let count = {
                let mut said = cx.said.lock().unwrap_or_else(PoisonError::into_inner);
                if said.len() > 10_000 {
                    said.clear();
                }
                let count = said.entry(mark.clone()).or_insert(1);
                *count += 1;
                *count
            };
            let series = serde_json::json!({"series": {"count": count, "lastObservedTime": now}});
            api.patch(&format!("{name}.{mark}"), &PatchParams::default(), &Patch::Merge(&series)).await
        }
        other => other,
    };
    if let Err(error) = said {
        tracing::warn!(reason, "failed to say an event: {error}");
    }
}
