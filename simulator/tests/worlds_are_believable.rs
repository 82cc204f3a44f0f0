#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
//! The tables of a world fit together, look like a shop, and are the same for the same seed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use endcap_recommender::offers::{AmountPer, Terms};
use endcap_simulator::{Preset, Progress, World, WorldSpec};
use endcap_tables::{
    Brand, Category, Customer, DatasetManifest, Identity, Interaction, MANIFEST_FILE, Offer, Order, OrderLine,
    OrderStatus, Place, Product, Stock, read,
};
use rust_decimal::Decimal;

fn spec(preset: Preset, seed: u64) -> WorldSpec {
    WorldSpec::new(preset, 400, 300, 200, seed)
}

fn written(spec: &WorldSpec) -> (tempfile::TempDir, World, DatasetManifest) {
    let dir = tempfile::tempdir().unwrap();
    let world = World::generate(spec).unwrap();
    let manifest = world.write(dir.path(), &mut |_| {}).unwrap();
    (dir, world, manifest)
}

fn truth_bytes(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(dir.join("truth")).unwrap();
    files
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap()))
        .collect()
}

#[test]
fn the_same_spec_gives_the_same_bytes_on_any_number_of_threads() {
    for preset in [Preset::GiftShop, Preset::Grocery] {
        let spec = spec(preset, 7);
        let build = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| written(&spec))
        };
        let (one_dir, one, one_manifest) = build(1);
        let (two_dir, two, two_manifest) = build(3);
        assert_eq!(one_manifest, two_manifest);
        assert_eq!(one.truth, two.truth);
        assert_eq!(truth_bytes(one_dir.path()), truth_bytes(two_dir.path()));
        one_manifest.verify(two_dir.path()).unwrap();

        let other_seed = written(&WorldSpec { seed: 8, ..spec.clone() }).2;
        assert_ne!(one_manifest.tables["orders"].sha256, other_seed.tables["orders"].sha256);
        assert_ne!(one_manifest.tables["products"].sha256, other_seed.tables["products"].sha256);
    }
}

#[test]
fn a_world_reads_back_as_it_was() {
    let (dir, world, manifest) = written(&spec(Preset::GiftShop, 3));
    let again = World::load(dir.path()).unwrap();
    assert_eq!(*world.truth, *again.truth);
    assert_eq!(world.customers, again.customers);
    assert_eq!(world.products, again.products);
    assert_eq!(world.offers, again.offers);
    // The reloaded world simulates the same history.
    let copy = tempfile::tempdir().unwrap();
    assert_eq!(again.write(copy.path(), &mut |_| {}).unwrap(), manifest);
}

#[test]
fn the_truth_is_no_part_of_the_dataset() {
    let (dir, world, manifest) = written(&spec(Preset::GiftShop, 3));
    assert!(dir.path().join(MANIFEST_FILE).exists());
    assert!(manifest.tables.values().all(|table| !table.file.contains("truth")));
    assert!(manifest.tables.keys().all(|name| !name.contains("truth")));
    // Another dataset's truth is not taken for this one's.
    let other = World::generate(&spec(Preset::GiftShop, 4)).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    other.write(elsewhere.path(), &mut |_| {}).unwrap();
    for file in truth_bytes(elsewhere.path()).keys() {
        std::fs::copy(elsewhere.path().join("truth").join(file), dir.path().join("truth").join(file)).unwrap();
    }
    let error = World::load(dir.path()).unwrap_err().to_string();
    assert!(error.contains("not those of its truth"), "{error}");
    assert_ne!(world.truth.products, other.truth.products);
    std::fs::remove_dir_all(dir.path().join("truth")).unwrap();
    let error = World::load(dir.path()).unwrap_err().to_string();
    assert!(error.contains("world.json") && error.contains("endcap data generate"), "{error}");
}

#[test]
fn progress_covers_every_customer() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen: Vec<Progress> = Vec::new();
    World::generate(&spec(Preset::Grocery, 5)).unwrap().write(dir.path(), &mut |progress| seen.push(progress)).unwrap();
    let history: Vec<_> = seen.iter().filter(|progress| progress.stage == "history").collect();
    assert_eq!(history.first().unwrap().done, 0);
    assert_eq!(history.last().unwrap().done, 400);
    assert!(history.iter().all(|progress| progress.total == 400));
}

