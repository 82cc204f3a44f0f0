//! The artifact: an immutable trained version as named objects of bytes, and the manifest that names them by SHA-256.
//!
//! Objects are safetensors (numbers and string tables) and JSON; nothing in them can be executed. What is written here can be
//! read by any safetensors library: `docs/artifact.md`.

mod columns;
mod manifest;

pub use columns::{Columns, ColumnsBuilder, Strings};
pub use manifest::{ArtifactManifest, DatasetSummary, FORMAT, Metric, ObjectEntry};

/// What can be wrong inside an object whose digest is right: it was written by another version or another program.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    #[error("failed to read object {object}: {source}")]
    Tensors { object: &'static str, source: safetensors::SafeTensorError },
    #[error("failed to read object {object}: column {column} is missing; train the version again with this release")]
    MissingColumn { object: &'static str, column: String },
    #[error("failed to read object {object}: column {column} {why}; train the version again with this release")]
    BadColumn { object: &'static str, column: String, why: String },
    #[error("failed to read object {object}: {source}")]
    Json { object: &'static str, source: serde_json::Error },
    #[error("artifact format {found:?} is not {FORMAT:?}; serve it with the release that wrote it, or train again")]
    Format { found: String },
    #[error("the artifact has no object {0:?}; train the version again with this release")]
    MissingObject(&'static str),
}
