//! Popularity: overall, recent, by season and by segment (category, place, channel, hour, customer type, age band).

use std::collections::HashMap;

use super::Rows;
use crate::artifact::{ArtifactError, Columns, ColumnsBuilder, Strings};

/// All shares are of orders: 0.03 means "in 3% of the orders".
#[derive(Clone, Debug, Default)]
pub struct Popularity {
    /// Share of all orders, by product.
    pub share: Vec<f32>,
    /// Share of the orders with exponential decay (half-life in [`super::Settings::trend_half_life_days`]) up to the end of the data.
    pub recent: Vec<f32>,
    /// Factor on `recent` by month of the year (12 a subcategory index, 1 when not known), shrunk towards 1.
    pub season: Vec<f32>,
    /// Keys of the segments: `category=<id>`, `subcategory=<id>`, `area=<id>`, `city=<id>`, `country=<name>`, `channel=<name>`,
    /// `hour=<00..23>`, `customer_type=<value>`, `age_band=<value>`.
    pub segment_keys: Strings,
    /// Orders that each segment was counted from.
    pub segment_orders: Vec<u32>,
    /// The best products of each segment, best first.
    pub segments: Rows<Segment>,
    /// Filled by [`Popularity::indexed`].
    pub by_key: HashMap<String, u32>,
    /// All products by `recent`, best first, at most 2,000: the candidates when nothing else is known.
    pub top: Vec<u32>,
}

/// A product's share of a segment's orders, shrunk towards its overall share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    pub product: u32,
    pub share: f32,
}

impl Popularity {
    /// Builds the index of segment keys; call it once all fields are filled.
    #[must_use]
    pub fn indexed(mut self) -> Self {
        self.by_key = self.segment_keys.iter().enumerate().map(|(at, key)| (key.to_owned(), at as u32)).collect();
        self
    }

    pub fn segment(&self, key: &str) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    pub fn share(&self, product: u32) -> f32 {
        self.share.get(product as usize).copied().unwrap_or(0.0)
    }

    pub fn recent(&self, product: u32) -> f32 {
        self.recent.get(product as usize).copied().unwrap_or(0.0)
    }

    /// Season's factor of a subcategory in a month (1 to 12).
    pub fn season(&self, subcategory: u32, month: i8) -> f32 {
        let month = usize::from(month.clamp(1, 12).unsigned_abs()) - 1;
        (subcategory as usize).checked_mul(12).and_then(|at| self.season.get(at + month)).copied().unwrap_or(1.0)
    }

    pub(crate) fn encode(&self, object: &'static str) -> Result<Vec<u8>, ArtifactError> {
        let entries = &self.segments.entries;
        ColumnsBuilder::default()
            .numbers("share", &self.share)
            .numbers("recent", &self.recent)
            .numbers("season", &self.season)
            .strings("segment_keys", &self.segment_keys)
            .numbers("segment_orders", &self.segment_orders)
            .numbers("segments.starts", &self.segments.starts)
            .numbers("segments.product", &entries.iter().map(|entry| entry.product).collect::<Vec<_>>())
            .numbers("segments.share", &entries.iter().map(|entry| entry.share).collect::<Vec<_>>())
            .numbers("top", &self.top)
            .finish(object)
    }

    pub(crate) fn decode(object: &'static str, bytes: &[u8], products: usize) -> Result<Self, ArtifactError> {
        let columns = Columns::open(object, bytes)?;
        let segment_keys = columns.strings("segment_keys")?;
        let product = columns.ids("segments.product", products)?;
        let share: Vec<f32> = columns.exactly("segments.share", product.len())?;
        let starts = columns.starts("segments.starts", segment_keys.len(), product.len())?;
        let entries = product.into_iter().zip(share).map(|(product, share)| Segment { product, share }).collect();
        Ok(Self {
            share: columns.exactly("share", products)?,
            recent: columns.exactly("recent", products)?,
            season: columns.numbers("season")?,
            segment_orders: columns.exactly("segment_orders", segment_keys.len())?,
            segment_keys,
            segments: Rows { starts, entries },
            top: columns.ids("top", products)?,
            ..Self::default()
        }
        .indexed())
    }
}
