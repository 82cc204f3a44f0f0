//! `endcap-operator`: carries the core's plans out on Kubernetes.
use std::process::ExitCode;

use clap::Parser;

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
