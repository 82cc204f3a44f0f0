//! `endcap-report`: what a trained version is, how good it is, and what to order when.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    endcap_trainer::card::program::run(&clap::Parser::parse())
}
