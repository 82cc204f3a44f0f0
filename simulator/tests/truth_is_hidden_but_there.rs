#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
//! Plain counting does not find the truth, counting with care finds more of it, and behaviour follows it.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use endcap_recommender::request::Placement;
use endcap_recommender::response::Kind;
use endcap_simulator::truth::{ProductNo, Situation};
use endcap_simulator::{Preset, Reaction, Shopper, Suggestion, TasteChange, Truth, World, WorldSpec};
use endcap_tables::{Offer, Order, OrderLine, read};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rust_decimal::prelude::ToPrimitive;

#[derive(Clone, Debug, PartialEq)]
struct Basket {
    customer: Option<String>,
    day: i64,
    lines: Vec<(ProductNo, f64)>,
}

fn baskets(world: &World, dir: &Path) -> Vec<Basket> {
    let mut lines: HashMap<String, Vec<(ProductNo, f64)>> = HashMap::new();
    for line in read::<OrderLine>(dir).unwrap() {
        let no = world.truth.product_no(&line.product_id).unwrap();
        lines.entry(line.order_id).or_default().push((no, line.quantity.to_f64().unwrap()));
    }
    let start = world.spec().start_s();
    let placed = read::<Order>(dir).unwrap().into_iter().filter(|order| order.status == "placed");
    placed
        .map(|order| Basket {
            day: (order.ordered_at.as_second() - start) / 86_400,
            lines: lines.remove(&order.order_id).unwrap_or_default(),
            customer: order.customer_id,
        })
        .collect()
}

fn shop(spec: &WorldSpec) -> (World, Vec<Basket>) {
    let dir = tempfile::tempdir().unwrap();
    let world = World::generate(spec).unwrap();
    world.write(dir.path(), &mut |_| {}).unwrap();
    let baskets = baskets(&world, dir.path());
    (world, baskets)
}

/// Share of the true complements among the five best by a score of (pairs, expected pairs), over products sold often enough.
fn precision(world: &World, baskets: &[Basket], score: impl Fn(f64, f64) -> f64) -> f64 {
    let count = world.products.len();
    let months = baskets.iter().map(|basket| basket.day / 30).max().unwrap() as usize + 1;
    let mut orders = vec![0.0; months];
    let mut sold = vec![vec![0.0; count]; months];
    let mut pairs: HashMap<(ProductNo, ProductNo), f64> = HashMap::new();
    for basket in baskets {
        let month = (basket.day / 30) as usize;
        orders[month] += 1.0;
        for &(a, _) in &basket.lines {
            sold[month][a as usize] += 1.0;
            for &(b, _) in basket.lines.iter().filter(|(b, _)| *b != a) {
                *pairs.entry((a, b)).or_default() += 1.0;
            }
        }
    }
    let (mut hits, mut shown) = (0.0, 0.0);
    for (no, product) in world.truth.products.iter().enumerate() {
        let total: f64 = sold.iter().map(|month| month[no]).sum();
        if total < 60.0 || product.complements.len() < 2 {
            continue;
        }
        let no = no as ProductNo;
        let mut ranked: Vec<(f64, ProductNo)> = (0..count as ProductNo)
            .filter_map(|other| {
                let seen = *pairs.get(&(no, other))?;
                let expected = (0..months).filter(|&month| orders[month] > 0.0);
                let expected: f64 =
                    expected.map(|month| sold[month][no as usize] * sold[month][other as usize] / orders[month]).sum();
                Some((score(seen, expected), other))
            })
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let wanted = product.complements.len().min(5);
        hits += ranked
            .iter()
            .take(wanted)
            .filter(|(_, other)| product.complements.iter().any(|link| link.product == *other))
            .count() as f64;
        shown += wanted as f64;
    }
    assert!(shown > 100.0, "too few products sell often enough to judge");
    hits / shown
}

#[test]
fn counting_pairs_is_confounded_but_the_truth_can_be_found() {
    for preset in [Preset::GiftShop, Preset::Grocery] {
        let (world, baskets) = shop(&WorldSpec::new(preset, 1_000, 400, 365, 5));
        let raw = precision(&world, &baskets, |seen, _| seen);
        let stratified = precision(&world, &baskets, |seen, expected| (seen - expected) / (expected + 3.0).sqrt());
        println!("{preset}: {} baskets, raw counts {raw:.3}, stratified lift {stratified:.3}", baskets.len());
        assert!(raw < 0.5, "{preset}: raw counts find {raw}: nothing hides the truth");
        assert!(stratified > raw + 0.1, "{preset}: stratified lift finds {stratified}, raw counts {raw}");
        assert!(stratified > 0.3, "{preset}: only {stratified} of the truth is in the data");
    }
}

