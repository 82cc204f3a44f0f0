//! The command line.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use endcap_data::spec::{Minimum, Span};
use endcap_data::{DataError, DataSpec, EventsFrom, Layout, Limits, Request, check, prepare_with, query, report};
use indicatif::ProgressBar;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

#[derive(Debug, Parser)]
#[command(name = "endcap-data", version, about = "Sources -> canonical tables, and what is known of them")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    machine: Machine,
}

#[derive(Debug, Clone, Copy, Args)]
struct Machine {
    /// Memory for sorts, joins and groups together, in MiB; the rest is spilled to the work folder
    #[arg(long, global = true, default_value_t = Limits::default().memory_mib)]
    memory_mib: usize,
    /// Threads of queries
    #[arg(long, global = true, default_value_t = Limits::default().threads)]
    threads: usize,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the canonical tables, their manifest and the data report
    Prepare(Prepare),
    /// Say which views and columns a folder holds, what is missing, and what that costs
    Check(Check),
    /// Show the data report of a canonical dataset
    Report(Report),
    /// Run one SQL query over a canonical dataset
    Sql(Sql),
}

#[derive(Debug, Args)]
struct Prepare {
    /// YAML or JSON: spec.data of a RecommenderModel, or the whole manifest
    #[arg(long, conflicts_with_all = ["layout", "data"], required_unless_present = "data")]
    spec: Option<PathBuf>,
    /// Layout of the folder in --data
    #[arg(long, value_enum, default_value = "Mv")]
    layout: Layout,
    /// A folder or s3:// prefix
    #[arg(long)]
    data: Option<String>,
    /// Folder for the dataset
    #[arg(long)]
    out: PathBuf,
    /// ISO 4217 code of all money, when no source says it
    #[arg(long)]
    currency: Option<String>,
    /// How far back to look from the newest order, such as 17520h; instead of the spec's
    #[arg(long)]
    window: Option<Span>,
    /// Highest percentage of defective rows a table may have; instead of the spec's
    #[arg(long)]
    max_rejected_percent: Option<u32>,
    /// Highest percentage of empty cells that a column of weight may have; instead of the spec's
    #[arg(long)]
    max_null_percent: Option<u32>,
    /// What lies after this is in the future [default: the clock]
    #[arg(long)]
    now: Option<Timestamp>,
    /// FROM=TO: read sources below the URI FROM from the folder TO
    #[arg(long, value_parser = mount)]
    mount: Vec<(String, String)>,
    /// Export of the event log (what endcap-eventlog --export writes), for a source with `events`; merged into what the others hold
    #[arg(long, value_name = "URI")]
    events: Option<String>,
    /// Only events before this offset, such as the one that POST /v1/export answered
    #[arg(long, value_name = "OFFSET", requires = "events")]
    events_until: Option<u64>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Check {
    #[arg(long, value_enum, default_value = "Mv")]
    layout: Layout,
    /// The folder
    dir: PathBuf,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Report {
    /// Folder of the dataset
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    json: bool,
    /// Write the report as one HTML page
    #[arg(long)]
    html: Option<PathBuf>,
    /// Take the minimum from this spec
    #[arg(long)]
    spec: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Sql {
    /// Folder of the dataset
    #[arg(long)]
    data: PathBuf,
    /// The query; tables are those of the dataset
    query: String,
}

fn mount(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(from, to)| (from.to_owned(), to.to_owned()))
        .ok_or_else(|| "write FROM=TO, such as file:///data=/home/me/data".to_owned())
}

/// Logs go to standard error: lines for people on a terminal, JSON lines otherwise.
pub fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,endcap_data=info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.init();
    } else {
        builder.json().init();
    }
}

