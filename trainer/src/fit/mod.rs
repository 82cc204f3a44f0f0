//! The fits: exact counts over placed orders, turned into the tables of [`endcap_recommender::fitted`].
//!
//! Every fit gives the same bytes whatever the number of threads: work is cut by product or by segment type, each shard is counted
//! with integers or sums floats in a fixed order, and shards are put together in order.

mod associations;
mod better;
mod breaks;
mod content;
mod ease;
mod follows;
mod habits;
mod popularity;
mod ratings;
pub mod reach;
mod repeat;
mod similar;
mod traits;

pub use associations::{Baskets, associations};
pub use better::better_variants;
pub use breaks::{DeclaredTier, Sighting, declared_tiers, find_breaks};
pub(crate) use content::Words;
pub use habits::habits;
pub use popularity::{SEGMENT_KINDS, popularity};
pub use ratings::liking;
pub use repeat::repeat;
pub use similar::{SimilarOptions, similar};
pub use traits::traits;
