//! Products that are alike by name and attributes: what is known of a product before anybody has bought it.

use std::collections::HashMap;

use endcap_recommender::fitted::{Catalogue, NONE, Rows, Weighted};
use rayon::prelude::*;

use super::similar::strongest;

/// Look-alikes kept by product.
const KEEP: usize = 50;
/// A word of more products tells nothing apart and costs most.
const MOST_PRODUCTS: usize = 5000;
/// Cosines below this are chance.
const LEAST_COSINE: f32 = 0.1;

/// The words of a name and the attributes, as they are compared.
pub(crate) fn words(catalogue: &Catalogue, product: u32) -> Vec<String> {
    let name = catalogue.name(product).to_lowercase();
    let mut words: Vec<String> = name
        .split(|letter: char| !letter.is_alphabetic())
        .filter(|word| word.chars().count() > 1)
        .map(str::to_owned)
        .collect();
    for (kind, value) in [
        ("category", catalogue.category(product)),
        ("subcategory", catalogue.subcategory(product)),
        ("brand", catalogue.brand(product)),
        ("variant", catalogue.variant_group(product)),
    ] {
        if value != NONE {
            words.push(format!("{kind}={value}"));
        }
    }
    words.sort_unstable();
    words.dedup();
    words
}

/// Products as weighted words (TF-IDF with unit length) and the products of each word.
pub(crate) struct Words {
    /// (word, weight) by product.
    pub of_product: Rows<(u32, f32)>,
    /// (product, weight) by word.
    of_word: Rows<(u32, f32)>,
}

impl Words {
    pub fn new(catalogue: &Catalogue) -> Self {
        let products = catalogue.len();
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut counts: Vec<u32> = Vec::new();
        let lists: Vec<Vec<u32>> = (0..products as u32)
            .map(|product| {
                let own = words(catalogue, product).into_iter().map(|word| {
                    let next = numbers.len() as u32;
                    let number = *numbers.entry(word).or_insert(next);
                    if number == next {
                        counts.push(0);
                    }
                    if let Some(count) = counts.get_mut(number as usize) {
                        *count += 1;
                    }
                    number
                });
                own.collect()
            })
            .collect();
        let idf = |word: u32| {
            let count = counts.get(word as usize).copied().unwrap_or(1).max(1);
            (products as f32 / count as f32).ln()
        };
        let of_product = Rows::from_rows(lists.into_iter().map(|list| {
            let length = list.iter().map(|word| idf(*word).powi(2)).sum::<f32>().sqrt().max(1e-6);
            list.into_iter().map(|word| (word, idf(word) / length)).collect()
        }));
        let mut of_word: Vec<Vec<(u32, f32)>> = vec![Vec::new(); counts.len()];
        for product in 0..products as u32 {
            for (word, weight) in of_product.row(product) {
                if let Some(list) = of_word.get_mut(*word as usize) {
                    list.push((product, *weight));
                }
            }
        }
        Self { of_product, of_word: Rows::from_rows(of_word) }
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.of_word.len()
    }
}

/// The nearest products of each by the cosine of their words.
pub(crate) fn content(catalogue: &Catalogue) -> Rows<Weighted> {
    let words = Words::new(catalogue);
    let rows: Vec<Vec<Weighted>> = (0..catalogue.len() as u32)
        .into_par_iter()
        .map_init(
            || (vec![0.0f32; catalogue.len()], Vec::new()),
            |(sums, touched), product| {
                for (word, weight) in words.of_product.row(product) {
                    let others = words.of_word.row(*word);
                    for (other, other_weight) in others.iter().filter(|_| others.len() <= MOST_PRODUCTS) {
                        if let Some(sum) = sums.get_mut(*other as usize) {
                            if *sum == 0.0 {
                                touched.push(*other);
                            }
                            *sum += weight * other_weight;
                        }
                    }
                }
                let cosines: Vec<(u32, f32)> = touched
                    .drain(..)
                    .map(|other| (other, sums.get_mut(other as usize).map_or(0.0, std::mem::take)))
                    .filter(|(other, cosine)| *other != product && *cosine >= LEAST_COSINE)
                    .collect();
                strongest(cosines.into_iter(), KEEP)
            },
        )
        .collect();
    Rows::from_rows(rows)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use endcap_recommender::fitted::CatalogueRow;

    use super::*;

    #[test]
    fn a_product_that_nobody_bought_has_its_like_as_neighbours() {
        let row = |id: &str, name: &str, subcategory: &str| CatalogueRow {
            id: id.to_owned(),
            name: name.to_owned(),
            subcategory: Some(subcategory.to_owned()),
            active: true,
            ..CatalogueRow::default()
        };
        let rows = vec![
            row("A", "LUNCH BAG RED RETROSPOT", "bags"),
            row("B", "LUNCH BAG PINK POLKADOT", "bags"),
            row("C", "CAKE STAND 3 TIER", "kitchen"),
            row("D", "CAKE TINS PANTRY", "kitchen"),
            row("E", "DOORMAT", "home"),
        ];
        let catalogue = Catalogue::build(rows, |_| None);
        let near = content(&catalogue);
        let best = |product: u32| {
            near.row(product).iter().max_by(|a, b| a.weight.total_cmp(&b.weight)).map(|entry| entry.product)
        };
        assert_eq!((best(0), best(1), best(2), best(3), best(4)), (Some(1), Some(0), Some(3), Some(2), None));
        assert!(near.entries.iter().all(|entry| entry.weight > 0.0 && entry.weight <= 1.0001));
    }
}
