//! The state on disk: one file, replaced as a whole, with the place in the log that it stands for.

use std::io::Write;
use std::path::{Path, PathBuf};

use endcap_eventlog::client::TailPlace;
use serde::{Deserialize, Serialize};

use crate::fold::{Limits, State};

const FORMAT: &str = "endcap-insights/2";
const FILE: &str = "insights.json.zst";

#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("failed to use the folder {path}: {source}; give a folder of its own that can be written with --data")]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("failed to keep {path}: {source}; make room, or give another folder with --data")]
    Write { path: PathBuf, source: std::io::Error },
}

#[derive(Serialize)]
struct Out<'a> {
    format: &'a str,
    log_id: &'a str,
    state: &'a State,
}

#[derive(Deserialize)]
struct In {
    format: String,
    log_id: String,
    state: State,
}

/// Where files are kept.
#[derive(Clone, Debug)]
pub struct Keeper {
    folder: PathBuf,
}

impl Keeper {
    pub fn open(folder: &Path) -> Result<Self, KeepError> {
        let failed = |source| KeepError::Folder { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The state as it was kept and its place in the log. None when there is none, or none that can be used: then the log is folded again
    /// from its oldest event, and the reason is logged.
    pub fn read(&self, limits: &Limits) -> Option<(State, TailPlace)> {
        let path = self.folder.join(FILE);
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "failed to read the kept state; the log is folded again");
                return None;
            }
        };
        let read = zstd::stream::read::Decoder::new(file).map_err(|error| error.to_string()).and_then(|decoder| {
            serde_json::from_reader::<_, In>(std::io::BufReader::new(decoder)).map_err(|error| error.to_string())
        });
        let kept = match read {
            Ok(kept) if kept.format == FORMAT => kept,
            Ok(kept) => {
                tracing::warn!(format = kept.format, "the kept state is of another release; the log is folded again");
                return None;
            }
            Err(error) => {
                tracing::error!(path = %path.display(), error, "the kept state is damaged; the log is folded again");
                return None;
            }
        };
        if kept.state.limits != *limits {
            tracing::warn!("the kept state was folded with other limits; the log is folded again");
            return None;
        }
        let mut state = kept.state;
        state.index();
        let place = TailPlace { log_id: kept.log_id, next: state.next_offset() };
        Some((state, place))
    }

    /// Keeps the state: either the old file or the new one is there, whatever happens. Returns its size in bytes.
    pub fn write(&self, state: &State, log_id: &str) -> Result<u64, KeepError> {
        self.replace(FILE, |file| {
            let mut encoder = zstd::stream::write::Encoder::new(file, 1)?;
            encoder.include_checksum(true)?;
            let mut out = std::io::BufWriter::with_capacity(256 * 1024, encoder);
            serde_json::to_writer(&mut out, &Out { format: FORMAT, log_id, state })?;
            out.into_inner().map_err(std::io::IntoInnerError::into_error)?.finish()
        })
    }

    /// Writes a file in one piece.
    pub fn replace(
        &self,
        name: &str,
        write: impl FnOnce(std::fs::File) -> std::io::Result<std::fs::File>,
    ) -> Result<u64, KeepError> {
        let path = self.folder.join(name);
        let temporary = self.folder.join(format!("{name}.new"));
        let replaced = (|| {
            let file = write(std::fs::File::create(&temporary)?)?;
            file.sync_all()?;
            let bytes = file.metadata()?.len();
            std::fs::rename(&temporary, &path)?;
            std::fs::File::open(&self.folder)?.sync_all()?;
            Ok(bytes)
        })();
        replaced.map_err(|source| KeepError::Write { path, source })
    }

    /// A small JSON file; none when it is not there or not readable, which is logged.
    pub fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        let path = self.folder.join(name);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "failed to read a kept file");
                return None;
            }
        };
        serde_json::from_slice(&text)
            .inspect_err(|error| tracing::error!(path = %path.display(), %error, "a kept file is damaged"))
            .ok()
    }

    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), KeepError> {
        self.replace(name, |mut file| {
            serde_json::to_writer_pretty(&mut file, value)?;
            file.write_all(b"\n")?;
            Ok(file)
        })
        .map(|_| ())
    }
}
