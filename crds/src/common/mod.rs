//! Parts that several kinds share: bounded texts, references, pod settings, conditions, units of assignment.

pub mod columns;
pub mod conditions;
pub mod gates;
pub mod peers;
pub mod pods;
pub mod refs;
pub(crate) mod rule;
pub mod text;
pub mod unit;
