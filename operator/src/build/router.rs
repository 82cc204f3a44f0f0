//! Routers: the stable Service and the pods behind it.

use std::collections::BTreeMap;

use endcap_crds::common::text::ObjectName;
use serde_json::{Value, json};

use super::meta::{Component, Desired, Parts, labels, scaled, selector};
use super::pods::{Access, Container, Pod, Probes, artifact_volume, mount, scratch, store_secrets};
use super::{API, CONTROL, Input, METRICS, QA, api_version, resources, routing};
use crate::watch::child::{ChildKind, RELEASE};

/// Not ready for so long before connections are closed: whoever still has the address finds it open.
const DRAIN_SECONDS: i64 = 5;

pub fn build(input: &Input<'_>) -> Vec<Desired> {
    let model = input.name();
    let name = Component::Router.of(model);
    let has_qa = !input.model.spec.routing.override_from.is_empty();
    let mut all = vec![
        input.service(model.to_owned(), Component::Router, &[("http", 80, API)], false),
        input.disruption_budget(name.clone(), Component::Router),
        deployment(input, name, has_qa),
    ];
    if has_qa {
        all.push(input.service(format!("{model}-qa"), Component::Router, &[("http", 80, QA)], false));
    }
    all
}

fn deployment(input: &Input<'_>, name: String, has_qa: bool) -> Desired {
    let model = input.name();
    let spec = &input.model.spec;
    let image = input.release(ChildKind::Deployment, &name, spec.routing.image.as_ref());
    let mut args = vec![
        "--model".to_owned(),
        format!("{}/{model}", input.namespace()),
        "--table".to_owned(),
        format!("{}/{}", routing::FOLDER, routing::TABLE_FILE),
        "--table-cache".to_owned(),
        "/state/table.json".to_owned(),
        "--eventlog".to_owned(),
        input.url(&Component::Eventlog.of(model), API),
        "--drain-delay".to_owned(),
        DRAIN_SECONDS.to_string(),
    ];
    args.extend(routing::key_args());
    if has_qa {
        args.extend(["--qa-listen".to_owned(), format!("0.0.0.0:{QA}")]);
    }
    let mut mounts = vec![mount("state", "/state"), mount("routing", routing::FOLDER)];
    let mut volumes = vec![scratch("state", "512Mi"), routing::volume(model)];
    if let Some((volume, place)) = artifact_volume(&spec.artifacts, Access::Read) {
        volumes.push(volume);
        mounts.push(place);
    }
    let ports: &'static [(&'static str, u16)] = if has_qa {
        &[("http", API), ("control", CONTROL), ("qa", QA), ("metrics", METRICS)]
    } else {
        &[("http", API), ("control", CONTROL), ("metrics", METRICS)]
    };
    let own = resources("100m", "128Mi", "512Mi");
    let container = Container {
        name: "router",
        image: &image,
        pull_policy: &input.options.image_pull_policy,
        program: "endcap-router",
        args,
        resources: &own,
        ports,
        mounts,
        store_secrets: store_secrets(&spec.artifacts),
        probes: Some(Probes { startup_seconds: 60 }),
    };
    let labels_of = selector(model, Component::Router, None);
    let pod = Pod {
        containers: vec![container.into_value()],
        volumes,
        service_account: spec.artifacts.service_account_name.as_ref().map(ObjectName::as_str),
        grace_seconds: DRAIN_SECONDS + 30,
        spread: Some(labels_of.clone()),
        ..Pod::default()
    };
    let inputs = json!([
        image,
        has_qa,
        spec.artifacts.secret_ref,
        spec.artifacts.persistent_volume_claim,
        spec.artifacts.service_account_name,
        volume_path(input)
    ]);
    let replicas = Some(spec.routing.replicas);
    let owner = input.owner();
    let body = json!({"spec": {
        "selector": {"matchLabels": labels_of},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"metadata": {"labels": labels(model, Component::Router, None)}, "spec": pod.into_value()},
    }});
    Parts {
        kind: ChildKind::Deployment,
        api_version: api_version(ChildKind::Deployment),
        namespace: input.namespace(),
        name,
        labels: labels(model, Component::Router, None),
        annotations: BTreeMap::from([(RELEASE.to_owned(), image)]),
        owner: &owner,
        body: scaled(body, replicas),
        inputs,
        replicas,
    }
    .into_desired()
}

/// Where a claim is mounted; nothing without one, for then the address is no part of a pod.
pub fn volume_path(input: &Input<'_>) -> Value {
    let artifacts = &input.model.spec.artifacts;
    artifacts.persistent_volume_claim.as_ref().map_or(Value::Null, |_| json!(artifacts.uri))
}
