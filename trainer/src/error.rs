//! What can stop a training, with the exit code that says which kind it was.

use std::path::PathBuf;

/// Every variant names the place and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("{0}")]
    Tables(#[source] Box<endcap_tables::TableError>),
    #[error("{0}")]
    Store(#[source] Box<endcap_store::StoreError>),
    #[error("{0}")]
    Artifact(#[source] Box<endcap_recommender::artifact::ArtifactError>),
    #[error(
        "failed to publish to {uri}: {source}; free space or correct the address, then start again: what is done is kept"
    )]
    Publish { uri: String, source: Box<endcap_store::StoreError> },
    #[error("failed to list {uri}: {source}")]
    List { uri: String, source: object_store::Error },
    #[error("failed to write {path}: {source}; free space or choose another folder with {flag}")]
    Write { path: PathBuf, flag: &'static str, source: std::io::Error },
    #[error("the dataset {0} has no table {1}; prepare it again with one (docs/data.md says what it holds)")]
    NoTable(PathBuf, &'static str),
    #[error(
        "the dataset {dir} has no order to learn from: {orders} rows in orders, {placed} of them placed, {lines} usable lines; check its cleaning report with `endcap data check`"
    )]
    NoOrders { dir: PathBuf, orders: u64, placed: u64, lines: u64 },
    #[error("{uri} already holds another artifact ({found}); artifacts are immutable: choose another --out")]
    OutTaken { uri: String, found: String },
    #[error("version {version} of {model} is taken in {uri}: the store goes up to version {highest}; train as version {next}", next = highest + 1)]
    VersionTaken { uri: String, model: String, version: u64, highest: u64 },
    #[error("{what} is \"{value}\"; {remedy}")]
    Option { what: String, value: String, remedy: String },
    #[error("failed to start {threads} worker threads: {source}; ask for fewer with --threads")]
    Threads { threads: usize, source: rayon::ThreadPoolBuildError },
    #[error("failed to start the training's own tokio runtime: {0}")]
    Runtime(std::io::Error),
    #[error("failed to write {what} as JSON: {source}")]
    Json { what: &'static str, source: serde_json::Error },
    #[error("failed to solve {what}: {why}")]
    Solve { what: &'static str, why: String },
    #[error("failed to compute {what}: {source}")]
    Tensor { what: &'static str, source: Box<candle_core::Error> },
    #[error(
        "spec.training.device (--device) is Gpu, and this endcap-trainer was built without CUDA; use an image whose trainer has the feature cuda (the operator takes --gpu-image, else its own image with -gpu after its tag), or write Cpu"
    )]
    NoCuda,
    #[error(
        "spec.training.device (--device) is Gpu, and no GPU can be used: {0}; ask for one in spec.training.resources.limits, such as nvidia.com/gpu: 1, on a node whose driver knows the image's CUDA, or write Cpu"
    )]
    NoGpu(#[source] Box<candle_core::Error>),
    #[error("{0}; correct --events, or train without it")]
    Events(Box<endcap_feedback::FeedbackError>),
    #[error("the training was told to stop during {0}; start it again with the same options and it goes on from there")]
    Stopped(&'static str),
}

// Boxed, because a result is passed through every step and these errors are large.
macro_rules! boxed {
    ($variant:ident, $source:ty) => {
        impl From<$source> for TrainError {
            fn from(source: $source) -> Self {
                Self::$variant(Box::new(source))
            }
        }
    };
}
boxed!(Events, endcap_feedback::FeedbackError);
boxed!(Tables, endcap_tables::TableError);
boxed!(Store, endcap_store::StoreError);
boxed!(Artifact, endcap_recommender::artifact::ArtifactError);

/// What is not there yet, or cannot be reached, may be at the next try; what is wrong in itself stays wrong.
fn events_exit_code(error: &endcap_feedback::FeedbackError) -> u8 {
    use endcap_eventlog::export::ExportError;
    use endcap_feedback::FeedbackError;
    match error {
        FeedbackError::Stopped => 5,
        FeedbackError::Export(source) => match **source {
            ExportError::Broken { .. } | ExportError::Missing { .. } => 2,
            _ => 1,
        },
        FeedbackError::Tables(source) => match **source {
            endcap_tables::TableError::Open { .. } | endcap_tables::TableError::Write { .. } => 1,
            _ => 2,
        },
        FeedbackError::NotExported { .. } => 1,
        _ => 2,
    }
}

impl TrainError {
    /// Exit codes: 1 anything else, 2 wrong options or no usable data (running it again does not help), 3 version taken,
    /// 4 output taken, 5 told to stop. Codes 1 and 5 are worth another try: the work so far is kept.
    pub fn exit_code(&self) -> u8 {
        use endcap_tables::TableError as Table;
        match self {
            Self::Option { .. } | Self::NoOrders { .. } | Self::NoTable(..) | Self::NoCuda => 2,
            // What cannot be opened or written may be there at the next try; what is wrong in itself stays wrong.
            Self::Tables(source) => match **source {
                Table::Open { .. } | Table::Write { .. } | Table::Encode { .. } => 1,
                _ => 2,
            },
            Self::Events(source) => events_exit_code(source),
            Self::VersionTaken { .. } => 3,
            Self::OutTaken { .. } => 4,
            Self::Store(source) if matches!(**source, endcap_store::StoreError::Taken { .. }) => 4,
            Self::Stopped(_) => 5,
            _ => 1,
        }
    }

    /// CamelCase word for the termination message.
    pub fn outcome(&self) -> &'static str {
        match self.exit_code() {
            2 => "InvalidInput",
            3 => "VersionTaken",
            4 => "OutputTaken",
            5 => "Stopped",
            _ => "Failed",
        }
    }
}