#[test]
fn nonsense_sizes_are_refused_with_the_field_and_the_remedy() {
    let good = spec(Preset::GiftShop, 1);
    for (bad, field) in [
        (WorldSpec { customers: 1, ..good.clone() }, "customers"),
        (WorldSpec { products: 3, ..good.clone() }, "products"),
        (WorldSpec { days: 0, ..good.clone() }, "days"),
    ] {
        let error = World::generate(&bad).unwrap_err().to_string();
        assert!(error.contains(field) && error.contains("expected"), "{error}");
    }
}

fn ids<T>(rows: &[T], id: impl Fn(&T) -> &str) -> HashSet<String> {
    let ids: HashSet<String> = rows.iter().map(|row| id(row).to_owned()).collect();
    assert_eq!(ids.len(), rows.len(), "ids must be unique");
    ids
}

#[test]
fn every_table_refers_to_what_exists() {
    for preset in [Preset::GiftShop, Preset::Grocery] {
        let (dir, world, manifest) = written(&spec(preset, 11));
        manifest.verify(dir.path()).unwrap();
        let dir = dir.path();
        let customers = ids(&read::<Customer>(dir).unwrap(), |row| &row.customer_id);
        let places = read::<Place>(dir).unwrap();
        let cities = ids(&places, |row| &row.city_id);
        let categories = read::<Category>(dir).unwrap();
        let category_ids = ids(&categories, |row| &row.category_id);
        let parents: HashMap<&str, Option<&str>> =
            categories.iter().map(|row| (row.category_id.as_str(), row.parent_id.as_deref())).collect();
        assert!(parents.values().flatten().all(|parent| category_ids.contains(*parent)));
        let brands = ids(&read::<Brand>(dir).unwrap(), |row| &row.brand_id);
        let products = read::<Product>(dir).unwrap();
        let product_ids = ids(&products, |row| &row.product_id);
        ids(&products, |row| row.name.as_deref().unwrap());
        for product in &products {
            let subcategory = product.subcategory_id.as_deref().unwrap();
            assert_eq!(parents[subcategory], product.category_id.as_deref());
            assert!(brands.contains(product.brand_id.as_deref().unwrap()));
            assert!(product.variant_of.as_ref().is_none_or(|first| product_ids.contains(first)));
            assert!(product.cost.unwrap() < product.list_price.unwrap() && product.cost.unwrap() > Decimal::ZERO);
        }
        for row in read::<Customer>(dir).unwrap() {
            assert!(cities.contains(row.city_id.as_deref().unwrap()));
            assert_eq!(row.email.is_some(), row.consent_email.is_some());
            assert!(row.email.is_none_or(|email| email.ends_with("@example.com")));
        }
        assert!(read::<Identity>(dir).unwrap().iter().all(|row| customers.contains(&row.customer_id)));
        let offers = read::<Offer>(dir).unwrap();
        let offer_ids = ids(&offers, |row| &row.offer_id);
        let orders = read::<Order>(dir).unwrap();
        let order_ids = ids(&orders, |row| &row.order_id);
        let lines = read::<OrderLine>(dir).unwrap();
        let (start, end) = (world.spec().start_s(), world.spec().end_s());
        let mut totals: HashMap<&str, Decimal> = HashMap::new();
        let mut last_line: HashMap<&str, i64> = HashMap::new();
        for line in &lines {
            assert!(order_ids.contains(&line.order_id) && product_ids.contains(&line.product_id));
            assert!(line.offer_id.as_ref().is_none_or(|id| offer_ids.contains(id)));
            let net = line.quantity * line.unit_price - line.discount.unwrap_or_default();
            *totals.entry(&line.order_id).or_default() += net;
            let last = last_line.entry(&line.order_id).or_default();
            assert_eq!(line.line_no, *last + 1);
            *last = line.line_no;
        }
        for order in &orders {
            assert!(order.customer_id.as_ref().is_none_or(|id| customers.contains(id)));
            assert!((start..end).contains(&order.ordered_at.as_second()));
            assert_eq!(order.total.unwrap(), totals[order.order_id.as_str()], "order {}", order.order_id);
            assert!(OrderStatus::ALL.iter().any(|status| status.as_str() == order.status));
        }
        let stock = read::<Stock>(dir).unwrap();
        assert!(stock.iter().all(|row| product_ids.contains(&row.product_id) && row.as_of.as_second() < end));
        let interactions = read::<Interaction>(dir).unwrap();
        ids(&interactions, |row| &row.event_id);
        for row in &interactions {
            assert!(row.customer_id.as_ref().is_none_or(|id| customers.contains(id)));
            assert!(row.product_id.as_ref().is_none_or(|id| product_ids.contains(id)));
            assert!((start - 86_400..end).contains(&row.ts.as_second()));
            let context: serde_json::Value = serde_json::from_str(row.context.as_deref().unwrap()).unwrap();
            assert!(context["device"].is_string());
            assert!(context["order_id"].as_str().is_none_or(|id| order_ids.contains(id)));
        }
        let rows = [("orders", orders.len()), ("order_lines", lines.len()), ("interactions", interactions.len())];
        assert!(rows.iter().all(|&(table, rows)| manifest.rows(table) == rows as u64));
        assert_eq!(manifest.time_range.unwrap().from, orders.iter().map(|order| order.ordered_at).min().unwrap());
        assert_eq!(manifest.time_range.unwrap().to, orders.iter().map(|order| order.ordered_at).max().unwrap());
    }
}

