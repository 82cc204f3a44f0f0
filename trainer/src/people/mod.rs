//! Customers as a whole: segments, and what they will be worth. What is written into an artifact says nothing of a single customer.

mod clusters;
mod names;
pub mod segments;
pub mod value;

use serde::{Deserialize, Serialize};

use crate::features::Rfm;
use crate::load::{Dataset, View};

/// What is known of customers at the end of the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct People {
    pub segments: segments::Segments,
    /// By customer, the place in the learned segments.
    pub places: Vec<Option<u32>>,
    pub value: value::Value,
}

impl People {
    /// The name of a customer's learned segment.
    pub fn segment(&self, customer: u32) -> Option<&str> {
        let place = self.places.get(customer as usize).copied().flatten()?;
        Some(self.segments.learned.as_ref()?.segments.get(place as usize)?.name.as_str())
    }
}

pub fn fit(data: &Dataset, sales: View<'_>, rfm: &[Option<Rfm>], seed: i64) -> People {
    let (segments, places) = segments::fit(data, sales, rfm, seed);
    let value = value::fit(sales, data.customers.len(), &segments, &places, seed);
    People { segments, places, value }
}
