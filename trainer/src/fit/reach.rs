//! Orders that stood just below a price break, what came next, and what that teaches.

#![allow(clippy::indexing_slicing)] // of arrays and matrices of a fixed size

use std::collections::HashMap;

use endcap_recommender::fitted::{NONE, PriceBreak, Rows};
use endcap_recommender::reach::{FEATURES, NearBreak};
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use crate::load::{OrderHead, View};

/// A line at 50 to 99% of a price break whose customer ordered the product again.
#[derive(Clone, Debug, PartialEq)]
pub struct NearMiss {
    pub customer: u32,
    pub product: u32,
    /// The order's place in the view.
    pub order: usize,
    pub quantity: f32,
    pub unit_price: i64,
    pub step: PriceBreak,
    /// The next order of the product stood at the break or above it.
    pub reached: bool,
}

/// Least share of a break that counts as near.
pub const NEAR: f32 = 0.5;

/// The first break above a quantity, if the quantity is near it.
pub fn near_break(breaks: &[PriceBreak], quantity: f32) -> Option<PriceBreak> {
    let next = breaks.iter().find(|step| step.min_quantity as f32 > quantity)?;
    (quantity >= NEAR * next.min_quantity as f32).then_some(*next)
}

/// Near misses by time. A customer counts once for a product, at the first one that another order followed. One customer at a time, so
/// that what is open takes no memory to speak of.
pub fn near_misses(sales: View<'_>, breaks: &Rows<PriceBreak>) -> Vec<NearMiss> {
    let mut found: Vec<NearMiss> = Vec::new();
    let mut open: HashMap<u32, Option<NearMiss>> = HashMap::new();
    for (customer, orders) in (0u32..).zip(sales.by_customer(customers_of(sales))) {
        open.clear();
        for order in orders.into_iter().map(|order| order as usize) {
            for line in sales.lines(order) {
                let (product, quantity, unit_price) = (line.product, line.quantity, line.unit_price);
                let steps = breaks.row(product);
                if steps.is_empty() {
                    continue;
                }
                match open.get_mut(&product) {
                    // Counted already.
                    Some(None) => {}
                    Some(slot) => {
                        if let Some(mut missed) = slot.take() {
                            missed.reached = quantity >= missed.step.min_quantity as f32;
                            found.push(missed);
                        }
                    }
                    None => {
                        if let Some(step) = near_break(steps, quantity) {
                            let missed =
                                NearMiss { customer, product, order, quantity, unit_price, step, reached: false };
                            open.insert(product, Some(missed));
                        }
                    }
                }
            }
        }
    }
    found.sort_by_key(|missed| (missed.order, missed.product));
    found
}

/// One more than the highest number of a customer.
fn customers_of(sales: View<'_>) -> usize {
    sales.heads.iter().filter_map(OrderHead::customer).max().map_or(0, |most| most as usize + 1)
}

/// What customers ordered of products with breaks.
#[derive(Clone, Debug, Default)]
pub struct Bought {
    quantities: HashMap<(u32, u32), Vec<f32>>,
    /// Lines, and lines at the first break or above.
    lines: HashMap<u32, (u32, u32)>,
}

impl Bought {
    pub fn add(&mut self, customer: u32, product: u32, quantity: f32, steps: &[PriceBreak]) {
        let Some(first) = steps.first().filter(|_| customer != NONE) else { return };
        self.quantities.entry((customer, product)).or_default().push(quantity);
        let lines = self.lines.entry(customer).or_default();
        lines.0 += 1;
        lines.1 += u32::from(quantity >= first.min_quantity as f32);
    }

    pub fn add_all(&mut self, sales: View<'_>, breaks: &Rows<PriceBreak>) {
        for (head, lines) in sales.orders() {
            for line in lines {
                self.add(head.customer, line.product, line.quantity, breaks.row(line.product));
            }
        }
    }