#[test]
fn the_shop_looks_like_one() {
    for preset in [Preset::GiftShop, Preset::Grocery] {
        let (dir, world, _) = written(&WorldSpec { customers: 600, days: 365, ..spec(preset, 21) });
        let dir = dir.path();
        let orders = read::<Order>(dir).unwrap();
        let lines = read::<OrderLine>(dir).unwrap();
        let by_status = |status: &str| orders.iter().filter(|order| order.status == status).count();
        let placed = by_status("placed");
        for status in OrderStatus::ALL {
            assert!(by_status(status.as_str()) > 0, "no order is {}", status.as_str());
        }
        assert!(by_status("cancelled") * 20 < placed && by_status("returned") * 10 < placed);
        let status: HashMap<&str, &str> =
            orders.iter().map(|order| (order.order_id.as_str(), order.status.as_str())).collect();
        for line in &lines {
            let returned = status[line.order_id.as_str()] == "returned";
            assert_eq!(line.quantity < Decimal::ZERO, returned, "order {}", line.order_id);
            assert_ne!(line.quantity, Decimal::ZERO);
        }

        let mut per_customer: HashMap<&str, usize> = HashMap::new();
        for order in orders.iter().filter(|order| order.status == "placed") {
            *per_customer.entry(order.customer_id.as_deref().unwrap_or("")).or_default() += 1;
        }
        let guests = per_customer.remove("").unwrap_or(0);
        assert!(guests > 0 && guests * 5 < placed);
        let repeaters = per_customer.values().filter(|&&count| count > 1).count() as f64 / per_customer.len() as f64;
        assert!((0.5..1.0).contains(&repeaters), "{preset}: {repeaters} of the customers come again");

        // Prices are log-normal: skewed to the right as money, about symmetric as logarithms.
        let mut prices: Vec<f64> =
            world.truth.products.iter().map(|product| product.price_cents as f64 / 100.0).collect();
        prices.sort_by(f64::total_cmp);
        let mean = prices.iter().sum::<f64>() / prices.len() as f64;
        let median = prices[prices.len() / 2];
        let log_mean = prices.iter().map(|price| price.ln()).sum::<f64>() / prices.len() as f64;
        assert!(mean > 1.1 * median && (log_mean - median.ln()).abs() < 0.35, "{preset}: mean {mean}, median {median}");

        // Few products make much of the sales.
        let mut units: HashMap<&str, usize> = HashMap::new();
        for line in &lines {
            *units.entry(&line.product_id).or_default() += 1;
        }
        let mut counts: Vec<usize> = units.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let top: usize = counts.iter().take(counts.len() / 5).sum();
        assert!(top * 100 > lines.len() * 35, "the top fifth has {top} of {} lines", lines.len());

        let channels: BTreeSet<&str> = orders.iter().filter_map(|order| order.channel.as_deref()).collect();
        assert!(channels.len() >= 4, "{channels:?}");
        let acts: BTreeSet<String> = read::<Interaction>(dir).unwrap().into_iter().map(|row| row.event_type).collect();
        let expected = ["view_item", "search", "add_to_cart", "remove_from_cart", "begin_checkout", "purchase", "rate"];
        assert!(expected.iter().all(|act| acts.contains(*act)), "{acts:?}");
        assert!(lines.iter().filter(|line| line.offer_id.is_some()).count() > lines.len() / 200);
    }
}

