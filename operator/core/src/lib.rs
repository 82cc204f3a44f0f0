//! Every decision of the operator, as one pure function: [`decide`] takes what is observed of a model and the time, and returns a
//! [`Plan`] in the domain's words: trainings to run, arms to keep with how many replicas, the routing table, statuses, events, the next
//! wake-up. It reads no clock, draws no chance, does no I/O and never fails; two shells carry plans out (the cluster's and the
//! command line's).
//!
//! The operator's memory is the status of its objects and nothing else: whoever reads it can go on from there.
#![forbid(unsafe_code)]

pub mod arms;
mod columns;
mod conditions;
pub mod cron;
mod decide;
pub mod drift;
pub mod experiment;
pub mod gates;
mod history;
pub mod observed;
mod offline;
pub mod plan;
mod retention;
mod rollout;
mod target;
pub mod text;
mod training;
mod trigger;
pub mod window;

pub use conditions::{Said, set as set_condition};
pub use decide::{accepted, decide};
pub use observed::Observed;
pub use plan::Plan;
