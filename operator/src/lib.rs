//! The cluster's shell: watches in, the core's plans out. *observe -> default -> validate -> decide -> build -> apply -> record*, a room
//! each; nothing here decides.
#![forbid(unsafe_code)]

pub mod apply;
pub mod build;
pub mod client;
pub mod context;
pub mod deletion;
pub mod lease;
pub mod memory;
pub mod metrics;
pub mod observe;
pub mod options;
pub mod policies;
pub mod poll;
pub mod queue;
pub mod reconcile;
pub mod record;
pub mod run;
pub mod validate;
pub mod watch;
