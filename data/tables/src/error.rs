use std::path::PathBuf;

/// What can be wrong with a canonical table. Every variant names the file and, where there is one, the column and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("failed to open {path}: {source}")]
    Open { path: PathBuf, source: std::io::Error },
    #[error("failed to write {path}: {source}; free space or choose another folder with --out")]
    Write { path: PathBuf, source: std::io::Error },
    #[error("failed to read {path} as Parquet: {source}; write the file again from its source")]
    Parquet { path: PathBuf, source: parquet::errors::ParquetError },
    #[error("failed to encode table {table}: {source}")]
    Encode { table: &'static str, source: parquet::errors::ParquetError },
    #[error("failed to read table {table}: column {column} is missing; the canonical table needs it as {expected}")]
    MissingColumn { table: &'static str, column: &'static str, expected: String },
    #[error(
        "failed to read table {table}: column {column} is {found}, expected {expected}; convert it in the source or with `columns`"
    )]
    WrongType { table: &'static str, column: &'static str, found: String, expected: String },
    #[error("failed to read table {table}: column {column} is empty in row {row}, but it must have a value")]
    Null { table: &'static str, column: &'static str, row: usize },
    #[error("failed to read table {table}: row {row} has {value} in column {column}; expected {expected}")]
    BadValue { table: &'static str, column: &'static str, row: usize, value: String, expected: &'static str },
    #[error("failed to write table {table}: column {column} is {found}, expected {expected}")]
    BadColumn { table: &'static str, column: String, found: String, expected: String },
    #[error(
        "failed to find the dataset manifest {path}: {source}; run `endcap data check` on the folder, or prepare it with `endcap-data prepare`"
    )]
    NoManifest { path: PathBuf, source: std::io::Error },
    #[error("failed to read the dataset manifest {path}: {source}")]
    Manifest { path: PathBuf, source: serde_json::Error },
    #[error(
        "{path} is not what the dataset manifest says: expected SHA-256 {expected}, found {found}; prepare the dataset again"
    )]
    Corrupt { path: PathBuf, expected: String, found: String },
    #[error("table {table} is empty in {path}: {remedy}")]
    Empty { table: &'static str, path: PathBuf, remedy: &'static str },
}
