//! The four kinds of Endcap's API group `endcap.dev/v1alpha1`, their schemas and their validation.
//!
//! This crate knows no client, no runtime and no model code: it is types, the schemas that follow from them, and
//! a validation that answers as an API server would, so that one machine without a cluster keeps the same promises.
//!
//! * [`crd`] is the definition of a kind as it lies under `crds/`, [`yaml`](schema::yaml()) its text.
//! * [`apply_defaults`] and [`validate`] are what an API server does to an object before it is stored.
//! * [`reasons`] holds the stable names of conditions, reasons, events, labels and annotations.

#![forbid(unsafe_code)]
// Doc comments of fields are what `kubectl explain` prints: plain text, without backticks.
#![allow(clippy::doc_markdown)]
// Printer columns repeat keys such as `type_` by design.
#![allow(clippy::duplicated_attributes)]

pub mod common;
pub mod experiment;
pub mod kind;
pub mod model_version;
pub mod promotion_policy;
pub mod reasons;
pub mod recommender_model;
pub mod schema;
pub mod sign_off;
pub mod validate;

pub use experiment::{Experiment, ExperimentSpec};
pub use kind::{API_VERSION, GROUP, Kind, VERSION};
pub use model_version::{ModelVersion, ModelVersionSpec};
pub use promotion_policy::{PromotionPolicy, PromotionPolicySpec};
pub use recommender_model::{RecommenderModel, RecommenderModelSpec};
pub use schema::crd;
pub use sign_off::SignOff;
pub use validate::{Violation, apply_defaults, nearest, validate};
