//! The command line of `endcap-benchmark`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;

use crate::rules::Threshold;
use crate::{BenchmarkError, EvaluateOptions, Layout, Task, evaluate, page, table, tune};

/// How good methods are on published tasks.
///
/// Exit codes: 0 done, 1 failed, 2 wrong options or unusable data.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "endcap-benchmark", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Asks the questions of a task's test and reports every method
    Evaluate(EvaluateArguments),
    /// Chooses settings from what lies before the test
    Tune(TuneArguments),
}

/// What is asked of which data.
#[derive(Clone, Debug, Args)]
struct Asked {
    #[arg(long)]
    task: Task,
    /// Folder, or for rules and next-item a file
    #[arg(long, value_name = "DIR_OR_FILE")]
    data: PathBuf,
    /// What the files look like: Baskets for next-basket, Sequences for next-item, LightGcn for top-n, Rules for rules, Sessions for session
    #[arg(long)]
    layout: Layout,
    /// Worker threads; the result does not depend on it
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

#[derive(Clone, Debug, Args)]
struct EvaluateArguments {
    #[command(flatten)]
    asked: Asked,
    /// Settings that tune chose; the documented ones unless given
    #[arg(long, value_name = "FILE")]
    tuned: Option<PathBuf>,
    /// What rules must reach, as support/confidence/items; more than once for more
    #[arg(long = "threshold", value_name = "S/C/N", default_value = "0.01/0.5/1")]
    thresholds: Vec<Threshold>,
    #[arg(long, default_value_t = 42, allow_negative_numbers = true)]
    seed: i64,
    /// Write the report as JSON here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as a page here
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
struct TuneArguments {
    #[command(flatten)]
    asked: Asked,
    /// Write the settings here
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Asked {
    fn check(&self) -> Result<usize, BenchmarkError> {
        if self.layout != self.task.layout() {
            return Err(BenchmarkError::Option {
                what: "--layout",
                value: format!("{:?}", self.layout),
                remedy: match self.task.layout() {
                    Layout::Sequences => "the task next-item reads --layout Sequences",
                    Layout::LightGcn => "the task top-n reads --layout LightGcn",
                    Layout::Baskets => "the task next-basket reads --layout Baskets",
                    Layout::Rules => "the task rules reads --layout Rules",
                    Layout::Sessions => "the task session reads --layout Sessions",
                },
            });
        }
        if !self.data.exists() {
            return Err(BenchmarkError::Option {
                what: "--data",
                value: self.data.display().to_string(),
                remedy: "there is nothing of that name",
            });
        }
        let machine = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(self.threads.map_or(machine, usize::from))
    }
}

/// The settings of a task, from the file that was named, and what to say of where they come from.
pub(crate) fn settings_of<S: DeserializeOwned + Default>(
    options: &EvaluateOptions,
) -> Result<(S, String), BenchmarkError> {
    let Some(path) = &options.tuned else { return Ok((S::default(), "as documented".to_owned())) };
    let remedy = "name what `endcap tune` wrote with --out";
    let text = crate::read::File::open(path, remedy)?.text;
    let settings = serde_json::from_str(&text).map_err(|source| BenchmarkError::Tuned {
        path: path.clone(),
        task: options.task.as_str(),
        source,
    })?;
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok((settings, format!("from {name}")))
}

/// Evaluates or tunes as a program does: table, files, exit code.
pub fn run(arguments: &Arguments) -> ExitCode {
    let result = match &arguments.command {
        Command::Evaluate(arguments) => report(arguments),
        Command::Tune(arguments) => choose(arguments),
    };
    match result {
        Ok(text) => {
            let _ = write!(std::io::stdout().lock(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "endcap-benchmark: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn report(arguments: &EvaluateArguments) -> Result<String, BenchmarkError> {
    let threads = arguments.asked.check()?;
    let report = evaluate(&EvaluateOptions {
        task: arguments.asked.task,
        data: arguments.asked.data.clone(),
        tuned: arguments.tuned.clone(),
        thresholds: arguments.thresholds.clone(),
        seed: arguments.seed,
        threads,
    })?;
    if let Some(path) = &arguments.json {
        let json =
            serde_json::to_vec_pretty(&report).map_err(|source| BenchmarkError::Json { what: "the report", source })?;
        put(path, "--json", &json)?;
    }
    if let Some(path) = &arguments.html {
        put(path, "--html", page::of(&report).as_bytes())?;
    }
    Ok(table::of(&report))
}

fn choose(arguments: &TuneArguments) -> Result<String, BenchmarkError> {
    let threads = arguments.asked.check()?;
    let settings = tune(arguments.asked.task, &arguments.asked.data, threads)? + "\n";
    put(&arguments.out, "--out", settings.as_bytes())?;
    Ok(format!("chosen: {}\n", arguments.out.display()))
}

fn put(path: &Path, flag: &'static str, bytes: &[u8]) -> Result<(), BenchmarkError> {
    let failed = |source| BenchmarkError::Write { path: path.to_owned(), flag, source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, bytes).map_err(failed)
}
