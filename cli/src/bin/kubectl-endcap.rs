//! The kubectl plugin: `kubectl endcap` runs the program of this name in PATH.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    endcap::kubectl::main().await
}
