//! Real price breaks: a lower unit price that orders paid from some quantity on.
//!
//! Method, for one product. Every quantity `b` that at least [`LEAST_ORDERS`] orders reached, with as many below it, may be a break.
//! With `p` the lower median of the prices paid at `b` or more, a break is believed when
//!
//! * `p` is at least 3% below the median of the prices paid below `b`, and
//! * quantity tells who pays it: (share of orders at `b` or more that pay `p` or less, within half a percent) minus (share of orders
//!   below `b` that do) is at least 0.6 (Youden's J, 1950). A price that fell for everybody, or a sale, does not pass, since orders
//!   below `b` paid it too.
//!
//! Of the `b` whose J is within 0.05 of the highest, the one that most orders bought exactly wins, the smallest one on a tie: people buy
//! at a break, and a stray order just below it that got the price must not move it. Both sides are then searched again, so that a
//! price list of several steps is found step by step.
//!
//! Orders without a customer are left out where there are enough with one: shops charge passers-by other prices (tax included), and
//! these buy little, which would look like a break. Lines of offers that are no price list are left out too. A tier that a price
//! list declares needs only [`DECLARED_ORDERS`] orders that paid it.

use std::collections::HashMap;

use endcap_recommender::fitted::{PriceBreak, money_to_i64};
use endcap_recommender::offers::Terms;

use crate::load::Dataset;

/// One product in one order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// Place in time.
    pub order: u32,
    /// Index, or `u32::MAX`.
    pub customer: u32,
    pub quantity: f32,
    /// Ten-thousandths.
    pub unit_price: i64,
    /// Paid under an offer that is no price list.
    pub offered: bool,
}

/// A tier of a price list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclaredTier {
    pub min_quantity: u32,
    /// Ten-thousandths.
    pub unit_price: i64,
}

const LEAST_ORDERS: usize = 5;
const DECLARED_ORDERS: u32 = 3;
const LEAST_DISCOUNT: f64 = 0.03;
const LEAST_YOUDEN: f64 = 0.6;
/// Splits this close to the best one are as good.
const YOUDEN_SLACK: f64 = 0.05;
const PRICE_TOLERANCE: f64 = 1.005;
const MOST_STEPS: usize = 4;
/// No break begins above this: quantities beyond are single deals.
const MOST_QUANTITY: f32 = 100_000.0;

/// The price breaks of one product, by ascending quantity and falling price. `reached` is left 0.
pub fn find_breaks(sightings: &[Sighting], declared: &[DeclaredTier]) -> Vec<PriceBreak> {
    let usable = || sightings.iter().filter(|seen| !seen.offered && seen.unit_price > 0);
    let of_customers = usable().filter(|seen| seen.customer != u32::MAX).count();
    let mut paid: Vec<(f32, i64)> = usable()
        .filter(|seen| of_customers < 4 * LEAST_ORDERS || seen.customer != u32::MAX)
        .map(|seen| (seen.quantity, seen.unit_price))
        .collect();
    paid.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut steps: Vec<(u32, i64)> = Vec::new();
    search(&paid, 0, MOST_STEPS, &mut steps);
    for tier in declared {
        let near = |price: i64| (price as f64) <= tier.unit_price as f64 * PRICE_TOLERANCE;
        let paid_it =
            paid.iter().filter(|(quantity, price)| *quantity >= tier.min_quantity as f32 && near(*price)).count();
        if paid_it as u32 >= DECLARED_ORDERS && steps.iter().all(|step| step.0 != tier.min_quantity) {
            steps.push((tier.min_quantity, tier.unit_price));
        }
    }
    steps.sort_unstable();
    let mut breaks: Vec<PriceBreak> = Vec::new();
    for (min_quantity, unit_price) in steps {
        if breaks.last().is_some_and(|before| before.unit_price <= unit_price) {
            continue;
        }
        let at_or_above = paid.iter().filter(|(quantity, _)| *quantity >= min_quantity as f32).count();
        breaks.push(PriceBreak { min_quantity, unit_price, reached: 0.0, orders: at_or_above as u32 });
    }
    breaks
}

/// A quantity at which the orders of a product, sorted by quantity, may be split.
#[derive(Clone, Copy, Debug)]
struct Split {
    at: usize,
    quantity: u32,
    price: i64,
    youden: f64,
    /// Orders of exactly this quantity.
    exactly: usize,
}

/// Finds the best split of orders sorted by quantity, then splits both sides. `next_price` is what the step above these orders costs:
/// a lower step must be dearer, else it is only a few stray orders that got that price.
fn search(paid: &[(f32, i64)], next_price: i64, steps_left: usize, steps: &mut Vec<(u32, i64)>) {
    if steps_left == 0 || paid.len() < 2 * LEAST_ORDERS {
        return;
    }
    let splits: Vec<Split> = (LEAST_ORDERS..=paid.len() - LEAST_ORDERS)
        .filter_map(|at| split(paid, at))
        .filter(|split| split.price as f64 * (1.0 - LEAST_DISCOUNT) >= next_price as f64)
        .collect();
    let highest = splits.iter().map(|split| split.youden).fold(LEAST_YOUDEN, f64::max);
    let close = splits.into_iter().filter(|split| split.youden >= (highest - YOUDEN_SLACK).max(LEAST_YOUDEN));
    // The first of the most: `max_by_key` would give the last.
    let best = close.reduce(|best, next| if next.exactly > best.exactly { next } else { best });
    if let Some(best) = best {
        let (below, above) = paid.split_at(best.at);
        search(below, best.price, steps_left - 1, steps);
        steps.push((best.quantity, best.price));
        search(above, next_price, steps_left - 1, steps);
    }
}

