//! What upsell rests on: usual quantities, price breaks, better variants.

use endcap_recommender::fitted::{Habits, PriceBreak, Rows};
use rayon::prelude::*;

use super::associations::transpose;
use super::breaks::{DeclaredTier, Sighting, find_breaks};
use crate::load::{Dataset, Line, View};

/// Near misses before a product's own rate of reaching its break outweighs the rate of all.
const REACHED_SHRINKAGE: f32 = 5.0;

/// A product's own rate, drawn to that of all while it has few near misses.
pub(super) fn shrunk_rate(tried: f32, reached: f32, overall: f32) -> f32 {
    (reached + REACHED_SHRINKAGE * overall) / (tried + REACHED_SHRINKAGE)
}

/// Quantity quantiles, and breaks with their near misses.
type OfProduct = ([f32; 3], Vec<(PriceBreak, Near)>);

/// Fits habits. `declared` are the price lists' tiers by product, which count where orders paid them.
pub fn habits(data: &Dataset, sales: View<'_>, declared: &[Vec<DeclaredTier>]) -> Habits {
    let products = data.catalogue.len();
    let products_of = |order: u32| sales.lines(order as usize).iter().map(|line| line.product);
    let of_product = transpose(sales.len() as u32, products_of, products);
    let fitted: Vec<OfProduct> = (0..products as u32)
        .into_par_iter()
        .map(|product| {
            let list = sightings(sales, product, of_product.row(product));
            let tiers = declared.get(product as usize).map_or(&[][..], Vec::as_slice);
            let breaks = find_breaks(&list, tiers);
            (quantiles(&list), breaks.into_iter().map(|found| (found, near(&list, found.min_quantity))).collect())
        })
        .collect();
    drop(of_product);
    let all = fitted.iter().flat_map(|(_, breaks)| breaks.iter().map(|(_, near)| *near));
    let (tried, reached) = all.fold((0, 0), |sum, near| (sum.0 + near.tried, sum.1 + near.reached));
    let overall = reached as f32 / (tried as f32).max(1.0);
    let breaks = fitted.iter().map(|(_, breaks)| {
        let shrunk = |near: &Near| shrunk_rate(near.tried as f32, near.reached as f32, overall);
        breaks.iter().map(|(found, near)| PriceBreak { reached: shrunk(near), ..*found }).collect()
    });
    let breaks = Rows::from_rows(breaks);
    Habits {
        quantity_p50: fitted.iter().map(|(quantiles, _)| quantiles[0]).collect(),
        quantity_p75: fitted.iter().map(|(quantiles, _)| quantiles[1]).collect(),
        quantity_p90: fitted.iter().map(|(quantiles, _)| quantiles[2]).collect(),
        reach: super::reach::fit_reach(sales, &breaks),
        breaks,
        better: super::better_variants(data, sales),
    }
}

/// A product's lines, from the orders that hold it. They are put together when the product is looked at, since those of all products at once
/// take more memory than the sales.
fn sightings(sales: View<'_>, product: u32, orders: &[u32]) -> Vec<Sighting> {
    let own = |order: &u32| {
        let head = sales.heads.get(*order as usize)?;
        let line = sales.lines(*order as usize).iter().find(|line| line.product == product)?;
        let Line { quantity, unit_price, offered, .. } = *line;
        Some(Sighting { order: *order, customer: head.customer, quantity, unit_price, offered })
    };
    orders.iter().filter_map(own).collect()
}

/// Median, upper quartile and ninth decile of a line's quantity; 0 when never sold.
fn quantiles(sightings: &[Sighting]) -> [f32; 3] {
    let mut quantities: Vec<f32> = sightings.iter().map(|sighting| sighting.quantity).collect();
    quantities.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| {
        let place = (quantities.len().saturating_sub(1) as f64 * share).floor() as usize;
        quantities.get(place).copied().unwrap_or(0.0)
    };
    [at(0.5), at(0.75), at(0.9)]
}

/// Customers who stood at 50 to 99% of a break and bought the product again, and how many of them then reached it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Near {
    tried: u32,
    reached: u32,
}

fn near(sightings: &[Sighting], min_quantity: u32) -> Near {
    let least = min_quantity as f32;
    let mut by_customer: Vec<&Sighting> =
        sightings.iter().filter(|sighting| sighting.customer != endcap_recommender::fitted::NONE).collect();
    by_customer.sort_by_key(|sighting| (sighting.customer, sighting.order));
    let mut near = Near::default();
    for own in by_customer.chunk_by(|a, b| a.customer == b.customer) {
        // Each customer counts once, at the first near miss that an order followed.
        let missed = own.windows(2).find_map(|pair| match pair {
            [first, next] if (0.5 * least..least).contains(&first.quantity) => Some(next.quantity >= least),
            _ => None,
        });
        if let Some(reached) = missed {
            near.tried += 1;
            near.reached += u32::from(reached);
        }
    }
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_counts_once_a_customer_and_only_when_an_order_followed() {
        let seen = |customer, order, quantity| Sighting { order, customer, quantity, unit_price: 100, offered: false };
        let list = [
            seen(1, 0, 6.0),
            seen(1, 1, 12.0),
            seen(1, 2, 6.0),
            seen(1, 3, 1.0),
            seen(2, 4, 11.0),
            seen(3, 5, 11.0),
            seen(3, 6, 11.0),
            seen(4, 7, 2.0),
            seen(4, 8, 12.0),
            seen(u32::MAX, 9, 6.0),
            seen(u32::MAX, 10, 12.0),
        ];
        assert_eq!(near(&list, 12), Near { tried: 2, reached: 1 });
    }
}
