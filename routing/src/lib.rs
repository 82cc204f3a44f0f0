//! What control plane and data plane both know: the signed routing [`table`], and which arm a unit belongs to ([`assign`]). Pure: no
//! server, no client, no clock.
#![forbid(unsafe_code)]

pub mod assign;
pub mod table;
