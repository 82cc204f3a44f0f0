//! What was learned: plain numbers by dense product index (`u32`, the row in the [`Catalogue`]). The trainer fills these, the
//! pipeline reads them, [`Model`] carries them to objects and back.

mod associations;
mod catalogue;
mod deep;
mod habits;
mod model;
mod popularity;
mod ranker;
mod repeat;
mod settings;
mod similar;

pub use associations::{Associations, Neighbour};
pub use catalogue::{Catalogue, CatalogueRow};
pub use deep::{BAG_PRODUCTS, CONTEXTS, Deep, NORM_EPSILON, cart_bag, history_bag};
pub use habits::{BetterVariant, Habits, PriceBreak};
pub use model::{Model, OBJECTS, PACK_PREFIX};
pub use popularity::{Popularity, Segment};
pub use ranker::{INPUT_RANGE, Layers, Ranker};
pub use repeat::Repeat;
pub use settings::{Settings, SignalWeights, Situation};
pub use similar::{Similar, Weighted};

/// No product, category or brand.
pub const NONE: u32 = u32::MAX;

/// A compressed sparse table: rows of variable length in one array.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows<T> {
    /// One more than there are rows.
    pub starts: Vec<u32>,
    pub entries: Vec<T>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { starts: vec![0], entries: Vec::new() }
    }
}

impl<T> Rows<T> {
    pub fn from_rows(rows: impl IntoIterator<Item = Vec<T>>) -> Self {
        let mut table = Self { starts: vec![0], entries: Vec::new() };
        for row in rows {
            table.entries.extend(row);
            table.starts.push(table.entries.len() as u32);
        }
        table
    }

    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Empty where there is no such row.
    pub fn row(&self, at: u32) -> &[T] {
        let range = self.starts.get(at as usize).zip(self.starts.get(at as usize + 1));
        range.and_then(|(from, to)| self.entries.get(*from as usize..*to as usize)).unwrap_or(&[])
    }
}

/// Money as stored: ten-thousandths, exactly as `decimal(18,4)`; `i64::MIN` for none.
pub(crate) const NO_MONEY: i64 = i64::MIN;

pub fn money_to_i64(value: Option<rust_decimal::Decimal>) -> i64 {
    use rust_decimal::prelude::ToPrimitive;
    let Some(value) = value else { return NO_MONEY };
    let mut value = value.round_dp(4);
    value.rescale(4);
    value.mantissa().to_i64().unwrap_or(NO_MONEY)
}

pub fn money_from_i64(value: i64) -> Option<rust_decimal::Decimal> {
    (value != NO_MONEY).then(|| rust_decimal::Decimal::new(value, 4).normalize())
}
