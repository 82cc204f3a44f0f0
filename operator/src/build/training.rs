//! A training as a Job: prepare the data, then train. Its name is the version's, so that it is never there twice.

use std::collections::{BTreeMap, BTreeSet};

use endcap_crds::common::pods::Device;
use endcap_crds::common::text::ObjectName;
use endcap_crds::recommender_model::data::Layout;
use endcap_crds::{ModelVersion, RecommenderModel};
use endcap_operator_core::plan::TrainingRun;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::METRICS;
use super::meta::{Component, Owner, labels};
use super::pods::{Access, Container, Pod, artifact_volume, mount, scratch, store_secrets};
use super::predictor::gpu_tolerations;
use crate::options::Options;

/// The container whose end is the training's outcome.
pub const TRAINER: &str = "trainer";
/// The container that brings sources into the canonical tables.
pub const PREPARE: &str = "prepare";
const DATA: &str = "endcap.dev/data";

/// What a training learns from beside its sources.
#[derive(Debug, Clone, Default)]
pub struct EventsOf {
    pub uri: Option<String>,
    pub until: Option<u64>,
}

/// The Job of a training. It is created once and never changed but for `suspend`.
pub fn job(
    options: &Options,
    model: &RecommenderModel,
    version: &ModelVersion,
    run: &TrainingRun,
    events: &EventsOf,
) -> Value {
    let name = version.name_any();
    let model_name = model.name_any();
    let namespace = model.namespace().unwrap_or_default();
    let spec = &model.spec;
    let image = run.spec.training_image.as_str();
    let direct = canonical_folder(model);
    let data = direct.clone().unwrap_or_else(|| "/work/dataset".to_owned());
    let mut args: Vec<String> = [
        "--data",
        &data,
        "--store",
        spec.artifacts.uri.as_str(),
        "--namespace",
        &namespace,
        "--model",
        &model_name,
        "--model-uid",
        &model.uid().unwrap_or_default(),
        "--version",
        &run.spec.version.to_string(),
        "--architecture",
        &endcap_dataplane::text_of(&run.spec.architecture),
        "--seed",
        &run.spec.seed.to_string(),
        "--work",
        "/work/checkpoints",
        "--termination-message",
        "/dev/termination-log",
        "--listen",
        &format!("0.0.0.0:{METRICS}"),
        "--json",
    ]
    .map(str::to_owned)
    .to_vec();
    for (key, value) in &run.spec.hyperparameters {
        args.extend(["--hyperparameter".to_owned(), format!("{key}={value}")]);
    }
    if spec.training.device == Device::Gpu {
        args.extend(["--device".to_owned(), endcap_dataplane::text_of(&spec.training.device)]);
    }
    if let Some(active) = &run.active {
        args.extend(["--active".to_owned(), active.clone()]);
    }
    if let Some(uri) = &events.uri {
        args.extend(["--events".to_owned(), uri.clone()]);
        if let Some(until) = events.until {
            args.extend(["--events-until".to_owned(), until.to_string()]);
        }
    }
    let mut mounts = vec![mount("work", "/work"), mount("tmp", "/tmp")];
    let mut volumes = vec![json!({"name": "work", "emptyDir": {}}), scratch("tmp", "2Gi")];
    if let Some((volume, place)) = artifact_volume(&spec.artifacts, Access::Write) {
        volumes.push(volume);
        mounts.push(place);
    }
    source_volumes(model, &mut volumes, &mut mounts);
    let secrets = secrets(model);
    let container = |name, program, args, mounts, ports| Container {
        name,
        image,
        pull_policy: &options.image_pull_policy,
        program,
        args,
        resources: &spec.training.resources,
        ports,
        mounts,
        store_secrets: secrets.clone(),
        probes: None,
    };
    let mut annotations = BTreeMap::new();
    let mut init = Vec::new();
    if direct.is_none() {
        annotations.insert(DATA.to_owned(), sources(model).to_string());
        let field = json!({"path": "data.json", "fieldRef": {"fieldPath": format!("metadata.annotations['{DATA}']")}});
        volumes.push(json!({"name": "data-spec", "downwardAPI": {"items": [field]}}));
        let args = ["prepare", "--spec", "/etc/endcap/data/data.json", "--out", "/work/dataset", "--json"];
        let mut places = mounts.clone();
        places.push(mount("data-spec", "/etc/endcap/data"));
        init.push(container(PREPARE, "endcap-data", args.map(str::to_owned).to_vec(), places, &[]).into_value());
    }
    let main = container(TRAINER, "endcap-trainer", args, mounts, &[("metrics", METRICS)]);
    let mut tolerations = spec.training.tolerations.clone();
    if spec.training.device == Device::Gpu {
        tolerations.extend(gpu_tolerations(spec.training.device, &spec.training.resources));
    }
    let pod = Pod {
        init,
        containers: vec![main.into_value()],
        volumes,
        service_account: spec.artifacts.service_account_name.as_ref().map(ObjectName::as_str),
        node_selector: Some(&spec.training.node_selector),
        tolerations: &tolerations,
        grace_seconds: 30,
        // In place: checkpoints of a container that died are still there for the next one.
        restart_policy: Some("OnFailure"),
        spread: None,
    };
    let every = labels(&model_name, Component::Training, Some(&name));
    let owner = Owner { kind: "ModelVersion", name: name.clone(), uid: version.uid().unwrap_or_default() };
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": every,
            "ownerReferences": [owner.reference()],
        },
        "spec": {
            "backoffLimit": run.backoff_limit,
            "activeDeadlineSeconds": run.deadline_s,
            "template": {"metadata": {"labels": every, "annotations": annotations}, "spec": pod.into_value()},
        },
    })
}

