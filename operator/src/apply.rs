//! Making the cluster's objects what they shall be, with as few writes as possible.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PostParams, PropagationPolicy};
use serde_json::Value;

use crate::build::meta::{Component, Desired, digest, scaled, with_record};
use crate::context::{Context, apply};
use crate::memory::Memory;
use crate::watch::Key;
use crate::watch::child::{Child, ChildKind};

/// A write whose echo the watch has not brought after so long is made again.
const ECHO: Duration = Duration::from_secs(10);

fn api(cx: &Context, kind: ChildKind, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(cx.client.clone(), namespace, &kind.resource())
}

/// Applies what is missing, was changed by somebody, or follows from other wishes now. What cannot be written does not keep the others
/// waiting; the first error is told at the end.
pub async fn children(
    cx: &Context,
    key: &Key,
    desired: &[Desired],
    known: &[Arc<Child>],
    memory: &mut Memory,
) -> Result<(), kube::Error> {
    let mut first = Ok(());
    for wanted in desired {
        let found = known.iter().find(|child| child.kind == wanted.kind && child.name == wanted.name);
        let Some(object) = due(wanted, found.map(AsRef::as_ref)) else { continue };
        let mark = digest(&object);
        let slot = (wanted.kind, wanted.name.clone());
        let is_under_way = memory.applied.get(&slot).is_some_and(|(known, at)| *known == mark && at.elapsed() < ECHO);
        if is_under_way {
            continue;
        }
        match api(cx, wanted.kind, &key.0).patch(&wanted.name, &apply(), &Patch::Apply(&object)).await {
            Ok(_) => {
                memory.applied.insert(slot, (mark, Instant::now()));
            }
            Err(error) => first = first.and(Err(error)),
        }
    }
    first
}

/// The object to apply, if one has to be.
fn due(wanted: &Desired, found: Option<&Child>) -> Option<Value> {
    let fresh = || with_record(&wanted.object, &wanted.inputs);
    let Some(found) = found else { return Some(fresh()) };
    if found.is_deleting {
        // Once it is gone it is made anew.
        return None;
    }
    if found.inputs != wanted.inputs {
        return Some(fresh());
    }
    let is_scaled = wanted.replicas.is_none() || wanted.replicas == found.replicas;
    match &found.drifted {
        // Somebody changed it: back to what was applied, which need not be what this release would write.
        Some(applied) => {
            let before: Value = serde_json::from_str(applied).ok()?;
            Some(with_record(&scaled(before, wanted.replicas), &wanted.inputs))
        }
        None if !is_scaled => Some(fresh_replicas(wanted, found)),
        None => None,
    }
}

/// Another number of replicas in what was applied.
fn fresh_replicas(wanted: &Desired, found: &Child) -> Value {
    let before = found.applied.as_deref().and_then(|text| serde_json::from_str(text).ok());
    with_record(&scaled(before.unwrap_or_else(|| wanted.object.clone()), wanted.replicas), &wanted.inputs)
}

/// Deletes what serves versions that nobody needs any more, and what was switched off.
pub async fn prune(
    cx: &Context,
    key: &Key,
    desired: &[Desired],
    known: &[Arc<Child>],
    keeps_all: bool,
) -> Result<(), kube::Error> {
    for child in known.iter().filter(|child| !child.is_deleting) {
        let is_wanted = desired.iter().any(|wanted| wanted.kind == child.kind && wanted.name == child.name);
        // What all versions share stays even while nothing is decided: the OMS calls it.
        let is_shared = child.name == key.1
            || child.name == Component::Router.of(&key.1)
            || child.name == Component::Eventlog.of(&key.1)
            || child.name == crate::build::routing::name(&key.1);
        let is_shared = is_shared && child.kind != ChildKind::NetworkPolicy;
        if is_wanted || is_shared || child.kind == ChildKind::Job || keeps_all {
            continue;
        }
        delete(cx, key, child).await?;
    }
    Ok(())
}

pub async fn delete(cx: &Context, key: &Key, child: &Child) -> Result<(), kube::Error> {
    let mut how = DeleteParams::background();
    how.propagation_policy = Some(PropagationPolicy::Background);
    how.preconditions = Some(kube::api::Preconditions { uid: Some(child.uid.clone()), resource_version: None });
    gone(api(cx, child.kind, &key.0).delete(&child.name, &how).await.map(|_| ()))
}

/// Creates a Job unless it is there.
pub async fn create_job(cx: &Context, namespace: &str, job: &Value) -> Result<(), kube::Error> {
    let object: DynamicObject = serde_json::from_value(job.clone()).map_err(kube::Error::SerdeError)?;
    match api(cx, ChildKind::Job, namespace).create(&PostParams::default(), &object).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Suspends a Job or lets it go on.
pub async fn suspend_job(cx: &Context, namespace: &str, name: &str, is_suspended: bool) -> Result<(), kube::Error> {
    let patch = serde_json::json!({"spec": {"suspend": is_suspended}});
    let params = kube::api::PatchParams::default();
    gone(api(cx, ChildKind::Job, namespace).patch(name, &params, &Patch::Merge(&patch)).await.map(|_| ()))
}

/// What is gone already needs no deleting.
pub fn gone(result: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other,
    }
}
