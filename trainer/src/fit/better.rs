//! Better variants: the dearer product of the same need that buyers of a product took, later or instead.

use std::collections::HashMap;

use endcap_recommender::fitted::{BetterVariant, Catalogue, NONE, Rows};
use rayon::prelude::*;

use crate::load::{Dataset, Line, View};

const LEAST_PRICE_RATIO: f64 = 1.05;
const MOST_PRICE_RATIO: f64 = 2.0;
/// A larger size or another edition of the same product is a nearer step than another product of the need.
const FAMILY: f64 = 2.0;
/// Customers who took the better one before it is believed.
const LEAST_CUSTOMERS: u32 = 3;
const SHRINKAGE: f32 = 10.0;
const KEEP: usize = 10;
/// Of one need, the products of a customer that are compared: the ones bought last.
const MOST_OF_A_NEED: usize = 200;

/// Customers that are counted together; a constant of the work's size alone.
const CUSTOMERS: usize = 4096;

/// A product that a customer bought, with its first and last order.
#[derive(Clone, Copy, Debug)]
struct Bought {
    product: u32,
    first: u32,
    last: u32,
}

/// What customers took. Only pairs that may be recommended are counted, so that memory goes with these and not with the sales.
#[derive(Debug, Default)]
struct Taken {
    /// By product, customers who bought it.
    buyers: HashMap<u32, u32>,
    /// By product and a better one, customers who took it in the same or a later order.
    better: HashMap<(u32, u32), u32>,
}

impl Taken {
    fn with(mut self, other: Self) -> Self {
        for (key, count) in other.buyers {
            *self.buyers.entry(key).or_default() += count;
        }
        for (key, count) in other.better {
            *self.better.entry(key).or_default() += count;
        }
        self
    }
}

/// By product the better variants, best first: same variant group or subcategory, active, 1.05 to 2 times the price. `accepted` is the
/// share of the product's customers who bought the other in the same or a later order, shrunk towards nothing. The order is that of the
/// share over the square of the price ratio: who bought both did so for many reasons, and a small step is taken more readily than a large
/// one.
pub fn better_variants(data: &Dataset, sales: View<'_>) -> Rows<BetterVariant> {
    let catalogue = &data.catalogue;
    let taken = sales
        .by_customer(data.customers.len())
        .par_chunks(CUSTOMERS)
        .map(|customers| taken(catalogue, sales, customers))
        .reduce(Taken::default, Taken::with);
    let mut variants: Vec<Vec<BetterVariant>> = vec![Vec::new(); catalogue.len()];
    for ((product, other), customers) in taken.better.into_iter().filter(|(_, customers)| *customers >= LEAST_CUSTOMERS)
    {
        let buyers = taken.buyers.get(&product).copied().unwrap_or(0);
        let accepted = customers as f32 / (buyers as f32 + SHRINKAGE);
        if let Some(list) = variants.get_mut(product as usize) {
            list.push(BetterVariant { product: other, accepted, customers });
        }
    }
    for (product, list) in (0u32..).zip(&mut variants) {
        let worth = |variant: &BetterVariant| worth(catalogue, product, variant);
        list.sort_by(|a, b| worth(b).total_cmp(&worth(a)).then(a.product.cmp(&b.product)));
        list.truncate(KEEP);
    }
    Rows::from_rows(variants)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Variants(u32),
    Subcategory(u32),
}

fn needs(catalogue: &Catalogue, product: u32) -> impl Iterator<Item = Need> {
    let (group, subcategory) = (catalogue.variant_group(product), catalogue.subcategory(product));
    let group = (group != NONE).then_some(Need::Variants(group));
    group.into_iter().chain((subcategory != NONE).then_some(Need::Subcategory(subcategory)))
}

/// How many times as dear the other is; 0 where a price is not known.
fn price_ratio(catalogue: &Catalogue, product: u32, other: u32) -> f64 {
    let price = |product: u32| catalogue.list_price.get(product as usize).copied().filter(|price| *price > 0);
    price(product).zip(price(other)).map_or(0.0, |(own, other)| other as f64 / own as f64)
}

/// Whether one product may be recommended in place of another.
fn is_better(catalogue: &Catalogue, product: u32, other: u32) -> bool {
    let is_in_range = (LEAST_PRICE_RATIO..=MOST_PRICE_RATIO).contains(&price_ratio(catalogue, product, other));
    catalogue.is_active(other) && is_in_range
}

/// How good a step from a product to a better one is.
fn worth(catalogue: &Catalogue, product: u32, variant: &BetterVariant) -> f64 {
    let group = catalogue.variant_group(product);
    let is_family = group != NONE && group == catalogue.variant_group(variant.product);
    let family = if is_family { FAMILY } else { 1.0 };
    family * f64::from(variant.accepted)
        / price_ratio(catalogue, product, variant.product).powi(2).max(f64::MIN_POSITIVE)
}

/// Counts some customers, each by its orders.
fn taken(catalogue: &Catalogue, sales: View<'_>, customers: &[Vec<u32>]) -> Taken {
    let mut taken = Taken::default();
    let mut own: HashMap<u32, Bought> = HashMap::new();
    let mut by_need: Vec<(Need, Bought)> = Vec::new();
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    for orders in customers {
        own.clear();
        for order in orders {
            for Line { product, .. } in sales.lines(*order as usize).iter().copied() {
                let first = Bought { product, first: *order, last: *order };
                own.entry(product).and_modify(|seen| seen.last = *order).or_insert(first);
            }
        }
        by_need.clear();
        for bought in own.values() {
            *taken.buyers.entry(bought.product).or_default() += 1;
            by_need.extend(needs(catalogue, bought.product).map(|need| (need, *bought)));
        }
        by_need.sort_unstable_by_key(|(need, bought)| (*need, std::cmp::Reverse(bought.last), bought.product));
        pairs.clear();
        for same in by_need.chunk_by(|a, b| a.0 == b.0) {
            for (_, bought) in same {
                let others = same.iter().take(MOST_OF_A_NEED).map(|(_, other)| other);
                let later = others.filter(|other| other.product != bought.product && other.last >= bought.first);
                let better = later.filter(|other| is_better(catalogue, bought.product, other.product));
                pairs.extend(better.map(|other| (bought.product, other.product)));
            }
        }
        // Two needs may hold the same pair, which is one customer.
        pairs.sort_unstable();
        pairs.dedup();
        for pair in &pairs {
            *taken.better.entry(*pair).or_default() += 1;
        }
    }
    taken
}