    pub fn near<'a>(&'a self, missed: &NearMiss) -> NearBreak<'a> {
        let own = self.quantities.get(&(missed.customer, missed.product)).map_or(&[][..], Vec::as_slice);
        let (lines, lines_at_break) = self.lines.get(&missed.customer).copied().unwrap_or_default();
        let NearMiss { quantity, unit_price, step, .. } = *missed;
        NearBreak { quantity, unit_price, step, own, lines, lines_at_break }
    }
}

/// Fewer near misses than this teach nothing beside the product's own rate.
const LEAST_MISSES: usize = 200;
const RIDGE: f64 = 1.0;
const STEPS: usize = 25;

/// Learns the chance to reach a break from the near misses of the past. Each is seen as it was: with the orders before it and, for the
/// product's rate, without itself.
pub fn fit_reach(sales: View<'_>, breaks: &Rows<PriceBreak>) -> Option<[f64; FEATURES]> {
    let misses = near_misses(sales, breaks);
    if misses.len() < LEAST_MISSES {
        return None;
    }
    let mut counts: HashMap<(u32, u32), (f32, f32)> = HashMap::new();
    for missed in &misses {
        let count = counts.entry((missed.product, missed.step.min_quantity)).or_default();
        count.0 += 1.0;
        count.1 += f32::from(u8::from(missed.reached));
    }
    let overall = misses.iter().filter(|missed| missed.reached).count() as f32 / misses.len() as f32;
    // By customer, as they stood; in the order of time again before anything is summed up.
    let mut by_customer: Vec<&NearMiss> = misses.iter().collect();
    by_customer.sort_by_key(|missed| (missed.customer, missed.order, missed.product));
    let mut next = by_customer.into_iter().peekable();
    let mut seen: Vec<(usize, u32, Row)> = Vec::with_capacity(misses.len());
    for (customer, orders) in (0u32..).zip(sales.by_customer(customers_of(sales))) {
        if next.peek().is_none_or(|missed| missed.customer != customer) {
            continue;
        }
        let mut bought = Bought::default();
        for order in orders.into_iter().map(|order| order as usize) {
            while let Some(missed) = next.next_if(|missed| (missed.customer, missed.order) == (customer, order)) {
                let (tried, reached) =
                    counts.get(&(missed.product, missed.step.min_quantity)).copied().unwrap_or_default();
                let others = (tried - 1.0, reached - f32::from(u8::from(missed.reached)));
                let step =
                    PriceBreak { reached: super::habits::shrunk_rate(others.0, others.1, overall), ..missed.step };
                let near = NearBreak { step, ..bought.near(missed) };
                seen.push((order, missed.product, (near.features(), f64::from(u8::from(missed.reached)))));
            }
            for line in sales.lines(order) {
                bought.add(customer, line.product, line.quantity, breaks.row(line.product));
            }
        }
    }
    seen.sort_by_key(|(order, product, _)| (*order, *product));
    let rows: Vec<Row> = seen.into_iter().map(|(_, _, row)| row).collect();
    Some(logistic(&rows))
}

/// What is known of a near miss, and 1 where the break was reached.
type Row = ([f64; FEATURES], f64);