fn split(paid: &[(f32, i64)], at: usize) -> Option<Split> {
    let (quantity, before) = (paid.get(at)?.0, paid.get(at - 1)?.0);
    // A split must fall between two quantities, and at a whole one: that is what a price list can name.
    if quantity <= before || quantity.fract() != 0.0 || !(2.0..=MOST_QUANTITY).contains(&quantity) {
        return None;
    }
    let (below, above) = paid.split_at(at);
    let price = median(above);
    if (price as f64) > median(below) as f64 * (1.0 - LEAST_DISCOUNT) {
        return None;
    }
    let share = |side: &[(f32, i64)]| {
        let paying = side.iter().filter(|(_, paid)| *paid as f64 <= price as f64 * PRICE_TOLERANCE).count();
        paying as f64 / side.len() as f64
    };
    let exactly = above.partition_point(|entry| entry.0 <= quantity);
    Some(Split { at, quantity: quantity as u32, price, youden: share(above) - share(below), exactly })
}

fn median(side: &[(f32, i64)]) -> i64 {
    let mut prices: Vec<i64> = side.iter().map(|(_, price)| *price).collect();
    let middle = prices.len().saturating_sub(1) / 2;
    if prices.is_empty() { 0 } else { *prices.select_nth_unstable(middle).1 }
}

/// The tiers of price lists that hold for everybody at the end of the data, by product.
pub fn declared_tiers(data: &Dataset) -> Vec<Vec<DeclaredTier>> {
    let until = data.trained_until();
    let mut tiers: HashMap<u32, Vec<DeclaredTier>> = HashMap::new();
    for offer in data.shelf.offers.values() {
        let started = offer.valid_from.is_none_or(|from| until.is_none_or(|until| from <= until));
        let ended = offer.valid_to.is_some_and(|to| until.is_some_and(|until| to <= until));
        let scope = &offer.scope;
        let for_all = scope.customers.is_empty() && scope.segments.is_empty() && scope.channels.is_empty();
        if let Terms::TierPrice { tiers: list } = &offer.terms
            && started
            && !ended
            && for_all
        {
            for product in scope.products.iter().filter_map(|id| data.catalogue.find(id)) {
                tiers.entry(product).or_default().extend(list.iter().map(|tier| DeclaredTier {
                    min_quantity: tier.min_quantity,
                    unit_price: money_to_i64(Some(tier.unit_price)),
                }));
            }
        }
    }
    (0..data.catalogue.len() as u32)
        .map(|product| {
            let mut own = tiers.remove(&product).unwrap_or_default();
            own.sort_unstable_by_key(|tier| (tier.min_quantity, tier.unit_price));
            own.dedup_by_key(|tier| tier.min_quantity);
            own
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(order: u32, quantity: f32, unit_price: i64) -> Sighting {
        Sighting { order, customer: order % 7, quantity, unit_price, offered: false }
    }

    fn steps(list: &[Sighting]) -> Vec<(u32, i64)> {
        find_breaks(list, &[]).iter().map(|found| (found.min_quantity, found.unit_price)).collect()
    }

    #[test]
    fn the_steps_of_a_price_list_are_found() {
        let list: Vec<_> = (0..200)
            .map(|at| {
                let quantity = [1.0, 2.0, 6.0, 12.0, 24.0, 48.0, 96.0][at as usize % 7];
                let price = if quantity < 12.0 {
                    29_500
                } else if quantity < 48.0 {
                    25_500
                } else {
                    21_000
                };
                seen(at, quantity, price)
            })
            .collect();
        assert_eq!(steps(&list), vec![(12, 25_500), (48, 21_000)]);
    }

    #[test]
    fn stray_orders_that_got_the_price_do_not_move_a_break() {
        let mut list: Vec<_> = (0..200)
            .map(|at| {
                let quantity = [1.0, 6.0, 32.0, 64.0][at as usize % 4];
                seen(at, quantity, if quantity < 32.0 { 29_500 } else { 25_500 })
            })
            .collect();
        list.extend((0..4).map(|at| seen(200 + at, 28.0 + at as f32, 25_500)));
        assert_eq!(steps(&list), vec![(32, 25_500)]);
    }

    #[test]
    fn a_price_that_fell_for_everybody_is_no_break() {
        let list: Vec<_> = (0..200)
            .map(|at| seen(at, [1.0, 2.0, 6.0, 12.0, 24.0][at as usize % 5], if at < 100 { 29_500 } else { 21_000 }))
            .collect();
        assert_eq!(steps(&list), vec![]);
    }

    #[test]
    fn a_small_discount_few_orders_and_sale_lines_are_no_break() {
        let small: Vec<_> = (0..60)
            .map(|at| seen(at, if at % 2 == 0 { 1.0 } else { 12.0 }, if at % 2 == 0 { 10_000 } else { 9_800 }))
            .collect();
        assert_eq!(steps(&small), vec![]);
        let few: Vec<_> =
            (0..30).map(|at| if at < 4 { seen(at, 12.0, 8_000) } else { seen(at, 1.0, 10_000) }).collect();
        assert_eq!(steps(&few), vec![]);
        let declared = [DeclaredTier { min_quantity: 10, unit_price: 8_000 }];
        assert_eq!(find_breaks(&few, &declared).first().map(|found| (found.min_quantity, found.orders)), Some((10, 4)));
        assert_eq!(find_breaks(&few, &[DeclaredTier { min_quantity: 10, unit_price: 7_000 }]), vec![]);
        let sale: Vec<_> = (0..60)
            .map(|at| Sighting {
                offered: at % 2 == 1,
                ..seen(at, if at % 2 == 0 { 1.0 } else { 12.0 }, if at % 2 == 0 { 10_000 } else { 8_000 })
            })
            .collect();
        assert_eq!(steps(&sale), vec![]);
    }
}
