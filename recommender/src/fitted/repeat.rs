//! Personal repeat: when a product is usually bought again.

use crate::artifact::{ArtifactError, Columns, ColumnsBuilder};

/// By product. A customer's own history comes from live state; this is what all customers taught about the product.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repeat {
    /// Median days between two orders of the product by one customer; NaN when too few were seen.
    pub interval_days: Vec<f32>,
    /// Share of its buyers who bought it again, shrunk towards the subcategory's.
    pub repeat_rate: Vec<f32>,
    /// Sightings that `interval_days` rests on.
    pub repeats: Vec<u32>,
}

impl Repeat {
    pub fn interval_days(&self, product: u32) -> Option<f32> {
        self.interval_days.get(product as usize).copied().filter(|days| days.is_finite() && *days > 0.0)
    }

    pub fn repeat_rate(&self, product: u32) -> f32 {
        self.repeat_rate.get(product as usize).copied().unwrap_or(0.0)
    }

    pub(crate) fn encode(&self, object: &'static str) -> Result<Vec<u8>, ArtifactError> {
        ColumnsBuilder::default()
            .numbers("interval_days", &self.interval_days)
            .numbers("repeat_rate", &self.repeat_rate)
            .numbers("repeats", &self.repeats)
            .finish(object)
    }

    pub(crate) fn decode(object: &'static str, bytes: &[u8], products: usize) -> Result<Self, ArtifactError> {
        let columns = Columns::open(object, bytes)?;
        Ok(Self {
            interval_days: columns.exactly("interval_days", products)?,
            repeat_rate: columns.exactly("repeat_rate", products)?,
            repeats: columns.exactly("repeats", products)?,
        })
    }
}
