//! Sources -> canonical tables, in SQL.
//!
//! A *source* is a folder or prefix in one of three layouts: `Mv` (the `MV_*` views of a sales system), `Canonical` (files of the
//! canonical tables) or `Custom` (SQL expressions over a file's own columns). [`prepare`] reads sources as Parquet, CSV or JSON
//! lines, converts types, judges every row, nets cancellations and writes the tables of `endcap-tables` with their manifest and a
//! data report. Nothing is dropped silently: every row that is left out is counted under a reason ([`quality::REASONS`]).
//!
//! This is the only crate that links DataFusion. The SQL lies in `src/sql`, one file a table.

pub mod check;
pub mod convert;
mod engine;
mod error;
mod events;
mod layout;
mod netting;
mod offers;
mod prepare;
pub mod quality;
pub mod query;
pub mod report;
mod source;
pub mod spec;
mod values;
mod work;

pub use engine::Limits;
pub use error::DataError;
pub use events::{EventsFrom, prepare_with};
pub use layout::views;
pub use netting::NettingCounts;
pub use prepare::{Prepared, Request, prepare};
pub use report::DataReport;
pub use spec::{DataSpec, Layout};
