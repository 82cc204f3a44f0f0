use std::path::PathBuf;

use endcap_tables::TableError;

/// What can go wrong between sources and a dataset. Every variant names the place and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("failed to read the spec {path}: {why}")]
    Spec { path: PathBuf, why: String },
    #[error("{field}: {why}")]
    BadSpec { field: String, why: String },
    #[error("failed to open {path}: {source}")]
    Open { path: PathBuf, source: std::io::Error },
    #[error("failed to write {path}: {source}; free space or choose another folder with --out")]
    Write { path: PathBuf, source: std::io::Error },
    #[error("failed to read {file}: {why}")]
    Read { file: String, why: String },
    #[error("{file} is empty: {remedy}")]
    EmptyFile { file: String, remedy: String },
    #[error("no view {view} in {dir}: expected {view}.parquet, .csv, .jsonl or .json, or a folder {view}; {cost}")]
    MissingView { view: &'static str, dir: String, cost: &'static str },
    #[error("{file} lacks the column {column}; found {found}; rename it in the source or with `columns`")]
    MissingColumn { file: String, column: String, found: String },
    #[error(
        "{file}: column {column} is {found}, expected {expected}; convert it in the source or take it with layout Custom"
    )]
    WrongType { file: String, column: String, found: String, expected: &'static str },
    #[error("two files hold {view}: {first} and {second}; keep one, or put the parts into a folder {view}")]
    Ambiguous { view: String, first: String, second: String },
    #[error("source {source_name}: column {column}: {why}")]
    BadExpression { source_name: String, column: String, why: String },
    #[error("the data is not clean enough: {why}; correct the source, or raise `quality.{limit}` knowingly")]
    Quality { why: String, limit: &'static str },
    #[error("no {table} are left after cleaning: {why}")]
    NothingLeft { table: &'static str, why: String },
    #[error("failed to run SQL: {0}")]
    Sql(String),
    #[error("not enough memory for {stage}: {why}; give more with --memory-mib")]
    Memory { stage: String, why: String },
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Store(#[from] endcap_store::StoreError),
    #[error(transparent)]
    Events(#[from] endcap_feedback::FeedbackError),
    #[error("failed to fetch {object}: {why}; what was fetched is kept, so run the same command again")]
    Fetch { object: String, why: String },
    #[error("stopped on request; run the same command again to go on from here")]
    Cancelled,
}

impl DataError {
    /// The reason that an operator shows: stable and CamelCase.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Spec { .. } | Self::BadSpec { .. } | Self::BadExpression { .. } => "InvalidSpec",
            Self::MissingView { .. } | Self::MissingColumn { .. } | Self::Ambiguous { .. } => "LayoutMismatch",
            Self::EmptyFile { .. } | Self::NothingLeft { .. } => "NoData",
            Self::WrongType { .. } | Self::Quality { .. } => "DataQuality",
            Self::Memory { .. } => "OutOfMemory",
            Self::Cancelled => "Cancelled",
            Self::Events(source) => match source {
                endcap_feedback::FeedbackError::SameFolder(_) => "InvalidSpec",
                endcap_feedback::FeedbackError::Stopped => "Cancelled",
                endcap_feedback::FeedbackError::Tables(_) => "CorruptDataset",
                _ => "SourceUnavailable",
            },
            Self::Table(_) => "CorruptDataset",
            Self::Store(_) | Self::Fetch { .. } | Self::Open { .. } | Self::Read { .. } => "SourceUnavailable",
            Self::Write { .. } => "NotWritable",
            Self::Sql(_) => "SqlFailed",
        }
    }

    /// Exit code of `endcap-data`: 3 for data that is at fault, 4 for a source that cannot be read now, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self.reason() {
            "LayoutMismatch" | "NoData" | "DataQuality" | "CorruptDataset" => 3,
            "SourceUnavailable" => 4,
            _ => 1,
        }
    }
}

impl From<datafusion::error::DataFusionError> for DataError {
    /// Errors of our own readers travel through DataFusion as external errors; they come out as what they were.
    fn from(error: datafusion::error::DataFusionError) -> Self {
        use datafusion::error::DataFusionError as E;
        let text = error.strip_backtrace();
        match unwrapped(error) {
            E::External(inner) => match inner.downcast::<DataError>() {
                Ok(own) => *own,
                Err(other) => Self::Sql(other.to_string()),
            },
            E::ResourcesExhausted(why) => Self::Memory { stage: "a query".to_owned(), why },
            _ => Self::Sql(text),
        }
    }
}

fn unwrapped(error: datafusion::error::DataFusionError) -> datafusion::error::DataFusionError {
    use datafusion::error::DataFusionError as E;
    match error {
        E::Context(_, inner) | E::Diagnostic(_, inner) => unwrapped(*inner),
        E::ArrowError(inner, trace) => match *inner {
            arrow_schema::ArrowError::ExternalError(source) => match source.downcast::<E>() {
                Ok(inner) => unwrapped(*inner),
                Err(source) => E::External(source),
            },
            other => E::ArrowError(Box::new(other), trace),
        },
        E::Shared(inner) => match std::sync::Arc::try_unwrap(inner) {
            Ok(inner) => unwrapped(inner),
            // Whoever else holds it, a query that ran out of memory must be known for one: it is tried again in another way.
            Err(inner) if matches!(inner.find_root(), E::ResourcesExhausted(_)) => {
                E::ResourcesExhausted(inner.find_root().strip_backtrace())
            }
            Err(inner) => E::Execution(inner.strip_backtrace()),
        },
        other => other,
    }
}

impl From<DataError> for datafusion::error::DataFusionError {
    fn from(error: DataError) -> Self {
        Self::External(Box::new(error))
    }
}
