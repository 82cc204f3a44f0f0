//! The dataset with the events of a log merged into it, for the time of one training.

use std::path::{Path, PathBuf};

use endcap_feedback::{MergeOptions, merge, summary};
use endcap_store::sha256_hex;
use endcap_tables::MergedEvents;

use crate::progress::{Phase, Progress};
use crate::{TrainError, TrainOptions};

/// A merged dataset in the work folder. It holds what the dataset holds, contacts too: it goes when the training ends.
#[derive(Debug)]
pub(crate) struct Merged {
    dir: PathBuf,
    pub events: Option<MergedEvents>,
}

impl Merged {
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Merged {
    fn drop(&mut self) {
        match std::fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, folder = %self.dir.display(), "failed to remove the merged dataset");
            }
            _ => {}
        }
        if let Some(work) = self.dir.parent() {
            // Only when nothing else is left there.
            let _ = std::fs::remove_dir(work);
        }
    }
}

/// Merges what `--events` names; `None` without it.
pub(crate) fn merged(
    options: &TrainOptions,
    runtime: &tokio::runtime::Runtime,
    progress: &dyn Progress,
) -> Result<Option<Merged>, TrainError> {
    let Some(uri) = &options.events else { return Ok(None) };
    let key = sha256_hex(format!("{} {uri} {}", options.data.display(), options.version_name()).as_bytes());
    let dir = options.work.join(format!("merged-{}", key.get(..16).unwrap_or_default()));
    let told = MergeOptions {
        base: options.data.clone(),
        events: endcap_store::open(uri)?,
        until: options.events_until,
        out: dir.clone(),
    };
    progress.begin(Phase::Load, 0);
    let mut merged = Merged { dir, events: None };
    let tick = |rows: u64| {
        progress.advance(rows);
        !progress.stopped()
    };
    let manifest = runtime.block_on(merge(&told, &tick))?;
    progress.note(&summary(&manifest));
    merged.events = manifest.events;
    Ok(Some(merged))
}
