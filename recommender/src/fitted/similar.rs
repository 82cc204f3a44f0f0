//! Item to item, learned: what goes with what beyond counts.

use super::Rows;
use crate::artifact::{ArtifactError, Columns, ColumnsBuilder};

/// Sparse item-to-item weights, by product and ascending partner. All empty where only rules were learned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Similar {
    /// From orders: what a cart with the product leads to (EASE, Steck, WWW 2019; item kNN where the catalogue is too large for it).
    pub baskets: Rows<Weighted>,
    /// From customers: what buyers of the product also buy, ever.
    pub customers: Rows<Weighted>,
    /// What is entered soon after the product in the same order; nearer lines count more.
    pub follows: Rows<Weighted>,
    /// Cosine of names and attributes; all that is known of a new product.
    pub content: Rows<Weighted>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighted {
    pub product: u32,
    pub weight: f32,
}

impl Similar {
    fn tables(&self) -> [(&'static str, &Rows<Weighted>); 4] {
        [
            ("baskets", &self.baskets),
            ("customers", &self.customers),
            ("follows", &self.follows),
            ("content", &self.content),
        ]
    }

    pub fn is_empty(&self) -> bool {
        self.tables().iter().all(|(_, rows)| rows.entries.is_empty())
    }

    pub(crate) fn encode(&self, object: &'static str) -> Result<Vec<u8>, ArtifactError> {
        let mut columns = ColumnsBuilder::default();
        for (name, rows) in self.tables() {
            columns
                .numbers(&format!("{name}.starts"), &rows.starts)
                .numbers(
                    &format!("{name}.product"),
                    &rows.entries.iter().map(|entry| entry.product).collect::<Vec<_>>(),
                )
                .numbers(&format!("{name}.weight"), &rows.entries.iter().map(|entry| entry.weight).collect::<Vec<_>>());
        }
        columns.finish(object)
    }

    pub(crate) fn decode(object: &'static str, bytes: &[u8], products: usize) -> Result<Self, ArtifactError> {
        let columns = Columns::open(object, bytes)?;
        let table = |name: &str| {
            let product = columns.ids(&format!("{name}.product"), products)?;
            let weight: Vec<f32> = columns.exactly(&format!("{name}.weight"), product.len())?;
            let starts = columns.numbers::<u32>(&format!("{name}.starts"))?;
            // A table that was not learned has no rows at all.
            let rows = if starts.len() == 1 { 0 } else { products };
            let starts = columns.starts(&format!("{name}.starts"), rows, product.len())?;
            let entries = product.into_iter().zip(weight).map(|(product, weight)| Weighted { product, weight });
            Ok(Rows { starts, entries: entries.collect() })
        };
        Ok(Self {
            baskets: table("baskets")?,
            customers: table("customers")?,
            follows: table("follows")?,
            content: table("content")?,
        })
    }
}
