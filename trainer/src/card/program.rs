//! The command line of `endcap-report`, which `endcap report` shares: the card of a version, out of its artifact alone.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use endcap_recommender::artifact::{ArtifactError, ArtifactManifest};
use endcap_recommender::fitted::Catalogue;
use endcap_recommender::live::{BaselineState, ShelfState};
use endcap_store::{Location, ObjectRef, sha256_hex};
use serde_json::Value;

use super::{markdown, page, replenishment};
use crate::TrainError;
use crate::baseline::{BASELINE_FILE, DIGEST_FILE};
use crate::demand::{self, Forecasts};

/// Says what a trained version is, how good it is, and what to order when. Needs no training data.
///
/// Exit codes: 0 done, 1 failed (worth another try), 2 wrong options, or an artifact that does not hold what was asked for.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "endcap-report", version)]
pub struct Arguments {
    #[command(flatten)]
    pub report: ReportArguments,
}

#[derive(Clone, Debug, Args)]
pub struct ReportArguments {
    /// The artifact: a folder, file:///folder or s3://bucket/prefix
    #[arg(long, value_name = "URI")]
    pub artifact: String,
    /// Write the card as a page with plots here
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the card as Markdown here, in place of the terminal
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write stock, expected demand with its intervals and the day on which stock is gone here, as CSV
    #[arg(long, value_name = "FILE")]
    pub replenishment: Option<PathBuf>,
}

/// Reports as a program does.
pub fn run(arguments: &Arguments) -> ExitCode {
    match report(&arguments.report) {
        Ok(text) => {
            let _ = write!(std::io::stdout().lock(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "endcap-report: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Writes the files that were asked for, and returns what the terminal shows: the Markdown where no file was asked for.
fn report(arguments: &ReportArguments) -> Result<String, TrainError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(TrainError::Runtime)?;
    let from = endcap_store::open(&arguments.artifact)?;
    let (bytes, _) = runtime.block_on(endcap_store::read_manifest(&from))?;
    let manifest = ArtifactManifest::from_json(&bytes)?;
    let object = |name: &'static str| -> Result<Option<Vec<u8>>, TrainError> {
        let Some(entry) = manifest.objects.get(name) else { return Ok(None) };
        let object = ObjectRef { sha256: entry.sha256.clone(), bytes: entry.bytes };
        Ok(Some(runtime.block_on(endcap_store::fetch(&from, name, &object))?))
    };
    let lacks = |what: &str, remedy: &str| TrainError::Option {
        what: "--artifact".to_owned(),
        value: arguments.artifact.clone(),
        remedy: format!("{} holds no {what}: {remedy}", manifest.version),
    };
    let card = object("card")?.ok_or_else(|| lacks("model card", "train the version again with this release"))?;
    let card: Value = read_json("card", &card)?;
    let mut told = String::new();
    let mut put = |path: &Path, flag: &'static str, text: &str| -> Result<(), TrainError> {
        write(path, flag, text.as_bytes())?;
        let what = flag.trim_start_matches("--");
        let _ = writeln!(told, "{what} of {} written to {}", manifest.version, path.display());
        Ok(())
    };
    if let Some(path) = &arguments.html {
        put(path, "--html", &page(&card))?;
    }
    if let Some(path) = &arguments.markdown {
        put(path, "--markdown", &markdown(&card))?;
    }
    if let Some(path) = &arguments.replenishment {
        let remedy = "it was trained with an earlier release, or on fewer weeks than demand can be foreseen from (the card says so)";
        let columns = object(demand::OBJECT)?.ok_or_else(|| lacks("demand", remedy))?;
        let catalogue = object("catalogue")?.ok_or_else(|| lacks("catalogue", "it is no artifact of a recommender"))?;
        let catalogue = Catalogue::decode("catalogue", &catalogue)?;
        let forecasts = Forecasts::decode(&columns, catalogue.len())?;
        let shelf = runtime.block_on(shelf(&from))?;
        let until = manifest.dataset.max_time;
        put(path, "--replenishment", &replenishment::csv(&catalogue, &forecasts, &shelf, until))?;
    }
    Ok(if told.is_empty() { markdown(&card) } else { told })
}

fn read_json<T: serde::de::DeserializeOwned>(object: &'static str, bytes: &[u8]) -> Result<T, TrainError> {
    Ok(serde_json::from_slice(bytes).map_err(|source| ArtifactError::Json { object, source })?)
}

/// Stock beside the artifact; none where there is no state.
async fn shelf(from: &Location) -> Result<ShelfState, TrainError> {
    let Some(packed) = endcap_store::read_beside(from, BASELINE_FILE).await? else { return Ok(ShelfState::default()) };
    let wrong = |remedy: String| TrainError::Option {
        what: "--artifact".to_owned(),
        value: from.uri.clone(),
        remedy: format!("{BASELINE_FILE} {remedy}: copy the state again"),
    };
    if let Some(digest) = endcap_store::read_beside(from, DIGEST_FILE).await?
        && String::from_utf8_lossy(&digest).trim() != sha256_hex(&packed)
    {
        return Err(wrong(format!("is not what {DIGEST_FILE} says")));
    }
    let mut json = Vec::new();
    zstd::Decoder::new(&packed[..])
        .and_then(|mut decoder| decoder.read_to_end(&mut json))
        .map_err(|source| wrong(format!("cannot be unpacked ({source})")))?;
    Ok(read_json::<BaselineState>("baseline state", &json)?.shelf)
}

fn write(path: &Path, flag: &'static str, bytes: &[u8]) -> Result<(), TrainError> {
    let failed = |source| TrainError::Write { path: path.to_owned(), flag, source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, bytes).map_err(failed)
}
