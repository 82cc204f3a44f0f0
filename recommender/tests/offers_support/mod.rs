//! Carts and offers for the tests of offers: hand-made and random.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use endcap_recommender::ids::ProductId;
use endcap_recommender::offers::{AmountPer, Buyer, Offer, Parts, PricedLine, Scope, Setting, Terms, Tier};
use jiff::Timestamp;
use proptest::prelude::*;
use rust_decimal::Decimal;

pub const NOW: i64 = 1_320_000_000;

pub fn dec(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

pub fn cents(cents: i64) -> Decimal {
    Decimal::new(cents, 2)
}

/// A product with what scopes ask for.
#[derive(Clone, Debug)]
pub struct Entry {
    pub product: ProductId,
    pub quantity: Decimal,
    pub price: Decimal,
    pub category: Option<String>,
    pub brand: Option<String>,
}

pub fn entry(product: &str, quantity: &str, price: &str) -> Entry {
    Entry { product: ProductId::from(product), quantity: dec(quantity), price: dec(price), category: None, brand: None }
}

pub fn lines(cart: &[Entry]) -> Vec<PricedLine<'_>> {
    cart.iter()
        .map(|e| PricedLine {
            product_id: &e.product,
            quantity: e.quantity,
            unit_price: e.price,
            category: e.category.as_deref(),
            subcategory: None,
            brand: e.brand.as_deref(),
        })
        .collect()
}

pub fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

/// Gifts G1 and G2 have a price outside the cart.
pub fn gift_price(product: &str) -> Option<Decimal> {
    match product {
        "G1" => Some(dec("3.20")),
        "G2" => Some(dec("0.95")),
        _ => None,
    }
}

pub fn setting() -> Setting<'static> {
    Setting { buyer: Buyer::default(), now: now(), price_of: &gift_price }
}

/// An offer as a table row writes it.
pub fn offer(id: &str, offer_type: &str, terms: &str) -> Offer {
    Offer::from_parts(&Parts { offer_id: id, offer_type, terms, ..Parts::default() }).unwrap()
}

pub fn stackable(mut offer: Offer) -> Offer {
    offer.stackable = true;
    offer
}

pub const PRODUCTS: [&str; 4] = ["A", "B", "C", "D"];

/// One line per product, whole quantities, whole cents.
pub fn carts(most: usize) -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec((0i64..=13, 1i64..=600, 0usize..2, 0usize..2), 1..=most).prop_map(|rows| {
        rows.into_iter()
            .zip(PRODUCTS)
            .map(|((quantity, price, category, brand), product)| Entry {
                product: ProductId::from(product),
                quantity: Decimal::from(quantity),
                price: cents(price),
                category: Some(["x", "y"][category].to_owned()),
                brand: Some(["m", "n"][brand].to_owned()),
            })
            .collect()
    })
}

fn product() -> impl Strategy<Value = ProductId> {
    prop::sample::select(&PRODUCTS[..]).prop_map(ProductId::from)
}

pub fn line_terms() -> impl Strategy<Value = Terms> {
    prop_oneof![
        3 => (1u32..=5, 1u32..=3, prop::option::weighted(0.2, prop::sample::select(&["G1", "A"][..]))).prop_map(|(buy, get, gift)| {
            Terms::BuyXGetY { buy, get, get_products: gift.into_iter().map(ProductId::from).collect() }
        }),
        3 => (1u32..=6, 1u32..=6, 2i64..=500, 1i64..=300).prop_map(|(first, more, price, less)| {
            let mut tiers = vec![Tier { min_quantity: first, unit_price: cents(price) }];
            if price > less {
                tiers.push(Tier { min_quantity: first + more, unit_price: cents(price - less) });
            }
            Terms::TierPrice { tiers }
        }),
        2 => (1i64..=100).prop_map(|percent| Terms::PercentOff { percent: Decimal::from(percent) }),
        2 => (1i64..=300).prop_map(|amount| Terms::AmountOff { amount: cents(amount), per: AmountPer::Unit }),
        3 => (prop::collection::btree_map(product(), 1u32..=3, 1..=3), 1i64..=900).prop_map(|(mut products, price)| {
            if products.values().sum::<u32>() < 2 {
                for quantity in products.values_mut() { *quantity = 2; }
            }
            Terms::BundlePrice { products, price: cents(price) }
        }),
    ]
}

pub fn order_terms() -> impl Strategy<Value = Terms> {
    prop_oneof![
        (1i64..=3000).prop_map(|amount| Terms::AmountOff { amount: cents(amount), per: AmountPer::Order }),
        (1i64..=4000, prop::sample::select(&["G1", "G2", "A", "unpriced"][..]), 1u32..=3).prop_map(
            |(total, gift, quantity)| Terms::GiftOverTotal {
                min_total: cents(total),
                gift: ProductId::from(gift),
                quantity
            }
        ),
    ]
}

pub fn scope_for(terms: &Terms) -> BoxedStrategy<Scope> {
    if matches!(terms, Terms::BundlePrice { .. }) {
        return Just(Scope::default()).boxed();
    }
    prop_oneof![
        4 => Just(Scope::default()),
        3 => prop::collection::vec(product(), 1..=2).prop_map(|products| Scope { products, ..Scope::default() }),
        1 => prop::sample::select(&["x", "y"][..]).prop_map(|c| Scope { categories: vec![c.to_owned()], ..Scope::default() }),
        1 => prop::sample::select(&["m", "n"][..]).prop_map(|b| Scope { brands: vec![b.to_owned()], ..Scope::default() }),
    ]
    .boxed()
}

/// Offers with random scope, stacking, limits; priority 0 to `priorities - 1`.
pub fn offers(terms: BoxedStrategy<Terms>, most: usize, priorities: i64) -> impl Strategy<Value = Vec<Offer>> {
    let one = terms.prop_flat_map(move |terms| {
        let scope = scope_for(&terms);
        (Just(terms), scope, 0..priorities, any::<bool>(), prop::option::of(1u32..=3))
    });
    prop::collection::vec(one, 0..=most).prop_map(|rows| {
        rows.into_iter()
            .enumerate()
            .map(|(i, (terms, scope, priority, stackable, max_per_order))| Offer {
                offer_id: format!("O{i}").as_str().into(),
                terms,
                scope,
                valid_from: None,
                valid_to: None,
                priority,
                stackable,
                max_per_order,
            })
            .collect()
    })
}

pub fn any_terms() -> BoxedStrategy<Terms> {
    prop_oneof![4 => line_terms(), 1 => order_terms()].boxed()
}

/// Units of 0.0001, exactly.
pub fn units(value: Decimal) -> i128 {
    let mut value = value;
    value.rescale(4);
    value.mantissa()
}
