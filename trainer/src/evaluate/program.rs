//! The command line of `endcap-evaluate`, which `endcap evaluate` shares.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{EvaluateOptions, Evaluation, Task, evaluate, page, table};
use crate::learn::LearnOptions;
use crate::load::Cut;
use crate::progress::{Bars, Board, JsonLines, Progress};
use crate::{Architecture, Hyper, TrainError, machine};

/// Evaluates a recommender on a test period that it has not seen.
///
/// Exit codes: 0 done, 1 failed, 2 wrong options or unusable data, 5 told to stop.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "endcap-evaluate", version)]
pub struct Arguments {
    /// Folder of a canonical dataset (with dataset.json)
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    #[command(flatten)]
    pub evaluation: EvaluationArguments,
}

#[derive(Clone, Debug, Args)]
pub struct EvaluationArguments {
    /// What is asked
    #[arg(long)]
    pub task: Task,
    /// First day of the validation window (YYYY-MM-DD, UTC); everything is chosen on it
    #[arg(long, value_name = "DATE")]
    pub validate_from: Date,
    /// First day of the test period, and so the end of the validation window
    #[arg(long, value_name = "DATE")]
    pub test_from: Date,
    /// The day after the last day of the test period
    #[arg(long, value_name = "DATE")]
    pub test_until: Date,
    /// What is learned: Rules, Collaborative or Hybrid
    #[arg(long, default_value = "Hybrid")]
    pub architecture: String,
    #[arg(long, default_value_t = 42, allow_negative_numbers = true)]
    pub seed: i64,
    /// Worker threads; what the machine or the container's CPU limit gives when left out. The result does not depend on it
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// A hyperparameter; an unknown one is refused with the list of those there are
    #[arg(long = "hyperparameter", value_name = "KEY=VALUE")]
    pub hyperparameters: Vec<String>,
    /// Write the report as JSON here
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as a page with plots here
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

impl Arguments {
    pub fn options(&self) -> Result<EvaluateOptions, TrainError> {
        let given = &self.evaluation;
        let wrong = |what: &str, value: String, remedy: &str| TrainError::Option {
            what: what.to_owned(),
            value,
            remedy: remedy.to_owned(),
        };
        let start = |flag: &str, date: Date| {
            let at = date.to_zoned(TimeZone::UTC).map(|at| at.timestamp().as_second());
            at.map_err(|_| wrong(flag, date.to_string(), "write a date such as 2011-10-01"))
        };
        let validate_from_s = start("--validate-from", given.validate_from)?;
        let cut =
            Cut { from_s: start("--test-from", given.test_from)?, until_s: start("--test-until", given.test_until)? };
        if validate_from_s >= cut.from_s {
            let remedy = "the validation window ends where the test begins: write an earlier day than --test-from";
            return Err(wrong("--validate-from", given.validate_from.to_string(), remedy));
        }
        if cut.until_s <= cut.from_s {
            let remedy = "it is the day after the test's last one: write a later day than --test-from";
            return Err(wrong("--test-until", given.test_until.to_string(), remedy));
        }
        let mut hyperparameters = BTreeMap::new();
        for pair in &given.hyperparameters {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| wrong("--hyperparameter", pair.clone(), "write key=value"))?;
            hyperparameters.insert(key.trim().to_owned(), value.trim().to_owned());
        }
        Ok(EvaluateOptions {
            data: self.data.clone(),
            task: given.task,
            learn: LearnOptions {
                architecture: Architecture::parse(&given.architecture)?,
                hyper: Hyper::parse(&hyperparameters)?,
                seed: given.seed,
                validate_from_s: Some(validate_from_s),
            },
            cut,
            threads: given.threads.map_or_else(machine::threads, usize::from),
            work: std::env::temp_dir().join("endcap-evaluate-work"),
        })
    }
}

/// Evaluates as a program does: progress, table, files, exit code.
pub fn run(arguments: &Arguments) -> ExitCode {
    let result = arguments.options().and_then(|options| {
        let board = Arc::new(Board::new("evaluation", options.task.as_str()));
        let bars = std::io::stderr().is_terminal();
        let progress: Box<dyn Progress> =
            if bars { Box::new(Bars::new(board)) } else { Box::new(JsonLines::new(board)) };
        let evaluation = evaluate(&options, progress.as_ref())?;
        write(&arguments.evaluation, &evaluation)?;
        Ok(evaluation)
    });
    match result {
        Ok(evaluation) => {
            let _ = write!(std::io::stdout().lock(), "{}", table::of(&evaluation));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "endcap-evaluate: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn write(arguments: &EvaluationArguments, evaluation: &Evaluation) -> Result<(), TrainError> {
    let put = |path: &Path, flag: &'static str, bytes: &[u8]| {
        let failed = |source| TrainError::Write { path: path.to_owned(), flag, source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        std::fs::write(path, bytes).map_err(failed)
    };
    if let Some(path) = &arguments.json {
        let json = serde_json::to_vec_pretty(evaluation)
            .map_err(|source| TrainError::Json { what: "the evaluation", source })?;
        put(path, "--json", &json)?;
    }
    if let Some(path) = &arguments.html {
        put(path, "--html", page::of(evaluation, &Timestamp::now().to_string()).as_bytes())?;
    }
    Ok(())
}
