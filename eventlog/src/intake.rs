//! What clients send: a body is cut into events, each is parsed and checked on its own, so that a bad one never sinks its batch.

mod check;
mod parse;
mod split;

pub use check::{Source, check};
pub use parse::{BodyError, Format, Intake, Rejection, parse_body, parse_event};

/// Bounds of a body.
pub const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
pub const MAX_BATCH_EVENTS: usize = 10_000;
/// One event as JSON.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;
