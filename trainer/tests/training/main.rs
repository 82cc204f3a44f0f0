//! The trainer as a program and as a library, on a shop made here with a random seed that is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod digests;
mod events;
mod honest;
mod learned;
mod oracle;
mod refusals;
mod report;
mod shop;
mod versions;
