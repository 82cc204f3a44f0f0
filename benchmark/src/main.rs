//! `endcap-benchmark`: how good methods are on published tasks, and settings chosen for them.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    endcap_benchmark::program::run(&clap::Parser::parse())
}
