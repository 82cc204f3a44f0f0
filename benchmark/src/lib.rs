//! Published tasks: the files of their formats, the questions of their protocols, the methods of [`endcap_methods`], one report.
//!
//! Nothing here knows the name of a data set: what is read is told by its layout, what is asked by its task. `endcap evaluate` and
//! `endcap tune` call the program; docs/evaluation.md says what they take.
#![forbid(unsafe_code)]

mod error;
mod next_basket;
mod page;
pub mod program;
mod read;
mod report;
mod rules;
mod session;
mod table;

pub use error::BenchmarkError;
pub use report::{Lead, Report, Settings};

use std::path::PathBuf;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[clap(rename_all = "kebab-case")]
pub enum Task {
    /// The next basket of each user (layout Baskets)
    NextBasket,
    /// Association rules, counted exactly (layout Rules)
    Rules,
    /// The next click of each session (layout Sessions)
    Session,
}

/// What the files look like. Each task has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[clap(rename_all = "PascalCase")]
pub enum Layout {
    Baskets,
    Rules,
    Sessions,
}

impl Task {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NextBasket => "next-basket",
            Self::Rules => "rules",
            Self::Session => "session",
        }
    }

    pub fn layout(self) -> Layout {
        match self {
            Self::NextBasket => Layout::Baskets,
            Self::Rules => Layout::Rules,
            Self::Session => Layout::Sessions,
        }
    }
}

/// What is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluateOptions {
    pub task: Task,
    /// Folder or file.
    pub data: PathBuf,
    /// What `endcap tune` chose; the documented settings unless given.
    pub tuned: Option<PathBuf>,
    /// Thresholds of the task rules.
    pub thresholds: Vec<rules::Threshold>,
    pub seed: i64,
    pub threads: usize,
}

fn pooled<T: Send>(
    threads: usize,
    work: impl FnOnce() -> Result<T, BenchmarkError> + Send,
) -> Result<T, BenchmarkError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build();
    pool.map_err(|source| BenchmarkError::Threads { threads, source })?.install(work)
}

/// Evaluates the task's methods.
pub fn evaluate(options: &EvaluateOptions) -> Result<Report, BenchmarkError> {
    pooled(options.threads, || match options.task {
        Task::NextBasket => next_basket::evaluate(options),
        Task::Rules => rules::evaluate(options),
        Task::Session => session::evaluate(options),
    })
}

/// Chooses settings from what lies before the test: of a folder, the files of the test are not opened.
pub fn tune(task: Task, data: &std::path::Path, threads: usize) -> Result<String, BenchmarkError> {
    pooled(threads, || match task {
        Task::NextBasket => next_basket::tune(data),
        Task::Session => session::tune(data),
        Task::Rules => Err(BenchmarkError::Option {
            what: "--task",
            value: "rules".to_owned(),
            remedy: "counting has nothing to choose: tune next-basket or session",
        }),
    })
}
