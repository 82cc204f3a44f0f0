use std::path::PathBuf;

/// What can go wrong in making, reading or running a world. Every variant names the place and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    #[error("failed to accept the world's size: {field} is {value}, expected {expected}")]
    BadSpec { field: &'static str, value: String, expected: &'static str },
    #[error("failed to handle the tables of the world: {0}")]
    Table(#[from] endcap_tables::TableError),
    #[error("failed to write {path}: {source}; free space or choose another folder")]
    Write { path: PathBuf, source: std::io::Error },
    #[error("failed to open the truth file {path}: {source}; generate the world again with `endcap data generate`")]
    Open { path: PathBuf, source: std::io::Error },
    #[error("failed to read {path}, line {line}: {source}; generate the world again with `endcap data generate`")]
    Json { path: PathBuf, line: usize, source: serde_json::Error },
    #[error("failed to read {path}, line {line}: {what}; dataset and truth must come from one `endcap data generate`")]
    Mismatch { path: PathBuf, line: usize, what: String },
    #[error("failed to read offer {offer}: {source}; write scope and terms as docs/data.md says")]
    Offer { offer: String, source: serde_json::Error },
    #[error("failed to start shopping: {field} is {value}, expected {expected}")]
    BadLive { field: &'static str, value: String, expected: &'static str },
    #[error("failed to make the HTTP client: {0}")]
    Client(reqwest::Error),
}
