//! `endcap-operator`: carries the core's plans out on Kubernetes.
use std::process::ExitCode;

use clap::Parser;

// A look makes and drops thousands of small strings: with the system's allocator that was half of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    endcap_service::program::init_tracing();
    match endcap_operator::run::main(endcap_operator::options::Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
