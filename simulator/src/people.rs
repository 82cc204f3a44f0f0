//! The customers: profile and contacts, and their hidden tastes, needs and habits.

use endcap_recommender::request::Channel;
use endcap_tables::{Customer, Identity, Place};
use jiff::Timestamp;
use rayon::prelude::*;

use crate::dice::{
    Dice, Stream, below, between, chance, dice, dot, lognormal, mix, normal, pick_cumulative, pick_weighted, poisson,
    tidy, unit,
};
use crate::spec::{DAY_S, Preset, WorldSpec};
use crate::truth::{CustomerNo, CustomerTruth, DIMENSIONS, Favourite, Habit, ProductNo, ProductTruth, Tastes, Truth};
use crate::words::{Season, words};

pub(crate) const SEGMENTS: usize = 8;
const AGES: [&str; 6] = ["18-24", "25-34", "35-44", "45-54", "55-64", "65+"];
const INCOMES: [&str; 4] = ["under 20k", "20k-35k", "35k-60k", "over 60k"];
const HOUSEHOLDS: [&str; 4] = ["single", "couple", "family", "shared"];
/// A day that no world reaches.
const NEVER: f32 = 1_000_000.0;
const MOST_NEEDS: usize = 14;

pub(crate) struct People {
    pub rows: Vec<Customer>,
    pub identities: Vec<Identity>,
    pub truths: Vec<CustomerTruth<ProductNo>>,
}

/// Whether a customer is among the share whose taste changes: one draw each, so that a larger share holds a smaller one.
pub(crate) fn changes_taste(seed: u64, customer: CustomerNo, share: f32) -> bool {
    chance(&mut dice(seed, Stream::TasteChange, u64::from(customer)), share)
}

/// The tastes after a change: drawn anew around another segment, from a stream of their own.
pub(crate) fn second_tastes(truth: &Truth, no: CustomerNo, customer: &CustomerTruth<ProductNo>) -> Tastes<ProductNo> {
    let mut roll = dice(truth.spec.seed, Stream::TasteChange, (1 << 40) + u64::from(no));
    let farthest = |a: &&[f32; DIMENSIONS], b: &&[f32; DIMENSIONS]| {
        dot(a, &customer.tastes.taste).total_cmp(&dot(b, &customer.tastes.taste))
    };
    let centre = truth.segments.iter().min_by(farthest).copied().unwrap_or_default();
    tastes(truth, customer.trade, &centre, &mut roll)
}

/// Products of a fashion.
const FASHION_FAVOURITES: usize = 16;

/// The tastes of a fashion: everybody wants the same few things, those that were bought least until then, and nothing out of habit.
pub(crate) fn fashionable_tastes(truth: &Truth) -> Tastes<ProductNo> {
    let day = f64::from(truth.spec.days);
    let season = truth.spec.day_of_year(day);
    let sought = |product: &ProductTruth<ProductNo>| {
        let place = truth.subcategories.get(usize::from(product.subcategory)).map_or(0.0, |place| place.weight);
        product.popularity * place
    };
    let mut liked: Vec<(ProductNo, f32)> = (0..)
        .zip(&truth.products)
        .filter(|(_, product)| {
            product.on_sale(day) && !product.out_of_stock(day) && product.season.factor(season) >= 0.8
        })
        .map(|(no, product)| (no, sought(product)))
        .collect();
    liked.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    liked.truncate(FASHION_FAVOURITES);
    let parts: Vec<_> = liked.iter().filter_map(|(no, _)| Some((1.0, truth.product(*no)?.taste))).collect();
    Tastes {
        taste: mix(&parts),
        needs: Vec::new(),
        favourites: liked.into_iter().map(|(product, _)| Favourite { product, weight: 1.0 }).collect(),
        habits: Vec::new(),
        exclusive: true,
    }
}

/// How many of a product a customer usually takes.
pub(crate) fn usual_quantity(trade: bool, pack: u32, price_cents: i64, roll: &mut Dice) -> u32 {
    let more = |roll: &mut Dice, mean| poisson(roll, mean) as u32;
    match (trade, price_cents) {
        (true, 1_000..) => 1 + more(roll, 1.5),
        (true, _) => pack.max(if price_cents < 300 { 6 } else { 2 }) * (1 + more(roll, 0.7)),
        (false, ..150) if pack > 1 && chance(roll, 0.25) => pack,
        (false, ..150) => 1 + more(roll, 1.5),
        (false, _) => 1 + more(roll, 0.4),
    }
}

