//! Canonical tables to an artifact: load -> features -> tune -> fit -> publish.
//!
//! [`train`] is the whole of it; the programs `endcap-trainer` (what a Job runs) and `endcap train` call it. The same dataset, seed,
//! settings, program and CPU feature level give the same artifact digest, whatever the number of threads and however often the
//! training was killed on its way. What an artifact holds: `docs/artifact.md`.
#![forbid(unsafe_code)]

pub mod baseline;
pub mod card;
mod checkpoint;
pub mod deep;
pub mod demand;
mod device;
mod error;
pub mod evaluate;
pub mod features;
pub mod fit;
pub mod learn;
pub mod load;
pub mod machine;
mod merged;
mod options;
pub mod people;
mod plot;
mod profile;
pub mod program;
pub mod progress;
mod publish;
pub mod ranker;
mod report;
mod train;
pub mod tune;
mod versions;

pub use device::DeviceChoice;
pub use endcap_methods::rules;
pub use error::TrainError;
pub use options::{Architecture, Hyper, TrainOptions};
pub use publish::{CARD_FILE, RUN_FILE};
pub use report::{PhaseRun, Run};
pub use train::{Trained, train};

/// Program and release, as manifests name them.
pub const PROGRAM: &str = concat!("endcap-trainer ", env!("CARGO_PKG_VERSION"));
