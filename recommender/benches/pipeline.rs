//! P1: one question through the whole pipeline on one thread: median and 99th percentile at 4,000, 100,000 and 1,000,000 products, with
//! carts, histories, stock and offers drawn from a fixed seed, with a model of rules and with a hybrid. `PRODUCTS=4000,100000` chooses other sizes.
#![allow(clippy::wildcard_imports, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../tests/common/learned.rs"]
mod learned;

use std::time::Instant;

use endcap_recommender::candidates::Scratch;
use endcap_recommender::fitted::*;
use endcap_recommender::live::*;
use endcap_recommender::offers::{Offer, Scope, Terms};
use endcap_recommender::pipeline::{CompiledPolicy, Facts, Person, recommend};
use endcap_recommender::policy::Policy;
use endcap_recommender::request::{CartLine, Context, Placement, RecommendationRequest};
use endcap_recommender::shelf::Shelf;
use jiff::Timestamp;
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;

const NEIGHBOURS: usize = 100;
const NOW_S: i64 = 1_317_633_120;

fn product(at: usize) -> String {
    format!("P{at:07}")
}

/// Popular products come first and stand in most carts, as in a shop.
fn drawn(rng: &mut ChaCha8Rng, products: usize) -> usize {
    let skewed: f64 = rng.random_range(0.0f64..1.0).powi(3);
    ((skewed * products as f64) as usize).min(products - 1)
}

fn model(rng: &mut ChaCha8Rng, products: usize) -> Model {
    let rows = (0..products)
        .map(|at| CatalogueRow {
            id: product(at),
            name: format!("PRODUCT NUMBER {at}"),
            category: Some(format!("C{:02}", at % 16)),
            subcategory: Some(format!("S{:03}", at % 200)),
            brand: Some(format!("B{:03}", at % 300)),
            variant_of: (at % 3 == 0).then(|| product(at / 3)),
            pack_size: (at % 4 == 0).then_some(12),
            list_price: Some(Decimal::new(50 + (at as i64 * 37) % 3_000, 2)),
            active: true,
            ..CatalogueRow::default()
        })
        .collect();
    let catalogue = Catalogue::build(rows, |_| None);
    let item_orders: Vec<u32> = (0..products).map(|at| 20_000 / (1 + at as u32 / 20) + 5).collect();
    let neighbours = Rows::from_rows((0..products).map(|at| {
        let mut row: Vec<u32> =
            (0..NEIGHBOURS).map(|_| drawn(rng, products) as u32).filter(|partner| *partner as usize != at).collect();
        row.sort_unstable();
        row.dedup();
        row.into_iter()
            .map(|product| Neighbour { product, both: rng.random_range(1..200), expected: rng.random_range(0.0..40.0) })
            .collect()
    }));
    let share: Vec<f32> = item_orders.iter().map(|count| *count as f32 / 400_000.0).collect();
    let hours: Vec<String> = (0..24).map(|hour| format!("hour={hour:02}")).collect();
    let segments = Rows::from_rows(hours.iter().map(|_| {
        (0..200).map(|_| Segment { product: drawn(rng, products) as u32, share: rng.random_range(0.0..0.1) }).collect()
    }));
    let habits = Habits {
        reach: Some([-0.5, -0.6, 0.6, 2.0, -0.1, 0.8, 0.5, -0.1, 0.4]),
        quantity_p50: vec![4.0; products],
        quantity_p75: vec![8.0; products],
        quantity_p90: vec![24.0; products],
        breaks: Rows::from_rows((0..products).map(|at| {
            if at % 5 == 0 {
                vec![PriceBreak { min_quantity: 12, unit_price: 4_000, reached: 0.3, orders: 50 }]
            } else {
                vec![]
            }
        })),
        better: Rows::from_rows(
            (0..products)
                .map(|at| vec![BetterVariant { product: ((at + 7) % products) as u32, accepted: 0.2, customers: 40 }]),
        ),
    };
    Model {
        associations: Associations { orders: 400_000, item_orders, neighbours },
        popularity: Popularity {
            recent: share.clone(),
            share,
            season: vec![1.0; catalogue.category_ids.len() * 12],
            segment_orders: vec![1_000; 24],
            segment_keys: hours.iter().map(String::as_str).collect(),
            segments,
            top: (0..products.min(2_000) as u32).collect(),
            ..Popularity::default()
        }
        .indexed(),
        repeat: Repeat {
            interval_days: vec![30.0; products],
            repeat_rate: vec![0.3; products],
            repeats: vec![50; products],
        },
        habits,
        settings: Settings::default(),
        catalogue,
        ..Model::default()
    }
}

