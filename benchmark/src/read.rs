//! Which files a layout reads, and their text.

use std::path::{Path, PathBuf};

use crate::BenchmarkError;

/// A file's text with the name that errors call it by.
#[derive(Clone, Debug)]
pub struct File {
    pub name: String,
    pub text: String,
}

impl File {
    pub fn open(path: &Path, remedy: &str) -> Result<Self, BenchmarkError> {
        let text = std::fs::read_to_string(path).map_err(|source| BenchmarkError::Read {
            path: path.to_owned(),
            source,
            remedy: remedy.to_owned(),
        })?;
        Ok(Self { name: path.display().to_string(), text })
    }

    pub fn as_text(&self) -> endcap_methods::format::Text<'_> {
        endcap_methods::format::Text { name: &self.name, text: &self.text }
    }
}

/// The one file of a folder whose name ends so.
pub fn ending(folder: &Path, suffix: &str, remedy: &'static str) -> Result<PathBuf, BenchmarkError> {
    let failed = |source| BenchmarkError::Read { path: folder.to_owned(), source, remedy: remedy.to_owned() };
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(suffix)) {
            found.push(path);
        }
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        _ => Err(BenchmarkError::Files {
            folder: folder.to_owned(),
            wanted: format!("*{suffix}"),
            found: found.len(),
            remedy,
        }),
    }
}

/// The one file of that name in a folder or right below it.
pub fn within(folder: &Path, name: &str, remedy: &'static str) -> Result<PathBuf, BenchmarkError> {
    let failed = |source| BenchmarkError::Read { path: folder.to_owned(), source, remedy: remedy.to_owned() };
    let mut found: Vec<PathBuf> = Vec::from([folder.join(name)]);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        found.push(entry.map_err(failed)?.path().join(name));
    }
    found.retain(|path| path.is_file());
    match found.as_slice() {
        [one] => Ok(one.clone()),
        _ => Err(BenchmarkError::Files {
            folder: folder.to_owned(),
            wanted: name.to_owned(),
            found: found.len(),
            remedy,
        }),
    }
}
