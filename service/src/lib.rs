//! What every program of Endcap shares: health, metrics, errors of HTTP APIs, start and graceful end.
#![forbid(unsafe_code)]

pub mod problem;
pub mod program;
