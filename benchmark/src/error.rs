//! What can stop an evaluation, with the exit code that says which kind it was.

use std::path::PathBuf;

use endcap_methods::format::FormatError;
use endcap_methods::suite::fitted::FitError;

/// Every variant names the place and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum BenchmarkError {
    #[error("{0}")]
    Format(#[from] FormatError),
    #[error("{0}")]
    Fit(#[from] FitError),
    #[error("failed to read {path}: {source}; {remedy}")]
    Read { path: PathBuf, source: std::io::Error, remedy: String },
    #[error("{folder} holds {found} files named {wanted}; {remedy}")]
    Files { folder: PathBuf, wanted: String, found: usize, remedy: &'static str },
    #[error("{what} is \"{value}\"; {remedy}")]
    Option { what: &'static str, value: String, remedy: &'static str },
    #[error("failed to understand {path}: {source}; write it with `endcap tune --task {task}`")]
    Tuned { path: PathBuf, task: &'static str, source: serde_json::Error },
    #[error("failed to write {path}: {source}; free space or choose another place with {flag}")]
    Write { path: PathBuf, flag: &'static str, source: std::io::Error },
    #[error("failed to write {what} as JSON: {source}")]
    Json { what: &'static str, source: serde_json::Error },
    #[error("failed to start {threads} worker threads: {source}; ask for fewer with --threads")]
    Threads { threads: usize, source: rayon::ThreadPoolBuildError },
}

impl BenchmarkError {
    /// 2 is wrong options or unusable data: running it again does not help; 1 is anything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Format(_) | Self::Read { .. } | Self::Files { .. } | Self::Option { .. } | Self::Tuned { .. } => 2,
            Self::Fit(_) | Self::Write { .. } | Self::Json { .. } | Self::Threads { .. } => 1,
        }
    }
}
