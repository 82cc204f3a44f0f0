//! `endcap-predictor`

use std::process::ExitCode;

use clap::Parser;
use endcap_serving::artifact::LoadError;
use endcap_serving::predictor::{Args, EXIT_ARTIFACT, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    endcap_eventlog::program::init_tracing();
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<LoadError>() { EXIT_ARTIFACT } else { 1 })
        }
    }
}
