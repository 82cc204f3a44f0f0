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
