//! The hidden truth of the generated shop judges what was learned: true complements rank above chance and above popularity, and the
//! offer upsells that were planted are found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashSet;

use endcap_recommender::candidates::Scratch;
use endcap_recommender::fitted::{Model, NONE};
use endcap_recommender::live::CustomerState;
use endcap_recommender::offers::{Buyer, OfferBook, PricedLine, Setting, price};
use endcap_recommender::pipeline::{CompiledPolicy, Facts, Person, recommend};
use endcap_recommender::policy::Policy;
use endcap_recommender::request::{CartLine, Context, Placement, RecommendationRequest, WantedKind};
use endcap_recommender::response::Kind;
use endcap_recommender::shelf::Shelf;
use endcap_simulator::Truth;
use endcap_simulator::truth::{CustomerTruth, PlantedUpsell, ProductNo};
use endcap_tests::{Shop, load_model, seed};
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;

fn question(placement: Placement, cart: &[(&str, u32)]) -> RecommendationRequest {
    let line = |(product, quantity): &(&str, u32)| CartLine {
        product_id: (*product).into(),
        quantity: Decimal::from(*quantity),
        unit_price: None,
    };
    RecommendationRequest {
        placement,
        customer_id: None,
        session_id: None,
        cart: cart.iter().map(line).collect(),
        product_id: None,
        context: Context::default(),
        occasion: None,
        kinds: vec![],
        limit: None,
    }
}

