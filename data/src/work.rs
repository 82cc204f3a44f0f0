//! The work folder of a run: what is staged there can be used by the next run of the same input.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::DataError;

const STATE_FILE: &str = "run.json";
const PREFIX: &str = ".prepare-";

/// What a work folder belongs to.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    input: String,
    /// The clock of the run that began: "in the future" means the same in every attempt.
    now: Timestamp,
}

/// A folder below the dataset's own, named by what goes in.
#[derive(Debug)]
pub struct Work {
    pub dir: PathBuf,
    pub now: Timestamp,
    pub resumed: bool,
}

impl Work {
    /// Opens the folder of this input, with what an earlier run staged; folders of other inputs are removed.
    pub fn open(out: &Path, input: &str, now: Timestamp) -> Result<Self, DataError> {
        let short = input.get(..16).unwrap_or(input);
        let dir = out.join(format!("{PREFIX}{short}"));
        let write_error = |source| DataError::Write { path: dir.clone(), source };
        remove_others(out, Some(&dir))?;
        let state_path = dir.join(STATE_FILE);
        let known: Option<State> = std::fs::read(&state_path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        if let Some(state) = known.filter(|state| state.input == input) {
            return Ok(Self { dir, now: state.now, resumed: true });
        }
        std::fs::create_dir_all(&dir).map_err(write_error)?;
        let state = State { input: input.to_owned(), now };
        let text = serde_json::to_vec(&state).map_err(|source| DataError::Sql(source.to_string()))?;
        std::fs::write(&state_path, text).map_err(write_error)?;
        Ok(Self { dir, now, resumed: false })
    }

    /// The folder for copies of what lies in object stores. It does not depend on the input: it is what the input is found from.
    pub fn sources(out: &Path) -> PathBuf {
        out.join(".sources")
    }

    /// Nothing is left of the run but the dataset.
    #[allow(clippy::unused_self)] // the run ends here
    pub fn finish(self, out: &Path) -> Result<(), DataError> {
        remove_others(out, None)?;
        remove(&Self::sources(out))
    }
}

fn remove_others(out: &Path, keep: Option<&Path>) -> Result<(), DataError> {
    let entries = std::fs::read_dir(out).map_err(|source| DataError::Open { path: out.to_owned(), source })?;
    for entry in entries.flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if ours && Some(path.as_path()) != keep {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), DataError> {
    match std::fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(DataError::Write { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
