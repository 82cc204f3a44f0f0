//! Insights: one pod that folds the event log, with a volume for what it has folded.

use std::collections::BTreeMap;

use endcap_crds::common::text::ObjectName;
use serde_json::{Value, json};

use super::meta::{Component, Desired, Parts, labels, selector};
use super::pods::{Access, Container, Pod, Probes, artifact_volume, mount, scratch, store_secrets};
use super::router::volume_path;
use super::{API, CONTROL, Input, METRICS, api_version, routing};
use crate::watch::child::{ChildKind, KEPT, RELEASE};

/// What is folded is bounded; the log is the larger one.
const STORAGE: &str = "2Gi";

pub fn build(input: &Input<'_>) -> Vec<Desired> {
    let name = Component::Insights.of(input.name());
    let ports = [("http", API, API), ("control", CONTROL, CONTROL), ("metrics", METRICS, METRICS)];
    vec![input.service(name.clone(), Component::Insights, &ports, true), stateful_set(input, name)]
}

fn stateful_set(input: &Input<'_>, name: String) -> Desired {
    let model = input.name();
    let spec = &input.model.spec;
    let image = input.release(ChildKind::StatefulSet, &name, None);
    let known = input.child(ChildKind::StatefulSet, &name).and_then(|child| child.kept.clone());
    let kept = known.unwrap_or_else(
        || json!({"storage": STORAGE, "storageClassName": spec.events.log.embedded.storage_class_name}),
    );
    let mut args = vec![
        "--eventlog".to_owned(),
        input.url(&Component::Eventlog.of(model), API),
        "--data".to_owned(),
        "/data/insights".to_owned(),
        "--model".to_owned(),
        format!("{}/{model}", input.namespace()),
        "--listen".to_owned(),
        format!("0.0.0.0:{API}"),
        "--control-listen".to_owned(),
        format!("0.0.0.0:{CONTROL}"),
        "--metrics-listen".to_owned(),
        format!("0.0.0.0:{METRICS}"),
    ];
    args.extend(routing::key_args());
    let mut mounts = vec![mount("data", "/data"), mount("tmp", "/tmp"), mount("routing", routing::FOLDER)];
    let mut volumes = vec![scratch("tmp", "256Mi"), routing::volume(model)];
    if let Some((volume, place)) = artifact_volume(&spec.artifacts, Access::Read) {
        volumes.push(volume);
        mounts.push(place);
    }
    let container = Container {
        name: "insights",
        image: &image,
        pull_policy: &input.options.image_pull_policy,
        program: "endcap-insights",
        args,
        resources: &spec.insights.resources,
        ports: &[("http", API), ("control", CONTROL), ("metrics", METRICS)],
        mounts,
        store_secrets: store_secrets(&spec.artifacts),
        probes: Some(Probes { startup_seconds: 300 }),
    };
    let pod = Pod {
        containers: vec![container.into_value()],
        volumes,
        service_account: spec.artifacts.service_account_name.as_ref().map(ObjectName::as_str),
        grace_seconds: 30,
        ..Pod::default()
    };
    let mut claim = json!({
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": kept.get("storage")}}},
    });
    if let (Some(class), Some(map)) = (
        kept.get("storageClassName").filter(|class| !class.is_null()),
        claim.get_mut("spec").and_then(Value::as_object_mut),
    ) {
        map.insert("storageClassName".to_owned(), class.clone());
    }
    let inputs = json!([
        image,
        kept,
        spec.insights.resources,
        spec.artifacts.secret_ref,
        spec.artifacts.persistent_volume_claim,
        spec.artifacts.service_account_name,
        volume_path(input)
    ]);
    let owner = input.owner();
    let body = json!({"spec": {
        "serviceName": name,
        "replicas": 1,
        "selector": {"matchLabels": selector(model, Component::Insights, None)},
        "template": {"metadata": {"labels": labels(model, Component::Insights, None)}, "spec": pod.into_value()},
        "volumeClaimTemplates": [claim],
    }});
    Parts {
        kind: ChildKind::StatefulSet,
        api_version: api_version(ChildKind::StatefulSet),
        namespace: input.namespace(),
        name,
        labels: labels(model, Component::Insights, None),
        annotations: BTreeMap::from([(RELEASE.to_owned(), image), (KEPT.to_owned(), kept.to_string())]),
        owner: &owner,
        body,
        inputs,
        replicas: None,
    }
    .into_desired()
}
