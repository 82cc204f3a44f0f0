//! `endcap data generate`: a believable shop on disk.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use endcap_simulator::{Preset, World, WorldSpec};

use crate::progress::bar;

#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// giftshop or grocery
    #[arg(long, default_value = "giftshop")]
    preset: Preset,
    #[arg(long, default_value_t = 2_000)]
    customers: u32,
    #[arg(long, default_value_t = 1_200)]
    products: u32,
    /// Length of the sales history
    #[arg(long, default_value_t = 365)]
    days: u32,
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// First day of the history (YYYY-MM-DD)
    #[arg(long)]
    start: Option<jiff::civil::Date>,
    /// Where the tables go; the hidden truth goes into its folder `truth`
    #[arg(long)]
    out: PathBuf,
}

pub async fn generate(args: GenerateArgs) -> Result<()> {
    let mut spec = WorldSpec::new(args.preset, args.customers, args.products, args.days, args.seed);
    if let Some(start) = args.start {
        spec.start = start;
    }
    let manifest = write(spec, args.out.clone()).await?;
    for (table, entry) in &manifest.tables {
        println!("{table:<14} {:>12} rows  {:>12} bytes", entry.rows, entry.bytes);
    }
    println!("dataset        {}", manifest.digest());
    println!("written to {}; the truth in its folder truth is for judging, never for training", args.out.display());
    Ok(())
}

/// Generates and writes a world with a progress bar, on a thread of its own.
pub async fn write(spec: WorldSpec, into: PathBuf) -> Result<endcap_tables::DatasetManifest> {
    let task = tokio::task::spawn_blocking(move || -> Result<_> {
        let world = World::generate(&spec)?;
        let progress = bar("writing");
        let manifest = world.write(&into, &mut |step| {
            progress.set_length(step.total);
            progress.set_position(step.done);
            progress.set_message(step.stage);
        })?;
        progress.finish_and_clear();
        Ok(manifest)
    });
    task.await?
}
