//! `endcap train`: canonical data straight to the trainer; other layouts are prepared first.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::children::run;

#[derive(Debug, Args)]
pub struct TrainArgs {
    /// The data: a prepared dataset, or with --layout Mv a folder with MV_* files
    #[arg(long)]
    data: PathBuf,
    #[arg(long, default_value = "Canonical")]
    layout: Layout,
    /// Where the artifact goes: a folder, file:///folder or s3://bucket/prefix; must be free
    #[arg(long)]
    out: String,
    /// Where other layouts are prepared; beside the artifact unless set
    #[arg(long)]
    work: Option<PathBuf>,
    /// What else the trainer takes (see `endcap-trainer --help`), after `--`
    #[arg(last = true)]
    trainer: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[clap(rename_all = "PascalCase")]
pub enum Layout {
    Canonical,
    Mv,
}

/// Returns the trainer's exit code.
pub async fn train(args: TrainArgs) -> Result<i32> {
    let data = match args.layout {
        Layout::Canonical => args.data,
        Layout::Mv => {
            let prepared = args
                .work
                .unwrap_or_else(|| PathBuf::from(args.out.trim_start_matches("file://")).with_extension("dataset"));
            let code = prepare(&args.data, &prepared).await?;
            if code != 0 {
                bail!("the data could not be prepared (exit code {code}): see what endcap-data said above");
            }
            prepared
        }
    };
    let mut trainer = vec!["--data".to_owned(), data.display().to_string(), "--out".to_owned(), args.out];
    trainer.extend(args.trainer);
    run("endcap-trainer", &trainer).await
}

/// Brings a folder of `MV_*` files into the canonical tables.
pub async fn prepare(data: &std::path::Path, out: &std::path::Path) -> Result<i32> {
    let args =
        ["prepare", "--layout", "Mv", "--data", &data.display().to_string(), "--out", &out.display().to_string()];
    run("endcap-data", &args.map(str::to_owned)).await
}
