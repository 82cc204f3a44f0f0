//! From a plan in the domain's words to Kubernetes objects. Pure: the same plan gives the same bytes, and nothing here can fail.

pub mod eventlog;
pub mod insights;
pub mod meta;
pub mod network;
pub mod pods;
pub mod predictor;
pub mod router;
pub mod routing;
pub mod training;

use std::collections::BTreeMap;
use std::sync::Arc;

use endcap_crds::common::pods::Resources;
use endcap_crds::common::text::ImageRef;
use endcap_crds::recommender_model::status::RolloutPhase;
use endcap_crds::{ModelVersion, RecommenderModel};
use endcap_operator_core::plan::Plan;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::options::Options;
use crate::watch::child::{Child, ChildKind};
use meta::{Component, Desired, Owner, Parts, labels, selector};

pub const API: u16 = 8080;
pub const CONTROL: u16 = 8081;
pub const QA: u16 = 8082;
pub const METRICS: u16 = 9090;

/// What objects are built from.
pub struct Input<'a> {
    pub options: &'a Options,
    pub model: &'a RecommenderModel,
    pub versions: &'a [Arc<ModelVersion>],
    pub plan: &'a Plan,
    /// What exists: what cannot change is taken over from it.
    pub children: &'a [Arc<Child>],
    /// The signed table, and the keys that routers trust.
    pub envelope: Option<String>,
    pub keys: &'a routing::Keys,
}

/// All children that shall exist, but for trainings.
pub fn build(input: &Input<'_>) -> Vec<Desired> {
    let mut all = Vec::new();
    let has_run = input.child(ChildKind::StatefulSet, &Component::Eventlog.of(input.name())).is_some();
    // Nothing to serve, nothing to run; what runs goes on.
    if !input.plan.arms.is_empty() || has_run {
        all.extend(eventlog::build(input));
        if input.model.spec.insights.enabled {
            all.extend(insights::build(input));
        }
        all.extend(router::build(input));
        all.extend(routing::build(input));
    }
    for (version, replicas) in &input.plan.arms {
        if let Some(found) = input.versions.iter().find(|one| &one.name_any() == version) {
            all.extend(predictor::build(input, found, *replicas));
        }
    }
    if input.model.spec.network_policy.enabled {
        all.extend(network::build(input));
    }
    all
}

impl Input<'_> {
    pub fn name(&self) -> &str {
        self.model.metadata.name.as_deref().unwrap_or_default()
    }

    pub fn namespace(&self) -> &str {
        self.model.metadata.namespace.as_deref().unwrap_or_default()
    }

    pub fn owner(&self) -> Owner {
        owner(self.model)
    }

    pub fn child(&self, kind: ChildKind, name: &str) -> Option<&Child> {
        self.children.iter().find(|child| child.kind == kind && child.name == name).map(AsRef::as_ref)
    }

    /// The image of a program that serves all versions: the wish, or the release that it was made with. A rollout takes it along to
    /// this operator's release; an upgrade of the operator alone does not.
    pub fn release(&self, kind: ChildKind, name: &str, wish: Option<&ImageRef>) -> String {
        if let Some(wish) = wish {
            return wish.to_string();
        }
        let known = self.child(kind, name).and_then(|child| child.release.clone());
        let rollout = self.plan.status.rollout.as_ref();
        let may_change = rollout.is_some_and(|rollout| rollout.phase == RolloutPhase::Preparing && !rollout.restoring);
        known.filter(|_| !may_change).unwrap_or_else(|| self.options.image.clone())
    }

    /// The address of one of the model's Services, from inside the cluster.
    pub fn url(&self, service: &str, port: u16) -> String {
        url(service, self.namespace(), port)
    }

    /// A child of the model.
    fn child_of(&self, kind: ChildKind, name: String, component: Component, body: Value, inputs: Value) -> Desired {
        let owner = self.owner();
        Parts {
            kind,
            api_version: api_version(kind),
            namespace: self.namespace(),
            name,
            labels: labels(self.name(), component, None),
            annotations: BTreeMap::new(),
            owner: &owner,
            body,
            inputs,
            replicas: None,
        }
        .into_desired()
    }

    /// A Service in front of a component's pods.
    fn service(&self, name: String, component: Component, ports: &[(&str, u16, u16)], is_headless: bool) -> Desired {
        let ports: Vec<Value> = ports
            .iter()
            .map(|(name, port, target)| json!({"name": name, "port": port, "targetPort": target, "protocol": "TCP"}))
            .collect();
        let mut spec = json!({"type": "ClusterIP", "selector": selector(self.name(), component, None), "ports": ports});
        if let (true, Some(map)) = (is_headless, spec.as_object_mut()) {
            map.insert("clusterIP".to_owned(), json!("None"));
        }
        let inputs = json!([name, is_headless]);
        self.child_of(ChildKind::Service, name, component, json!({"spec": spec}), inputs)
    }

    /// One pod of a component may be away at a time.
    fn disruption_budget(&self, name: String, component: Component) -> Desired {
        let selector = selector(self.name(), component, None);
        let spec = json!({"maxUnavailable": 1, "selector": {"matchLabels": selector}});
        self.child_of(ChildKind::PodDisruptionBudget, name, component, json!({"spec": spec}), json!(1))
    }
}

pub fn owner(model: &RecommenderModel) -> Owner {
    Owner { kind: "RecommenderModel", name: model.name_any(), uid: model.uid().unwrap_or_default() }
}

pub fn url(service: &str, namespace: &str, port: u16) -> String {
    format!("http://{service}.{namespace}.svc:{port}")
}

pub fn api_version(kind: ChildKind) -> &'static str {
    match kind {
        ChildKind::ConfigMap | ChildKind::Service => "v1",
        ChildKind::NetworkPolicy => "networking.k8s.io/v1",
        ChildKind::PodDisruptionBudget => "policy/v1",
        ChildKind::StatefulSet | ChildKind::Deployment => "apps/v1",
        ChildKind::Job => "batch/v1",
    }
}

/// Requests, and a limit of memory that leaves room to grow.
fn resources(cpu: &str, memory: &str, most: &str) -> Resources {
    let mut resources = Resources::of(cpu, memory);
    resources.limits.insert("memory".to_owned(), Quantity(most.to_owned()));
    resources
}
