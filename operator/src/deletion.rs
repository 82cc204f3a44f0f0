//! Deleting artifacts: by a short Job with the model's own rights, never by the operator; bounded in time, and what could not be deleted
//! is written down.

use std::time::Duration;

use endcap_crds::common::text::ObjectName;
use endcap_crds::reasons::{ARTIFACT_FINALIZER, annotation, event};
use endcap_crds::recommender_model::artifacts::DeletionPolicy;
use endcap_crds::{ModelVersion, RecommenderModel};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::apply;
use crate::build::meta::{Component, Owner, labels};
use crate::build::pods::{Access, Container, Pod, artifact_volume, mount, scratch, store_secrets};
use crate::context::Context;
use crate::observe::Seen;
use crate::record::say;
use crate::watch::Key;
use crate::watch::child::{ChildKind, Facts};

/// Artifacts that could not be deleted, in the operator's namespace: a namespace that is being deleted takes nothing new.
const LEDGER: &str = "endcap-orphaned-artifacts";
/// Written on a version whose artifact is gone.
pub const DELETED: &str = "endcap.dev/artifact-deleted";

/// How a deletion stands.
#[derive(Debug, PartialEq, Eq)]
enum Stands {
    Done,
    UnderWay,
    /// It cannot be done: why.
    Hopeless(String),
}

/// Looks after versions that are being deleted or have expired. Returns when to look again.
pub async fn look(cx: &Context, key: &Key, model: Option<&RecommenderModel>) -> Result<Option<Duration>, kube::Error> {
    let mut again = None;
    for packed in cx.caches.versions.of(key) {
        let is_deleting = packed.is_deleting;
        let is_expired = packed.phase == endcap_crds::model_version::status::VersionPhase::Expired;
        if !is_deleting && !is_expired {
            continue;
        }
        let Some(version) = packed.open() else { continue };
        let is_due = (is_deleting && has_finalizer(version.as_ref()))
            || (is_expired && !version.annotations().contains_key(DELETED));
        if !is_due {
            continue;
        }
        let lives = model.filter(|model| model.metadata.deletion_timestamp.is_none());
        let is_used = lives.is_some() && version.status.as_ref().is_some_and(|status| !status.used_by.is_empty());
        // Who uses it stands in its condition InUse; it goes when nobody does.
        if !is_used && !finish(cx, key, model, &version, is_deleting).await? {
            again = Some(Duration::from_secs(2));
        }
    }
    Ok(again)
}

/// With `deletionPolicy: Delete` the model and its versions wait for their artifacts' deletion; without it nothing holds them.
pub async fn hold(cx: &Context, key: &Key, seen: &Seen) -> Result<(), kube::Error> {
    let is_held = seen.model.spec.artifacts.deletion_policy == DeletionPolicy::Delete;
    finalize(cx, key, seen.model.as_ref(), is_held).await?;
    for version in &seen.versions {
        finalize(cx, key, version.as_ref(), is_held).await?;
    }
    Ok(())
}

/// Deletes the versions of a model that is being deleted, and lets the model go when none is left.
pub async fn of_model(cx: &Context, key: &Key, model: &RecommenderModel) -> Result<Option<Duration>, kube::Error> {
    if !has_finalizer(model) {
        return look(cx, key, Some(model)).await;
    }
    let uid = model.uid().unwrap_or_default();
    let all = cx.caches.versions.of(key);
    let own: Vec<_> = all.into_iter().filter(|version| version.model_uid == uid).collect();
    if own.is_empty() {
        finalize(cx, key, model, false).await?;
        return Ok(None);
    }
    let api: Api<ModelVersion> = Api::namespaced(cx.client.clone(), &key.0);
    for version in own {
        if version.is_deleting {
            continue;
        }
        apply::gone(api.delete(&version.name, &DeleteParams::background()).await.map(|_| ()))?;
    }
    let again = look(cx, key, Some(model)).await?;
    Ok(again.or(Some(Duration::from_secs(2))))
}

