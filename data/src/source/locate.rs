//! Which files of a folder belong to which table.

use std::path::{Path, PathBuf};

use std::sync::{Arc, OnceLock};

use arrow_schema::SchemaRef;

use crate::DataError;
use crate::spec::Format;

/// One file of a source.
#[derive(Clone, Debug)]
pub struct SourceFile {
    pub path: PathBuf,
    /// How messages and examples name it: relative to the source's folder.
    pub label: String,
    pub format: Format,
    /// Its columns, once they were looked at: for JSON lines that takes a pass over the file.
    pub(super) columns: Arc<OnceLock<SchemaRef>>,
}

impl SourceFile {
    fn new(path: PathBuf, label: String, format: Format) -> Self {
        Self { path, label, format, columns: Arc::default() }
    }
}

impl Format {
    pub fn of_ending(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "parquet" | "pq" => Some(Self::Parquet),
            "csv" | "tsv" | "txt" => Some(Self::Csv),
            "jsonl" | "json" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

/// Names compare without case and underscores: `SalesDate` = `sales_date`.
pub fn same_name(a: &str, b: &str) -> bool {
    let normal = |text: &str| -> String {
        text.chars().filter(|c| !matches!(c, '_' | ' ' | '-')).flat_map(char::to_lowercase).collect()
    };
    normal(a) == normal(b)
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let open_error = |source| DataError::Open { path: dir.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(open_error)? {
        let path = entry.map_err(open_error)?.path();
        let hidden = path.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.starts_with(['.', '_']));
        if !hidden {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn label(path: &Path, root: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    if relative.as_os_str().is_empty() {
        path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    } else {
        relative.to_string_lossy().into_owned()
    }
}

/// All data files at a path: the file itself, or the files of a folder (not of folders below it), in the order of their names.
/// A format that is given decides; else a file's ending does, and files with other endings are passed over.
pub fn files_at(path: &Path, root: &Path, format: Option<Format>) -> Result<Vec<SourceFile>, DataError> {
    let found = if path.is_dir() { list(path)? } else { vec![path.to_owned()] };
    let mut files = Vec::new();
    for file in found {
        let ending = Format::of_ending(&file);
        let wanted = match (format, ending) {
            (Some(format), Some(ending)) if path.is_dir() => (format == ending).then_some(format),
            (Some(format), _) => Some(format),
            (None, ending) => ending,
        };
        match wanted {
            Some(format) if file.is_file() => {
                files.push(SourceFile::new(file.clone(), label(&file, root), format));
            }
            None if !path.is_dir() => {
                return Err(DataError::Read {
                    file: label(&file, root),
                    why: "its ending does not say what it is; name it .parquet, .csv or .jsonl, or set object.format"
                        .to_owned(),
                });
            }
            _ => {}
        }
    }
    if files.is_empty() {
        std::fs::metadata(path).map_err(|source| DataError::Open { path: path.to_owned(), source })?;
        return Err(DataError::EmptyFile {
            file: label(path, root),
            remedy: "no .parquet, .csv, .jsonl or .json file lies there; put the exported files into it".to_owned(),
        });
    }
    Ok(files)
}

/// The files of one view or table in a folder: `<name>.<ending>`, or a folder `<name>` with parts. `None` when there is none.
pub fn named_files(dir: &Path, name: &str, format: Option<Format>) -> Result<Option<Vec<SourceFile>>, DataError> {
    let mut found: Option<PathBuf> = None;
    for path in list(dir)? {
        let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
        let matches = stem.and_then(|stem| stem.to_str()).is_some_and(|stem| same_name(stem, name));
        let readable = path.is_dir() || format.is_some() || Format::of_ending(&path).is_some();
        if !matches || !readable {
            continue;
        }
        if let Some(first) = found {
            return Err(DataError::Ambiguous {
                view: name.to_owned(),
                first: label(&first, dir),
                second: label(&path, dir),
            });
        }
        found = Some(path);
    }
    let Some(path) = found else { return Ok(None) };
    // In a folder of views each file says itself what it is; `format` is for files without a known ending.
    let format = if path.is_dir() || Format::of_ending(&path).is_some() { None } else { format };
    files_at(&path, dir, format).map(Some)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn views_are_found_by_name_without_case_and_underscores() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["mv_sales.CSV", "MV_SalesDetail.parquet", "MVSetupCity.jsonl", "notes.md", "_tmp.csv"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        std::fs::create_dir(dir.path().join("mv_stock")).unwrap();
        for part in ["b.csv", "a.csv", "_SUCCESS"] {
            std::fs::write(dir.path().join("mv_stock").join(part), "x").unwrap();
        }
        let labels = |name: &str| {
            named_files(dir.path(), name, None)
                .unwrap()
                .map(|files| files.into_iter().map(|file| file.label).collect::<Vec<_>>())
        };
        assert_eq!(labels("MV_Sales").unwrap(), ["mv_sales.CSV"]);
        assert_eq!(labels("MV_SetupCity").unwrap(), ["MVSetupCity.jsonl"]);
        assert_eq!(labels("MV_Stock").unwrap(), ["mv_stock/a.csv", "mv_stock/b.csv"]);
        assert_eq!(labels("MV_Promotion"), None);
        std::fs::write(dir.path().join("MV_Sales.parquet"), "x").unwrap();
        let error = named_files(dir.path(), "MV_Sales", None).unwrap_err().to_string();
        assert!(error.contains("two files hold MV_Sales"), "{error}");
    }

    #[test]
    fn a_file_without_a_known_ending_needs_a_format() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("export.dat");
        std::fs::write(&path, "x").unwrap();
        assert!(files_at(&path, dir.path(), None).unwrap_err().to_string().contains("object.format"));
        assert_eq!(files_at(&path, dir.path(), Some(Format::Csv)).unwrap().len(), 1);
        assert!(files_at(&dir.path().join("gone"), dir.path(), None).is_err());
    }
}
