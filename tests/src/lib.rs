//! What the whole-system tests share: a generated shop with its truth, trained by the real trainer.

pub mod up;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use endcap::children::sibling;
use endcap_recommender::fitted::Model;
use endcap_recommender::live::BaselineState;
use endcap_serving::artifact::{self, Part};
use endcap_simulator::{Preset, World, WorldSpec};

/// `ENDCAP_TEST_SEED`, else one drawn anew; printed, so that a failure can be repeated.
pub fn seed() -> u64 {
    let given = std::env::var("ENDCAP_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!("ENDCAP_TEST_SEED={seed}");
    seed
}

/// A shop on disk: dataset, truth, artifact.
#[derive(Debug)]
pub struct Shop {
    pub folder: tempfile::TempDir,
    pub seed: u64,
}

impl Shop {
    /// A gift shop whose year ended yesterday, and version 1 trained on it.
    pub fn trained(seed: u64, customers: u32, products: u32) -> Result<Self> {
        const DAYS: u32 = 365;
        let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
        let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
        let mut spec = WorldSpec::new(Preset::GiftShop, customers, products, DAYS, seed);
        spec.start = today.checked_sub(jiff::Span::new().days(i64::from(DAYS)))?;
        World::generate(&spec)?.write(&folder.path().join("dataset"), &mut |_| {})?;
        let shop = Self { folder, seed };
        shop.train(&shop.artifact().display().to_string(), 1)?;
        Ok(shop)
    }

    pub fn dataset(&self) -> PathBuf {
        self.folder.path().join("dataset")
    }

    pub fn artifact(&self) -> PathBuf {
        self.folder.path().join("artifact")
    }

    pub fn artifact_uri(&self) -> String {
        format!("file://{}", self.artifact().display())
    }

    /// Runs the trainer as a Job would.
    pub fn train(&self, out: &str, version: u64) -> Result<()> {
        let output = Command::new(sibling("endcap-trainer")?)
            .args(["--data", &self.dataset().display().to_string(), "--out", out, "--model", "shop"])
            .args(["--architecture", "Rules"])
            .args(["--version", &version.to_string(), "--work", &self.folder.path().join("work").display().to_string()])
            .stdin(Stdio::null())
            .output()
            .context("failed to start the trainer")?;
        ensure!(
            output.status.success(),
            "the trainer ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

/// The model of an artifact and the state beside it, read and checked as a predictor does.
pub async fn load_model(uri: &str) -> Result<(Model, BaselineState)> {
    let from = endcap_store::open(uri)?;
    let loaded = artifact::fetch(&from, None, Part::Whole).await?.decode().await?;
    let baseline = artifact::read_baseline(&from).await?.context("no baseline state")?;
    Ok((loaded.model, baseline))
}
