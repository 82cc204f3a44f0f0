//! What is to be done, in the domain's words.

use std::collections::BTreeMap;

use endcap_crds::ModelVersionSpec;
use endcap_crds::experiment::status::ExperimentStatus;
use endcap_crds::model_version::status::ModelVersionStatus;
use endcap_crds::recommender_model::status::RecommenderModelStatus;
use endcap_routing::table::Table;
use jiff::Timestamp;

/// A plan. Carried out in the order of its fields: statuses first (they are the memory), then what follows from them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub status: RecommenderModelStatus,
    /// Statuses of versions, by name; those that do not change are there too.
    pub versions: BTreeMap<String, ModelVersionStatus>,
    pub experiments: BTreeMap<String, ExperimentStatus>,
    /// Versions to create. A name that exists already means: somebody was faster, look again.
    pub create: Vec<(String, ModelVersionSpec)>,
    /// Trainings that must run; every other one that runs is ended.
    pub trainings: Vec<TrainingRun>,
    /// Predictors to keep, by version; those of other versions are ended once they have drained.
    pub arms: BTreeMap<String, i32>,
    /// The table to sign and send; none while there is nothing to route to.
    pub table: Option<Table>,
    /// Routers that do not take the table and are started anew.
    pub replace_routers: Vec<String>,
    /// Versions whose artifact is to be deleted.
    pub expire: Vec<String>,
    pub events: Vec<Event>,
    /// When to look again if nothing happens before.
    pub wake_at: Option<Timestamp>,
}

/// A training to run.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingRun {
    pub version: String,
    pub spec: ModelVersionSpec,
    /// Artifact of the version that is active, to be measured on the same data.
    pub active: Option<String>,
    pub deadline_s: i64,
    pub backoff_limit: i32,
}

/// Something that happened, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub about: About,
    pub reason: &'static str,
    pub note: String,
    pub warning: bool,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    Model,
    Version(String),
    Experiment(String),
}

impl Plan {
    pub(crate) fn say(&mut self, about: About, reason: &'static str, note: impl Into<String>) {
        self.events.push(Event { about, reason, note: note.into(), warning: false });
    }

    pub(crate) fn warn(&mut self, about: About, reason: &'static str, note: impl Into<String>) {
        self.events.push(Event { about, reason, note: note.into(), warning: true });
    }

    /// Looks again then, or earlier.
    pub(crate) fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }
}