#[test]
fn complements_are_what_buyers_take_too_with_their_strength() {
    let (world, baskets) = shop(&WorldSpec::new(Preset::GiftShop, 1_500, 150, 365, 6));
    let holding: Vec<HashSet<ProductNo>> =
        baskets.iter().map(|basket| basket.lines.iter().map(|line| line.0).collect()).collect();
    let (mut said, mut seen, mut links) = (0.0, 0.0, 0);
    for (no, product) in world.truth.products.iter().enumerate().filter(|(_, product)| product.launched_day == 0) {
        let with: Vec<_> = holding.iter().filter(|basket| basket.contains(&(no as ProductNo))).collect();
        for link in product.complements.iter().filter(|_| with.len() > 100) {
            if world.truth.product(link.product).unwrap().launched_day > 0 {
                continue;
            }
            said += f64::from(link.strength);
            seen += with.iter().filter(|basket| basket.contains(&link.product)).count() as f64 / with.len() as f64;
            links += 1;
        }
    }
    assert!(links > 50);
    // Other causes add to it, openness and empty shelves take from it: together the share is near the strength.
    let ratio = seen / said;
    assert!((0.7..1.6).contains(&ratio), "{links} links: strength {said}, seen {seen}");
}

#[test]
fn planted_customers_stop_just_short_of_their_offer() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::generate(&WorldSpec::new(Preset::GiftShop, 800, 300, 365, 3)).unwrap();
    world.write(dir.path(), &mut |_| {}).unwrap();
    let baskets = baskets(&world, dir.path());
    let planted = &world.truth.planted;
    assert!(planted.iter().filter(|row| row.offer_id == "B7G2").count() >= 6);
    let offers: HashMap<String, Offer> =
        read::<Offer>(dir.path()).unwrap().into_iter().map(|offer| (offer.offer_id.clone(), offer)).collect();
    let offer_day = (offers["B7G2"].valid_from.unwrap().as_second() - world.spec().start_s()) / 86_400;
    let (mut short_before, mut before, mut reached_after, mut after) = (0, 0, 0, 0);
    for row in planted {
        assert!(row.habitual_quantity < row.threshold && row.habitual_quantity * 2 >= row.threshold, "{row:?}");
        assert!(row.probability > 0.3, "{row:?}");
        let habits = world.truth.true_habits(&row.customer_id);
        assert!(habits.contains(
            habits.iter().find(|habit| habit.0 == row.product_id && habit.2 == row.habitual_quantity).unwrap()
        ));
        if row.offer_id != "B7G2" {
            continue;
        }
        let no = world.truth.product_no(&row.product_id).unwrap();
        for basket in baskets.iter().filter(|basket| basket.customer.as_deref() == Some(row.customer_id.as_str())) {
            let Some(&(_, quantity)) = basket.lines.iter().find(|line| line.0 == no) else { continue };
            if basket.day < offer_day {
                before += 1;
                short_before += u32::from(quantity < 7.0);
            } else {
                after += 1;
                // Seven paid and two free.
                reached_after += u32::from(quantity >= 9.0);
            }
        }
    }
    assert!(before > 30 && after > 10, "{before} purchases before the offer, {after} with it");
    assert!(short_before * 10 > before * 8, "{short_before} of {before} were short of seven");
    assert!(
        reached_after * 10 > after * 3 && reached_after * 10 < after * 9,
        "{reached_after} of {after} reached the offer"
    );
}

#[test]
fn customers_near_a_price_break_jump_to_it() {
    let (world, baskets) = shop(&WorldSpec::new(Preset::GiftShop, 1_500, 300, 365, 13));
    let mut breaks: HashMap<ProductNo, f64> = HashMap::new();
    for offer in world.offers.iter().filter(|offer| offer.offer_type == "TierPrice") {
        let terms: serde_json::Value = serde_json::from_str(&offer.terms).unwrap();
        let scope: serde_json::Value = serde_json::from_str(offer.scope.as_deref().unwrap()).unwrap();
        let product = world.truth.product_no(scope["products"][0].as_str().unwrap()).unwrap();
        breaks.insert(product, terms["tiers"][0]["min_quantity"].as_f64().unwrap());
    }
    // Of the lines at 50% to 100% of a break, how many stand exactly on it, with the break and without one?
    let mut counts = [[0.0_f64; 2]; 2];
    for &(product, quantity) in baskets.iter().flat_map(|basket| &basket.lines) {
        let own = breaks.get(&product).copied();
        let cheap = world.truth.product(product).unwrap().price_cents <= 400;
        for least in [12.0, 24.0] {
            if !cheap || own.is_some_and(|own| (own - least).abs() > 0.1) || quantity < least / 2.0 || quantity > least
            {
                continue;
            }
            counts[usize::from(own.is_some())][usize::from(quantity >= least)] += 1.0;
        }
    }
    let rate = |row: [f64; 2]| row[1] / (row[0] + row[1]);
    let (without, with) = (rate(counts[0]), rate(counts[1]));
    assert!(counts[1][0] + counts[1][1] > 50.0, "{counts:?}");
    assert!(with > without + 0.08, "on the break: {with:.3} with it, {without:.3} without: {counts:?}");
}

