//! Predictors of one version. They are named after it, so that no upgrade of the operator touches them.

use std::collections::BTreeMap;

use endcap_crds::ModelVersion;
use endcap_crds::common::pods::{Device, Resources, Toleration, TolerationOperator};
use endcap_crds::common::text::ObjectName;
use kube::ResourceExt;
use serde_json::json;

use super::meta::{Component, Desired, Parts, labels, scaled, selector};
use super::pods::{Access, Container, Pod, Probes, artifact_volume, mount, scratch, store_secrets};
use super::router::volume_path;
use super::{API, Input, METRICS, api_version};
use crate::watch::child::ChildKind;

/// Routers see within a second that it drains; until then it answers.
const DRAIN_DELAY_SECONDS: i32 = 5;

pub fn build(input: &Input<'_>, version: &ModelVersion, replicas: i32) -> Vec<Desired> {
    let Some(artifact) = version.status.as_ref().and_then(|status| status.artifact.as_ref()) else { return Vec::new() };
    let model = input.name();
    let name = version.name_any();
    let spec = &input.model.spec;
    let delay = DRAIN_DELAY_SECONDS.min(spec.serving.drain_seconds);
    let args = [
        "--artifact",
        artifact.uri.as_str(),
        "--digest",
        artifact.manifest_sha256.as_str(),
        "--eventlog",
        &input.url(&Component::Eventlog.of(model), API),
        "--drain-delay",
        &delay.to_string(),
    ];
    let mut mounts = vec![mount("tmp", "/tmp")];
    let mut volumes = vec![scratch("tmp", "256Mi")];
    if let Some((volume, place)) = artifact_volume(&spec.artifacts, Access::Read) {
        volumes.push(volume);
        mounts.push(place);
    }
    let container = Container {
        name: "predictor",
        image: version.spec.serving_image.as_str(),
        pull_policy: &input.options.image_pull_policy,
        program: "endcap-predictor",
        args: args.map(str::to_owned).to_vec(),
        resources: &spec.serving.resources,
        ports: &[("http", API), ("metrics", METRICS)],
        mounts,
        store_secrets: store_secrets(&spec.artifacts),
        // A large artifact is downloaded and read before it is ready; it is alive meanwhile.
        probes: Some(Probes { startup_seconds: 300 }),
    };
    let selects = selector(model, Component::Predictor, Some(&name));
    let tolerations = gpu_tolerations(spec.serving.device, &spec.serving.resources);
    let pod = Pod {
        containers: vec![container.into_value()],
        volumes,
        service_account: spec.artifacts.service_account_name.as_ref().map(ObjectName::as_str),
        tolerations: &tolerations,
        grace_seconds: i64::from(spec.serving.drain_seconds) + 10,
        spread: Some(selects.clone()),
        ..Pod::default()
    };
    let every = labels(model, Component::Predictor, Some(&name));
    let owner = super::meta::Owner { kind: "ModelVersion", name: name.clone(), uid: version.uid().unwrap_or_default() };
    let part = |kind, body, inputs, replicas| {
        Parts {
            kind,
            api_version: api_version(kind),
            namespace: input.namespace(),
            name: name.clone(),
            labels: every.clone(),
            annotations: BTreeMap::new(),
            owner: &owner,
            body,
            inputs,
            replicas,
        }
        .into_desired()
    };
    let inputs = json!([
        version.spec.serving_image,
        artifact,
        spec.serving.resources,
        spec.serving.device,
        spec.serving.drain_seconds,
        spec.artifacts.secret_ref,
        spec.artifacts.persistent_volume_claim,
        spec.artifacts.service_account_name,
        volume_path(input)
    ]);
    let deployment = json!({"spec": {
        "selector": {"matchLabels": selects},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"metadata": {"labels": every}, "spec": pod.into_value()},
    }});
    let ports = json!([{"name": "http", "port": API, "targetPort": API, "protocol": "TCP"}]);
    // Without an address of its own: routers look the pods up and spread, retry and eject by themselves.
    let service = json!({"spec": {"type": "ClusterIP", "clusterIP": "None", "selector": selects, "ports": ports}});
    let budget = json!({"spec": {"maxUnavailable": 1, "selector": {"matchLabels": selects}}});
    vec![
        part(ChildKind::Service, service, json!(1), None),
        part(ChildKind::PodDisruptionBudget, budget, json!(1), None),
        part(ChildKind::Deployment, scaled(deployment, Some(replicas)), inputs, Some(replicas)),
    ]
}

/// A pod that asks for a GPU may go where only such pods go.
pub fn gpu_tolerations(device: Device, resources: &Resources) -> Vec<Toleration> {
    if device == Device::Cpu {
        return Vec::new();
    }
    let gpus = resources.limits.keys().filter(|name| name.ends_with("/gpu"));
    gpus.map(|name| Toleration {
        key: Some(name.as_str().into()),
        operator: Some(TolerationOperator::Exists),
        value: None,
        effect: None,
        toleration_seconds: None,
    })
    .collect()
}
