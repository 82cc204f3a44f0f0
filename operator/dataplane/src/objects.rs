//! Stored objects as the core observes them.

use endcap_crds::experiment::status::ExperimentPhase;
use endcap_crds::{Experiment, ModelVersion, RecommenderModel};
use endcap_operator_core::observed::{self, ExperimentFacts};
use jiff::Timestamp;

pub fn model(model: &RecommenderModel, url: Option<String>) -> observed::Model {
    let meta = &model.metadata;
    observed::Model {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        generation: meta.generation.unwrap_or(1),
        created_at: meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        deleting: meta.deletion_timestamp.is_some(),
        promoted_by: meta
            .annotations
            .as_ref()
            .and_then(|all| all.get(endcap_crds::reasons::annotation::PROMOTED_BY))
            .cloned(),
        spec: model.spec.clone(),
        status: model.status.clone().unwrap_or_default(),
        url,
    }
}

pub fn version(version: ModelVersion) -> observed::Version {
    let meta = version.metadata;
    let annotation = |name: &str| meta.annotations.as_ref().and_then(|all| all.get(name)).cloned();
    observed::Version {
        pinned: annotation(endcap_crds::reasons::annotation::PIN).is_some_and(|pin| pin == "true"),
        sign_off: annotation(endcap_crds::reasons::annotation::SIGN_OFF),
        name: meta.name.unwrap_or_default(),
        generation: meta.generation.unwrap_or(1),
        created_at: meta.creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        deleting: meta.deletion_timestamp.is_some(),
        spec: version.spec,
        status: version.status.unwrap_or_default(),
    }
}

pub fn experiment(experiment: Experiment, facts: Option<ExperimentFacts>) -> observed::Experiment {
    let meta = experiment.metadata;
    observed::Experiment {
        name: meta.name.unwrap_or_default(),
        uid: meta.uid.unwrap_or_default(),
        generation: meta.generation.unwrap_or(1),
        created_at: meta.creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        deleting: meta.deletion_timestamp.is_some(),
        spec: experiment.spec,
        status: experiment.status.unwrap_or_default(),
        facts,
    }
}

/// The experiment that owns traffic now.
pub fn running(experiments: &[Experiment]) -> Option<&Experiment> {
    experiments.iter().find(|experiment| {
        experiment.status.as_ref().is_some_and(|status| status.phase == Some(ExperimentPhase::Running))
    })
}
