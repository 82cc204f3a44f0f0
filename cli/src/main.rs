//! `endcap`: the whole system on one machine.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use endcap::{children, client, demo, evaluate, report, serve, simulate, train, up, validate, world};

#[derive(Debug, Parser)]
#[command(
    name = "endcap",
    version,
    about = "From sales data to recommendations: data, training, serving and their proof on one machine"
)]
struct Cli {
    #[command(flatten)]
    server: client::Server,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make, check and prepare data
    #[command(subcommand)]
    Data(DataCommand),
    /// Learn a version from data and publish it as an immutable artifact
    Train(train::TrainArgs),
    /// Measure on a hidden test period how good what would be learned from this data is
    Evaluate(evaluate::EvaluateArgs),
    /// Say what a version is, how good it is and what to order when, out of its artifact alone
    Report(report::ReportArgs),
    /// Hold an artifact against business scenarios, and sign it off where all come as expected
    Validate(validate::ValidateArgs),
    /// Choose a published task's settings from what lies before its test
    Tune(evaluate::TuneArgs),
    /// Serve an artifact on this machine: event log, predictor and router
    Serve(serve::ServeArgs),
    /// Let simulated customers of a generated shop ask, click, decline and buy at a router
    Simulate(simulate::SimulateArgs),
    /// The story of `make demo`
    Demo(demo::DemoArgs),
    /// The operator on this machine: models, versions, canary, experiments, retraining, with a console
    Up(up::UpArgs),
    #[command(flatten)]
    Client(client::Verb),
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// Generate a believable shop: canonical tables, and beside them the hidden truth
    Generate(world::GenerateArgs),
    /// Say what was found in a folder, what is missing and what that costs
    #[command(disable_help_flag = true)]
    Check(Passed),
    /// Bring sources into the canonical tables
    #[command(disable_help_flag = true)]
    Prepare(Passed),
    /// The data report of a prepared dataset
    #[command(disable_help_flag = true)]
    Report(Passed),
    /// Ask a prepared dataset in SQL
    #[command(disable_help_flag = true)]
    Sql(Passed),
}

/// Arguments for endcap-data, passed on as they are.
#[derive(Debug, clap::Args)]
struct Passed {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

async fn pass(command: &str, passed: Passed) -> anyhow::Result<i32> {
    let args: Vec<String> = std::iter::once(command.to_owned()).chain(passed.args).collect();
    children::run("endcap-data", &args).await
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { server, command } = Cli::parse();
    let result = match command {
        Command::Data(DataCommand::Generate(args)) => world::generate(args).await.map(|()| 0),
        Command::Data(DataCommand::Check(passed)) => pass("check", passed).await,
        Command::Data(DataCommand::Prepare(passed)) => pass("prepare", passed).await,
        Command::Data(DataCommand::Report(passed)) => pass("report", passed).await,
        Command::Data(DataCommand::Sql(passed)) => pass("sql", passed).await,
        Command::Train(args) => train::train(args).await,
        Command::Evaluate(args) => evaluate::evaluate(args).await,
        Command::Report(args) => report::report(args).await,
        Command::Validate(args) => validate::validate(args).await,
        Command::Tune(args) => evaluate::tune(args).await,
        Command::Serve(args) => serve::serve(args).await.map(|()| 0),
        Command::Simulate(args) => simulate::simulate(args).await,
        Command::Demo(args) => demo::demo(args).await,
        Command::Up(args) => up::up(args).await.map(|()| 0),
        Command::Client(verb) => client::run(&server, verb).await,
    };
    match result {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