/// Ridge logistic regression by Newton's method; the intercept is free.
fn logistic(rows: &[Row]) -> [f64; FEATURES] {
    let mut weights = [0.0; FEATURES];
    let chance = |features: &[f64; FEATURES], weights: &[f64; FEATURES]| {
        let sum: f64 = features.iter().zip(weights).map(|(feature, weight)| feature * weight).sum();
        1.0 / (1.0 + (-sum).exp())
    };
    let design = Mat::from_fn(rows.len(), FEATURES, |row, at| rows.get(row).map_or(0.0, |(features, _)| features[at]));
    let ridge = |at: usize| if at == 0 { 1e-6 } else { RIDGE };
    for _ in 0..STEPS {
        let chances: Vec<f64> = rows.iter().map(|(features, _)| chance(features, &weights)).collect();
        let left = Mat::from_fn(rows.len(), 1, |row, _| rows.get(row).map_or(0.0, |(_, target)| target - chances[row]));
        let weighed =
            Mat::from_fn(rows.len(), FEATURES, |row, at| design[(row, at)] * chances[row] * (1.0 - chances[row]));
        let mut curve = design.transpose() * &weighed;
        let mut slope = design.transpose() * &left;
        for at in 0..FEATURES {
            curve[(at, at)] += ridge(at);
            slope[(at, 0)] -= ridge(at) * weights[at];
        }
        let Ok(factor) = curve.llt(Side::Lower) else { break };
        let step = factor.solve(&slope);
        for (at, weight) in weights.iter_mut().enumerate() {
            *weight += step[(at, 0)];
        }
        if (0..FEATURES).all(|at| step[(at, 0)].abs() < 1e-9) {
            break;
        }
    }
    // As the artifact holds them.
    weights.map(|weight| f64::from(weight as f32))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::load::{Line, OrderHead, Sales};

    fn order(at_s: i64, customer: u32, product: u32, quantity: f32) -> (OrderHead, Vec<Line>) {
        let head = OrderHead {
            at_s,
            customer,
            channel: NONE,
            city: NONE,
            area: NONE,
            country: NONE,
            month_number: 24_000,
            hour: 9,
        };
        (head, vec![Line { product, quantity, unit_price: 10_000, offered: false }])
    }

    fn breaks(products: usize) -> Rows<PriceBreak> {
        let step = PriceBreak { min_quantity: 12, unit_price: 8_000, reached: 0.5, orders: 40 };
        Rows::from_rows((0..products).map(|_| vec![step]))
    }

    #[test]
    fn a_near_miss_is_the_first_one_that_an_order_followed() {
        let orders = [(1, 5.0), (1, 6.0), (1, 8.0), (1, 12.0), (2, 11.0), (3, 6.0), (2, 12.0), (4, 12.0)];
        let orders = (0i64..).zip(orders).map(|(at, (customer, quantity))| order(at, customer, 0, quantity));
        let found = near_misses(Sales::from_orders(orders).view(), &breaks(1));
        let found: Vec<_> = found.iter().map(|line| (line.customer, line.order, line.quantity, line.reached)).collect();
        // Customer 1 stood at 6, then at 8; 2 at 11, then at 12; nothing followed 3's; 4 stood at the break.
        assert_eq!(found, [(1, 1, 6.0, false), (2, 4, 11.0, true)]);
    }

    /// Half of the customers buy much of everything: they go to a break of 12 from 9, the others stay.
    #[test]
    fn who_buys_in_bulk_is_learned() {
        let mut orders = Vec::new();
        for customer in 0..300u32 {
            let is_bulk = customer % 2 == 0;
            let usual = if is_bulk { 24.0 } else { 2.0 };
            for (at, (product, quantity)) in
                [(1, usual), (2, usual), (0, 9.0), (0, if is_bulk { 12.0 } else { 9.0 })].into_iter().enumerate()
            {
                orders.push(order(at as i64 * 1000 + i64::from(customer), customer, product, quantity));
            }
        }
        orders.sort_by_key(|(head, _)| head.at_s);
        let sales = Sales::from_orders(orders);
        let weights = fit_reach(sales.view(), &breaks(3)).unwrap();
        assert_eq!(Some(weights), fit_reach(sales.view(), &breaks(3)), "twice the same");
        let step = breaks(1).row(0).first().copied().unwrap();
        let chance = |lines_at_break| {
            NearBreak { quantity: 9.0, unit_price: 10_000, step, own: &[], lines: 2, lines_at_break }.chance(&weights)
        };
        assert!(chance(2) > 0.9 && chance(0) < 0.1, "{} {}", chance(2), chance(0));
        let few: Vec<_> = (0..100).map(|at| order(at, at as u32 % 9, 0, 9.0)).collect();
        assert_eq!(fit_reach(Sales::from_orders(few).view(), &breaks(1)), None, "nothing is learned from little");
    }
}
