//! What all pods of the data plane share: the restricted security profile, probes, stores and volumes.

use std::collections::BTreeMap;

use endcap_crds::common::pods::{NodeSelector, Resources, Toleration};
use endcap_crds::recommender_model::artifacts::Artifacts;
use serde_json::{Map, Value, json};

/// The user that pods run as.
pub const USER: i64 = 65_532;

/// One container with its program.
pub struct Container<'a> {
    pub name: &'a str,
    pub image: &'a str,
    pub pull_policy: &'a str,
    pub program: &'static str,
    pub args: Vec<String>,
    pub resources: &'a Resources,
    /// Names of its ports.
    pub ports: &'static [(&'static str, u16)],
    pub mounts: Vec<Value>,
    /// Secret with the store's environment names.
    pub store_secrets: Vec<String>,
    pub probes: Option<Probes>,
}

/// When a container is alive and ready, on its metrics port.
#[derive(Debug, Clone, Copy)]
pub struct Probes {
    /// How long it may take to start.
    pub startup_seconds: u32,
}

impl Container<'_> {
    pub fn into_value(self) -> Value {
        let ports: Vec<Value> = self
            .ports
            .iter()
            .map(|(name, port)| json!({"name": name, "containerPort": port, "protocol": "TCP"}))
            .collect();
        let mut container = json!({
            "name": self.name,
            "image": self.image,
            "imagePullPolicy": self.pull_policy,
            "command": [self.program],
            "args": self.args,
            "resources": self.resources,
            "ports": ports,
            "volumeMounts": self.mounts,
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "runAsNonRoot": true,
                "capabilities": {"drop": ["ALL"]},
            },
        });
        let Some(map) = container.as_object_mut() else { return container };
        if !self.store_secrets.is_empty() {
            let from: Vec<Value> = self.store_secrets.iter().map(|name| json!({"secretRef": {"name": name}})).collect();
            map.insert("envFrom".to_owned(), json!(from));
        }
        if let Some(probes) = self.probes {
            let get = |path: &str| json!({"path": path, "port": "metrics", "scheme": "HTTP"});
            map.insert(
                "startupProbe".to_owned(),
                json!({"httpGet": get("/livez"), "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": probes.startup_seconds}),
            );
            map.insert(
                "livenessProbe".to_owned(),
                json!({"httpGet": get("/livez"), "periodSeconds": 10, "timeoutSeconds": 3, "failureThreshold": 6}),
            );
            map.insert(
                "readinessProbe".to_owned(),
                json!({"httpGet": get("/readyz"), "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 3}),
            );
        }
        container
    }
}

/// What a pod has beside its containers.
#[derive(Default)]
pub struct Pod<'a> {
    pub init: Vec<Value>,
    pub containers: Vec<Value>,
    pub volumes: Vec<Value>,
    pub service_account: Option<&'a str>,
    pub node_selector: Option<&'a NodeSelector>,
    pub tolerations: &'a [Toleration],
    pub grace_seconds: i64,
    pub restart_policy: Option<&'static str>,
    /// Labels of its like, from which it keeps away.
    pub spread: Option<BTreeMap<String, String>>,
}

impl Pod<'_> {
    pub fn into_value(self) -> Value {
        let mut spec = json!({
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": self.grace_seconds,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": self.containers,
            "volumes": self.volumes,
        });
        let Some(map) = spec.as_object_mut() else { return spec };
        if !self.init.is_empty() {
            map.insert("initContainers".to_owned(), json!(self.init));
        }
        if let Some(account) = self.service_account {
            map.insert("serviceAccountName".to_owned(), json!(account));
        }
        if let Some(selector) = self.node_selector.filter(|selector| !selector.is_empty()) {
            map.insert("nodeSelector".to_owned(), json!(selector));
        }
        if !self.tolerations.is_empty() {
            map.insert("tolerations".to_owned(), json!(self.tolerations));
        }
        if let Some(policy) = self.restart_policy {
            map.insert("restartPolicy".to_owned(), json!(policy));
        }
        if let Some(labels) = self.spread {
            let away = |key: &str| json!({"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": labels}});
            map.insert(
                "topologySpreadConstraints".to_owned(),
                json!([away("topology.kubernetes.io/zone"), away("kubernetes.io/hostname")]),
            );
        }
        spec
    }
}

/// A folder of the pod's own.
pub fn scratch(name: &str, size: &str) -> Value {
    json!({"name": name, "emptyDir": {"sizeLimit": size}})
}

pub fn mount(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path})
}

/// What a pod does with the artifacts' volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// The volume that a `file:///` address lies on, and where it is mounted; none for object stores.
pub fn artifact_volume(artifacts: &Artifacts, access: Access) -> Option<(Value, Value)> {
    let claim = artifacts.persistent_volume_claim.as_ref()?;
    let path = artifacts.uri.as_str().strip_prefix("file://")?;
    let volume = json!({"name": "artifacts", "persistentVolumeClaim": {"claimName": claim.claim_name}});
    let mut mount = Map::from_iter([
        ("name".to_owned(), json!("artifacts")),
        ("mountPath".to_owned(), json!(path.trim_end_matches('/'))),
    ]);
    if access == Access::Read {
        mount.insert("readOnly".to_owned(), json!(true));
    }
    if let Some(sub) = &claim.sub_path {
        mount.insert("subPath".to_owned(), json!(sub));
    }
    Some((volume, Value::Object(mount)))
}

/// Secrets that the model's pods need to reach its artifacts.
pub fn store_secrets(artifacts: &Artifacts) -> Vec<String> {
    artifacts.secret_ref.iter().map(|secret| secret.name.to_string()).collect()
}
