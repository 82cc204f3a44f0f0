//! Recommenders that know nothing but who had what, and when: the baselines that a published number is compared with, each usable
//! alone, and their blend.
//!
//! [`Histories`] is all that a method learns from; a method that is fitted is a [`Scorer`]. Nothing here reads a file or a clock, and
//! nothing depends on the number of threads.
#![forbid(unsafe_code)]

pub mod als;
pub mod autoencoder;
pub mod blend;
pub mod boost;
pub mod content;
pub mod ease;
pub mod follows;
pub mod format;
pub mod graph;
pub mod item_knn;
pub mod learned;
pub mod measure;
pub mod negatives;
pub mod neighbours;
pub mod pairs;
pub mod popularity;
pub mod protocol;
pub mod rows;
pub mod rules;
pub mod session;
pub mod suite;
pub mod taste;
mod top;
pub mod transformer;
mod unseen;
pub mod upcf;

pub use top::{Ties, top};
pub use unseen::Unseen;

/// What was had together: an order, a day's purchases, one click.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basket {
    /// In the order in which they came, where the source keeps it. An item may stand here twice.
    pub items: Vec<u32>,
    /// Seconds since 1970, where the source knows it.
    pub at: Option<i64>,
}

/// What one user or session had, oldest first. A session of clicks is one basket in the order of the clicks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    pub baskets: Vec<Basket>,
}

impl History {
    /// One basket without a time.
    pub fn of_items(items: Vec<u32>) -> Self {
        Self { baskets: vec![Basket { items, at: None }] }
    }

    /// Baskets without times.
    pub fn of_baskets(baskets: impl IntoIterator<Item = Vec<u32>>) -> Self {
        Self { baskets: baskets.into_iter().map(|items| Basket { items, at: None }).collect() }
    }

    /// Every item, oldest first.
    pub fn items(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.baskets.iter().flat_map(|basket| basket.items.iter().copied())
    }

    pub fn is_empty(&self) -> bool {
        self.baskets.iter().all(|basket| basket.items.is_empty())
    }
}

/// All that a method learns from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histories {
    /// Items are numbered from 0 to this, exclusive.
    pub items: usize,
    pub users: Vec<History>,
}

/// A fitted method.
pub trait Scorer: Sync {
    /// Writes a score for every item: higher is better, [`f32::NEG_INFINITY`] means never. `scores` holds one slot an item, and what
    /// stands in it before does not matter. `who` is the number of the user in the histories that were learned from, if there is one;
    /// `history` is what is known of the user now.
    fn score(&self, who: Option<usize>, history: &History, scores: &mut [f32]);

    /// The scores of several users, one after the other in `scores`: a method whose tables are larger than the caches reads them once for
    /// all. Says what [`Scorer::score`] says, but for the last bits.
    fn score_all(&self, users: &[(Option<usize>, &History)], scores: &mut [f32]) {
        let items = scores.len() / users.len().max(1);
        for ((who, history), scores) in users.iter().zip(scores.chunks_exact_mut(items.max(1))) {
            self.score(*who, history, scores);
        }
    }
}