/// Share of a customer's lines in the subcategories that they needed most at first.
fn share_of_old_needs(world: &World, baskets: &[Basket], from_day: i64, who: impl Fn(u32) -> bool) -> f64 {
    let (mut old, mut all) = (0.0, 0.0);
    for basket in baskets.iter().filter(|basket| basket.day >= from_day) {
        let Some(no) = basket.customer.as_deref().and_then(|id| world.truth.customer_no(id)).filter(|&no| who(no))
        else {
            continue;
        };
        let needs = &world.truth.customer(no).unwrap().tastes.needs;
        for line in &basket.lines {
            let subcategory = world.truth.product(line.0).unwrap().subcategory;
            old += f64::from(u8::from(needs.iter().take(4).any(|need| need.0 == subcategory)));
            all += 1.0;
        }
    }
    old / all
}

#[test]
fn a_change_of_taste_changes_what_is_bought_from_its_day_on_and_by_its_customers_alone() {
    let plain = WorldSpec::new(Preset::GiftShop, 600, 300, 240, 17);
    let change = TasteChange { day: 120, share: 0.5 };
    let (world, before) = shop(&plain);
    let (changed_world, after) = shop(&WorldSpec { taste_change: Some(change), ..plain });
    let changes = |no: u32| world.truth.changes_taste(no, &change);
    let share = (0..600).filter(|&no| changes(no)).count();
    assert!((240..360).contains(&share), "{share} of 600 change");
    let of = |baskets: &[Basket], pick: &dyn Fn(&Basket) -> bool| -> Vec<Basket> {
        let kept = baskets.iter().filter(|basket| pick(basket));
        kept.cloned().collect()
    };
    let unchanged = |basket: &Basket| {
        let no = basket.customer.as_deref().and_then(|id| world.truth.customer_no(id));
        no.is_some_and(|no| !changes(no))
    };
    assert_eq!(of(&before, &unchanged), of(&after, &unchanged));
    let steady = share_of_old_needs(&world, &before, 120, changes);
    let moved = share_of_old_needs(&changed_world, &after, 120, changes);
    assert!(moved < 0.7 * steady, "old needs: {steady:.3} of the lines without the change, {moved:.3} with it");
    assert!(world.truth.changes_taste(3, &TasteChange { day: 0, share: 1.0 }));
    assert!(!world.truth.changes_taste(3, &TasteChange { day: 0, share: 0.0 }));
}

#[test]
fn the_judge_knows_needs_habits_complements_and_carts() {
    let world = World::generate(&WorldSpec::new(Preset::GiftShop, 300, 300, 200, 23)).unwrap();
    let truth = &world.truth;
    let (mut with_cart, mut without, mut habit, mut any) = (0.0, 0.0, 0.0, 0.0);
    let (mut pairs, mut habits, mut all) = (0.0, 0.0, 0.0);
    for customer in &truth.customers {
        let who = &customer.customer_id;
        for (product, ..) in truth.true_habits(who) {
            habit += truth.acceptance(who, product, Placement::Home, &[]);
            habits += 1.0;
        }
        for product in truth.products.iter().step_by(7) {
            let id = &product.product_id;
            let here = truth.acceptance(who, id, Placement::Home, &[]);
            assert!((0.0..=0.95).contains(&here));
            any += here;
            all += 1.0;
            assert!(
                truth.acceptance(who, id, Placement::Cart, &[id]).abs() < f64::EPSILON,
                "what is in the cart is not taken again"
            );
            if let Some((best, _)) = truth.true_complements(id).first() {
                with_cart += truth.acceptance(who, best, Placement::Cart, &[id]);
                without += truth.acceptance(who, best, Placement::Cart, &[]);
                pairs += 1.0;
            }
        }
    }
    assert!(
        with_cart / pairs > 2.5 * without / pairs,
        "complements: {} with the cart, {} without",
        with_cart / pairs,
        without / pairs
    );
    assert!(habit / habits > 4.0 * any / all, "habits: {}, any product: {}", habit / habits, any / all);
    assert!(truth.acceptance("nobody", &truth.products[0].product_id, Placement::Home, &[]) > 0.0);
    assert!(
        truth.acceptance(&truth.customers[0].customer_id, "no such product", Placement::Home, &[]).abs() < f64::EPSILON
    );
    // Retired products are not taken by anyone.
    let retired = truth.products.iter().find(|product| product.retired_day.is_some()).unwrap();
    assert!(
        truth.acceptance(&truth.customers[0].customer_id, &retired.product_id, Placement::Home, &[]).abs()
            < f64::EPSILON
    );
}

