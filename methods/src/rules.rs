//! Exact association rules over itemsets of any length: an oracle for the pair counts, and what an analyst asks for.
//!
//! Frequent itemsets by depth-first search over transaction sets as bit vectors (Eclat: Zaki, IEEE TKDE 12(3), 2000); rules with one
//! item on the right as Agrawal and Srikant (VLDB 1994). Thresholds are inclusive. Nothing is sampled or approximated.

use std::collections::HashMap;

/// Items bought together, ascending, and the baskets that hold them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Itemset {
    pub items: Vec<u32>,
    pub baskets: u32,
}

/// Left items -> right item.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub left: Vec<u32>,
    pub right: u32,
    /// Baskets with left and right.
    pub baskets: u32,
    pub support: f64,
    pub confidence: f64,
    pub lift: f64,
}

#[derive(Clone)]
struct Transactions {
    bits: Vec<u64>,
    count: u32,
}

impl Transactions {
    fn and(&self, other: &Self) -> Self {
        let bits: Vec<u64> = self.bits.iter().zip(&other.bits).map(|(a, b)| a & b).collect();
        let count = bits.iter().map(|word| word.count_ones()).sum();
        Self { bits, count }
    }
}

/// All itemsets of 1 to `max_len` items that at least `min_support` (a share, 0 to 1) of the baskets hold, by items in
/// lexical order. A basket's repeated items count once.
pub fn frequent_itemsets(baskets: &[Vec<u32>], min_support: f64, max_len: usize) -> Vec<Itemset> {
    // A hair below the product, so that 10 of 1,000 reach a support of 0.01 whatever the product rounds to.
    let least = ((min_support * baskets.len() as f64 - 1e-9).ceil().max(1.0)) as u32;
    let words = baskets.len().div_ceil(64);
    let mut of_item: HashMap<u32, Transactions> = HashMap::new();
    for (at, basket) in baskets.iter().enumerate() {
        for item in basket {
            let set = of_item.entry(*item).or_insert_with(|| Transactions { bits: vec![0; words], count: 0 });
            if let Some(word) = set.bits.get_mut(at / 64) {
                let bit = 1 << (at % 64);
                set.count += u32::from(*word & bit == 0);
                *word |= bit;
            }
        }
    }
    let mut items: Vec<(u32, Transactions)> = of_item.into_iter().filter(|(_, set)| set.count >= least).collect();
    items.sort_by_key(|(item, _)| *item);
    let mut found = Vec::new();
    if max_len > 0 {
        grow(&mut Vec::new(), &items, least, max_len, &mut found);
    }
    found
}

/// `extensions` holds the items that may follow `prefix`, each with the baskets that hold it and the prefix.
fn grow(
    prefix: &mut Vec<u32>,
    extensions: &[(u32, Transactions)],
    least: u32,
    max_len: usize,
    found: &mut Vec<Itemset>,
) {
    for (at, (item, set)) in extensions.iter().enumerate() {
        prefix.push(*item);
        found.push(Itemset { items: prefix.clone(), baskets: set.count });
        if prefix.len() < max_len {
            let deeper: Vec<(u32, Transactions)> = extensions
                .iter()
                .skip(at + 1)
                .map(|(next, other)| (*next, set.and(other)))
                .filter(|(_, both)| both.count >= least)
                .collect();
            grow(prefix, &deeper, least, max_len, found);
        }
        prefix.pop();
    }
}

/// All rules of the itemsets with one item on the right, at least `min_len` items in all (1 allows an empty left side) and at least
/// `min_confidence`. `itemsets` must hold every subset of each of its members, as [`frequent_itemsets`] gives them.
pub fn rules(itemsets: &[Itemset], baskets: usize, min_confidence: f64, min_len: usize) -> Vec<Rule> {
    let counts: HashMap<&[u32], u32> = itemsets.iter().map(|set| (set.items.as_slice(), set.baskets)).collect();
    let all = baskets as f64;
    let count = |items: &[u32]| if items.is_empty() { Some(baskets as u32) } else { counts.get(items).copied() };
    let mut found = Vec::new();
    for set in itemsets.iter().filter(|set| set.items.len() >= min_len.max(1)) {
        for right in &set.items {
            let left: Vec<u32> = set.items.iter().copied().filter(|item| item != right).collect();
            let (Some(left_count), Some(right_count)) = (count(&left), count(std::slice::from_ref(right))) else {
                continue;
            };
            let confidence = f64::from(set.baskets) / f64::from(left_count);
            if confidence >= min_confidence {
                found.push(Rule {
                    left,
                    right: *right,
                    baskets: set.baskets,
                    support: f64::from(set.baskets) / all,
                    confidence,
                    lift: confidence / (f64::from(right_count) / all),
                });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn itemsets_equal_those_of_every_subset(
            sets in proptest::collection::vec(proptest::collection::btree_set(0u32..7, 0..6), 1..80),
            support in 0.0f64..0.5,
            max_len in 1usize..5,
        ) {
            let baskets: Vec<Vec<u32>> = sets.iter().map(|set| set.iter().copied().collect()).collect();
            let mut naive = Vec::new();
            for mask in 1u32..128 {
                let items: Vec<u32> = (0..7).filter(|item| mask & (1 << item) != 0).collect();
                let count = sets.iter().filter(|set| items.iter().all(|item| set.contains(item))).count();
                let enough = count as f64 >= support * sets.len() as f64 - 1e-9;
                if items.len() <= max_len && count > 0 && enough {
                    naive.push(Itemset { items, baskets: count as u32 });
                }
            }
            naive.sort_by(|a, b| a.items.cmp(&b.items));
            prop_assert_eq!(frequent_itemsets(&baskets, support, max_len), naive);
        }
    }
}
