//! The event log: one writer per model; append, sync, acknowledge, tail. It folds the live state that predictors and routers follow.

pub mod client;
pub mod event;
pub mod export;
pub mod intake;
pub mod live;
pub mod log;
pub mod service;

pub use endcap_service::{problem, program};
pub use event::{Event, EventOutcome, EventType, EventsResponse};
pub use live::{Limits, LiveState, LiveUpdate};