#[test]
fn a_cart_draws_in_what_any_of_its_products_draws_in() {
    let world = World::generate(&WorldSpec::new(Preset::GiftShop, 60, 200, 100, 4)).unwrap();
    let truth = &world.truth;
    let two: Vec<&str> = truth
        .products
        .iter()
        .filter(|product| product.complements.len() > 1)
        .take(2)
        .map(|product| product.product_id.as_str())
        .collect();
    let of_cart = truth.true_complements_of_cart(&two);
    assert!(of_cart.is_sorted_by(|a, b| a.1 >= b.1) && of_cart.iter().all(|(id, _)| !two.contains(id)));
    for (product, strength) in two.iter().flat_map(|id| truth.true_complements(id)).filter(|(id, _)| !two.contains(id))
    {
        assert!(of_cart.iter().any(|(id, together)| *id == product && *together >= strength - 1e-6));
    }
}

#[test]
fn quantities_are_taken_when_they_are_near_and_worth_it() {
    let world = World::generate(&WorldSpec::new(Preset::GiftShop, 60, 100, 100, 2)).unwrap();
    for customer in &world.truth.customers {
        let likely = |have, want, offer| Truth::upsell_acceptance(customer, have, want, offer);
        assert!(likely(6.0, 7.0, true) >= likely(4.0, 7.0, true));
        assert!(likely(6.0, 7.0, true) > likely(6.0, 7.0, false));
        assert!(likely(7.0, 7.0, true).abs() < f64::EPSILON && likely(1.0, 24.0, true).abs() < f64::EPSILON);
    }
}

#[test]
fn reactions_follow_the_acceptance_probabilities() {
    let world = World::generate(&WorldSpec::new(Preset::Grocery, 200, 300, 200, 29)).unwrap();
    let truth: &Truth = &world.truth;
    let mut dice = ChaCha8Rng::seed_from_u64(1);
    let draws = 600;
    let (mut chi_square, mut cells, mut declined) = (0.0, 0.0, 0);
    for (no, customer) in truth.customers.iter().enumerate() {
        let shopper = Shopper::new(truth, &customer.customer_id);
        let habit = customer.tastes.habits.first().map(|habit| habit.product);
        let product = habit.filter(|_| no % 2 == 0).unwrap_or((no * 3 % 300) as ProductNo);
        let cart = [((no * 5 + 1) % 300) as ProductNo];
        let placement = Placement::ALL[no % Placement::ALL.len()];
        let situation = Situation { placement, cart: &cart, looking_at: None, day: 199.0, days_since_bought: None };
        let rank = 1 + (no % 4) as u32;
        let suggestion = Suggestion {
            product,
            rank,
            kind: Kind::CrossSell,
            suggested_quantity: 2.0,
            in_cart: 0.0,
            has_offer: false,
            price_ratio: 1.0,
            instead_of: None,
        };
        let likely = shopper.acceptance(&suggestion, &situation) * Truth::attention(rank);
        let mut taken = 0.0;
        for _ in 0..draws {
            match shopper.reacts(&mut dice, &situation, std::slice::from_ref(&suggestion), |_| None)[0] {
                Reaction::Accepted { quantity } => {
                    assert!((quantity - 2.0).abs() < f32::EPSILON);
                    taken += 1.0;
                }
                Reaction::Declined => declined += 1,
                _ => {}
            }
        }
        let expected = likely * f64::from(draws);
        if expected > 5.0 {
            chi_square += (taken - expected).powi(2) / (expected * (1.0 - likely));
            cells += 1.0;
        }
    }
    assert!(cells > 60.0, "only {cells} cells");
    // Mean 1 a cell; this is five standard deviations to either side.
    let width = 5.0 * (2.0_f64 / cells).sqrt();
    assert!((chi_square / cells - 1.0).abs() < width, "chi-square {chi_square} over {cells} cells");
    assert!(declined > 100);
}
