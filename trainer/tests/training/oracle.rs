//! Exact counts against published ones: groceries of `mhahsler/arules`, as the figures of Q7 give them.

use std::path::Path;

use endcap_trainer::fit::{Baskets, associations};
use endcap_trainer::rules::{frequent_itemsets, rules};

/// One basket a line, item numbers with commas.
fn groceries() -> Option<Vec<Vec<u32>>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/groceries_arules/derived/baskets.csv");
    let Ok(text) = std::fs::read_to_string(&file) else {
        println!("skipped: the groceries data set is not there");
        return None;
    };
    Some(
        text.lines()
            .filter(|line| !line.is_empty())
            .map(|line| line.split(',').map(|item| item.parse().unwrap()).collect())
            .collect(),
    )
}

#[test]
fn itemsets_and_rules_of_groceries_are_the_published_ones() {
    let Some(baskets) = groceries() else { return };
    assert_eq!(baskets.len(), 9835);
    let itemsets = frequent_itemsets(&baskets, 0.001, 10);
    assert_eq!(itemsets.len(), 13_492);
    assert_eq!(itemsets.iter().map(|set| set.items.len()).max(), Some(6));
    let count = |support: f64, confidence: f64, min_len: usize| {
        rules(&frequent_itemsets(&baskets, support, 10), baskets.len(), confidence, min_len).len()
    };
    assert_eq!(count(0.001, 0.8, 1), 410);
    assert_eq!(count(0.001, 0.9, 1), 129);
    assert_eq!(count(0.001, 0.5, 1), 5668);
    assert_eq!(count(0.006, 0.25, 2), 463);
    assert_eq!(count(0.01, 0.5, 1), 15);
    assert_eq!(count(0.02, 0.3, 1), 37);
}

#[test]
fn the_pair_counts_that_are_served_equal_the_rules_of_groceries() {
    let Some(baskets) = groceries() else { return };
    let products = 1 + *baskets.iter().flatten().max().unwrap() as usize;
    let counted = Baskets::new(baskets.iter().cloned(), baskets.iter().map(|_| (0, 0)), products, 200);
    let fitted = associations(&counted, products, &|| ());
    let itemsets = frequent_itemsets(&baskets, 0.001, 2);
    let pairs: Vec<_> = itemsets.iter().filter(|set| set.items.len() == 2).collect();
    assert!(pairs.len() > 2000);
    for set in pairs {
        let (a, b) = (set.items[0], set.items[1]);
        let found = fitted.between(a, b).unwrap();
        assert_eq!(found.both, set.baskets);
        let independent = f64::from(fitted.item_orders(a)) * f64::from(fitted.item_orders(b)) / baskets.len() as f64;
        assert!((f64::from(found.expected) - independent).abs() < 1e-3, "one stratum is plain independence");
    }
}
