//! How likely an order just below a price break goes to the break: a logistic regression on what is known of product and customer.

use crate::fitted::PriceBreak;

/// A line below a price break, and what its customer did before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearBreak<'a> {
    pub quantity: f32,
    /// What the unit costs at this quantity, ten-thousandths.
    pub unit_price: i64,
    pub step: PriceBreak,
    /// The customer's earlier quantities of the product.
    pub own: &'a [f32],
    /// The customer's earlier lines of products that have breaks, and how many of them stood at the first break or above.
    pub lines: u32,
    pub lines_at_break: u32,
}

/// Numbers that the chance is made of.
pub const FEATURES: usize = 9;
/// What they are, in the order of the coefficients.
pub const NAMES: [&str; FEATURES] = [
    "intercept",
    "nearness",
    "product_rate",
    "own_share",
    "own_times",
    "bulk_share",
    "saving",
    "extra_money",
    "usual_over_break",
];

/// Lines at the overall share that a customer's own share is drawn to.
const SHRINKAGE: f64 = 3.0;
const BULK: f64 = 0.3;

fn logit(share: f64) -> f64 {
    let share = share.clamp(0.01, 0.99);
    (share / (1.0 - share)).ln()
}

impl NearBreak<'_> {
    pub fn features(&self) -> [f64; FEATURES] {
        let (quantity, least) = (f64::from(self.quantity.max(0.001)), f64::from(self.step.min_quantity.max(1)));
        let times = self.own.len() as f64;
        let at_break = self.own.iter().filter(|own| f64::from(**own) >= least).count() as f64;
        let unit = (self.unit_price.max(1)) as f64;
        let saving = 1.0 - self.step.unit_price as f64 / unit;
        let extra = (self.step.unit_price as f64 * least - unit * quantity) / 10_000.0;
        let mut sorted = self.own.to_vec();
        sorted.sort_unstable_by(f32::total_cmp);
        let usual = sorted.get(sorted.len() / 2).map_or(0.0, |median| (f64::from(*median) / least).min(2.0));
        [
            1.0,
            quantity / least,
            logit(f64::from(self.step.reached)),
            at_break / times.max(1.0),
            times.ln_1p(),
            logit((f64::from(self.lines_at_break) + SHRINKAGE * BULK) / (f64::from(self.lines) + SHRINKAGE)),
            saving.clamp(-1.0, 1.0),
            extra.max(0.0).ln_1p(),
            usual,
        ]
    }

    /// Chance that the break is reached. `weights` belong to [`NAMES`].
    pub fn chance(&self, weights: &[f64; FEATURES]) -> f64 {
        let sum: f64 = self.features().iter().zip(weights).map(|(feature, weight)| feature * weight).sum();
        1.0 / (1.0 + (-sum).exp())
    }
}
