//! Better variants: the dearer product of the same need that buyers of a product took, later or instead.

use std::collections::HashMap;

use endcap_recommender::fitted::{BetterVariant, Catalogue, NONE, Rows};
use rayon::prelude::*;

use crate::load::{Dataset, View};

const LEAST_PRICE_RATIO: f64 = 1.05;
const MOST_PRICE_RATIO: f64 = 3.0;
/// Customers who took the better one before it is believed.
const LEAST_CUSTOMERS: u32 = 3;
const SHRINKAGE: f32 = 10.0;
const KEEP: usize = 10;
/// Of one need, the products of a customer that are compared: the ones bought last.
const MOST_OF_A_NEED: usize = 200;

/// First and last order of a customer's purchases of a product.
#[derive(Clone, Copy, Debug)]
struct Bought {
    customer: u32,
    product: u32,
    first: u32,
    last: u32,
}

/// By product the better variants, best first: same variant group or subcategory, active, 1.05 to 3 times the price. `accepted` is the
/// share of the product's customers who bought the other in the same or a later order, shrunk towards nothing.
pub fn better_variants(data: &Dataset, sales: View<'_>) -> Rows<BetterVariant> {
    let catalogue = &data.catalogue;
    let bought = purchases(data, sales);
    // The products of a customer that serve one need lie together in `of_need`.
    let mut of_need: HashMap<(u32, Need), Vec<Bought>> = HashMap::new();
    let mut of_product: Vec<Vec<Bought>> = vec![Vec::new(); catalogue.len()];
    for entry in &bought {
        for need in needs(catalogue, entry.product) {
            of_need.entry((entry.customer, need)).or_default().push(*entry);
        }
        if let Some(list) = of_product.get_mut(entry.product as usize) {
            list.push(*entry);
        }
    }
    for list in of_need.values_mut() {
        if list.len() > MOST_OF_A_NEED {
            list.sort_unstable_by_key(|entry| (std::cmp::Reverse(entry.last), entry.product));
            list.truncate(MOST_OF_A_NEED);
        }
    }
    let rows: Vec<Vec<BetterVariant>> = of_product
        .par_iter()
        .enumerate()
        .map(|(product, buyers)| variants_of(catalogue, product as u32, buyers, &of_need))
        .collect();
    Rows::from_rows(rows)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Need {
    Variants(u32),
    Subcategory(u32),
}

fn needs(catalogue: &Catalogue, product: u32) -> impl Iterator<Item = Need> {
    let (group, subcategory) = (catalogue.variant_group(product), catalogue.subcategory(product));
    let group = (group != NONE).then_some(Need::Variants(group));
    group.into_iter().chain((subcategory != NONE).then_some(Need::Subcategory(subcategory)))
}

fn purchases(data: &Dataset, sales: View<'_>) -> Vec<Bought> {
    let mut all = Vec::new();
    let mut own: HashMap<u32, (u32, u32)> = HashMap::new();
    for (customer, orders) in (0u32..).zip(sales.by_customer(data.customers.len())) {
        own.clear();
        for order in orders {
            for line in sales.lines(order as usize) {
                own.entry(line.product).and_modify(|seen| seen.1 = order).or_insert((order, order));
            }
        }
        let from = all.len();
        all.extend(own.iter().map(|(product, (first, last))| Bought {
            customer,
            product: *product,
            first: *first,
            last: *last,
        }));
        if let Some(added) = all.get_mut(from..) {
            added.sort_unstable_by_key(|entry: &Bought| entry.product);
        }
    }
    all
}

fn variants_of(
    catalogue: &Catalogue,
    product: u32,
    buyers: &[Bought],
    of_need: &HashMap<(u32, Need), Vec<Bought>>,
) -> Vec<BetterVariant> {
    let price = |product: u32| catalogue.list_price.get(product as usize).copied().filter(|price| *price > 0);
    let Some(own_price) = price(product) else { return Vec::new() };
    let mut took: HashMap<u32, u32> = HashMap::new();
    let mut seen: Vec<u32> = Vec::new();
    for buyer in buyers {
        seen.clear();
        for need in needs(catalogue, product) {
            let own = of_need.get(&(buyer.customer, need)).map_or(&[][..], Vec::as_slice);
            seen.extend(
                own.iter()
                    .filter(|other| other.product != product && other.last >= buyer.first)
                    .map(|other| other.product),
            );
        }
        seen.sort_unstable();
        seen.dedup();
        for other in &seen {
            *took.entry(*other).or_default() += 1;
        }
    }
    let mut variants: Vec<BetterVariant> = took
        .into_iter()
        .filter(|(other, customers)| {
            let ratio = price(*other).map_or(0.0, |price| price as f64 / own_price as f64);
            *customers >= LEAST_CUSTOMERS
                && catalogue.is_active(*other)
                && (LEAST_PRICE_RATIO..=MOST_PRICE_RATIO).contains(&ratio)
        })
        .map(|(other, customers)| BetterVariant {
            product: other,
            accepted: customers as f32 / (buyers.len() as f32 + SHRINKAGE),
            customers,
        })
        .collect();
    variants.sort_by(|a, b| b.accepted.total_cmp(&a.accepted).then(a.product.cmp(&b.product)));
    variants.truncate(KEEP);
    variants
}