/// Draws what a customer likes around the taste of a segment.
fn tastes(truth: &Truth, trade: bool, centre: &[f32; DIMENSIONS], roll: &mut Dice) -> Tastes<ProductNo> {
    let preset = truth.spec.preset;
    let taste = mix(&[(0.85, *centre), (0.6, crate::dice::direction(roll))]);
    let mut needs: Vec<(u16, f32)> = truth
        .subcategories
        .iter()
        .enumerate()
        .map(|(no, place)| {
            (no as u16, place.weight * (2.4 * dot(&taste, &place.taste)).exp() * lognormal(roll, 1.0, 0.4))
        })
        .collect();
    needs.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    needs.truncate(MOST_NEEDS);
    let total: f32 = needs.iter().map(|need| need.1).sum();
    for need in &mut needs {
        need.1 = tidy(need.1 / total);
    }

    let mut favourites: Vec<Favourite<ProductNo>> = Vec::new();
    for _ in 0..18 + poisson(roll, 14.0) {
        let Some(&(subcategory, share)) = pick_weighted(roll, &needs, |need| need.1) else { break };
        // Of some popular products, the first that is to the customer's taste.
        let mut liked = None;
        for _ in 0..8 {
            let Some(no) = truth.shelf.pick_any_time(subcategory, roll) else { break };
            let fit = truth.product(no).map_or(0.0, |product| dot(&taste, &product.taste));
            if unit(roll) < (2.2 * (fit - 1.0)).exp() {
                liked = Some(no);
                break;
            }
        }
        let Some(product) = liked else { continue };
        match favourites.iter_mut().find(|one| one.product == product) {
            Some(one) => one.weight = tidy(one.weight + share),
            None => favourites.push(Favourite { product, weight: share }),
        }
    }

    let mean_habits = match (preset, trade) {
        (Preset::GiftShop, false) => 2.5,
        (Preset::GiftShop, true) => 6.0,
        (Preset::Grocery, _) => 11.0,
    };
    let nouns = words(preset).nouns;
    let mut habits: Vec<Habit<ProductNo>> = Vec::new();
    for _ in 0..poisson(roll, mean_habits) {
        let readiness = |one: &Favourite<ProductNo>| {
            let fresh = habits.iter().all(|habit| habit.product != one.product);
            let noun = truth.product(one.product).and_then(|product| nouns.get(usize::from(product.need)));
            noun.filter(|noun| fresh && noun.season == Season::AllYear)
                .map_or(0.0, |noun| one.weight.max(0.02) * noun.habit)
        };
        let Some(product) = pick_weighted(roll, &favourites, readiness).map(|one| one.product) else { break };
        let Some(item) = truth.product(product) else { break };
        let interval = nouns.get(usize::from(item.need)).map_or(60.0, |noun| noun.interval);
        habits.push(Habit {
            product,
            interval_days: tidy(lognormal(roll, interval, 0.35).clamp(2.0, 400.0)),
            quantity: usual_quantity(trade, item.pack, item.price_cents, roll),
        });
    }
    Tastes { taste, needs, favourites, habits, exclusive: false }
}

pub(crate) fn people(truth: &Truth, places: &[Place], city_weights: &[f32]) -> People {
    let cities: Vec<f32> = city_weights
        .iter()
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect();
    let all: Vec<_> = (0..truth.spec.customers).into_par_iter().map(|no| person(truth, no, places, &cities)).collect();
    let mut people =
        People { rows: Vec::with_capacity(all.len()), identities: Vec::new(), truths: Vec::with_capacity(all.len()) };
    for (row, identities, truth) in all {
        people.rows.push(row);
        people.identities.extend(identities);
        people.truths.push(truth);
    }
    people
}

fn channel(preset: Preset, trade: bool, roll: &mut Dice) -> Channel {
    use Channel::{BackOffice, Branch, Email, Mobile, Partner, Web};
    let shares: &[(Channel, f32)] = match (preset, trade) {
        (Preset::GiftShop, true) => &[(BackOffice, 0.45), (Web, 0.25), (Email, 0.15), (Partner, 0.1), (Mobile, 0.05)],
        (Preset::GiftShop, false) => &[(Web, 0.5), (Mobile, 0.3), (Branch, 0.15), (BackOffice, 0.05)],
        (Preset::Grocery, true) => &[(BackOffice, 0.5), (Web, 0.3), (Partner, 0.2)],
        (Preset::Grocery, false) => &[(Branch, 0.55), (Mobile, 0.27), (Web, 0.18)],
    };
    pick_weighted(roll, shares, |share| share.1).map_or(Web, |share| share.0)
}

fn at(spec: &WorldSpec, day: f32) -> Option<Timestamp> {
    Timestamp::from_second(spec.start_s() + (f64::from(day) * DAY_S as f64) as i64).ok()
}

