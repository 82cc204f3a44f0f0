//! Names of segments, made of nothing but their largest standardised differences from all customers.

use serde::{Deserialize, Serialize};

use super::segments::Feature;

/// What stands before the name of a category whose share is a feature.
pub const CATEGORY: &str = "share of ";
/// Standard deviations from which on a difference is told.
const TELLING: f64 = 0.5;
/// Differences in a name.
const PARTS: usize = 3;
/// A share of lines from which on a customer buys mostly that category.
const MOSTLY: f64 = 0.5;

/// A feature that is no category's share, with the words for much and little of it.
pub struct Plain {
    pub name: &'static str,
    more: &'static str,
    less: &'static str,
    /// From the feature's logarithm to what people read.
    read: fn(f64) -> f64,
}

/// In the order of the features. Values are logarithms.
pub const PLAIN: [Plain; 4] = [
    Plain { name: "days since the last order", more: "not seen for long", less: "seen lately", read: f64::exp_m1 },
    Plain { name: "orders", more: "buys often", less: "buys rarely", read: f64::exp },
    Plain { name: "money", more: "spends much", less: "spends little", read: f64::exp_m1 },
    Plain { name: "products by order", more: "large baskets", less: "small baskets", read: f64::exp_m1 },
];

/// A difference of a segment from all customers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub feature: String,
    /// In the name.
    pub words: String,
    /// Geometric means of what is counted, plain means of shares.
    pub segment: f64,
    pub all: f64,
    /// In standard deviations over all customers.
    pub difference: f64,
}

/// All differences that tell, the largest first.
pub fn evidence(features: &[Feature], means: &[f64]) -> Vec<Evidence> {
    let mut found: Vec<Evidence> = features
        .iter()
        .zip(means)
        .enumerate()
        .filter(|(_, (feature, _))| feature.sd > 0.0)
        .map(|(at, (feature, mean))| {
            let difference = (mean - feature.mean) / feature.sd;
            let (words, read): (String, fn(f64) -> f64) = if let Some(plain) = PLAIN.get(at) {
                (if difference > 0.0 { plain.more } else { plain.less }.to_owned(), plain.read)
            } else {
                let category = feature.name.strip_prefix(CATEGORY).unwrap_or(&feature.name);
                let much = if *mean >= MOSTLY { "mostly" } else { "much" };
                (format!("{} {category}", if difference > 0.0 { much } else { "little" }), |share| share)
            };
            Evidence { feature: feature.name.clone(), words, segment: read(*mean), all: read(feature.mean), difference }
        })
        .filter(|evidence| evidence.difference.abs() >= TELLING)
        .collect();
    found.sort_by(|a, b| b.difference.abs().total_cmp(&a.difference.abs()));
    found
}

/// A name for each segment and how many of its differences it tells: three, more where two names would be the same, a number after it
/// where the evidence does not tell them apart.
pub fn names<'a>(segments: impl Iterator<Item = &'a [Evidence]>) -> Vec<(String, usize)> {
    let mut named: Vec<(String, usize)> = Vec::new();
    for evidence in segments {
        let told = |parts: usize| {
            let words: Vec<&str> = evidence.iter().take(parts).map(|evidence| evidence.words.as_str()).collect();
            if words.is_empty() { "like the average".to_owned() } else { words.join(", ") }
        };
        let is_free = |name: &str| named.iter().all(|(known, _)| known != name);
        let most = evidence.len().max(PARTS);
        let parts = (PARTS..=most).find(|parts| is_free(&told(*parts))).unwrap_or(most);
        let mut name = told(parts);
        let mut number = 2;
        while !is_free(&name) {
            name = format!("{} ({number})", told(parts));
            number += 1;
        }
        named.push((name, parts));
    }
    named
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    fn features() -> Vec<Feature> {
        let feature = |name: &str, mean: f64| Feature { name: name.to_owned(), mean, sd: 1.0, weight: 1.0 };
        vec![
            feature(PLAIN[0].name, 3.0),
            feature(PLAIN[1].name, 1.0),
            feature(PLAIN[2].name, 5.0),
            feature(PLAIN[3].name, 2.0),
            Feature { sd: 0.2, ..feature("share of Kitchen", 0.3) },
        ]
    }

    #[test]
    fn a_name_tells_the_largest_differences_and_no_others() {
        let found = evidence(&features(), &[2.9, 2.0, 5.0, 1.3, 0.6]);
        let name = names([found.as_slice()].into_iter());
        assert_eq!(name, [("mostly Kitchen, buys often, small baskets".to_owned(), 3)]);
        assert!((found[1].segment - 2f64.exp()).abs() < 1e-9 && (found[0].difference - 1.5).abs() < 1e-9);
        assert_eq!(
            names([evidence(&features(), &[3.0, 1.0, 5.0, 2.0, 0.3]).as_slice()].into_iter())[0].0,
            "like the average"
        );
    }

    #[test]
    fn no_two_names_are_the_same() {
        let one = evidence(&features(), &[4.0, 2.5, 6.2, 2.0, 0.3]);
        let other = evidence(&features(), &[4.0, 2.5, 6.2, 2.7, 0.3]);
        let named = names([one.as_slice(), other.as_slice(), one.as_slice()].into_iter());
        assert_eq!(named[0].0, "buys often, spends much, not seen for long");
        assert_eq!(named[1], ("buys often, spends much, not seen for long, large baskets".to_owned(), 4));
        assert_eq!(named[2].0, "buys often, spends much, not seen for long (2)");
    }
}
