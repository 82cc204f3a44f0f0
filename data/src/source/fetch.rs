//! Brings a source to this machine: a local folder is used where it lies, an object store is copied into the work folder in
//! pieces of bounded size. What was fetched whole is not fetched again while the store's copy is unchanged.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::SourceFile;
use crate::DataError;

/// One request to the store: bounds memory, and the time that a single request takes.
const PIECE_BYTES: u64 = 8 << 20;

/// A source on this machine.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// A folder, or a single file.
    pub path: PathBuf,
}

/// A file that was read, for the report and for the identity of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    pub source: String,
    pub file: String,
    pub bytes: u64,
    pub sha256: String,
}

impl InputFile {
    /// Reads a file through to its digest. Blocking.
    pub fn of(source: &str, file: &SourceFile) -> Result<Self, DataError> {
        let open_error = |error| DataError::Open { path: file.path.clone(), source: error };
        let mut reader = File::open(&file.path).map_err(open_error)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 18];
        let mut bytes = 0;
        loop {
            let read = reader.read(&mut buffer).map_err(open_error)?;
            if read == 0 {
                break;
            }
            bytes += read as u64;
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
        let sha256 = hex::encode(hasher.finalize());
        Ok(Self { source: source.to_owned(), file: file.label.clone(), bytes, sha256 })
    }
}

/// Brings what lies at `uri` to this machine; `into` is the folder for what has to be copied.
pub async fn bring(
    uri: &str,
    into: &Path,
    cancel: &CancellationToken,
    progress: &dyn Fn(&str),
) -> Result<Fetched, DataError> {
    let local = match uri.split_once("://") {
        None => Some(uri),
        Some(("file", path)) if path.starts_with('/') => Some(path),
        Some(_) => None,
    };
    if let Some(path) = local {
        let path = PathBuf::from(path);
        std::fs::metadata(&path).map_err(|source| DataError::Open { path: path.clone(), source })?;
        return Ok(Fetched { path });
    }
    let from = endcap_store::open(uri)?;
    let fetch_error = |object: &str, why: String| DataError::Fetch { object: object.to_owned(), why };
    let objects = if let Ok(single) = from.store.head(&from.prefix).await {
        vec![single]
    } else {
        let mut found: Vec<ObjectMeta> = from
            .store
            .list(Some(&from.prefix))
            .try_collect()
            .await
            .map_err(|source| fetch_error(uri, source.to_string()))?;
        found.sort_by(|a, b| a.location.cmp(&b.location));
        found
    };
    if objects.is_empty() {
        return Err(DataError::EmptyFile {
            file: uri.to_owned(),
            remedy: "nothing lies under this prefix; correct the address, or let the reader list and read it"
                .to_owned(),
        });
    }
    let single = objects.len() == 1 && objects.first().is_some_and(|object| object.location == from.prefix);
    let total: u64 = objects.iter().map(|object| object.size).sum();
    let mut done = 0;
    for object in &objects {
        let relative: Vec<String> = match object.location.prefix_match(&from.prefix) {
            Some(parts) if !single => parts.map(|part| part.as_ref().to_owned()).collect(),
            _ => object.location.filename().map(str::to_owned).into_iter().collect(),
        };
        let target = relative.iter().fold(into.to_owned(), |path, part| path.join(part));
        let piece = |read: u64| progress(&format!("{uri}: {} of {} MiB", (done + read) >> 20, total >> 20));
        copy(&from, object, &target, cancel, &piece).await?;
        done += object.size;
    }
    let name = objects.first().and_then(|object| object.location.filename()).unwrap_or_default();
    Ok(Fetched { path: if single { into.join(name) } else { into.to_owned() } })
}

/// Which copy of the store a fetched file is.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    size: u64,
    e_tag: Option<String>,
    modified: String,
}

async fn copy(
    from: &endcap_store::Location,
    object: &ObjectMeta,
    target: &Path,
    cancel: &CancellationToken,
    progress: &(dyn Fn(u64) + '_),
) -> Result<(), DataError> {
    let write_error = |source| DataError::Write { path: target.to_owned(), source };
    let beside = |ending: &str| {
        let mut name = std::ffi::OsString::from("_");
        name.push(target.file_name().unwrap_or_default());
        name.push(ending);
        target.with_file_name(name)
    };
    let origin = Origin { size: object.size, e_tag: object.e_tag.clone(), modified: object.last_modified.to_rfc3339() };
    let origin_path = beside(".origin");
    let known = std::fs::read(&origin_path).ok().and_then(|text| serde_json::from_slice::<Origin>(&text).ok());
    if known.as_ref() == Some(&origin) && std::fs::metadata(target).is_ok_and(|file| file.len() == object.size) {
        return Ok(());
    }
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(write_error)?;
    }
    let unfinished = beside(".part");
    let mut file = File::create(&unfinished).map_err(write_error)?;
    let mut read = 0;
    while read < object.size {
        let end = (read + PIECE_BYTES).min(object.size);
        let piece = tokio::select! {
            () = cancel.cancelled() => return Err(DataError::Cancelled),
            piece = from.store.get_range(&object.location, read..end) => piece,
        };
        let piece = piece.map_err(|source| DataError::Fetch {
            object: format!("{} of {}", object.location, from.uri),
            why: source.to_string(),
        })?;
        tokio::task::block_in_place(|| file.write_all(&piece)).map_err(write_error)?;
        read = end;
        progress(read);
    }
    file.sync_all().map_err(write_error)?;
    std::fs::rename(&unfinished, target).map_err(write_error)?;
    let text = serde_json::to_vec(&origin).map_err(|source| DataError::Sql(source.to_string()))?;
    std::fs::write(&origin_path, text).map_err(write_error)
}
