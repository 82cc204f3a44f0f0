//! Frequently bought together: exact pair counts over orders.

use std::collections::HashMap;

use endcap_recommender::fitted::{Associations, Neighbour, Rows};
use rayon::prelude::*;

use crate::load::View;

/// Orders as sets of products, both ways round, with the stratum of each order.
#[derive(Clone, Debug, Default)]
pub struct Baskets {
    /// Products of each order, ascending.
    orders: Rows<u32>,
    /// Orders of each product, ascending.
    of_product: Rows<u32>,
    /// Stratum of each order.
    stratum: Vec<u32>,
    /// Orders of each stratum.
    stratum_orders: Vec<u32>,
    /// By product: (stratum, orders with the product in it), by ascending stratum.
    product_strata: Rows<(u32, u32)>,
    /// Orders that held more than the cap, of which only the first products count.
    pub capped: u64,
}

/// Where the count of a product's partners is kept between products, so that a row costs nothing per product of the catalogue.
#[derive(Debug, Default)]
pub(super) struct Counter {
    both: Vec<u32>,
    touched: Vec<u32>,
}

/// Order sizes that are compared with one another: 1, 2-3, 4-7, 8-15, ...
fn size_bucket(size: usize) -> u32 {
    usize::BITS - size.max(1).leading_zeros() - 1
}

impl Baskets {
    /// Takes the distinct products of each order. Of an order with more than `cap` products only the first `cap` in line order
    /// count: pairs grow with the square, and a stock-taking order says little of what goes with what.
    pub fn of_sales(sales: View<'_>, products: usize, cap: usize) -> Self {
        let strata = sales.orders().map(|(head, lines)| (head.month_number, size_bucket(lines.len().min(cap))));
        let baskets = sales.orders().map(|(_, lines)| lines.iter().map(|line| line.product).collect::<Vec<_>>());
        Self::new(baskets, strata, products, cap)
    }

    /// Baskets of distinct products below `products`; each with what it may be compared with.
    pub fn new(
        baskets: impl Iterator<Item = Vec<u32>>,
        strata: impl Iterator<Item = (i32, u32)>,
        products: usize,
        cap: usize,
    ) -> Self {
        let mut numbers: HashMap<(i32, u32), u32> = HashMap::new();
        let stratum: Vec<u32> = strata
            .map(|key| {
                let next = numbers.len() as u32;
                *numbers.entry(key).or_insert(next)
            })
            .collect();
        let mut stratum_orders = vec![0; numbers.len()];
        for number in &stratum {
            if let Some(count) = stratum_orders.get_mut(*number as usize) {
                *count += 1;
            }
        }
        let mut capped = 0;
        let orders = Rows::from_rows(baskets.map(|mut basket| {
            if basket.len() > cap {
                capped += 1;
                basket.truncate(cap);
            }
            basket.sort_unstable();
            basket.dedup();
            basket
        }));
        let of_product = transpose(orders.len() as u32, |order| orders.row(order).iter().copied(), products);
        let product_strata = Rows::from_rows((0..products as u32).map(|product| {
            let mut strata: Vec<u32> =
                of_product.row(product).iter().filter_map(|order| stratum.get(*order as usize).copied()).collect();
            strata.sort_unstable();
            runs(&strata)
        }));
        Self { orders, of_product, stratum, stratum_orders, product_strata, capped }
    }

    pub fn len(&self) -> usize {
        self.stratum.len()
    }

    pub fn is_empty(&self) -> bool {
        self.stratum.is_empty()
    }

    pub fn products(&self) -> usize {
        self.of_product.len()
    }

    /// Orders with a product.
    pub fn item_orders(&self, product: u32) -> u32 {
        self.of_product.row(product).len() as u32
    }

    /// Every product that shares an order with this one, ascending, with the number of orders that hold both.
    pub fn partners(&self, product: u32) -> Vec<(u32, u32)> {
        self.count(product, &mut Counter::default())
    }

    pub(super) fn count(&self, product: u32, counter: &mut Counter) -> Vec<(u32, u32)> {
        counter.both.resize(self.products(), 0);
        for order in self.of_product.row(product) {
            for partner in self.orders.row(*order) {
                if let Some(both) = counter.both.get_mut(*partner as usize) {
                    if *both == 0 {
                        counter.touched.push(*partner);
                    }
                    *both += 1;
                }
            }
        }
        counter.touched.sort_unstable();
        let mut row = Vec::with_capacity(counter.touched.len());
        for partner in counter.touched.drain(..) {
            if let Some(both) = counter.both.get_mut(partner as usize) {
                let count = std::mem::take(both);
                if partner != product {
                    row.push((partner, count));
                }
            }
        }
        row
    }

