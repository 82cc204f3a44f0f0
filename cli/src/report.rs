//! `endcap report`: what a version is and how good, out of its artifact alone. The program behind it is `endcap-report`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::children::run;

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The artifact: a folder, file:///folder or s3://bucket/prefix
    #[arg(long, value_name = "URI")]
    artifact: String,
    /// Write the card as a page with plots here
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the card as Markdown here, in place of the terminal
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write stock, expected demand with its intervals and the day on which stock is gone here, as CSV
    #[arg(long, value_name = "FILE")]
    replenishment: Option<PathBuf>,
}

/// Returns the program's exit code.
pub async fn report(args: ReportArgs) -> Result<i32> {
    let mut all = vec!["--artifact".to_owned(), args.artifact];
    for (flag, path) in [("--html", args.html), ("--markdown", args.markdown), ("--replenishment", args.replenishment)]
    {
        all.extend(path.map(|path| [flag.to_owned(), path.display().to_string()]).into_iter().flatten());
    }
    run("endcap-report", &all).await
}
