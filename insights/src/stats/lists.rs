//! Figures of a sample of lists: how much of the catalogue is shown, and how evenly. They depend on how many lists there are: compare
//! samples of the same size only.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::moments::Estimate;
use crate::fold::{GROUPS, ListShown, group_of};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ListFigures {
    pub lists: usize,
    /// Different products.
    pub distinct: Estimate,
    /// Probability that two shown items are of different products, 0 to 1 (Simpson, *Measurement of diversity*, Nature, 1949).
    pub diversity: Estimate,
}

/// Items by product, products by how many groups' lists they stand in.
struct Tally {
    items: f64,
    counts: HashMap<u32, [u32; GROUPS as usize]>,
}

/// None without lists. Standard errors: groups of users are left out one at a time (delete-a-group jackknife: Kott, 2001).
pub fn list_figures(lists: &[&ListShown]) -> Option<ListFigures> {
    if lists.is_empty() {
        return None;
    }
    let mut tally = Tally { items: 0.0, counts: HashMap::new() };
    let mut groups = BTreeSet::new();
    for list in lists {
        let group = group_of(list.unit);
        groups.insert(group);
        for product in &list.products {
            tally.items += 1.0;
            if let Some(count) = tally.counts.entry(*product).or_default().get_mut(usize::from(group)) {
                *count += 1;
            }
        }
    }
    let all = tally.without(None);
    let left_out: Vec<(f64, f64)> = groups.iter().map(|group| tally.without(Some(*group))).collect();
    Some(ListFigures {
        lists: lists.len(),
        distinct: Estimate { value: all.0, se: jackknife(left_out.iter().map(|figures| figures.0)) },
        diversity: Estimate { value: all.1, se: jackknife(left_out.iter().map(|figures| figures.1)) },
    })
}

impl Tally {
    /// Different products and diversity of the lists outside a group.
    fn without(&self, group: Option<u8>) -> (f64, f64) {
        let (mut distinct, mut items, mut squares) = (0.0, 0.0, 0.0);
        for counts in self.counts.values() {
            let all: u32 = counts.iter().sum();
            let out = group.and_then(|group| counts.get(usize::from(group))).copied().unwrap_or(0);
            let count = f64::from(all - out);
            distinct += f64::from(u8::from(count > 0.0));
            items += count;
            // Pairs of different items of one product.
            squares += count * (count - 1.0);
        }
        let pairs = items * (items - 1.0);
        (distinct, if pairs > 0.0 { 1.0 - squares / pairs } else { 0.0 })
    }
}

fn jackknife(left_out: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = left_out.collect();
    let count = values.len() as f64;
    if count < 2.0 {
        return f64::NAN;
    }
    let mean = values.iter().sum::<f64>() / count;
    ((count - 1.0) / count * values.iter().map(|value| (value - mean).powi(2)).sum::<f64>()).sqrt()
}

/// [`ListFigures::diversity`] without its error, for where many are wanted.
pub fn diversity(lists: &[&ListShown]) -> Option<f64> {
    let mut counts: HashMap<u32, u64> = HashMap::new();
    lists.iter().flat_map(|list| &list.products).for_each(|product| *counts.entry(*product).or_default() += 1);
    let items: u64 = counts.values().sum();
    let pairs = items as f64 * (items as f64 - 1.0);
    let same: f64 = counts.values().map(|count| *count as f64 * (*count as f64 - 1.0)).sum();
    (items > 0).then(|| if pairs > 0.0 { 1.0 - same / pairs } else { 0.0 })
}

/// Share of the shown items that the most shown products have: one in a hundred of a catalogue of `products`, at least one.
pub fn top_share(lists: &[&ListShown], products: usize) -> Option<f64> {
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    lists.iter().flat_map(|list| &list.products).for_each(|product| *counts.entry(*product).or_default() += 1);
    let total: u64 = counts.values().sum();
    let mut sorted: Vec<u64> = counts.into_values().collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let top: u64 = sorted.iter().take(products.div_ceil(100).max(1)).sum();
    (total > 0).then(|| top as f64 / total as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn list(unit: u64, products: &[u32]) -> ListShown {
        ListShown { unit, products: products.to_vec() }
    }

    #[test]
    fn coverage_and_diversity_by_hand() {
        let lists = [list(1, &[1, 2]), list(2, &[1, 3]), list(3, &[1, 2])];
        let figures = list_figures(&lists.iter().collect::<Vec<_>>()).unwrap();
        assert!((figures.distinct.value - 3.0).abs() < 1e-12);
        // Counts 3, 2, 1 of 6: 1 - (3*2 + 2*1) / 30.
        assert!((figures.diversity.value - 22.0 / 30.0).abs() < 1e-12);
        assert!((diversity(&lists.iter().collect::<Vec<_>>()).unwrap() - 22.0 / 30.0).abs() < 1e-12);
        // Left out one at a time, 3, 2 and 3 products stay: sqrt(2/3 * 2/3).
        assert!((figures.distinct.se - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(list_figures(&[]), None);
    }

    #[test]
    fn one_list_for_all_is_not_diverse_and_its_share_is_all() {
        let lists = [list(1, &[7]), list(2, &[7]), list(3, &[7])];
        let lists: Vec<&ListShown> = lists.iter().collect();
        let figures = list_figures(&lists).unwrap();
        assert!(figures.diversity.value.abs() < 1e-12);
        assert!((top_share(&lists, 1_000).unwrap() - 1.0).abs() < 1e-12);
    }
}
