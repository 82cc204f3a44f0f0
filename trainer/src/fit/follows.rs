//! What is entered soon after what, within an order.

use std::collections::HashMap;

use endcap_recommender::fitted::{Rows, Weighted};
use rayon::prelude::*;

use super::similar::strongest;
use crate::load::View;

/// Lines that are looked ahead; a line counts one over its distance.
const REACH: usize = 8;
/// Longer orders are stock-taking lists, whose order says nothing.
const MOST_LINES: usize = 200;
/// Orders of a product before its successors are believed.
const SHRINKAGE: f32 = 20.0;
/// The same for how late a product is entered.
const LATE_SHRINKAGE: f32 = 10.0;

/// Successors of each product: the sum of one over the distance, over the orders with the product.
pub(crate) fn follows(sales: View<'_>, products: usize, keep: usize) -> Rows<Weighted> {
    let mut seen_at: Vec<Vec<(u32, u32)>> = vec![Vec::new(); products];
    for (order, (_, lines)) in (0u32..).zip(sales.orders()) {
        if lines.len() > MOST_LINES {
            continue;
        }
        for (at, line) in (0u32..).zip(lines) {
            if let Some(list) = seen_at.get_mut(line.product as usize) {
                list.push((order, at));
            }
        }
    }
    let rows: Vec<Vec<Weighted>> = seen_at
        .par_iter()
        .map(|seen| {
            let mut sums: HashMap<u32, f32> = HashMap::new();
            for (order, at) in seen {
                let after = sales.lines(*order as usize).iter().skip(*at as usize + 1).take(REACH);
                for (distance, line) in after.enumerate() {
                    *sums.entry(line.product).or_default() += 1.0 / (distance + 1) as f32;
                }
            }
            let all = seen.len() as f32 + SHRINKAGE;
            strongest(sums.into_iter().map(|(product, sum)| (product, sum / all)), keep)
        })
        .collect();
    Rows::from_rows(rows)
}

/// How late in an order each product is entered on average: -0.5 (first) to 0.5 (last), shrunk towards 0.
pub(crate) fn lateness(sales: View<'_>, products: usize) -> Vec<f32> {
    let mut sums = vec![(0.0f32, 0.0f32); products];
    for (_, lines) in sales.orders() {
        if !(2..=MOST_LINES).contains(&lines.len()) {
            continue;
        }
        for (at, line) in lines.iter().enumerate() {
            if let Some((sum, orders)) = sums.get_mut(line.product as usize) {
                *sum += at as f32 / (lines.len() - 1) as f32 - 0.5;
                *orders += 1.0;
            }
        }
    }
    sums.into_iter().map(|(sum, orders)| sum / (orders + LATE_SHRINKAGE)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use endcap_recommender::fitted::NONE;

    use super::*;
    use crate::load::{Line, OrderHead, Sales};

    fn sales(orders: &[&[u32]]) -> Sales {
        let head = OrderHead {
            at_s: 0,
            customer: NONE,
            channel: NONE,
            city: NONE,
            area: NONE,
            country: NONE,
            month_number: 0,
            hour: 0,
        };
        let line = |product: &u32| Line { product: *product, quantity: 1.0, unit_price: 1, offered: false };
        Sales::from_orders(orders.iter().map(|order| (head, order.iter().map(line).collect())))
    }

    #[test]
    fn nearer_lines_count_more_and_only_what_comes_after() {
        let sales = sales(&[&[0, 1, 2], &[0, 2]]);
        let rows = follows(sales.view(), 3, 10);
        let weight =
            |from: u32, to: u32| rows.row(from).iter().find(|entry| entry.product == to).map(|entry| entry.weight);
        assert!((weight(0, 1).unwrap() - 1.0 / 22.0).abs() < 1e-6);
        assert!((weight(0, 2).unwrap() - 1.5 / 22.0).abs() < 1e-6);
        assert_eq!(weight(2, 0), None);
        let late = lateness(sales.view(), 3);
        assert!((late[0] + 1.0 / 12.0).abs() < 1e-6 && late[1].abs() < 1e-6 && (late[2] - 1.0 / 12.0).abs() < 1e-6);
    }
}
