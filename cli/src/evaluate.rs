//! `endcap evaluate`: how good a recommender learned from this data would have been. Canonical data goes straight to the evaluator;
//! other layouts are prepared first.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::children::run;
use crate::train::{Layout, prepare};

#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// cart-completion: the first half of an order is the cart, the rest is to be found; cross-sell: the same, only other
    /// subcategories; next-order: the first order of each known customer
    #[arg(long, value_parser = ["cart-completion", "cross-sell", "next-order"])]
    task: String,
    /// The data: a prepared dataset, or with --layout Mv a folder with MV_* files
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[arg(long, default_value = "Canonical")]
    layout: Layout,
    /// First day of the validation window (YYYY-MM-DD, UTC); everything is chosen on it
    #[arg(long, value_name = "DATE")]
    validate_from: String,
    /// First day of the test period, and so the end of the validation window
    #[arg(long, value_name = "DATE")]
    test_from: String,
    /// The day after the last day of the test period
    #[arg(long, value_name = "DATE")]
    test_until: String,
    /// Write the report as JSON here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as a page with plots here
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Where other layouts are prepared; a dataset that stands there is used again. A temporary folder unless set
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Rules, Collaborative or Hybrid
    #[arg(long, default_value = "Hybrid")]
    architecture: String,
    #[arg(long, default_value_t = 42, allow_negative_numbers = true)]
    seed: i64,
    /// What else the evaluator takes (see `endcap-evaluate --help`), after `--`
    #[arg(last = true)]
    more: Vec<String>,
}

/// Returns the evaluator's exit code.
pub async fn evaluate(args: EvaluateArgs) -> Result<i32> {
    let temporary = tempfile::Builder::new().prefix("endcap-evaluate-").tempdir();
    let temporary = temporary.context("failed to make a temporary folder")?;
    let data = match args.layout {
        Layout::Canonical => args.data,
        Layout::Mv => {
            let prepared = args.work.unwrap_or_else(|| temporary.path().join("dataset"));
            if !prepared.join("dataset.json").is_file() {
                let code = prepare(&args.data, &prepared).await?;
                if code != 0 {
                    bail!("the data could not be prepared (exit code {code}): see what endcap-data said above");
                }
            }
            prepared
        }
    };
    let mut all: Vec<String> = [
        ("--task", args.task),
        ("--data", data.display().to_string()),
        ("--validate-from", args.validate_from),
        ("--test-from", args.test_from),
        ("--test-until", args.test_until),
        ("--architecture", args.architecture),
        ("--seed", args.seed.to_string()),
    ]
    .into_iter()
    .flat_map(|(flag, value)| [flag.to_owned(), value])
    .collect();
    for (flag, path) in [("--json", args.json), ("--html", args.html)] {
        if let Some(path) = path {
            all.extend([flag.to_owned(), path.display().to_string()]);
        }
    }
    all.extend(args.more);
    run("endcap-evaluate", &all).await
}
