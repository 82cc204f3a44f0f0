//! What the operator says of itself, and of what its models' conditions are.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabel {
    pub result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    pub verb: &'static str,
    pub kind: String,
    pub code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ConditionLabels {
    pub namespace: String,
    pub model: String,
    pub condition: String,
    pub status: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WeightLabels {
    pub namespace: String,
    pub model: String,
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PhaseLabel {
    pub phase: &'static str,
}

#[derive(Debug, Clone)]
pub struct Metrics {
    pub is_leader: Gauge,
    pub reconciles: Family<ResultLabel, Counter>,
    pub seconds: Histogram,
    pub requests: Family<RequestLabels, Counter>,
    pub conditions: Family<ConditionLabels, Gauge>,
    pub weights: Family<WeightLabels, Gauge<f64, AtomicU64>>,
    pub trainings: Family<PhaseLabel, Gauge>,
    pub queue: Gauge,
    pub routers_replaced: Counter,
}

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            is_leader: Gauge::default(),
            reconciles: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.0005, 2.0, 16)),
            requests: Family::default(),
            conditions: Family::default(),
            weights: Family::default(),
            trainings: Family::default(),
            queue: Gauge::default(),
            routers_replaced: Counter::default(),
        };
        let registry = registry.sub_registry_with_prefix("endcap_operator");
        registry.register("is_leader", "Whether this program holds the Lease", metrics.is_leader.clone());
        registry.register("reconcile", "Looks at models and policies by result", metrics.reconciles.clone());
        registry.register("reconcile_seconds", "How long a look took", metrics.seconds.clone());
        registry.register("api_requests", "Requests to the Kubernetes API", metrics.requests.clone());
        registry.register(
            "model_condition",
            "Conditions of models: 1 for the status that holds",
            metrics.conditions.clone(),
        );
        registry.register("rollout_weight_percent", "Share of the candidate", metrics.weights.clone());
        registry.register("trainings", "Trainings by phase", metrics.trainings.clone());
        registry.register("queue_depth", "Looks that wait for their time", metrics.queue.clone());
        registry.register("routers_replaced", "Routers that did not take the table", metrics.routers_replaced.clone());
        metrics
    }

    /// A model's conditions and shares as they were just written.
    pub fn model(
        &self,
        namespace: &str,
        model: &str,
        status: &endcap_crds::recommender_model::status::RecommenderModelStatus,
    ) {
        for condition in &status.conditions {
            for known in ["True", "False", "Unknown"] {
                let labels = ConditionLabels {
                    namespace: namespace.to_owned(),
                    model: model.to_owned(),
                    condition: condition.type_.clone(),
                    status: known.to_owned(),
                };
                self.conditions.get_or_create(&labels).set(i64::from(condition.status == known));
            }
        }
        let rollout = status.rollout.as_ref();
        self.forget_weights(namespace, model, status);
        if let Some(rollout) = rollout {
            let labels = weight(namespace, model, rollout.version.as_str());
            self.weights.get_or_create(&labels).set(f64::from(rollout.weight));
        }
    }

    fn forget_weights(
        &self,
        namespace: &str,
        model: &str,
        status: &endcap_crds::recommender_model::status::RecommenderModelStatus,
    ) {
        let others = status.traffic.iter().map(|arm| arm.version.as_str());
        let past = status.history.iter().map(|entry| entry.version.as_str());
        let own = status.rollout.iter().map(|rollout| rollout.version.as_str());
        for version in others.chain(past).chain(own) {
            self.weights.remove(&weight(namespace, model, version));
        }
    }

    /// A model is gone: so are its series.
    pub fn forget(
        &self,
        namespace: &str,
        model: &str,
        status: &endcap_crds::recommender_model::status::RecommenderModelStatus,
    ) {
        for condition in &status.conditions {
            for known in ["True", "False", "Unknown"] {
                self.conditions.remove(&ConditionLabels {
                    namespace: namespace.to_owned(),
                    model: model.to_owned(),
                    condition: condition.type_.clone(),
                    status: known.to_owned(),
                });
            }
        }
        self.forget_weights(namespace, model, status);
    }
}

fn weight(namespace: &str, model: &str, version: &str) -> WeightLabels {
    WeightLabels { namespace: namespace.to_owned(), model: model.to_owned(), version: version.to_owned() }
}
