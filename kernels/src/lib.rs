//! Hot loops that know nothing of recommendation: scans, losses, sparse tables, norms and small dense layers over plain `f32` slices.
//!
//! How a loop becomes fast here: its body is one safe, generic function written over fixed-size arrays, and [`x86`] compiles that
//! body once for each [`Level`] of instructions and chooses at run time. The portable copy is the twin that the others are tested
//! against. Only the int8 scan spells out instructions ([`x86::int8`]). Work is split over rayon into parts whose number does not
//! depend on the number of threads, so results have the same bits on one core and on sixty-four (of the same machine type).
#![deny(unsafe_code)]

pub mod dense;
pub mod dot;
mod exp;
mod level;
pub mod loss;
mod matmul;
pub mod norm;
pub mod normal;
mod prefetch;
pub mod scan;
pub mod sparse;
mod topk;
mod x86;

pub use level::Level;
pub use prefetch::prefetch;
pub use topk::TopK;