fn person(
    truth: &Truth,
    no: CustomerNo,
    places: &[Place],
    cities: &[f32],
) -> (Customer, Vec<Identity>, CustomerTruth<ProductNo>) {
    let spec = &truth.spec;
    let roll = &mut dice(spec.seed, Stream::People, u64::from(no));
    let trade = chance(roll, if spec.preset == Preset::GiftShop { 0.28 } else { 0.04 });
    let age = below(roll, AGES.len());
    let household = HOUSEHOLDS.get(below(roll, HOUSEHOLDS.len())).copied().unwrap_or_default();
    let customer_type = match (spec.preset, trade) {
        (Preset::GiftShop, true) => "wholesale",
        (Preset::GiftShop, false) => "retail",
        (Preset::Grocery, true) => "business",
        (Preset::Grocery, false) => "household",
    };
    // The profile says something about the taste, not everything.
    let segment = match (chance(roll, 0.75), trade) {
        (true, true) => 6 + below(roll, 2),
        (true, false) => age,
        (false, _) => below(roll, SEGMENTS),
    };
    let city = pick_cumulative(roll, cities).unwrap_or(0);
    let channel = channel(spec.preset, trade, roll);
    let days = spec.days as f32;
    let joined_day = if chance(roll, 0.65) { -between(roll, 0.0, 900.0) } else { between(roll, 0.0, 0.98 * days) };
    let left_day = if chance(roll, 0.14) { joined_day.max(0.0) + between(roll, 0.1, 1.0) * days } else { NEVER };
    let (interval, size) = match (spec.preset, trade) {
        (Preset::GiftShop, true) => (lognormal(roll, 30.0, 0.6), lognormal(roll, 8.0, 0.5)),
        (Preset::GiftShop, false) => (lognormal(roll, 62.0, 0.7), lognormal(roll, 4.0, 0.5)),
        (Preset::Grocery, _) => {
            let big = if household == "family" { 1.5 } else { 1.0 };
            (lognormal(roll, 9.0, 0.45), lognormal(roll, 2.6, 0.4) * big)
        }
    };
    let open =
        |roll: &mut Dice, middle: f32, spread: f32, low, high| tidy((middle + spread * normal(roll)).clamp(low, high));
    let customer_id = format!("{}", 10_001 + no);
    let truth_row = CustomerTruth {
        customer_id: customer_id.clone(),
        customer_type: customer_type.to_owned(),
        age_band: AGES.get(age).copied().unwrap_or_default().to_owned(),
        trade,
        city: city as u16,
        channel,
        joined_day: tidy(joined_day),
        left_day: tidy(left_day),
        visit_interval_days: tidy(interval.clamp(2.0, 400.0)),
        basket_size: tidy(size.clamp(0.5, 60.0)),
        price_sensitivity: open(roll, 0.6, 0.3, 0.0, 1.5),
        offer_sensitivity: open(roll, 0.4, 0.22, 0.03, 0.95),
        complement_openness: open(roll, 0.85, 0.25, 0.2, 1.4),
        season_openness: open(roll, 1.0, 0.5, 0.0, 2.5),
        openness: open(roll, 0.8, 0.2, 0.15, 1.2),
        tastes: tastes(truth, trade, truth.segments.get(segment).unwrap_or(&[0.0; DIMENSIONS]), roll),
    };
    let place = places.get(city);
    let reachable = |roll: &mut Dice, share| chance(roll, share);
    let (with_email, with_phone) = (reachable(roll, 0.85), reachable(roll, 0.6));
    let app = channel == Channel::Mobile;
    let row = Customer {
        customer_id: customer_id.clone(),
        customer_type: Some(customer_type.to_owned()),
        gender: (!trade && chance(roll, 0.8)).then(|| if chance(roll, 0.6) { "female" } else { "male" }.to_owned()),
        age_band: (!trade).then(|| truth_row.age_band.clone()),
        income_band: chance(roll, 0.5)
            .then(|| INCOMES.get(below(roll, INCOMES.len())).copied().unwrap_or_default().to_owned()),
        household: (!trade).then(|| household.to_owned()),
        city_id: place.map(|place| place.city_id.clone()),
        area_id: place.and_then(|place| place.area_id.clone()),
        country: place.and_then(|place| place.country.clone()),
        first_seen: at(spec, joined_day),
        email: with_email.then(|| format!("customer{customer_id}@example.com")),
        phone: with_phone.then(|| format!("+44 1632 960{:03}", no % 1_000)),
        push_token: app.then(|| format!("push-{no:08x}")),
        consent_email: with_email.then(|| chance(roll, 0.55)),
        consent_phone: with_phone.then(|| chance(roll, 0.2)),
        consent_push: app.then(|| chance(roll, 0.6)),
    };
    let since = row.first_seen;
    let identity = |source: &str, source_id: String| Identity {
        source: source.to_owned(),
        source_id,
        customer_id: customer_id.clone(),
        since,
    };
    let mut identities = vec![identity("crm", format!("crm-{customer_id}"))];
    if matches!(channel, Channel::Web | Channel::Mobile) {
        identities.push(identity("ga4", format!("GA1.1.{}", 100_000_000 + u64::from(no) * 7)));
    }
    if channel == Channel::Branch {
        identities.push(identity("pos", format!("loyalty-{:08}", 40_000_000 + no)));
    }
    (row, identities, truth_row)
}
