//! `endcap-evaluate`: how good a recommender learned from this data would have been.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    endcap_trainer::evaluate::program::run(&clap::Parser::parse())
}
