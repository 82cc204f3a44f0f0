//! The event log: one writer per model; append, sync, acknowledge, tail. It folds the live state that predictors and routers follow.

pub mod event;

pub use event::{Event, EventOutcome, EventType, EventsResponse};
