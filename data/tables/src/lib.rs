//! The canonical tables: what every source is brought into and what every training reads.
//!
//! Parquet files, one per table, in one folder with a [`DatasetManifest`]. Timestamps are UTC with microseconds, money and
//! quantities are `decimal(18,4)`, ids are strings as the source wrote them. This crate knows schemas, Parquet, the manifest and
//! their validation; it knows no SQL engine and no source layout.

mod cell;
mod docs;
mod error;
mod files;
mod manifest;
mod rows;
mod table;

pub use docs::markdown;
pub use error::TableError;
pub use files::{TableWriter, Written, read, read_optional, scan};
pub use manifest::{DatasetManifest, DatasetWriter, MANIFEST_FILE, MergedEvents, RejectedRows, TableEntry, TimeRange};
pub use rows::{
    Brand, Cancellation, Category, Customer, Exposure, Identity, Interaction, Offer, Order, OrderLine, OrderStatus,
    Place, Product, Stock,
};
pub use table::{Row, all_schemas};
