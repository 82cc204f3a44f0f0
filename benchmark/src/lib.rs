//! Published tasks: the files of their formats, the questions of their protocols, the methods of [`endcap_methods`], one report.
//!
//! Nothing here knows the name of a data set: what is read is told by its layout, what is asked by its task. `endcap evaluate` and
//! `endcap tune` call the program; docs/evaluation.md says what they take.
#![forbid(unsafe_code)]

mod error;
mod next_basket;
mod next_item;
mod page;
pub mod program;
mod read;
mod report;
mod rules;
mod session;
mod table;
mod top_n;

pub use error::BenchmarkError;
pub use report::{Lead, Report, Settings};

use std::path::PathBuf;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[clap(rename_all = "kebab-case")]
pub enum Task {
    /// The next basket of each user (layout Baskets)
    NextBasket,
    /// The next item of each user (layout Sequences)
    NextItem,
    /// What else each user had (layout LightGcn)
    TopN,
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
    Sequences,
    LightGcn,
    Rules,
    Sessions,
}

impl Task {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NextBasket => "next-basket",
            Self::NextItem => "next-item",
            Self::TopN => "top-n",
            Self::Rules => "rules",
            Self::Session => "session",
        }
    }

    pub fn layout(self) -> Layout {
        match self {
            Self::NextBasket => Layout::Baskets,
            Self::NextItem => Layout::Sequences,
            Self::TopN => Layout::LightGcn,
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
        Task::NextItem => next_item::evaluate(options),
        Task::TopN => top_n::evaluate(options),
        Task::Rules => rules::evaluate(options),
        Task::Session => session::evaluate(options),
    })
}

/// Chooses settings from what lies before the test: of a folder, the files of the test are not opened.
pub fn tune(task: Task, data: &std::path::Path, threads: usize) -> Result<String, BenchmarkError> {
    pooled(threads, || match task {
        Task::NextBasket => next_basket::tune(data),
        Task::NextItem => next_item::tune(data),
        Task::TopN => top_n::tune(data),
        Task::Session => session::tune(data),
        Task::Rules => Err(BenchmarkError::Option {
            what: "--task",
            value: "rules".to_owned(),
            remedy: "counting has nothing to choose: tune next-basket, next-item, top-n or session",
        }),
    })
}
