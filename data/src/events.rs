//! A source with `events`: the export of the model's own log, merged into what the other sources hold.

use std::path::Path;

use endcap_feedback::{MergeOptions, merge, summary};
use endcap_store::sha256_hex;
use tokio_util::sync::CancellationToken;

use crate::prepare::{Prepared, Request, mounted, prepare};
use crate::{DataError, report};

/// Where events come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsFrom {
    /// The export's prefix: `file:///folder`, a folder or `s3://bucket/prefix`.
    pub uri: String,
    /// Only events before this offset.
    pub until: Option<u64>,
}

/// Where the other sources' dataset lies while events are merged into it; below the folder of the dataset.
const BASE: &str = ".base";

/// [`prepare`], and events on top where the caller or the spec asks for them.
///
/// # Errors
/// As [`prepare`]; a spec with `events` wants to be told where the export is.
pub async fn prepare_with(
    request: &Request,
    events: Option<&EventsFrom>,
    cancel: &CancellationToken,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<Prepared, DataError> {
    request.spec.validate()?;
    let wanted = request.spec.sources.iter().position(|source| source.events.is_some());
    let Some(events) = events else {
        return match wanted {
            Some(number) => Err(DataError::BadSpec {
                field: format!("sources[{number}].events"),
                why: "where the log is exported to is not in the spec: say it with --events URI".to_owned(),
            }),
            None => prepare(request, cancel, progress).await,
        };
    };
    let base = request.out.join(BASE);
    let prepared = prepare(&Request { out: base.clone(), ..request.clone() }, cancel, progress).await?;
    progress("merging events");
    let told = MergeOptions {
        base: base.clone(),
        events: endcap_store::open(&mounted(&events.uri, &request.mounts))?,
        until: events.until,
        out: request.out.clone(),
    };
    let manifest = merged(told, cancel).await?;
    progress(&summary(&manifest));
    let parts = manifest.events.as_ref().map(|events| events.parts_sha256.clone()).unwrap_or_default();
    let preparation = prepared.report.preparation.map(|mut preparation| {
        // Another input than the same sources without events.
        preparation.input = sha256_hex(format!("{} {parts}", preparation.input).as_bytes());
        preparation
    });
    progress("reporting");
    let report = report::write(&request.out, &manifest, preparation, &request.spec, request.limits, cancel).await?;
    remove(&base);
    Ok(Prepared { manifest, report, unchanged: false })
}

/// Merging reads and writes files: it has a thread of its own.
async fn merged(told: MergeOptions, cancel: &CancellationToken) -> Result<endcap_tables::DatasetManifest, DataError> {
    let (runtime, cancel) = (tokio::runtime::Handle::current(), cancel.clone());
    let merging = tokio::task::spawn_blocking(move || {
        runtime.block_on(async { merge(&told, &|_| !cancel.is_cancelled()).await })
    });
    match merging.await {
        Ok(merged) => Ok(merged?),
        Err(error) => Err(DataError::Read { file: "the events".to_owned(), why: error.to_string() }),
    }
}

fn remove(base: &Path) {
    if let Err(error) = std::fs::remove_dir_all(base) {
        tracing::warn!(%error, folder = %base.display(), "failed to remove what events were merged into");
    }
}