fn has_finalizer(object: &impl ResourceExt) -> bool {
    object.finalizers().iter().any(|one| one == ARTIFACT_FINALIZER)
}

/// Adds or takes away the finalizer, unless it is so already. Other finalizers are their owners'.
async fn finalize<K>(cx: &Context, key: &Key, object: &K, is_held: bool) -> Result<(), kube::Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + DeserializeOwned + Clone + std::fmt::Debug,
{
    if has_finalizer(object) == is_held || (is_held && object.meta().deletion_timestamp.is_some()) {
        return Ok(());
    }
    let mut finalizers = object.finalizers().to_vec();
    finalizers.retain(|one| one != ARTIFACT_FINALIZER);
    if is_held {
        finalizers.push(ARTIFACT_FINALIZER.to_owned());
    }
    // With its resource version: whoever changed the list meanwhile is not overwritten.
    let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": object.resource_version()}});
    let api: Api<K> = Api::namespaced(cx.client.clone(), &key.0);
    apply::gone(api.patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await.map(|_| ()))
}

/// One version's artifact. Returns whether nothing is left to do.
async fn finish(
    cx: &Context,
    key: &Key,
    model: Option<&RecommenderModel>,
    version: &ModelVersion,
    is_deleting: bool,
) -> Result<bool, kube::Error> {
    let is_kept =
        is_deleting && model.is_some_and(|model| model.spec.artifacts.deletion_policy == DeletionPolicy::Retain);
    let is_forced = version.annotations().get(annotation::FORCE_DELETE).is_some_and(|value| value == "true");
    let uri =
        version.status.as_ref().and_then(|status| status.artifact.as_ref()).map(|artifact| artifact.uri.to_string());
    let about = version.object_ref(&());
    match uri {
        Some(uri) if !is_forced && !is_kept => match run(cx, key, model, version, &uri).await? {
            Stands::UnderWay => return Ok(false),
            Stands::Done => {
                say(cx, &about, event::ARTIFACT_DELETED, &format!("the artifact {uri} is deleted"), false).await;
            }
            Stands::Hopeless(why) => {
                orphan(cx, version, &uri, &why).await;
                let note = format!(
                    "the artifact {uri} was not deleted ({why}); it is listed in the ConfigMap {LEDGER} of the operator's namespace"
                );
                say(cx, &about, event::ARTIFACT_ORPHANED, &note, true).await;
            }
        },
        _ => {}
    }
    if is_deleting {
        finalize(cx, key, version, false).await?;
    } else {
        let api: Api<ModelVersion> = Api::namespaced(cx.client.clone(), &key.0);
        let patch = json!({"metadata": {"annotations": {(DELETED): "true"}}});
        let written = api.patch(&version.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await;
        apply::gone(written.map(|_| ()))?;
    }
    Ok(true)
}

/// Has a Job delete it, and looks how that goes.
async fn run(
    cx: &Context,
    key: &Key,
    model: Option<&RecommenderModel>,
    version: &ModelVersion,
    uri: &str,
) -> Result<Stands, kube::Error> {
    let name = format!("{}-{}", version.name_any(), Component::Deletion.as_str());
    let children = cx.caches.children.of(key);
    let known = children.iter().find(|child| child.kind == ChildKind::Job && child.name == name);
    let began = version
        .metadata
        .deletion_timestamp
        .as_ref()
        .map(|time| time.0)
        .or_else(|| known.and_then(|child| if let Facts::Job(job) = &child.facts { job.created_at } else { None }));
    let bound = SignedDuration::try_from(cx.options.deletion_bound).unwrap_or(SignedDuration::from_secs(600));
    let is_late = began.is_some_and(|began| Timestamp::now().duration_since(began) > bound);
    if let Some(child) = known
        && let Facts::Job(job) = &child.facts
    {
        match &job.finished {
            Some((_, Ok(()))) => {
                apply::delete(cx, key, child).await?;
                return Ok(Stands::Done);
            }
            // A store that is away is tried again until the time is over.
            Some((_, Err(_))) if !is_late => {
                apply::delete(cx, key, child).await?;
                return Ok(Stands::UnderWay);
            }
            _ if !is_late => return Ok(Stands::UnderWay),
            _ => {
                apply::delete(cx, key, child).await?;
                return Ok(Stands::Hopeless(format!("the store did not let it go within {} s", bound.as_secs())));
            }
        }
    }
    if is_late {
        return Ok(Stands::Hopeless(format!("the store did not let it go within {} s", bound.as_secs())));
    }
    // What the pod needs to reach the store stands in the model; without it nobody knows.
    let Some(model) = model else { return Ok(Stands::Hopeless("its model is gone".to_owned())) };
    match apply::create_job(cx, &key.0, &job(cx, model, version, &name, uri)).await {
        Ok(()) => Ok(Stands::UnderWay),
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            Ok(Stands::Hopeless(format!("no Job may be created any more: {}", status.message)))
        }
        Err(error) => Err(error),
    }
}

