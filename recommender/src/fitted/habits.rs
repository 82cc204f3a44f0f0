//! What upsell rests on: usual quantities, real price breaks, better variants.

use super::Rows;
use crate::artifact::{ArtifactError, Columns, ColumnsBuilder};
use crate::reach::FEATURES;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Habits {
    /// Quantity of a line: median, upper quartile and ninth decile by product; 0 when never sold.
    pub quantity_p50: Vec<f32>,
    pub quantity_p75: Vec<f32>,
    pub quantity_p90: Vec<f32>,
    /// Real price breaks found in the orders, by ascending quantity.
    pub breaks: Rows<PriceBreak>,
    /// Better products for the same need, best first.
    pub better: Rows<BetterVariant>,
    /// How likely a line near a break goes to it; none where too few near misses were seen.
    pub reach: Option<[f64; FEATURES]>,
}

/// From this quantity on, orders paid this unit price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PriceBreak {
    pub min_quantity: u32,
    /// Ten-thousandths.
    pub unit_price: i64,
    /// Of the customers who had bought at 50 to 99% of the break, the share that later reached it.
    pub reached: f32,
    /// Orders that the break was seen in.
    pub orders: u32,
}

/// A dearer product of the same need that buyers of this one took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BetterVariant {
    pub product: u32,
    /// Share of this product's customers who bought the better one, later or instead.
    pub accepted: f32,
    pub customers: u32,
}

impl Habits {
    pub fn usual_quantity(&self, product: u32) -> Option<f32> {
        self.quantity_p50.get(product as usize).copied().filter(|quantity| *quantity > 0.0)
    }

    pub(crate) fn encode(&self, object: &'static str) -> Result<Vec<u8>, ArtifactError> {
        let (breaks, better) = (&self.breaks.entries, &self.better.entries);
        ColumnsBuilder::default()
            .numbers("quantity_p50", &self.quantity_p50)
            .numbers("quantity_p75", &self.quantity_p75)
            .numbers("quantity_p90", &self.quantity_p90)
            .numbers("breaks.starts", &self.breaks.starts)
            .numbers("breaks.min_quantity", &breaks.iter().map(|entry| entry.min_quantity).collect::<Vec<_>>())
            .numbers("breaks.unit_price", &breaks.iter().map(|entry| entry.unit_price).collect::<Vec<_>>())
            .numbers("breaks.reached", &breaks.iter().map(|entry| entry.reached).collect::<Vec<_>>())
            .numbers("breaks.orders", &breaks.iter().map(|entry| entry.orders).collect::<Vec<_>>())
            .numbers("better.starts", &self.better.starts)
            .numbers("better.product", &better.iter().map(|entry| entry.product).collect::<Vec<_>>())
            .numbers("better.accepted", &better.iter().map(|entry| entry.accepted).collect::<Vec<_>>())
            .numbers("better.customers", &better.iter().map(|entry| entry.customers).collect::<Vec<_>>())
            .numbers("reach.weights", &self.reach.iter().flatten().map(|weight| *weight as f32).collect::<Vec<f32>>())
            .finish(object)
    }

    pub(crate) fn decode(object: &'static str, bytes: &[u8], products: usize) -> Result<Self, ArtifactError> {
        let columns = Columns::open(object, bytes)?;
        let min_quantity: Vec<u32> = columns.numbers("breaks.min_quantity")?;
        let unit_price: Vec<i64> = columns.exactly("breaks.unit_price", min_quantity.len())?;
        let reached: Vec<f32> = columns.exactly("breaks.reached", min_quantity.len())?;
        let orders: Vec<u32> = columns.exactly("breaks.orders", min_quantity.len())?;
        let break_starts = columns.starts("breaks.starts", products, min_quantity.len())?;
        let breaks = min_quantity
            .into_iter()
            .zip(unit_price)
            .zip(reached.into_iter().zip(orders))
            .map(|((min_quantity, unit_price), (reached, orders))| PriceBreak {
                min_quantity,
                unit_price,
                reached,
                orders,
            })
            .collect();
        let product = columns.ids("better.product", products)?;
        let accepted: Vec<f32> = columns.exactly("better.accepted", product.len())?;
        let customers: Vec<u32> = columns.exactly("better.customers", product.len())?;
        let better_starts = columns.starts("better.starts", products, product.len())?;
        let better = product
            .into_iter()
            .zip(accepted.into_iter().zip(customers))
            .map(|(product, (accepted, customers))| BetterVariant { product, accepted, customers })
            .collect();
        Ok(Self {
            quantity_p50: columns.exactly("quantity_p50", products)?,
            quantity_p75: columns.exactly("quantity_p75", products)?,
            quantity_p90: columns.exactly("quantity_p90", products)?,
            breaks: Rows { starts: break_starts, entries: breaks },
            better: Rows { starts: better_starts, entries: better },
            reach: reach(&columns)?,
        })
    }
}

/// Artifacts of before it was learned have no such column.
fn reach(columns: &Columns<'_>) -> Result<Option<[f64; FEATURES]>, ArtifactError> {
    let weights: Vec<f32> = match columns.numbers("reach.weights") {
        Ok(weights) => weights,
        Err(ArtifactError::MissingColumn { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    // Weights of other features, of a newer release, are not taken for these.
    let weights = weights.into_iter().map(f64::from).collect::<Vec<f64>>();
    Ok(weights.try_into().ok())
}