pub async fn run(cli: Cli, cancel: &CancellationToken) -> ExitCode {
    let limits = Limits { memory_mib: cli.machine.memory_mib, threads: cli.machine.threads };
    let json = matches!(
        &cli.command,
        Command::Prepare(Prepare { json: true, .. })
            | Command::Check(Check { json: true, .. })
            | Command::Report(Report { json: true, .. })
    );
    let result = match cli.command {
        Command::Prepare(args) => run_prepare(args, limits, cancel).await,
        Command::Check(args) => run_check(args, limits, cancel).await,
        Command::Report(args) => run_report(args, limits, cancel).await,
        Command::Sql(args) => run_sql(args, limits, cancel).await,
    };
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    let own = error.downcast_ref::<DataError>();
    let reason = own.map_or("Failed", DataError::reason);
    // Our own errors say what caused them already.
    let message = own.map_or_else(|| format!("{error:#}"), ToString::to_string);
    if json {
        let text = serde_json::json!({"error": {"reason": reason, "message": message}});
        let _ = writeln!(std::io::stdout(), "{text}");
    }
    eprintln!("{reason}: {message}");
    ExitCode::from(own.map_or(1, DataError::exit_code))
}

/// Prints to standard output; a reader that has gone away is no error.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

async fn run_prepare(args: Prepare, limits: Limits, cancel: &CancellationToken) -> anyhow::Result<ExitCode> {
    let mut spec = match (&args.spec, &args.data) {
        (Some(path), _) => DataSpec::read(path)?,
        (None, Some(data)) => DataSpec::of_folder(args.layout, data),
        (None, None) => anyhow::bail!("write --spec FILE or --data DIR"),
    };
    if let Some(window) = args.window {
        spec.window = window;
    }
    spec.quality.max_rejected_percent = args.max_rejected_percent.unwrap_or(spec.quality.max_rejected_percent);
    spec.quality.max_null_percent = args.max_null_percent.unwrap_or(spec.quality.max_null_percent);
    let request = Request {
        spec,
        out: args.out.clone(),
        currency: args.currency,
        now: args.now.unwrap_or_else(Timestamp::now),
        limits,
        mounts: args.mount,
    };
    let bar = ProgressBar::new_spinner();
    if std::io::stderr().is_terminal() {
        bar.enable_steady_tick(Duration::from_millis(120));
    }
    let shown = bar.clone();
    let progress = move |step: &str| {
        if shown.is_hidden() {
            tracing::info!(step, "progress");
        } else {
            shown.set_message(step.to_owned());
        }
    };
    let events = args.events.map(|uri| EventsFrom { uri, until: args.events_until });
    let prepared = prepare_with(&request, events.as_ref(), cancel, &progress).await;
    bar.finish_and_clear();
    let prepared = prepared?;
    if args.json {
        print(&report::json(&prepared.report)?);
    } else {
        print(&report::text(&prepared.report));
        let state = if prepared.unchanged { "was there already, made of the same input" } else { "written" };
        print(&format!(
            "\n{} ({state}); the report with plots is {}\n",
            args.out.display(),
            args.out.join("report.html").display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_check(args: Check, limits: Limits, cancel: &CancellationToken) -> anyhow::Result<ExitCode> {
    let checked = check::check(&args.dir, args.layout, limits, cancel).await?;
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&checked)?));
    } else {
        print(&check::text(&checked));
    }
    Ok(if checked.usable { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

async fn run_report(args: Report, limits: Limits, cancel: &CancellationToken) -> anyhow::Result<ExitCode> {
    let minimum =
        args.spec.as_deref().map(DataSpec::read).transpose()?.map_or_else(Minimum::default, |spec| spec.minimum);
    let facts = report::of_dataset(&args.data, &minimum, limits, cancel).await?;
    if let Some(path) = &args.html {
        write_file(path, &report::page(&facts))?;
    }
    if args.json {
        print(&report::json(&facts)?);
    } else if args.html.is_none() {
        print(&report::text(&facts));
    }
    Ok(ExitCode::SUCCESS)
}

fn write_file(path: &Path, content: &str) -> anyhow::Result<()> {
    std::fs::write(path, content).with_context(|| format!("failed to write {}", path.display()))
}

async fn run_sql(args: Sql, limits: Limits, cancel: &CancellationToken) -> anyhow::Result<ExitCode> {
    let (table, cut) = query::table(&args.data, &args.query, limits, cancel).await?;
    print(&format!("{table}\n"));
    if cut {
        eprintln!("cut off after {} rows; add LIMIT or group", query::MAX_ROWS);
    }
    Ok(ExitCode::SUCCESS)
}
