//! What is kept of an object that the operator made: not its body, but whether it still is what was applied, and what a look needs.
//!
//! Every child carries, as annotations, what was applied and a digest of what that followed from. So an upgraded operator whose templates
//! differ leaves running children alone, and a child that somebody changed is put back to what it was, not to what it would be today.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{ApiResource, DynamicObject};
use kube::{Resource, ResourceExt};
use serde_json::Value;

use super::Key;

/// Kinds of children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChildKind {
    ConfigMap,
    Service,
    NetworkPolicy,
    PodDisruptionBudget,
    StatefulSet,
    Deployment,
    Job,
}

pub const KINDS: [ChildKind; 7] = [
    ChildKind::ConfigMap,
    ChildKind::Service,
    ChildKind::NetworkPolicy,
    ChildKind::PodDisruptionBudget,
    ChildKind::StatefulSet,
    ChildKind::Deployment,
    ChildKind::Job,
];

impl ChildKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Service => "Service",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::StatefulSet => "StatefulSet",
            Self::Deployment => "Deployment",
            Self::Job => "Job",
        }
    }

    pub fn resource(self) -> ApiResource {
        fn of<K: Resource<DynamicType = ()>>() -> ApiResource {
            ApiResource::erase::<K>(&())
        }
        match self {
            Self::ConfigMap => of::<ConfigMap>(),
            Self::Service => of::<Service>(),
            Self::NetworkPolicy => of::<NetworkPolicy>(),
            Self::PodDisruptionBudget => of::<PodDisruptionBudget>(),
            Self::StatefulSet => of::<StatefulSet>(),
            Self::Deployment => of::<Deployment>(),
            Self::Job => of::<Job>(),
        }
    }
}

/// What was applied, as JSON.
pub const APPLIED: &str = "endcap.dev/applied";
/// Digest of what it followed from.
pub const INPUTS: &str = "endcap.dev/inputs";
/// The release that made it; routers, logs and insights change theirs with a rollout alone.
pub const RELEASE: &str = "endcap.dev/release";
/// What was decided when it was made and cannot change after that: a log's volume, and where its live state began.
pub const KEPT: &str = "endcap.dev/kept";

#[derive(Debug, Clone)]
pub struct Child {
    pub kind: ChildKind,
    pub name: String,
    pub uid: String,
    pub inputs: String,
    pub release: Option<String>,
    pub kept: Option<Value>,
    pub is_deleting: bool,
    /// A Job that trains, not one that deletes.
    pub is_training: bool,
    /// What was applied, of what has replicas: another number of them is written into that.
    pub applied: Option<String>,
    /// What was applied, when the object is no longer that.
    pub drifted: Option<String>,
    /// `spec.replicas`, of what has some.
    pub replicas: Option<i32>,
    pub facts: Facts,
}

#[derive(Debug, Clone)]
pub enum Facts {
    None,
    /// The routing table, signed.
    Table(Option<String>),
    Workload {
        ready: i32,
    },
    Job(JobFacts),
}

#[derive(Debug, Clone, Default)]
pub struct JobFacts {
    pub created_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub failed_pods: i32,
    pub is_suspended: bool,
    /// It has completed or failed, since then.
    pub finished: Option<(Timestamp, Finish)>,
}

/// How a Job ended; a failure with its reason and words.
pub type Finish = Result<(), (String, String)>;

pub fn keep(kind: &str, object: &DynamicObject) -> Option<(Key, String, Child)> {
    let kind = KINDS.into_iter().find(|known| known.as_str() == kind)?;
    let model = object.labels().get(endcap_crds::reasons::label::MODEL)?.clone();
    let key = (object.namespace()?, model);
    let name = object.name_any();
    let annotation = |name: &str| object.annotations().get(name).cloned();
    let applied = annotation(APPLIED);
    let drifted = applied
        .clone()
        .filter(|text| serde_json::from_str::<Value>(text).is_ok_and(|applied| !is_as_applied(object, &applied)));
    let body = &object.data;
    let number =
        |pointer: &str| body.pointer(pointer).and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok());
    let facts = match kind {
        ChildKind::ConfigMap => Facts::Table(
            body.pointer("/data")
                .and_then(|data| data.get(crate::build::routing::TABLE_FILE))
                .and_then(Value::as_str)
                .map(str::to_owned),
        ),
        ChildKind::StatefulSet | ChildKind::Deployment => {
            Facts::Workload { ready: number("/status/readyReplicas").unwrap_or(0) }
        }
        ChildKind::Job => Facts::Job(job(object)),
        _ => Facts::None,
    };
    let child = Child {
        kind,
        name: name.clone(),
        uid: object.uid().unwrap_or_default(),
        inputs: annotation(INPUTS).unwrap_or_default(),
        release: annotation(RELEASE),
        kept: annotation(KEPT).and_then(|text| serde_json::from_str(&text).ok()),
        is_deleting: object.metadata.deletion_timestamp.is_some(),
        is_training: object
            .labels()
            .get(crate::build::meta::COMPONENT)
            .is_some_and(|component| component == crate::build::meta::Component::Training.as_str()),
        applied: applied.filter(|_| kind == ChildKind::Deployment),
        drifted,
        replicas: number("/spec/replicas"),
        facts,
    };
    Some((key, name, child))
}