#[test]
fn carts_are_left_behind_and_stars_are_one_to_five() {
    let (dir, ..) = written(&spec(Preset::GiftShop, 5));
    let rows = read::<Interaction>(dir.path()).unwrap();
    let mut sessions: HashMap<&str, (bool, bool)> = HashMap::new();
    for row in &rows {
        let session = sessions.entry(row.session_id.as_deref().unwrap()).or_default();
        session.0 |= row.event_type == "add_to_cart";
        session.1 |= row.event_type == "purchase";
        if row.event_type == "rate" {
            let stars = row.value.unwrap();
            assert!(stars >= Decimal::ONE && stars <= Decimal::from(5) && stars.is_integer());
        }
    }
    let left = sessions.values().filter(|(cart, bought)| *cart && !bought).count();
    let only_looked = sessions.values().filter(|(cart, bought)| !cart && !bought).count();
    assert!(left > 20 && only_looked > 20, "{left} carts left behind, {only_looked} sessions only looked");
}

#[test]
fn there_is_an_offer_of_every_type_at_the_end_and_after_it() {
    for preset in [Preset::GiftShop, Preset::Grocery] {
        let (dir, world, _) = written(&spec(preset, 9));
        let offers = read::<Offer>(dir.path()).unwrap();
        let end = world.spec().end_s();
        for (label, at_s) in [("the last day", end - 1), ("a week later", end + 7 * 86_400)] {
            let in_force: BTreeSet<&str> = offers
                .iter()
                .filter(|offer| offer.valid_from.is_none_or(|from| from.as_second() <= at_s))
                .filter(|offer| offer.valid_to.is_none_or(|to| at_s < to.as_second()))
                .map(|offer| offer.offer_type.as_str())
                .collect();
            for wanted in ["BuyXGetY", "TierPrice", "PercentOff", "AmountOff", "BundlePrice", "GiftOverTotal"] {
                assert!(in_force.contains(wanted), "{preset}: no {wanted} on {label}");
            }
        }
        let used: BTreeSet<String> =
            read::<OrderLine>(dir.path()).unwrap().into_iter().filter_map(|line| line.offer_id).collect();
        for id in ["B7G2", "GIFT", "FLYER-01"] {
            assert!(used.contains(id), "{preset}: nobody used {id}");
        }
        let seven = offers.iter().find(|offer| offer.offer_id == "B7G2").unwrap();
        let terms: serde_json::Value = serde_json::from_str(&seven.terms).unwrap();
        let typed: Terms = serde_json::from_value(serde_json::json!({"type": "BuyXGetY", "terms": terms})).unwrap();
        assert_eq!(typed, Terms::BuyXGetY { buy: 7, get: 2, get_products: Vec::new() });
    }
}

#[test]
fn stock_runs_out_and_is_promised() {
    let (dir, ..) = written(&WorldSpec { products: 1_000, ..spec(Preset::GiftShop, 2) });
    let stock = read::<Stock>(dir.path()).unwrap();
    let last = stock.iter().map(|row| row.as_of).max().unwrap();
    let at_end: Vec<&Stock> = stock.iter().filter(|row| row.as_of == last).collect();
    let out = at_end.iter().filter(|row| row.on_hand == Decimal::ZERO).count();
    let promised =
        at_end.iter().filter(|row| row.on_hand == Decimal::ZERO && row.backordered > Some(Decimal::ZERO)).count();
    assert!(out > 10 && out < at_end.len() / 5, "{out} of {} are out of stock", at_end.len());
    assert!(promised > 2 && promised < out, "{promised} of {out} are promised");
    assert!(stock.iter().all(|row| row.on_hand >= Decimal::ZERO));
}

