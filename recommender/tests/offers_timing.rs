//! Times, printed and not asserted: `cargo test -p endcap-recommender --test offers_timing -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod offers_support;

use std::time::Instant;

use endcap_recommender::offers::{Offer, OfferBook, Offers, Scope, price, reach};
use offers_support::{Entry, cents, entry, lines, offer, setting};
use rust_decimal::Decimal;

const ROUNDS: u32 = 300;

fn cart(size: usize) -> Vec<Entry> {
    (0..size)
        .map(|i| Entry {
            quantity: Decimal::from(1 + i % 24),
            price: cents(45 + 37 * i as i64),
            category: Some(format!("c{}", i % 12)),
            brand: Some(format!("b{}", i % 30)),
            ..entry(&format!("p{i}"), "1", "1")
        })
        .collect()
}

/// As a shop has them: mostly for single products, some for categories and brands, a few for all.
fn shop(count: usize, products: usize) -> Vec<Offer> {
    (0..count)
        .map(|i| {
            let product = |k: usize| format!("p{}", (i * 7 + k * 13) % products);
            let id = format!("o{i}");
            let mut made = match i % 10 {
                0..=3 => offer(&id, "TierPrice", r#"{"tiers": [{"min_quantity": 6, "unit_price": "0.60"}, {"min_quantity": 12, "unit_price": "0.50"}]}"#),
                4..=6 => offer(&id, "BuyXGetY", r#"{"buy": 7, "get": 2}"#),
                7 => offer(&id, "PercentOff", r#"{"percent": "5"}"#),
                8 => {
                    let terms = format!(r#"{{"products": {{"{}": 1, "{}": 1}}, "price": "1.99"}}"#, product(0), product(1));
                    offer(&id, "BundlePrice", &terms)
                }
                _ => offer(&id, "AmountOff", r#"{"amount": "0.10", "per": "unit"}"#),
            };
            if i % 10 != 8 {
                made.scope = match i % 100 {
                    7 => Scope { categories: vec![format!("c{}", i % 12)], ..Scope::default() },
                    17 => Scope { brands: vec![format!("b{}", i % 30)], ..Scope::default() },
                    _ => Scope { products: vec![product(0).as_str().into()], ..Scope::default() },
                };
            }
            made.stackable = i % 3 == 0;
            made.max_per_order = (i % 5 == 0).then_some(2);
            made
        })
        .collect()
}

fn time(name: &str, mut work: impl FnMut() -> usize) {
    let mut taken = Vec::new();
    let mut seen = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        seen += std::hint::black_box(work());
        taken.push(start.elapsed());
    }
    taken.sort_unstable();
    println!(
        "{name}: median {:?}, 99th {:?} ({} results a round)",
        taken[taken.len() / 2],
        taken[taken.len() * 99 / 100],
        seen / ROUNDS as usize
    );
}

fn priced(cart: &[Entry], offers: &(impl Offers + ?Sized)) -> usize {
    price(&lines(cart), offers, &setting()).lines.iter().map(|line| line.offers.len()).sum()
}

#[test]
#[ignore = "prints times"]
fn pricing() {
    let fifty = cart(50);
    let few = shop(500, 200);
    let small = OfferBook::new(few.clone());
    time("50 lines, list of 500 offers", || priced(&fifty, few.as_slice()));
    time("50 lines, book of 500 offers", || priced(&fifty, &small));
    let dense = OfferBook::new(shop(500, 50));
    time("50 lines, book of 500 offers, all on these 50 products", || priced(&fifty, &dense));
    let large = OfferBook::new(shop(10_000, 4_000));
    time("50 lines, book of 10000 offers", || priced(&fifty, &large));
    let everywhere: Vec<Offer> = (0..20)
        .map(|i| Offer {
            max_per_order: Some(2),
            stackable: i % 2 == 0,
            ..offer(&format!("s{i}"), "PercentOff", r#"{"percent": "5"}"#)
        })
        .collect();
    let scarce = OfferBook::new(everywhere);
    time("50 lines, 20 scarce offers on all of them (search cut short)", || priced(&fifty, &scarce));
    let eight = cart(8);
    time("8 lines, book of 10000 offers", || priced(&eight, &large));
    let eight = lines(&eight);
    let steps: usize = 40;
    time("8 lines, reach of each", || {
        eight.iter().map(|line| reach(&eight, line, &large, &setting(), Decimal::from(steps)).len()).sum()
    });
}
