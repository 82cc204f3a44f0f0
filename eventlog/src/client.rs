//! What routers, predictors and others use of a running event log.

mod follower;
mod http;
mod sender;
mod spool;
mod tail;

pub use follower::{Follow, Follower, FollowerOptions};
pub use http::ClientError;
pub use sender::{EventSender, Forwarded};
pub use spool::{Spool, SpoolCounts, SpoolOptions};
pub use tail::{EventTail, Tail, TailPlace};
