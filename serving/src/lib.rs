//! The answering side of a model: the router, which owns the stable address, and the predictor, which serves one version.
//!
//! The routing table and the assignment of units are a room of their own, `endcap-routing`, which the control plane knows too.
#![forbid(unsafe_code)]
// A problem is made once per refused request; boxing it would only move the cost.
#![allow(clippy::result_large_err)]

pub use endcap_routing::{assign, table};

pub mod artifact;
mod body;
pub mod follow;
pub mod headers;
pub mod live_view;
pub mod load;
pub mod openapi;
pub mod parse;
pub mod predictor;
pub mod router;
