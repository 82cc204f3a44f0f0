//! Whether a version number is free in the store, and whether an output place is.

use endcap_recommender::artifact::ArtifactManifest;
use endcap_store::{Location, MANIFEST_FILE, StoreError, read_manifest};
use futures::TryStreamExt;
use object_store::ObjectStore;

use crate::TrainError;
use crate::options::TrainOptions;

/// The number N of a folder `<model>-v<N>`.
fn number_of(folder: &str, model: &str) -> Option<u64> {
    let digits = folder.strip_prefix(model)?.strip_prefix("-v")?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

/// The highest version that has a committed artifact below `models`. Folders without a manifest are garbage and count for nothing.
async fn highest(models: &Location, model: &str, from: u64) -> Result<Option<u64>, TrainError> {
    let list_error = |source| TrainError::List { uri: models.uri.clone(), source };
    let folders = models.store.list_with_delimiter(Some(&models.prefix)).await.map_err(list_error)?;
    let mut numbers: Vec<(u64, object_store::path::Path)> = folders
        .common_prefixes
        .into_iter()
        .filter_map(|path| Some((number_of(path.filename()?, model)?, path)))
        .filter(|(number, _)| *number >= from)
        .collect();
    numbers.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
    for (number, path) in numbers {
        let mut objects = models.store.list(Some(&path));
        while let Some(object) = objects.try_next().await.map_err(list_error)? {
            if object.location.filename() == Some(MANIFEST_FILE) {
                return Ok(Some(number));
            }
        }
    }
    Ok(None)
}

/// What stands at the output already.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    /// The very artifact that this training would make: it was finished and not reported.
    Finished {
        manifest: Box<ArtifactManifest>,
        sha256: String,
    },
}

/// Fails when the number or the place is taken by something else.
pub(crate) async fn look(options: &TrainOptions, out: &Location, dataset: &str) -> Result<Found, TrainError> {
    let own = match read_manifest(out).await {
        Err(StoreError::NoManifest { .. }) => None,
        Err(error) => return Err(error.into()),
        Ok((bytes, object)) => Some((ArtifactManifest::from_json(&bytes), object.sha256)),
    };
    if let Some((Ok(manifest), sha256)) = own {
        if is_ours(options, &manifest, dataset) {
            return Ok(Found::Finished { manifest: Box::new(manifest), sha256 });
        }
        check_number(options).await?;
        return Err(TrainError::OutTaken { uri: out.uri.clone(), found: format!("manifest {sha256}") });
    }
    if let Some((Err(_), sha256)) = own {
        return Err(TrainError::OutTaken {
            uri: out.uri.clone(),
            found: format!("a manifest of another kind, {sha256}"),
        });
    }
    check_number(options).await?;
    Ok(Found::Nothing)
}

async fn check_number(options: &TrainOptions) -> Result<(), TrainError> {
    let Some(versions_at) = &options.versions_at else { return Ok(()) };
    let models = endcap_store::open(versions_at)?;
    match highest(&models, &options.model, options.version).await? {
        None => Ok(()),
        Some(highest) => Err(TrainError::VersionTaken {
            uri: versions_at.clone(),
            model: options.model.clone(),
            version: options.version,
            highest,
        }),
    }
}

/// Whether an artifact was made from the same data, settings and program.
fn is_ours(options: &TrainOptions, manifest: &ArtifactManifest, dataset: &str) -> bool {
    manifest.model == options.model
        && manifest.model_uid == options.model_uid
        && manifest.version == options.version_name()
        && manifest.architecture == options.architecture.as_str()
        && manifest.seed == options.seed
        && manifest.hyperparameters == options.hyperparameters
        && manifest.program == crate::PROGRAM
        && manifest.dataset.manifest_sha256 == dataset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_numbers_are_versions() {
        assert_eq!(number_of("shop-v12", "shop"), Some(12));
        for other in ["shop-v", "shop-v0", "shop-v01", "shop-v1x", "shop-v+1", "shops-v1", ".shop-v1.work"] {
            assert_eq!(number_of(other, "shop"), None, "{other}");
        }
    }
}
