//! What is kept of a pod.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod};
use kube::ResourceExt;

/// What a look needs to know of a pod.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub struct PodFacts {
    pub name: String,
    pub component: String,
    pub version: Option<String>,
    pub ip: Option<String>,
    /// Its main container runs; it need not be ready.
    pub is_running: bool,
    pub is_ready: bool,
    pub is_deleting: bool,
    pub phase: String,
    pub is_scheduled: bool,
    pub created_at: Option<Timestamp>,
    pub restarts: i32,
    /// How a container ended, the last time one did.
    pub ended: Option<Ended>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub container: String,
    pub exit_code: i32,
    pub reason: String,
    pub message: String,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

impl PodFacts {
    pub fn of(pod: &Pod) -> Self {
        let label = |name: &str| pod.labels().get(name).cloned();
        let status = pod.status.clone().unwrap_or_default();
        let is_true = |type_: &str| {
            status.conditions.iter().flatten().any(|condition| condition.type_ == type_ && condition.status == "True")
        };
        let init = status.init_container_statuses.iter().flatten();
        let own = status.container_statuses.iter().flatten();
        let ended = init.clone().chain(own.clone()).filter_map(|container| {
            let terminated = |state: &Option<ContainerState>| state.as_ref().and_then(|state| state.terminated.clone());
            let last = terminated(&container.state).or_else(|| terminated(&container.last_state))?;
            Some(ended(&container.name, last))
        });
        Self {
            name: pod.name_any(),
            component: label(crate::build::meta::COMPONENT).unwrap_or_default(),
            version: label(endcap_crds::reasons::label::VERSION),
            ip: status.pod_ip.clone(),
            is_running: own
                .clone()
                .any(|container| container.state.as_ref().is_some_and(|state| state.running.is_some())),
            is_ready: is_true("Ready"),
            is_deleting: pod.metadata.deletion_timestamp.is_some(),
            phase: status.phase.clone().unwrap_or_default(),
            is_scheduled: is_true("PodScheduled"),
            created_at: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            restarts: init.chain(own).map(|container| container.restart_count).sum(),
            ended: ended.max_by_key(|ended| ended.finished_at),
        }
    }

    pub fn url(&self, port: u16) -> Option<String> {
        let ip = self.ip.as_ref()?;
        Some(if ip.contains(':') { format!("http://[{ip}]:{port}") } else { format!("http://{ip}:{port}") })
    }
}

fn ended(container: &str, state: ContainerStateTerminated) -> Ended {
    Ended {
        container: container.to_owned(),
        exit_code: state.exit_code,
        reason: state.reason.unwrap_or_default(),
        message: state.message.unwrap_or_default(),
        started_at: state.started_at.map(|time| time.0),
        finished_at: state.finished_at.map(|time| time.0),
    }
}
