//! Insights of one model: follows the event log, folds it into rollups, sketches and experiment sums, and answers by HTTP. A request never
//! reads events. Everything it holds has a bound, and what did not fit is counted.
//!
//! * [`fold`]: pure. The same events give the same state, however they are cut into batches and wherever it was kept and read again.
//! * [`stats`]: pure. Ratios, tests, sample sizes, PSI and KS, each with its source.
//! * [`keep`], [`tables`], [`follow`], [`shop`]: the state on disk, the signed table, the log, the active version's catalogue.
//! * [`api`]: what is asked (`docs/insights.md`, `docs/openapi-insights.json`).
#![forbid(unsafe_code)]
// A problem is made once per refused request; boxing it would only move the cost.
#![allow(clippy::result_large_err)]

pub mod api;
pub mod fold;
pub mod follow;
pub mod keep;
pub mod metrics;
pub mod openapi;
pub mod program;
pub mod shop;
pub mod stats;
pub mod tables;