    /// Orders that would hold both if the two were independent within each stratum of month and order size:
    /// the sum over strata of `n_a n_b / N`.
    pub fn expected(&self, product: u32, partner: u32) -> f64 {
        let dense = self.dense_strata(product);
        self.expected_with(&dense, partner)
    }

    fn dense_strata(&self, product: u32) -> Vec<u32> {
        let mut dense = vec![0; self.stratum_orders.len()];
        for (stratum, orders) in self.product_strata.row(product) {
            if let Some(slot) = dense.get_mut(*stratum as usize) {
                *slot = *orders;
            }
        }
        dense
    }

    fn expected_with(&self, dense: &[u32], partner: u32) -> f64 {
        let mut sum = 0.0;
        for (stratum, orders) in self.product_strata.row(partner) {
            let at = *stratum as usize;
            if let (Some(own), Some(all)) = (dense.get(at), self.stratum_orders.get(at))
                && *own > 0
            {
                // The product is exact, so that the pair counts the same from both sides.
                sum += (f64::from(*own) * f64::from(*orders)) / f64::from(*all);
            }
        }
        sum
    }
}

/// The orders of each product, ascending, from the products of each order.
pub(super) fn transpose<P: IntoIterator<Item = u32>>(
    orders: u32,
    products_of: impl Fn(u32) -> P,
    products: usize,
) -> Rows<u32> {
    let mut starts = vec![0u32; products + 1];
    for product in (0..orders).flat_map(&products_of) {
        if let Some(count) = starts.get_mut(product as usize + 1) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    let mut next = starts.clone();
    let mut entries = vec![0; sum as usize];
    for order in 0..orders {
        for product in products_of(order) {
            // The last start is nobody's: it is where the last product ends.
            if (product as usize) < products
                && let Some(place) = next.get_mut(product as usize)
            {
                if let Some(slot) = entries.get_mut(*place as usize) {
                    *slot = order;
                }
                *place += 1;
            }
        }
    }
    Rows { starts, entries }
}

/// Equal neighbours of a sorted list with their counts.
fn runs(sorted: &[u32]) -> Vec<(u32, u32)> {
    sorted.chunk_by(|a, b| a == b).filter_map(|run| run.first().map(|value| (*value, run.len() as u32))).collect()
}

/// Below this many orders every pair counts, from it on a pair must have been seen twice to be kept.
const FEW_ORDERS: usize = 1000;

/// Fits the associations: per product the `keep` partners that stand highest in either of two lists, by orders with both and by
/// excess over independence, taken in turns. `done` is called once a product.
pub fn associations(baskets: &Baskets, keep: usize, done: &(dyn Fn() + Sync)) -> Associations {
    let least = if baskets.len() < FEW_ORDERS { 1 } else { 2 };
    let rows: Vec<Vec<Neighbour>> = (0..baskets.products() as u32)
        .into_par_iter()
        .map_init(Counter::default, |counter, product| {
            let row = neighbours(baskets, product, keep, least, counter);
            done();
            row
        })
        .collect();
    Associations {
        orders: baskets.len() as u32,
        item_orders: (0..baskets.products() as u32).map(|product| baskets.item_orders(product)).collect(),
        neighbours: Rows::from_rows(rows),
    }
}

fn neighbours(baskets: &Baskets, product: u32, keep: usize, least: u32, counter: &mut Counter) -> Vec<Neighbour> {
    let mut partners = baskets.count(product, counter);
    partners.retain(|(_, both)| *both >= least);
    let dense = baskets.dense_strata(product);
    let row: Vec<Neighbour> = partners
        .into_iter()
        .map(|(partner, both)| Neighbour {
            product: partner,
            both,
            expected: baskets.expected_with(&dense, partner) as f32,
        })
        .collect();
    if row.len() <= keep {
        return row;
    }
    let excess = |entry: &Neighbour| {
        // As a cosine, less one standard deviation of a Poisson count: see the pipeline's `excess`.
        let above = entry.both as f32 - entry.expected - entry.expected.max(1.0).sqrt();
        above / (baskets.item_orders(entry.product) as f32 + 10.0).sqrt()
    };
    let mut by_both: Vec<usize> = (0..row.len()).collect();
    let mut by_excess = by_both.clone();
    let key = |at: &usize| row.get(*at).map(|entry| (std::cmp::Reverse(entry.both), entry.product));
    by_both.sort_unstable_by_key(key);
    let scores: Vec<f32> = row.iter().map(excess).collect();
    let score = |at: usize| scores.get(at).copied().unwrap_or(f32::MIN);
    by_excess.sort_unstable_by(|a, b| score(*b).total_cmp(&score(*a)).then(a.cmp(b)));
    let mut chosen = vec![false; row.len()];
    let mut left = keep;
    for at in by_both.into_iter().zip(by_excess).flat_map(|(one, other)| [one, other]) {
        if left == 0 {
            break;
        }
        if let Some(slot) = chosen.get_mut(at).filter(|slot| !**slot) {
            *slot = true;
            left -= 1;
        }
    }
    let mut kept: Vec<Neighbour> =
        row.into_iter().zip(chosen).filter_map(|(entry, chosen)| chosen.then_some(entry)).collect();
    // Collected in the place of all partners, which would stay as long as what was kept of them.
    kept.shrink_to_fit();
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn baskets_of(sets: &[BTreeSet<u32>], strata: &[(i32, u32)], cap: usize) -> Baskets {
        Baskets::new(sets.iter().map(|set| set.iter().copied().collect()), strata.iter().copied(), 12, cap)
    }

    proptest! {
        #[test]
        fn counts_equal_an_independent_count(
            orders in proptest::collection::vec((proptest::collection::btree_set(0u32..12, 1..7), 0i32..3), 1..60),
        ) {
            let sets: Vec<_> = orders.iter().map(|order| order.0.clone()).collect();
            let strata: Vec<(i32, u32)> = orders.iter().map(|(set, month)| (*month, size_bucket(set.len()))).collect();
            let baskets = baskets_of(&sets, &strata, 200);
            let fitted = associations(&baskets, 100, &|| ());
            for a in 0..12 {
                prop_assert_eq!(fitted.item_orders(a) as usize, sets.iter().filter(|set| set.contains(&a)).count());
                for b in 0..12 {
                    if a == b { continue; }
                    let both = sets.iter().filter(|set| set.contains(&a) && set.contains(&b)).count();
                    let found = fitted.between(a, b);
                    prop_assert_eq!(found.map_or(0, |entry| entry.both as usize), both);
                    let mut expected = 0.0;
                    for stratum in strata.iter().collect::<BTreeSet<_>>() {
                        let within: Vec<_> = sets.iter().zip(&strata).filter(|(_, s)| *s == stratum).map(|(set, _)| set).collect();
                        let share = |p: u32| within.iter().filter(|set| set.contains(&p)).count() as f64;
                        expected += share(a) * share(b) / within.len() as f64;
                    }
                    if let Some(entry) = found {
                        prop_assert!((f64::from(entry.expected) - expected).abs() < 1e-4);
                        prop_assert_eq!(entry.expected.to_bits(), fitted.between(b, a).unwrap().expected.to_bits());
                    }
                }
            }
        }
    }

    #[test]
    fn a_huge_order_is_cut_in_line_order_and_counted() {
        let baskets = Baskets::new([vec![9, 8, 7, 6], vec![9, 6]].into_iter(), [(0, 0); 2].into_iter(), 12, 2);
        assert_eq!(baskets.capped, 1);
        assert_eq!(baskets.partners(9), vec![(6, 1), (8, 1)]);
    }

    #[test]
    fn the_partners_kept_are_the_most_frequent_and_the_most_telling() {
        // 0 goes with 1 in all orders (so does everything), with 2 in the few orders that 2 has.
        let mut sets: Vec<BTreeSet<u32>> = (0..40).map(|at| BTreeSet::from([0, 1, 3 + at % 8])).collect();
        sets.extend((0..4).map(|_| BTreeSet::from([0, 1, 2])));
        sets.extend((0..40).map(|_| BTreeSet::from([11])));
        let strata = vec![(0, 0); sets.len()];
        let fitted = associations(&baskets_of(&sets, &strata, 200), 2, &|| ());
        let kept: Vec<u32> = fitted.neighbours.row(2).iter().map(|entry| entry.product).collect();
        assert_eq!(kept, vec![0, 1]);
        assert_eq!(fitted.neighbours.row(0).len(), 2);
        assert!(fitted.between(0, 1).is_some());
    }
}
