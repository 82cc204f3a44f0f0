//! `endcap evaluate`: how good a recommender learned from this data would have been, and `endcap tune`: settings for published tasks.
//! Canonical data goes straight to the evaluator, other layouts of a shop are prepared first; published formats go to the benchmark.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::children::run;
use crate::train::prepare;

/// Tasks over a shop's orders.
const SHOP: [&str; 4] = ["cart-completion", "cross-sell", "next-order", "quantity-upsell"];

/// Published tasks.
const PUBLISHED: [&str; 5] = ["next-basket", "next-item", "top-n", "rules", "session"];

#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// cart-completion: the first half of an order is the cart, the rest is to be found; cross-sell: the same, only other
    /// subcategories; next-order: the first order of each known customer; quantity-upsell: lines just below a price break.
    /// Published tasks: next-basket, next-item, top-n, rules, session
    #[arg(long, value_parser = SHOP.into_iter().chain(PUBLISHED).collect::<Vec<_>>())]
    task: String,
    /// The data: a prepared dataset, with --layout Mv a folder with MV_* files, or a published task's folder or file
    #[arg(long, value_name = "DIR_OR_FILE")]
    data: PathBuf,
    #[arg(long, default_value = "Canonical")]
    layout: Layout,
    /// First day of the validation window (YYYY-MM-DD, UTC); everything is chosen on it
    #[arg(long, value_name = "DATE")]
    validate_from: Option<String>,
    /// First day of the test period, and so the end of the validation window
    #[arg(long, value_name = "DATE")]
    test_from: Option<String>,
    /// The day after the last day of the test period
    #[arg(long, value_name = "DATE")]
    test_until: Option<String>,
    /// Settings that `endcap tune` chose (next-basket, next-item, top-n and session)
    #[arg(long, value_name = "FILE")]
    tuned: Option<PathBuf>,
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
    #[arg(long)]
    architecture: Option<String>,
    #[arg(long, default_value_t = 42, allow_negative_numbers = true)]
    seed: i64,
    /// What else the evaluator takes (see `endcap-evaluate --help`, and `endcap-benchmark evaluate --help` for published tasks),
    /// after `--`
    #[arg(last = true)]
    more: Vec<String>,
}

/// What the data looks like: a shop's, or a published format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[clap(rename_all = "PascalCase")]
pub enum Layout {
    Canonical,
    Mv,
    Baskets,
    Sequences,
    LightGcn,
    Rules,
    Sessions,
}

#[derive(Debug, Args)]
pub struct TuneArgs {
    #[arg(long, value_parser = ["next-basket", "next-item", "top-n", "session"])]
    task: String,
    /// Folder (or file) of the layout. Files of the test are not opened
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Baskets, Sequences, LightGcn or Sessions
    #[arg(long)]
    layout: Layout,
    /// Write the settings here; `endcap evaluate --tuned` reads them
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

fn flags<const N: usize>(pairs: [(&str, String); N]) -> Vec<String> {
    pairs.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Returns the program's exit code.
pub async fn tune(args: TuneArgs) -> Result<i32> {
    let mut all = vec!["tune".to_owned()];
    all.extend(flags([
        ("--task", args.task),
        ("--data", text(&args.data)),
        ("--layout", format!("{:?}", args.layout)),
        ("--out", text(&args.out)),
    ]));
    run("endcap-benchmark", &all).await
}

/// Returns the evaluator's exit code.
pub async fn evaluate(args: EvaluateArgs) -> Result<i32> {
    if SHOP.contains(&args.task.as_str()) { of_shop(args).await } else { published(args).await }
}

/// A task over a published format.
async fn published(args: EvaluateArgs) -> Result<i32> {
    let for_shops = [
        ("--validate-from", args.validate_from.is_some()),
        ("--test-from", args.test_from.is_some()),
        ("--test-until", args.test_until.is_some()),
        ("--architecture", args.architecture.is_some()),
        ("--work", args.work.is_some()),
    ];
    if let Some((flag, _)) = for_shops.iter().find(|(_, given)| *given) {
        bail!("{flag} is not for the task {}, whose files say what the test is: leave it out", args.task);
    }
    let mut all = vec!["evaluate".to_owned()];
    all.extend(flags([
        ("--task", args.task),
        ("--data", text(&args.data)),
        ("--layout", format!("{:?}", args.layout)),
        ("--seed", args.seed.to_string()),
    ]));
    for (flag, path) in [("--tuned", args.tuned), ("--json", args.json), ("--html", args.html)] {
        all.extend(path.map(|path| [flag.to_owned(), text(&path)]).into_iter().flatten());
    }
    all.extend(args.more);
    run("endcap-benchmark", &all).await
}

/// A task over a shop's orders.
async fn of_shop(args: EvaluateArgs) -> Result<i32> {
    if args.tuned.is_some() {
        bail!("--tuned is not for the task {}, which tunes on its validation window: leave it out", args.task);
    }
    let day = |flag: &str, day: Option<String>| {
        day.with_context(|| format!("{flag} is missing: the task {} needs a day such as 2011-10-01", args.task))
    };
    let days = flags([
        ("--validate-from", day("--validate-from", args.validate_from)?),
        ("--test-from", day("--test-from", args.test_from)?),
        ("--test-until", day("--test-until", args.test_until)?),
    ]);
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
        other => bail!("--layout {other:?} is not for the task {}: take Canonical or Mv", args.task),
    };
    let mut all = flags([("--task", args.task), ("--data", text(&data))]);
    all.extend(days);
    all.extend(flags([
        ("--architecture", args.architecture.unwrap_or_else(|| "Hybrid".to_owned())),
        ("--seed", args.seed.to_string()),
    ]));
    for (flag, path) in [("--json", args.json), ("--html", args.html)] {
        all.extend(path.map(|path| [flag.to_owned(), text(&path)]).into_iter().flatten());
    }
    all.extend(args.more);
    run("endcap-evaluate", &all).await
}