fn shelf(rng: &mut ChaCha8Rng, model: &Model, products: usize) -> Shelf {
    let as_of = Timestamp::from_second(NOW_S).unwrap();
    let mut state = ShelfState::default();
    for at in 0..products {
        let on_hand = Decimal::from(if rng.random_bool(0.05) { 0 } else { rng.random_range(1..500) });
        state
            .stock
            .insert(product(at).as_str().into(), StockLevel { on_hand, backordered: None, on_order: None, as_of });
    }
    for at in 0..500 {
        let scope = Scope { products: vec![product(drawn(rng, products)).as_str().into()], ..Scope::default() };
        let terms = if at % 2 == 0 {
            Terms::BuyXGetY { buy: 7, get: 2, get_products: vec![] }
        } else {
            Terms::PercentOff { percent: Decimal::TEN }
        };
        let offer_id = format!("O{at}").as_str().into();
        let offer = Offer {
            offer_id,
            terms,
            scope,
            valid_from: None,
            valid_to: None,
            priority: 0,
            stackable: false,
            max_per_order: None,
        };
        state.offers.insert(offer.offer_id.clone(), offer);
    }
    Shelf::new(&model.catalogue, &state)
}

fn main() {
    let sizes = std::env::var("PRODUCTS").unwrap_or_else(|_| "4000,100000,1000000".to_owned());
    println!(
        "{:>10} {:>8} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "products", "model", "questions", "p50 ms", "p90 ms", "p99 ms", "max ms"
    );
    let sizes = sizes.split(',').map(|size| size.trim().parse::<usize>().expect("PRODUCTS is a list of numbers"));
    for (products, architecture) in sizes.flat_map(|products| [(products, "Rules"), (products, "Hybrid")]) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut model = model(&mut rng, products);
        if architecture == "Hybrid" {
            learned::learn(&mut rng, &mut model, 200, 64, 300);
        }
        let shelf = shelf(&mut rng, &model, products);
        let policy = CompiledPolicy::new(Policy::default(), &model);
        let customers: Vec<CustomerState> = (0..200)
            .map(|_| CustomerState {
                orders: (0..30)
                    .map(|order| PastOrder {
                        at_s: NOW_S - (30 - order) * 7 * 86_400,
                        lines: (0..20).map(|_| (product(drawn(&mut rng, products)).as_str().into(), 3.0)).collect(),
                    })
                    .collect(),
                ..CustomerState::default()
            })
            .collect();
        let questions: Vec<RecommendationRequest> = (0..1_000)
            .map(|_| RecommendationRequest {
                placement: *Placement::ALL.choose(&mut rng).unwrap(),
                customer_id: None,
                session_id: None,
                cart: (0..rng.random_range(0..25))
                    .map(|_| CartLine {
                        product_id: product(drawn(&mut rng, products)).as_str().into(),
                        quantity: Decimal::from(rng.random_range(1..12)),
                        unit_price: None,
                    })
                    .collect(),
                product_id: None,
                context: Context::default(),
                occasion: None,
                kinds: vec![],
                limit: None,
            })
            .collect();
        let mut scratch = Scratch::default();
        let mut took_us = Vec::new();
        for round in 0..11 {
            for (at, question) in questions.iter().enumerate() {
                let customer = (at % 3 != 0).then(|| &customers[at % customers.len()]);
                let facts = Facts {
                    model: &model,
                    shelf: &shelf,
                    policy: &policy,
                    person: Person { customer, session: None },
                    now: Timestamp::from_second(NOW_S).unwrap(),
                };
                let started = Instant::now();
                let list = recommend(&facts, question, &mut scratch);
                let us = started.elapsed().as_secs_f64() * 1e6;
                assert!(!list.is_empty());
                // The first round warms caches.
                if round > 0 {
                    took_us.push(us);
                }
            }
        }
        took_us.sort_by(f64::total_cmp);
        let ms = |quantile: f64| took_us[((took_us.len() - 1) as f64 * quantile) as usize] / 1e3;
        println!(
            "{products:>10} {architecture:>8} {:>10} {:>10.3} {:>10.3} {:>10.3} {:>10.3}",
            took_us.len(),
            ms(0.5),
            ms(0.9),
            ms(0.99),
            ms(1.0)
        );
    }
}
