//! A random small shop, drawn from a seed, for tests that hold for every shop.
#![allow(
    clippy::wildcard_imports,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub mod learned;

use std::collections::BTreeMap;

use endcap_recommender::fitted::*;
use endcap_recommender::live::*;
use endcap_recommender::offers::{AmountPer, Offer, Scope, Terms, Tier};
use endcap_recommender::policy::*;
use endcap_recommender::request::*;
use endcap_recommender::response::Kind;
use jiff::Timestamp;
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;

pub const NOW_S: i64 = 1_317_633_120;

pub fn now() -> Timestamp {
    Timestamp::from_second(NOW_S).unwrap()
}

/// `ENDCAP_TEST_SEED`, else one drawn anew; printed, so that a failure can be repeated.
pub fn seed() -> u64 {
    let seed = std::env::var("ENDCAP_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random);
    println!("ENDCAP_TEST_SEED={seed}");
    seed
}

pub fn product_id(at: usize) -> String {
    format!("P{at:04}")
}

fn some<T>(rng: &mut ChaCha8Rng, share: f64, value: impl FnOnce(&mut ChaCha8Rng) -> T) -> Option<T> {
    rng.random_bool(share).then(|| value(rng))
}

fn cents(rng: &mut ChaCha8Rng, up_to: i64) -> Decimal {
    Decimal::new(rng.random_range(1..=up_to), 2)
}

pub fn model(rng: &mut ChaCha8Rng, products: usize) -> Model {
    let rows = (0..products)
        .map(|at| CatalogueRow {
            id: product_id(at),
            name: format!("PRODUCT {at}"),
            category: some(rng, 0.9, |rng| format!("C{}", rng.random_range(0..4))),
            subcategory: some(rng, 0.9, |rng| format!("S{}", rng.random_range(0..12))),
            brand: some(rng, 0.5, |rng| format!("B{}", rng.random_range(0..5))),
            variant_of: some(rng, 0.3, |rng| product_id(rng.random_range(0..products))),
            pack_size: some(rng, 0.3, |rng| *[6, 12, 24].choose(rng).unwrap()),
            splittable: rng.random_bool(0.1),
            list_price: some(rng, 0.95, |rng| cents(rng, 5_000)),
            cost: some(rng, 0.5, |rng| cents(rng, 2_000)),
            active: rng.random_bool(0.9),
        })
        .collect();
    let catalogue = Catalogue::build(rows, |id| Some(format!("Category {id}")));
    let orders = 5_000;
    let item_orders: Vec<u32> = (0..products).map(|_| rng.random_range(0..800)).collect();
    let neighbours = Rows::from_rows((0..products).map(|at| {
        let mut partners: Vec<u32> = (0..products as u32).filter(|partner| *partner != at as u32).collect();
        partners.shuffle(rng);
        partners.truncate(rng.random_range(0..20));
        partners.sort_unstable();
        let most = item_orders[at];
        partners
            .into_iter()
            .map(|product| {
                let both = rng.random_range(0..=most.min(item_orders[product as usize]));
                Neighbour { product, both, expected: rng.random_range(0.0..=both as f32 + 1.0) }
            })
            .collect()
    }));
    let share: Vec<f32> = item_orders.iter().map(|count| *count as f32 / orders as f32).collect();
    let recent: Vec<f32> = share.iter().map(|share| share * rng.random_range(0.2..3.0)).collect();
    let mut top: Vec<u32> = (0..products as u32).collect();
    top.sort_by(|a, b| recent[*b as usize].total_cmp(&recent[*a as usize]).then(a.cmp(b)));
    let keys: Vec<String> = (0..24)
        .map(|hour| format!("hour={hour:02}"))
        .chain(["channel=web".into(), "age_band=30-39".into(), "subcategory=S1".into()])
        .collect();
    let segments = Rows::from_rows(keys.iter().map(|_| {
        let mut row: Vec<u32> = (0..products as u32).collect();
        row.shuffle(rng);
        row.truncate(15);
        row.into_iter().map(|product| Segment { product, share: rng.random_range(0.0..0.2) }).collect()
    }));
    let popularity = Popularity {
        share,
        recent,
        season: (0..catalogue.category_ids.len() * 12).map(|_| rng.random_range(0.5..2.0)).collect(),
        segment_orders: keys.iter().map(|_| 500).collect(),
        segment_keys: keys.iter().map(String::as_str).collect(),
        segments,
        top,
        ..Popularity::default()
    }
    .indexed();
    let repeat = Repeat {
        interval_days: (0..products)
            .map(|_| if rng.random_bool(0.5) { rng.random_range(5.0..90.0) } else { f32::NAN })
            .collect(),
        repeat_rate: (0..products).map(|_| rng.random_range(0.0..0.8)).collect(),
        repeats: (0..products).map(|_| rng.random_range(0..100)).collect(),
    };
    let quantity_p50: Vec<f32> = (0..products).map(|_| rng.random_range(0..12) as f32).collect();
    let habits = Habits {
        reach: Some([-0.5, -0.6, 0.6, 2.0, -0.1, 0.8, 0.5, -0.1, 0.4]),
        quantity_p75: quantity_p50.iter().map(|q| q * 1.5).collect(),
        quantity_p90: quantity_p50.iter().map(|q| q * 3.0).collect(),
        quantity_p50,
        breaks: Rows::from_rows((0..products).map(|at| {
            let price = catalogue.list_price.get(at).copied().filter(|price| *price > 0);
            price.filter(|_| rng.random_bool(0.3)).map_or_else(Vec::new, |price| {
                vec![PriceBreak {
                    min_quantity: rng.random_range(2..30),
                    unit_price: price * 8 / 10,
                    reached: rng.random_range(0.0..1.0),
                    orders: 40,
                }]
            })
        })),
        better: Rows::from_rows((0..products).map(|_| {
            (0..rng.random_range(0..4))
                .map(|_| BetterVariant {
                    product: rng.random_range(0..products as u32),
                    accepted: rng.random_range(0.0..0.5),
                    customers: 30,
                })
                .collect()
        })),
    };
    let mut model = Model {
        catalogue,
        associations: Associations { orders, item_orders, neighbours },
        popularity,
        repeat,
        habits,
        settings: Settings::default(),
        ..Model::default()
    };
    if rng.random_bool(0.5) {
        learned::learn(rng, &mut model, 20, 8, 50);
    }
    model
}

pub fn offer(rng: &mut ChaCha8Rng, at: usize, products: usize) -> Offer {
    let product = |rng: &mut ChaCha8Rng| product_id(rng.random_range(0..products)).as_str().into();
    let terms = match rng.random_range(0..6) {
        0 => Terms::BuyXGetY { buy: rng.random_range(1..10), get: rng.random_range(1..3), get_products: vec![] },
        1 => Terms::TierPrice {
            tiers: vec![Tier { min_quantity: rng.random_range(2..20), unit_price: cents(rng, 300) }],
        },
        2 => Terms::PercentOff { percent: Decimal::from(rng.random_range(1..60)) },
        3 => Terms::AmountOff {
            amount: cents(rng, 500),
            per: if rng.random_bool(0.5) { AmountPer::Unit } else { AmountPer::Order },
        },
        4 => Terms::BundlePrice {
            products: BTreeMap::from([(product(rng), rng.random_range(1..3)), (product(rng), rng.random_range(1..3))]),
            price: cents(rng, 3_000),
        },
        _ => Terms::GiftOverTotal { min_total: cents(rng, 20_000), gift: product(rng), quantity: 1 },
    };
    let day = 86_400;
    Offer {
        offer_id: format!("O{at}").as_str().into(),
        terms,
        scope: Scope { products: (0..rng.random_range(1..6)).map(|_| product(rng)).collect(), ..Scope::default() },
        valid_from: some(rng, 0.7, |rng| Timestamp::from_second(NOW_S + rng.random_range(-30..5) * day).unwrap()),
        valid_to: some(rng, 0.7, |rng| Timestamp::from_second(NOW_S + rng.random_range(-5..30) * day).unwrap()),
        priority: rng.random_range(0..3),
        stackable: rng.random_bool(0.3),
        max_per_order: some(rng, 0.3, |rng| rng.random_range(1..4)),
    }
}

pub fn shelf_state(rng: &mut ChaCha8Rng, products: usize) -> ShelfState {
    let mut state = ShelfState::default();
    for at in 0..products {
        let id: endcap_recommender::ProductId = product_id(at).as_str().into();
        if rng.random_bool(0.8) {
            let amount = |rng: &mut ChaCha8Rng| Decimal::from(rng.random_range(0..4) * rng.random_range(0..30));
            let as_of = Timestamp::from_second(NOW_S - rng.random_range(0..200_000)).unwrap();
            state.stock.insert(
                id.clone(),
                StockLevel {
                    on_hand: amount(rng),
                    backordered: some(rng, 0.3, amount),
                    on_order: some(rng, 0.2, amount),
                    as_of,
                },
            );
        }
        if rng.random_bool(0.2) {
            state.prices.insert(id.clone(), cents(rng, 5_000));
        }
        if rng.random_bool(0.1) {
            state.active.insert(id, rng.random_bool(0.5));
        }
    }
    for at in 0..12 {
        let offer = offer(rng, at, products);
        state.offers.insert(offer.offer_id.clone(), offer);
    }
    state
}

pub fn policy(rng: &mut ChaCha8Rng, products: usize) -> Policy {
    let id = |rng: &mut ChaCha8Rng| endcap_recommender::ProductId::from(product_id(rng.random_range(0..products)));
    Policy {
        upsell_mode: *[UpsellMode::OfferGrid, UpsellMode::Behaviour, UpsellMode::Hybrid].choose(rng).unwrap(),
        objective: *[Objective::Probability, Objective::Revenue, Objective::Margin].choose(rng).unwrap(),
        placements: Placement::ALL
            .into_iter()
            .filter(|_| rng.random_bool(0.3))
            .collect::<Vec<_>>()
            .into_iter()
            .map(|name| PlacementPolicy {
                name,
                kinds: if rng.random_bool(0.3) { vec![Kind::CrossSell, Kind::UpsellQuantity] } else { vec![] },
                limit: some(rng, 0.5, |rng| rng.random_range(1..20)),
                cross_category: rng.random_bool(0.4),
                weights: BTreeMap::from([("excess".to_owned(), "2.5".to_owned())]),
            })
            .collect(),
        history_orders: rng.random_range(1..30),
        stock: StockPolicy {
            backordered: *[Backordered::Exclude, Backordered::PushDown].choose(rng).unwrap(),
            stale_after: GoDuration::hours(24),
            when_stale: *[WhenStale::TrustLast, WhenStale::Exclude].choose(rng).unwrap(),
            ..StockPolicy::default()
        },
        over_promotion: OverPromotion {
            max_offer_items: rng.random_range(0..4),
            decline_limit: rng.random_range(1..4),
            decline_window: GoDuration::hours(336),
            frequency_cap: some(rng, 0.5, |rng| rng.random_range(1..5)),
        },
        blocklist: Blocklist {
            products: (0..5).map(|_| id(rng)).collect(),
            categories: if rng.random_bool(0.3) { vec!["S3".into()] } else { vec![] },
            brands: if rng.random_bool(0.3) { vec!["B1".into()] } else { vec![] },
            pairs: (0..20).map(|_| Pair { a: id(rng), b: id(rng) }).collect(),
        },
    }
}

fn times(rng: &mut ChaCha8Rng) -> Declines {
    let mut at_s: Vec<i64> = (0..rng.random_range(1..6)).map(|_| NOW_S - rng.random_range(0..30 * 86_400)).collect();
    at_s.sort_unstable();
    Declines { at_s: at_s.into() }
}

pub fn customer(rng: &mut ChaCha8Rng, products: usize) -> CustomerState {
    let id = |rng: &mut ChaCha8Rng| endcap_recommender::ProductId::from(product_id(rng.random_range(0..products + 5)));
    let mut orders: Vec<PastOrder> = (0..rng.random_range(0..10))
        .map(|_| PastOrder {
            at_s: NOW_S - rng.random_range(0..200 * 86_400),
            lines: (0..rng.random_range(1..15)).map(|_| (id(rng), rng.random_range(1..30) as f32)).collect(),
        })
        .collect();
    orders.sort_by_key(|order| order.at_s);
    CustomerState {
        orders: orders.into(),
        declined_products: (0..rng.random_range(0..6)).map(|_| (id(rng), times(rng))).collect(),
        declined_offers: (0..rng.random_range(0..3))
            .map(|_| (format!("O{}", rng.random_range(0..12)).as_str().into(), times(rng)))
            .collect(),
        shown: (0..rng.random_range(0..10)).map(|_| (id(rng), times(rng))).collect(),
        ..CustomerState::default()
    }
}

pub fn session(rng: &mut ChaCha8Rng, products: usize) -> SessionState {
    let id = |rng: &mut ChaCha8Rng| endcap_recommender::ProductId::from(product_id(rng.random_range(0..products + 5)));
    SessionState {
        viewed: (0..rng.random_range(0..8)).map(|_| (id(rng), NOW_S)).collect(),
        cart: (0..rng.random_range(0..5)).map(|_| (id(rng), rng.random_range(1..10) as f32)).collect(),
        declined_products: (0..rng.random_range(0..3)).map(|_| (id(rng), times(rng))).collect(),
        ..SessionState::default()
    }
}

pub fn request(rng: &mut ChaCha8Rng, products: usize) -> RecommendationRequest {
    let id = |rng: &mut ChaCha8Rng| endcap_recommender::ProductId::from(product_id(rng.random_range(0..products + 5)));
    let kinds = [
        WantedKind::CrossSell,
        WantedKind::Upsell,
        WantedKind::Reorder,
        WantedKind::Popular,
        WantedKind::UpsellQuantity,
    ];
    RecommendationRequest {
        placement: *Placement::ALL.choose(rng).unwrap(),
        customer_id: some(rng, 0.5, |_| "c".into()),
        session_id: some(rng, 0.5, |_| "s".into()),
        cart: (0..*[0usize, 0, 1, 3, 10].choose(rng).unwrap())
            .map(|_| CartLine {
                product_id: id(rng),
                quantity: Decimal::from(rng.random_range(1..40)),
                unit_price: some(rng, 0.3, |rng| cents(rng, 4_000)),
            })
            .collect(),
        product_id: some(rng, 0.3, id),
        context: Context { channel: some(rng, 0.3, |_| Channel::Web), ..Context::default() },
        occasion: None,
        kinds: if rng.random_bool(0.3) { kinds.into_iter().filter(|_| rng.random_bool(0.4)).collect() } else { vec![] },
        limit: some(rng, 0.3, |rng| rng.random_range(1..=MAX_LIMIT)),
    }
}