/// Every line that names an offer paid what the offer says, when it was in force; counted again from the tables alone.
#[test]
fn offers_were_applied_as_their_terms_say() {
    for preset in [Preset::GiftShop, Preset::Grocery] {
        let (dir, world, _) = written(&spec(preset, 33));
        let dir = dir.path();
        let offers: HashMap<String, Offer> =
            read::<Offer>(dir).unwrap().into_iter().map(|offer| (offer.offer_id.clone(), offer)).collect();
        let orders: HashMap<String, Order> =
            read::<Order>(dir).unwrap().into_iter().map(|order| (order.order_id.clone(), order)).collect();
        let list: HashMap<&str, Decimal> =
            world.products.iter().map(|row| (row.product_id.as_str(), row.list_price.unwrap())).collect();
        let mut by_order: HashMap<String, Vec<OrderLine>> = HashMap::new();
        for line in read::<OrderLine>(dir).unwrap() {
            by_order.entry(line.order_id.clone()).or_default().push(line);
        }
        let mut checked: BTreeMap<String, u32> = BTreeMap::new();
        for (order_id, lines) in &by_order {
            let order = &orders[order_id];
            for line in lines {
                let price = list[line.product_id.as_str()];
                let discount = line.discount.unwrap_or_default();
                let Some(offer) = line.offer_id.as_ref().map(|id| &offers[id]) else {
                    assert_eq!((line.unit_price, discount), (price, Decimal::ZERO));
                    continue;
                };
                assert!(
                    offer.valid_from.is_none_or(|from| from <= order.ordered_at),
                    "{} before it began",
                    offer.offer_id
                );
                assert!(offer.valid_to.is_none_or(|to| order.ordered_at < to), "{} after it ended", offer.offer_id);
                let terms: serde_json::Value = serde_json::from_str(&offer.terms).unwrap();
                let typed: Terms =
                    serde_json::from_value(serde_json::json!({"type": offer.offer_type, "terms": terms})).unwrap();
                let gross = line.quantity * line.unit_price;
                match typed {
                    Terms::BuyXGetY { buy, get, .. } => {
                        let free = discount / line.unit_price;
                        let paid = line.quantity - free;
                        assert_eq!(free, (paid / Decimal::from(buy)).floor() * Decimal::from(get));
                        assert!(free > Decimal::ZERO);
                    }
                    Terms::TierPrice { tiers } => {
                        let best = tiers
                            .iter()
                            .filter(|tier| Decimal::from(tier.min_quantity) <= line.quantity)
                            .map(|tier| tier.unit_price)
                            .min();
                        // What came back later may leave less than the tier.
                        assert!(best.is_none_or(|best| line.unit_price == best) && line.unit_price < price);
                    }
                    Terms::PercentOff { percent } => {
                        assert!((discount - gross * percent / Decimal::ONE_HUNDRED).abs() <= Decimal::new(1, 2));
                    }
                    Terms::AmountOff { amount, per: AmountPer::Unit } => {
                        assert_eq!(discount, (amount * line.quantity).min(gross));
                    }
                    Terms::AmountOff { amount, per: AmountPer::Order } => assert_eq!(discount, amount.min(gross)),
                    Terms::GiftOverTotal { min_total, quantity, .. } => {
                        assert_eq!((discount, line.quantity), (gross, Decimal::from(quantity)));
                        // The order stays above the least, but for what came back of it.
                        assert!(orders.contains_key(&format!("R{order_id}")) || order.total.unwrap() >= min_total);
                    }
                    Terms::BundlePrice { products, price } => {
                        let parts: Vec<&OrderLine> =
                            lines.iter().filter(|other| other.offer_id == line.offer_id).collect();
                        assert_eq!(parts.len(), products.len());
                        let times = parts.iter().map(|part| part.quantity).min().unwrap();
                        let full: Decimal =
                            products.iter().map(|(id, count)| list[&**id] * Decimal::from(*count)).sum();
                        let saved: Decimal = parts.iter().filter_map(|part| part.discount).sum();
                        assert_eq!(saved, (full - price) * times);
                    }
                }
                *checked.entry(offer.offer_type.clone()).or_default() += 1;
            }
        }
        for wanted in ["BuyXGetY", "TierPrice", "PercentOff", "AmountOff", "BundlePrice", "GiftOverTotal"] {
            assert!(checked.contains_key(wanted), "{preset}: no line used a {wanted}: {checked:?}");
        }
    }
}
