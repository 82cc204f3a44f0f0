//! Frequently bought together: exact counts of orders, and how many of them chance alone would give.

use super::Rows;
use crate::artifact::{ArtifactError, Columns, ColumnsBuilder};

/// Association rules with one product on each side. Support, confidence and lift follow from exact counts of orders
/// (Agrawal and Srikant, 1994); `expected` is what independence within strata of season and order size would give, so that
/// popularity and season do not pass for a complement (Mantel and Haenszel, 1959).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Associations {
    /// Orders that were counted.
    pub orders: u32,
    /// Orders with each product.
    pub item_orders: Vec<u32>,
    /// The best partners of each product, by ascending partner.
    pub neighbours: Rows<Neighbour>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    pub product: u32,
    /// Orders with both.
    pub both: u32,
    /// Orders with both if they were independent within their stratum.
    pub expected: f32,
}

impl Associations {
    pub fn item_orders(&self, product: u32) -> u32 {
        self.item_orders.get(product as usize).copied().unwrap_or(0)
    }

    pub fn between(&self, product: u32, partner: u32) -> Option<&Neighbour> {
        let row = self.neighbours.row(product);
        row.binary_search_by_key(&partner, |neighbour| neighbour.product).ok().and_then(|at| row.get(at))
    }

    pub(crate) fn encode(&self, object: &'static str) -> Result<Vec<u8>, ArtifactError> {
        let entries = &self.neighbours.entries;
        ColumnsBuilder::default()
            .numbers("orders", &[self.orders])
            .numbers("item_orders", &self.item_orders)
            .numbers("neighbours.starts", &self.neighbours.starts)
            .numbers("neighbours.product", &entries.iter().map(|entry| entry.product).collect::<Vec<_>>())
            .numbers("neighbours.both", &entries.iter().map(|entry| entry.both).collect::<Vec<_>>())
            .numbers("neighbours.expected", &entries.iter().map(|entry| entry.expected).collect::<Vec<_>>())
            .finish(object)
    }

    pub(crate) fn decode(object: &'static str, bytes: &[u8], products: usize) -> Result<Self, ArtifactError> {
        let columns = Columns::open(object, bytes)?;
        let product = columns.ids("neighbours.product", products)?;
        let both: Vec<u32> = columns.exactly("neighbours.both", product.len())?;
        let expected: Vec<f32> = columns.exactly("neighbours.expected", product.len())?;
        let starts = columns.starts("neighbours.starts", products, product.len())?;
        let entries = product
            .into_iter()
            .zip(both)
            .zip(expected)
            .map(|((product, both), expected)| Neighbour { product, both, expected })
            .collect();
        let orders = columns.exactly::<u32>("orders", 1)?.first().copied().unwrap_or(0);
        Ok(Self {
            orders,
            item_orders: columns.exactly("item_orders", products)?,
            neighbours: Rows { starts, entries },
        })
    }
}
