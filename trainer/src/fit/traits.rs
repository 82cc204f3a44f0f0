//! What the ranker knows of a product whatever the question; the columns of [`endcap_recommender::ranking::TRAITS`].

use endcap_recommender::fitted::{Catalogue, Repeat};
use endcap_recommender::ranking::TRAITS;
use rust_decimal::prelude::ToPrimitive;

use super::follows::lateness;
use crate::load::View;

const HALF_LIVES_DAYS: [f32; 5] = [3.0, 7.0, 14.0, 30.0, 90.0];
const DAY_S: f32 = 86_400.0;

/// Products x [`TRAITS`].
pub fn traits(catalogue: &Catalogue, sales: View<'_>, repeat: &Repeat) -> Vec<f32> {
    let products = catalogue.len();
    let end_s = sales.last_s();
    let mut trends = vec![[0.0f64; HALF_LIVES_DAYS.len()]; products];
    let mut totals = [0.0f64; HALF_LIVES_DAYS.len()];
    let mut first_s = vec![end_s; products];
    for (head, lines) in sales.orders() {
        let age_days = (end_s - head.at_s) as f32 / DAY_S;
        let weights = HALF_LIVES_DAYS.map(|days| f64::from((-age_days / days).exp2()));
        for (total, weight) in totals.iter_mut().zip(weights) {
            *total += weight;
        }
        for line in lines {
            if let (Some(sums), Some(first)) =
                (trends.get_mut(line.product as usize), first_s.get_mut(line.product as usize))
            {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += weight;
                }
                *first = (*first).min(head.at_s);
            }
        }
    }
    let late = lateness(sales, products);
    let mut all = Vec::with_capacity(products * TRAITS);
    for (product, ((sums, first), late)) in (0u32..).zip(trends.iter().zip(&first_s).zip(&late)) {
        all.extend(sums.iter().zip(totals).map(|(sum, total)| (sum / total.max(1e-12)).sqrt() as f32));
        let price = catalogue.list_price(product).and_then(|price| price.to_f32()).filter(|price| *price > 0.0);
        all.push(price.map_or(0.0, f32::ln));
        all.push(((end_s - first) as f32 / DAY_S).ln_1p());
        all.push(*late);
        all.push(repeat.repeat_rate(product));
    }
    all
}
