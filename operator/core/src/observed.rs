//! What is observed of one model: objects as they are stored, and facts of what runs. Facts that could not be had are `None`, never
//! guessed.

use std::collections::BTreeMap;

use endcap_crds::experiment::status::ExperimentStatus;
use endcap_crds::model_version::status::{Metric, ModelVersionStatus};
use endcap_crds::recommender_model::status::{ArmCounts, RecommenderModelStatus};
use endcap_crds::{ExperimentSpec, ModelVersionSpec, PromotionPolicySpec, RecommenderModelSpec};
use endcap_routing::table::{ArmWeight, Table};
use jiff::{SignedDuration, Timestamp};

/// Everything that is known of one model.
#[derive(Debug, Clone)]
pub struct Observed {
    pub model: Model,
    pub policy: Policy,
    pub versions: Vec<Version>,
    pub experiments: Vec<Experiment>,
    /// By version, of trainings whose outcome is not recorded yet.
    pub trainings: BTreeMap<String, Training>,
    /// Predictors by version.
    pub arms: BTreeMap<String, Arm>,
    pub routers: Vec<Router>,
    /// The table that was signed last.
    pub table: Option<Table>,
    /// What routers have counted; none while it cannot be read.
    pub counters: Option<Counters>,
    /// What insights say; none while they cannot be asked.
    pub insights: Option<Insights>,
    /// The data as it would be learned from now; none when nobody looked.
    pub dataset: Option<Dataset>,
    /// Trainings that may start now, over all models.
    pub free_trainings: u32,
    /// Images of the operator's release.
    pub release: Release,
}

#[derive(Debug, Clone)]
pub struct Model {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub generation: i64,
    pub created_at: Timestamp,
    pub deleting: bool,
    /// Who changed the promotion last, as the annotation says.
    pub promoted_by: Option<String>,
    pub spec: RecommenderModelSpec,
    pub status: RecommenderModelStatus,
    /// The stable address.
    pub url: Option<String>,
}

#[derive(Debug, Clone)]
pub enum Policy {
    /// The model names none.
    BuiltIn,
    Found {
        name: String,
        spec: Box<PromotionPolicySpec>,
    },
    Missing {
        name: String,
    },
}

#[derive(Debug, Clone)]
pub struct Version {
    pub name: String,
    pub generation: i64,
    pub created_at: Timestamp,
    pub deleting: bool,
    pub pinned: bool,
    /// What the annotation `endcap.dev/sign-off` holds.
    pub sign_off: Option<String>,
    pub spec: ModelVersionSpec,
    pub status: ModelVersionStatus,
}

#[derive(Debug, Clone)]
pub struct Experiment {
    pub name: String,
    pub uid: String,
    pub generation: i64,
    pub created_at: Timestamp,
    pub deleting: bool,
    pub spec: ExperimentSpec,
    pub status: ExperimentStatus,
    /// What insights computed of it; none when they could not be asked or saw nothing.
    pub facts: Option<ExperimentFacts>,
}

/// A training that runs or has ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Training {
    /// It waits for a node, or is being started.
    Pending {
        since: Timestamp,
    },
    Running {
        attempt: i32,
        started_at: Timestamp,
        percent: Option<i32>,
        eta_s: Option<i64>,
        reported_at: Option<Timestamp>,
    },
    Succeeded(Box<Outcome>),
    /// It will not be tried again.
    Failed {
        reason: String,
        message: String,
        attempts: i32,
        started_at: Option<Timestamp>,
        finished_at: Timestamp,
    },
    /// Its number is taken in the store.
    Taken {
        highest: i32,
        finished_at: Timestamp,
    },
}

/// What a training produced.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub attempts: i32,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub gpu_seconds: Option<i64>,
    pub uri: String,
    pub manifest_sha256: String,
    pub size_bytes: i64,
    pub format_version: i32,
    pub dataset_sha256: String,
    pub rows: i64,
    pub min_time: Option<Timestamp>,
    pub max_time: Option<Timestamp>,
    /// Events of the log before this offset are in it.
    pub events_until: Option<i64>,
    pub metrics: Vec<Metric>,
    pub baseline_metrics: Vec<Metric>,
    pub customers: i64,
    pub orders: i64,
    pub products: i64,
}

/// Predictors of one version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arm {
    pub replicas: i32,
    pub ready: i32,
    /// Where routers find them.
    pub endpoints: Vec<String>,
    /// They refuse the artifact: why.
    pub integrity_failure: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Router {
    pub name: String,
    /// It answers; one that does not is not waited for.
    pub ready: bool,
    /// Requests are sent to it: it takes part in the stable Service.
    pub in_service: bool,
    /// What it says is in effect.
    pub revision: Option<u64>,
    pub hash: Option<String>,
    pub weights: Vec<ArmWeight>,
    /// Since when it is ready without the table that was signed last.
    pub behind_since: Option<Timestamp>,
}

/// Sums over all routers, across their restarts. Another `epoch` means that counting began anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Counters {
    pub epoch: String,
    /// Upper bounds of the latency histogram in milliseconds; one more bucket holds what is slower.
    pub bounds_ms: Vec<f64>,
    pub arms: Vec<ArmCounts>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Insights {
    /// Figures of the window that is being judged, by version and arm.
    pub arms: Vec<ArmFigures>,
    /// The last whole drift window.
    pub drift: Option<crate::drift::Window>,
}

/// A figure with its uncertainty, over units.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figure {
    pub value: f64,
    pub se: f64,
    pub n: i64,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArmFigures {
    pub version: String,
    pub arm: String,
    pub ctr: Option<Figure>,
    pub coverage: Option<Figure>,
    pub diversity: Option<Figure>,
    pub score_psi: Option<Figure>,
}

/// An experiment as insights analysed it, by user.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExperimentFacts {
    pub arms: Vec<ExperimentArm>,
    pub srm_p_value: Option<f64>,
    pub required_per_arm: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExperimentArm {
    pub name: String,
    pub users: i64,
    pub exposures: i64,
    pub events: i64,
    pub value: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub lift: Option<f64>,
    pub p_value: Option<f64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dataset {
    pub sha256: String,
    pub rows: i64,
}

/// What the operator's own release brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub training_image: String,
    pub serving_image: String,
    pub data_uri: String,
}

impl Observed {
    pub fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == name)
    }

    pub fn arm(&self, version: &str) -> Arm {
        self.arms.get(version).cloned().unwrap_or_default()
    }
}

/// A duration of the spec. What an API server stored has been validated; what has not counts as nothing.
pub(crate) fn span(text: &endcap_crds::common::text::DurationText) -> SignedDuration {
    SignedDuration::from_millis(text.as_millis().ok().and_then(|ms| i64::try_from(ms).ok()).unwrap_or(0))
}

/// A moment some time later; at the end of time when it lies beyond.
pub(crate) fn after(moment: Timestamp, span: SignedDuration) -> Timestamp {
    moment.checked_add(span).unwrap_or(Timestamp::MAX)
}
