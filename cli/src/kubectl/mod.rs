//! `kubectl endcap`: the plugin. What it shows and does is what `kubectl get` and `kubectl patch` show and do, with more words.

mod console;
mod proxy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::client::{self, Refusal, Steer, rights};
use proxy::{Cluster, Proxy};

/// Looks at recommender models in a cluster and steers them. It uses kubectl, and has your rights and no others.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl endcap",
    bin_name = "kubectl endcap",
    version,
    after_help = "MODEL is the name of a RecommenderModel (recm); its versions are <model>-v1, -v2, ... and can be written v1 or 1.\n\
                  Every command that changes something prints the `kubectl patch` that does the same.\n\
                  Exit codes: 0 done, 1 not done (--wait says why), 2 not within --timeout, 3 refused or not reachable, 64 wrong arguments."
)]
struct Cli {
    #[command(flatten)]
    cluster: Cluster,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Steer(Steer),
    /// Serve the web console on a port of this machine, with your rights
    Console {
        /// Port on 127.0.0.1; 0 picks a free one
        #[arg(long, default_value_t = 8091)]
        port: u16,
    },
    /// The version of this plugin
    Version,
}

/// What went wrong before anything was decided.
const FAILED: u8 = 3;
/// As sysexits.h has it: 2 already means that time is up.
const USAGE: u8 = 64;

/// The whole program.
pub async fn main() -> ExitCode {
    let Cli { cluster, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match run(&cluster, command).await {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(FAILED)),
        Err(error) => {
            eprintln!("error: {error:#}");
            if let Some(hint) = Refusal::of(&error).and_then(rights::reading) {
                eprintln!("{hint}");
            }
            ExitCode::from(FAILED)
        }
    }
}

async fn run(cluster: &Cluster, command: Command) -> Result<i32> {
    if let Command::Version = command {
        println!("kubectl-endcap {} ({})", env!("CARGO_PKG_VERSION"), endcap_crds::API_VERSION);
        return Ok(0);
    }
    let (namespace, proxy) = tokio::try_join!(proxy::namespace(cluster), Proxy::start(cluster))?;
    let client = proxy.client(namespace)?;
    match command {
        Command::Steer(steer) => client::steer(&client, steer).await,
        Command::Console { port } => console::console(client, Some(proxy), port).await.map(|()| 0),
        Command::Version => Ok(0),
    }
}