/// Mean and the lower 95% bound of a bootstrap over it.
fn lower_bound(values: &[f64], rng: &mut ChaCha8Rng) -> (f64, f64) {
    let mean = |sample: &[f64]| sample.iter().sum::<f64>() / sample.len() as f64;
    let mut means: Vec<f64> = (0..1_000)
        .map(|_| mean(&(0..values.len()).map(|_| values[rng.random_range(0..values.len())]).collect::<Vec<_>>()))
        .collect();
    means.sort_by(f64::total_cmp);
    (mean(values), means[25])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_learned_is_what_is_true() {
    let seed = seed();
    let shop = Shop::trained(seed, 1_500, 800).unwrap();
    let truth = Truth::load(&shop.dataset()).unwrap();
    let (model, baseline) = load_model(&shop.artifact_uri()).await.unwrap();
    // Stock is another matter: here the shelf is full.
    let mut full = baseline.shelf.clone();
    full.stock.clear();
    let shelf = Shelf::new(&model.catalogue, &full);
    let policy = CompiledPolicy::new(Policy::default(), &model);
    let facts = |customer| Facts {
        model: &model,
        shelf: &shelf,
        policy: &policy,
        person: Person { customer, session: None },
        now: jiff::Timestamp::now(),
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut scratch = Scratch::default();

    complements_beat_chance_and_popularity(&truth, &model, &facts(None), &mut scratch, &mut rng);
    let asked = truth.customers.iter().filter_map(|customer| {
        let state: &CustomerState = baseline.customers.get(customer.customer_id.as_str())?;
        Some((customer, facts(Some(state))))
    });
    better_products_are_taken_more_often_than_dearer_ones(&truth, asked, &mut scratch, &mut rng);

    // Planted upsells: the customer orders their habitual quantity, just short of the offer.
    let mut found = 0;
    let mut asked = 0;
    for planted in &truth.planted {
        let customer: Option<&CustomerState> = baseline.customers.get(planted.customer_id.as_str());
        let Some(offer) = shelf.offers().get(&planted.offer_id) else { continue };
        let is_in_force = endcap_recommender::offers::in_force(offer, jiff::Timestamp::now());
        let is_sold = model.catalogue.find(&planted.product_id).is_some_and(|product| shelf.is_active(product));
        if !is_in_force || !is_sold {
            continue;
        }
        let mut question = question(Placement::OrderEntry, &[(&planted.product_id, planted.habitual_quantity)]);
        question.customer_id = Some(planted.customer_id.as_str().into());
        let list = recommend(&facts(customer), &question, &mut scratch);
        let is_worth_it =
            saved_at(planted, &model, &shelf, None) > saved_at(planted, &model, &shelf, Some(&planted.offer_id));
        if !is_worth_it {
            // Another offer is better today, a sale: whatever is said, the price list saves nothing.
            let said = list.iter().find(|item| item.product_id.as_str() == planted.product_id);
            assert!(said.is_none_or(|item| item.reason.code != "price_break"), "{planted:?}: {said:?}");
            continue;
        }
        asked += 1;
        found += usize::from(list.iter().any(|item| {
            item.kind == Kind::UpsellQuantity
                && item.product_id.as_str() == planted.product_id
                && item.offer.as_ref().is_some_and(|hint| hint.add >= Decimal::ONE && hint.saves > Decimal::ZERO)
        }));
    }
    println!("planted offer upsells: {found} of {asked} found ({} planted)", truth.planted.len());
    assert!(asked >= 5, "too few planted upsells are in force to judge by: {asked}");
    assert!(found * 10 >= asked * 9, "{found} of {asked}");
}

/// What an order of the planted product at the offer's threshold saves, with all offers or without one.
fn saved_at(planted: &PlantedUpsell, model: &Model, shelf: &Shelf, without: Option<&str>) -> Decimal {
    let catalogue = &model.catalogue;
    let product = catalogue.find(&planted.product_id).unwrap();
    let id = planted.product_id.as_str().into();
    let category = |at: u32| (at != NONE).then(|| catalogue.category_ids.get(at as usize));
    let line = PricedLine {
        product_id: &id,
        quantity: planted.threshold.into(),
        unit_price: shelf.price(product).unwrap(),
        category: category(catalogue.category(product)),
        subcategory: category(catalogue.subcategory(product)),
        brand: Some(catalogue.brand(product)).filter(|at| *at != NONE).map(|at| catalogue.brand_ids.get(at as usize)),
    };
    let offers = shelf.offers().iter().filter(|offer| Some(offer.offer_id.as_str()) != without);
    let book = OfferBook::new(offers.cloned());
    let buyer = Buyer { customer_id: Some(&planted.customer_id), segments: &[], channel: None };
    let setting = Setting { buyer, now: jiff::Timestamp::now(), price_of: &|_| None };
    price(&[line], &book, &setting).saving()
}

fn complements_beat_chance_and_popularity(
    truth: &Truth,
    model: &endcap_recommender::fitted::Model,
    facts: &Facts<'_>,
    scratch: &mut Scratch,
    rng: &mut ChaCha8Rng,
) {
    const K: usize = 10;
    let (mut over_popular, mut over_chance, mut hits) = (Vec::new(), Vec::new(), 0.0);
    let popular: Vec<&str> = model.popularity.top.iter().map(|product| model.catalogue.id(*product)).collect();
    for product in &truth.products {
        let complements: HashSet<&str> =
            truth.true_complements(&product.product_id).into_iter().map(|(other, _)| other).collect();
        // Ten sightings are the least that anything can be learned from.
        let seen = model.catalogue.find(&product.product_id).map_or(0, |at| model.associations.item_orders(at));
        if complements.is_empty() || seen < 10 {
            continue;
        }
        let mut question = question(Placement::Cart, &[(&product.product_id, 1)]);
        question.kinds = vec![WantedKind::CrossSell];
        question.limit = Some(K as u32);
        let list = recommend(facts, &question, scratch);
        let share = |hits: usize| hits as f64 / complements.len().min(K) as f64;
        let ours = share(list.iter().filter(|item| complements.contains(item.product_id.as_str())).count());
        let most_popular = popular.iter().filter(|other| **other != product.product_id).take(K);
        let theirs = share(most_popular.filter(|other| complements.contains(**other)).count());
        let chance = share(complements.len().min(K)) * K as f64 / model.catalogue.len() as f64;
        hits += ours;
        over_popular.push(ours - theirs);
        over_chance.push(ours - chance);
    }
    let n = over_popular.len();
    let (popular_mean, popular_low) = lower_bound(&over_popular, rng);
    let (chance_mean, chance_low) = lower_bound(&over_chance, rng);
    println!(
        "true complements in the first {K}: recall {:.3} over {n} products; above popularity by {popular_mean:.3} (at least {popular_low:.3}), above chance by {chance_mean:.3} (at least {chance_low:.3})",
        hits / n as f64
    );
    assert!(n >= 100, "too few products to judge by: {n}");
    assert!(popular_low > 0.0 && chance_low > 0.0);
}

/// What is offered in place of what a customer bought, and how likely the truth says that they take it: beside the dearer products of the
/// same need that could have been offered (any of them, the one that sells most, the one whose price is nearest).
fn better_products_are_taken_more_often_than_dearer_ones<'a>(
    truth: &Truth,
    asked: impl Iterator<Item = (&'a CustomerTruth<ProductNo>, Facts<'a>)>,
    scratch: &mut Scratch,
    rng: &mut ChaCha8Rng,
) {
    const CUSTOMERS: usize = 600;
    let (mut over_chance, mut over_popular, mut over_next, mut ours, mut most) =
        (Vec::new(), Vec::new(), Vec::new(), 0.0, 0.0);
    for (customer, facts) in asked.take(CUSTOMERS) {
        let (catalogue, shelf) = (&facts.model.catalogue, facts.shelf);
        let Some(state) = facts.person.customer else { continue };
        let bought: HashSet<u32> = state
            .orders
            .iter()
            .flat_map(|order| &order.lines)
            .filter_map(|(product, _)| catalogue.find(product))
            .filter(|product| shelf.is_active(*product))
            .collect();
        let mut bought: Vec<u32> = bought.into_iter().collect();
        bought.sort_unstable();
        for product in bought.into_iter().sample(rng, 5) {
            let id = catalogue.id(product);
            let mut question = question(Placement::Product, &[]);
            question.product_id = Some(id.into());
            question.customer_id = Some(customer.customer_id.as_str().into());
            question.kinds = vec![WantedKind::UpsellProduct];
            let list = recommend(&facts, &question, scratch);
            let Some(offered) = list.iter().find(|item| item.kind == Kind::UpsellProduct) else { continue };
            let taken = |other: &str| {
                let (other, product) = (truth.product_no(other).unwrap(), truth.product_no(id).unwrap());
                truth.upgrade_acceptance(Some(customer), Some(&customer.tastes), other, product)
            };
            let price = shelf.price(product).unwrap();
            let dearer = |other: &u32| {
                let ratio = shelf.price(*other).map_or(Decimal::ZERO, |other| other / price);
                ratio >= Decimal::new(105, 2) && ratio <= Decimal::from(3)
            };
            let same_need = |other: &u32| catalogue.subcategory(*other) == catalogue.subcategory(product);
            let others = (0..catalogue.len() as u32).filter(|other| *other != product && shelf.is_active(*other));
            let others: Vec<u32> = others.filter(same_need).filter(dearer).collect();
            let orders = |other: &u32| facts.model.associations.item_orders(*other);
            let Some(most_sold) = others.iter().copied().max_by_key(orders) else { continue };
            let Some(next) = others.iter().copied().min_by_key(|other| shelf.price(*other)) else { continue };
            most += others.iter().map(|other| taken(catalogue.id(*other))).fold(0.0, f64::max);
            let chance = others.iter().map(|other| taken(catalogue.id(*other))).sum::<f64>() / others.len() as f64;
            let chosen = taken(offered.product_id.as_str());
            ours += chosen;
            over_chance.push(chosen - chance);
            over_popular.push(chosen - taken(catalogue.id(most_sold)));
            over_next.push(chosen - taken(catalogue.id(next)));
        }
    }
    let n = over_chance.len();
    let (chance_mean, chance_low) = lower_bound(&over_chance, rng);
    let (popular_mean, popular_low) = lower_bound(&over_popular, rng);
    let (next_mean, next_low) = lower_bound(&over_next, rng);
    println!(
        "better products: taken by {:.3} of {n}, the best ones would be by {:.3}; above any dearer one of the need by {chance_mean:.3} (at least {chance_low:.3}), above the one sold most by {popular_mean:.3} (at least {popular_low:.3}), above the next dearer one by {next_mean:.3} (at least {next_low:.3})",
        ours / n as f64,
        most / n as f64
    );
    assert!(n >= 100, "too few better products to judge by: {n}");
    assert!(chance_low > 0.0 && popular_low > 0.0);
}