fn job(object: &DynamicObject) -> JobFacts {
    let time = |value: Option<&Value>| value.and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    let body = &object.data;
    let conditions = body.pointer("/status/conditions").and_then(Value::as_array);
    let finished = conditions.into_iter().flatten().find_map(|condition| {
        let text = |key: &str| condition.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let outcome = match text("type").as_str() {
            "Complete" => Ok(()),
            "Failed" => Err((text("reason"), text("message"))),
            _ => return None,
        };
        (text("status") == "True").then(|| (time(condition.get("lastTransitionTime")).unwrap_or_default(), outcome))
    });
    JobFacts {
        created_at: object.metadata.creation_timestamp.as_ref().map(|time| time.0),
        started_at: time(body.pointer("/status/startTime")),
        failed_pods: body
            .pointer("/status/failed")
            .and_then(Value::as_i64)
            .and_then(|count| i32::try_from(count).ok())
            .unwrap_or(0),
        is_suspended: body.pointer("/spec/suspend").and_then(Value::as_bool).unwrap_or(false),
        finished,
    }
}

/// Whether all that was applied is still there. What others added (defaults, status) does not count.
fn is_as_applied(object: &DynamicObject, applied: &Value) -> bool {
    let Ok(metadata) = serde_json::to_value(&object.metadata) else { return false };
    applied.as_object().into_iter().flatten().all(|(key, wanted)| match key.as_str() {
        "metadata" => holds(&metadata, wanted),
        "apiVersion" | "kind" => true,
        _ => object.data.get(key).is_some_and(|found| holds(found, wanted)),
    })
}

fn holds(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| {
            // An empty object or list is dropped by the API server.
            found.get(key).map_or_else(|| is_empty(wanted), |found| holds(found, wanted))
        }),
        (Value::Array(found), Value::Array(wanted)) => {
            // Lists of named things may have got more of them (an injected volume or variable).
            if wanted.iter().all(|one| one.get("name").is_some()) {
                wanted
                    .iter()
                    .all(|one| found.iter().any(|other| other.get("name") == one.get("name") && holds(other, one)))
            } else {
                found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| holds(found, wanted))
            }
        }
        (Value::String(found), Value::String(wanted)) => found == wanted || is_same_quantity(found, wanted),
        _ => found == wanted,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Null => true,
        _ => false,
    }
}

/// `1000m` is stored as `1`, `1024Mi` as `1Gi`.
fn is_same_quantity(one: &str, other: &str) -> bool {
    match (quantity(one), quantity(other)) {
        (Some(one), Some(other)) => (one - other).abs() <= f64::EPSILON * one.abs().max(other.abs()),
        _ => false,
    }
}

/// A quantity's size in units.
pub fn quantity(text: &str) -> Option<f64> {
    let end =
        text.find(|one: char| !(one.is_ascii_digit() || one == '.' || one == '-' || one == '+')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => f64::from(1 << 20),
        "Gi" => f64::from(1 << 30),
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        other => 10f64.powi(other.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_server_adds_is_no_drift_and_what_somebody_changed_is() {
        let wanted = json!({"replicas": 2, "template": {"spec": {"tolerations": [], "containers": [
            {"name": "router", "image": "endcap:1", "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}}, "args": ["--a", "b"]}]}}});
        let mut found = json!({"replicas": 2, "progressDeadlineSeconds": 600, "template": {"spec": {"dnsPolicy": "ClusterFirst", "containers": [
            {"name": "mesh", "image": "x"},
            {"name": "router", "image": "endcap:1", "imagePullPolicy": "Always", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}, "args": ["--a", "b"]}]}}});
        assert!(holds(&found, &wanted));
        if let Some(args) = found.pointer_mut("/template/spec/containers/1/args") {
            *args = json!(["--a", "c"]);
        }
        assert!(!holds(&found, &wanted));
        assert!(!holds(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
        assert!(is_same_quantity("1e3", "1k") && !is_same_quantity("1Gi", "1G") && !is_same_quantity("shop", "shop2"));
    }
}