/// The folder of canonical tables on a volume, when nothing needs to be prepared.
fn canonical_folder(model: &RecommenderModel) -> Option<String> {
    let mut sources = model.spec.data.sources.iter().filter(|source| source.object.is_some());
    let (first, None) = (sources.next()?, sources.next()) else { return None };
    let object = first.object.as_ref()?;
    let path = object.uri.as_str().strip_prefix("file://")?;
    (first.layout == Layout::Canonical).then(|| path.to_owned())
}

/// `spec.data` without the event log: its events are merged by the trainer, as far as this training may see.
fn sources(model: &RecommenderModel) -> Value {
    let mut data = serde_json::to_value(&model.spec.data).unwrap_or_default();
    if let Some(sources) = data.get_mut("sources").and_then(Value::as_array_mut) {
        sources.retain(|source| source.get("object").is_some());
        for source in sources {
            if let Some(object) = source.get_mut("object").and_then(Value::as_object_mut) {
                object.remove("persistentVolumeClaim");
            }
        }
    }
    data
}

/// Claims of sources that lie on volumes, each where its address says.
fn source_volumes(model: &RecommenderModel, volumes: &mut Vec<Value>, mounts: &mut Vec<Value>) {
    for (at, object) in model.spec.data.sources.iter().filter_map(|source| source.object.as_ref()).enumerate() {
        let path = object.uri.as_str().strip_prefix("file://");
        let (Some(claim), Some(path)) = (&object.persistent_volume_claim, path) else { continue };
        let name = format!("source-{at}");
        volumes.push(json!({"name": name, "persistentVolumeClaim": {"claimName": claim.claim_name, "readOnly": true}}));
        let mut place = json!({"name": name, "mountPath": path.trim_end_matches('/'), "readOnly": true});
        if let (Some(sub), Some(map)) = (&claim.sub_path, place.as_object_mut()) {
            map.insert("subPath".to_owned(), json!(sub));
        }
        mounts.push(place);
    }
}

/// Secrets of the artifacts' store and of the sources, each once.
fn secrets(model: &RecommenderModel) -> Vec<String> {
    let sources = model.spec.data.sources.iter().filter_map(|source| source.object.as_ref());
    let of_sources = sources.filter_map(|object| object.secret_ref.as_ref()).map(|secret| secret.name.to_string());
    // A later one wins where both hold a key: the artifacts' comes last.
    let own = store_secrets(&model.spec.artifacts);
    let known: BTreeSet<String> = own.iter().cloned().collect();
    let others: BTreeSet<String> = of_sources.filter(|name| !known.contains(name)).collect();
    others.into_iter().chain(own).collect()
}
