//! The event log: one writer with a volume of its own.

use std::collections::BTreeMap;

use endcap_crds::common::text::ObjectName;
use serde_json::{Value, json};

use super::meta::{Component, Desired, Parts, labels, selector};
use super::pods::{Access, Container, Pod, Probes, artifact_volume, mount, scratch, store_secrets};
use super::router::volume_path;
use super::{API, Input, METRICS, api_version, resources};
use crate::watch::child::{ChildKind, KEPT, RELEASE};

pub fn build(input: &Input<'_>) -> Vec<Desired> {
    let name = Component::Eventlog.of(input.name());
    let service =
        input.service(name.clone(), Component::Eventlog, &[("http", API, API), ("metrics", METRICS, METRICS)], true);
    vec![service, stateful_set(input, name)]
}

/// Where the log's events are exported to.
pub fn export_uri(input: &Input<'_>) -> String {
    export_uri_of(input.model)
}

pub fn export_uri_of(model: &endcap_crds::RecommenderModel) -> String {
    let (namespace, name) = (model.metadata.namespace.as_deref(), model.metadata.name.as_deref());
    let prefix = model.spec.artifacts.uri.as_str().trim_end_matches('/');
    format!("{prefix}/{}/{}/events", namespace.unwrap_or_default(), name.unwrap_or_default())
}

fn stateful_set(input: &Input<'_>, name: String) -> Desired {
    let model = input.name();
    let spec = &input.model.spec;
    let image = input.release(ChildKind::StatefulSet, &name, None);
    // Its volume and where its live state began were decided when it was made.
    let known = input.child(ChildKind::StatefulSet, &name).and_then(|child| child.kept.clone());
    let kept = known.unwrap_or_else(|| {
        json!({
            "baseline": first_artifact(input),
            "storage": spec.events.log.embedded.storage,
            "storageClassName": spec.events.log.embedded.storage_class_name,
        })
    });
    let mut args = vec![
        "--data".to_owned(),
        "/data/log".to_owned(),
        "--listen".to_owned(),
        format!("0.0.0.0:{API}"),
        "--metrics-listen".to_owned(),
        format!("0.0.0.0:{METRICS}"),
        "--retention".to_owned(),
        spec.events.retention.to_string(),
        "--history-orders".to_owned(),
        spec.recommendation.history_orders.to_string(),
        "--export".to_owned(),
        export_uri(input),
        "--export-interval".to_owned(),
        spec.events.export_interval.to_string(),
    ];
    if let Some(artifact) = kept.get("baseline").and_then(Value::as_str) {
        args.extend(["--baseline-of".to_owned(), artifact.to_owned()]);
    }
    let mut mounts = vec![mount("data", "/data"), mount("tmp", "/tmp")];
    let mut volumes = vec![scratch("tmp", "1Gi")];
    if let Some((volume, place)) = artifact_volume(&spec.artifacts, Access::Write) {
        volumes.push(volume);
        mounts.push(place);
    }
    let own = resources("100m", "256Mi", "2Gi");
    let container = Container {
        name: "eventlog",
        image: &image,
        pull_policy: &input.options.image_pull_policy,
        program: "endcap-eventlog",
        args,
        resources: &own,
        ports: &[("http", API), ("metrics", METRICS)],
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
        spec.events.retention,
        spec.events.export_interval,
        spec.recommendation.history_orders,
        spec.artifacts.uri,
        spec.artifacts.secret_ref,
        spec.artifacts.persistent_volume_claim,
        spec.artifacts.service_account_name,
        volume_path(input)
    ]);
    let owner = input.owner();
    let body = json!({"spec": {
        "serviceName": name,
        "replicas": 1,
        "selector": {"matchLabels": selector(model, Component::Eventlog, None)},
        "template": {"metadata": {"labels": labels(model, Component::Eventlog, None)}, "spec": pod.into_value()},
        "volumeClaimTemplates": [claim],
    }});
    Parts {
        kind: ChildKind::StatefulSet,
        api_version: api_version(ChildKind::StatefulSet),
        namespace: input.namespace(),
        name,
        labels: labels(model, Component::Eventlog, None),
        annotations: BTreeMap::from([(RELEASE.to_owned(), image), (KEPT.to_owned(), kept.to_string())]),
        owner: &owner,
        body,
        inputs,
        replicas: None,
    }
    .into_desired()
}

/// The artifact beside which the state lies from which the log's live state starts: that of the first version that serves.
fn first_artifact(input: &Input<'_>) -> Option<String> {
    let version = input.plan.arms.keys().next()?;
    let status = input.plan.versions.get(version)?;
    status.artifact.as_ref().map(|artifact| artifact.uri.to_string())
}
