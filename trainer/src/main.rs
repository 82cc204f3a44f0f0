//! `endcap-trainer`: what a training Job runs.

use std::process::ExitCode;

use clap::Parser;

// Fits allocate many short rows; the system's allocator gives them back to the kernel between phases and pays for it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    endcap_trainer::program::run(&endcap_trainer::program::Arguments::parse())
}