fn job(cx: &Context, model: &RecommenderModel, version: &ModelVersion, name: &str, uri: &str) -> serde_json::Value {
    let artifacts = &model.spec.artifacts;
    let mut mounts = vec![mount("tmp", "/tmp")];
    let mut volumes = vec![scratch("tmp", "64Mi")];
    if let Some((volume, place)) = artifact_volume(artifacts, Access::Write) {
        volumes.push(volume);
        mounts.push(place);
    }
    let resources = endcap_crds::common::pods::Resources::of("50m", "128Mi");
    // All attempts of the version lie side by side.
    let folder = uri.trim_end_matches('/').rsplit_once('/').map_or(uri, |(folder, _)| folder);
    let container = Container {
        name: "deletion",
        image: &cx.options.image,
        pull_policy: &cx.options.image_pull_policy,
        program: "endcap-store",
        args: vec!["delete".to_owned(), folder.to_owned()],
        resources: &resources,
        ports: &[],
        mounts,
        store_secrets: store_secrets(artifacts),
        probes: None,
    };
    let pod = Pod {
        containers: vec![container.into_value()],
        volumes,
        service_account: artifacts.service_account_name.as_ref().map(ObjectName::as_str),
        grace_seconds: 5,
        restart_policy: Some("Never"),
        ..Pod::default()
    };
    let version_name = version.name_any();
    let every = labels(&model.name_any(), Component::Deletion, Some(&version_name));
    let owner = Owner { kind: "ModelVersion", name: version_name, uid: version.uid().unwrap_or_default() };
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": model.namespace(), "labels": every, "ownerReferences": [owner.reference()]},
        "spec": {
            "backoffLimit": 1,
            "activeDeadlineSeconds": 120,
            "template": {"metadata": {"labels": every}, "spec": pod.into_value()},
        },
    })
}

/// Writes down what is left behind. Whoever deletes a namespace must not wait for it.
async fn orphan(cx: &Context, version: &ModelVersion, uri: &str, why: &str) {
    let api: Api<ConfigMap> = Api::namespaced(cx.client.clone(), &cx.options.operator_namespace);
    let line = json!({"uri": uri, "why": why, "since": Timestamp::now().to_string()}).to_string();
    let entry = format!("{}.{}", version.namespace().unwrap_or_default(), version.name_any());
    let ledger = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": LEDGER},
        "data": {(entry.as_str()): line},
    });
    // A field manager an entry: one does not take another's entry away.
    let params = PatchParams::apply(&format!("endcap-{entry}")).force();
    if let Err(error) = api.patch(LEDGER, &params, &Patch::Apply(&ledger)).await {
        tracing::error!(uri, "failed to write down an orphaned artifact: {error}");
    }
}
