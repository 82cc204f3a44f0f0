//! The answering side of a model: the router, which owns the stable address, and the predictor, which serves one version.
//!
//! For the control plane there are [`table`] (the signed routing table) and [`assign`] (who belongs to which arm): pure, without a server.
#![forbid(unsafe_code)]
// A problem is made once per refused request; boxing it would only move the cost.
#![allow(clippy::result_large_err)]

pub mod artifact;
pub mod assign;
mod body;
pub mod follow;
pub mod headers;
pub mod live_view;
pub mod load;
pub mod openapi;
pub mod parse;
pub mod predictor;
pub mod router;
pub mod table;
