//! What `endcap` is made of: child programs, the three that serve on one machine, the demo's story. A library so that the
//! whole-system tests run what the program runs.

pub mod children;
pub mod client;
pub mod demo;
pub mod evaluate;
pub mod kubectl;
pub mod programs;
mod progress;
pub mod report;
pub mod serve;
pub mod simulate;
pub mod stack;
pub mod train;
pub mod up;
pub mod validate;
mod web;
pub mod world;
