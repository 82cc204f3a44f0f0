//! The shop's offers: standing price breaks, monthly discounts, and around the end of the period one of every type and more.

use endcap_recommender::ids::ProductId;
use endcap_recommender::offers::{AmountPer, Offer, Scope, Terms, Tier};
use endcap_recommender::request::Channel;
use endcap_tables::Offer as OfferRow;
use jiff::Timestamp;
use rand::seq::SliceRandom;
use rust_decimal::Decimal;

use crate::SimulatorError;
use crate::catalogue::money;
use crate::dice::{Dice, Stream, below, between, chance, dice};
use crate::spec::{DAY_S, Preset};
use crate::truth::{ProductNo, Truth};

/// What "buy 7 get 2 free" is called.
pub(crate) const SEVEN_GET_TWO: &str = "B7G2";

/// An offer as a canonical row: scope and terms as JSON.
pub(crate) fn row(offer: &Offer) -> Result<OfferRow, SimulatorError> {
    let failed = |source| SimulatorError::Offer { offer: offer.offer_id.to_string(), source };
    let tagged = serde_json::to_value(&offer.terms).map_err(failed)?;
    let terms = tagged.get("terms").cloned().unwrap_or_default();
    Ok(OfferRow {
        offer_id: offer.offer_id.to_string(),
        offer_type: offer.terms.type_name().to_owned(),
        scope: Some(serde_json::to_string(&offer.scope).map_err(failed)?),
        terms: terms.to_string(),
        valid_from: offer.valid_from,
        valid_to: offer.valid_to,
        priority: Some(offer.priority),
        stackable: Some(offer.stackable),
        max_per_order: offer.max_per_order.map(i64::from),
    })
}

/// Reads a canonical row back.
pub(crate) fn parse(row: &OfferRow) -> Result<Offer, SimulatorError> {
    let failed = |source| SimulatorError::Offer { offer: row.offer_id.clone(), source };
    let terms: serde_json::Value = serde_json::from_str(&row.terms).map_err(failed)?;
    let terms: Terms =
        serde_json::from_value(serde_json::json!({ "type": row.offer_type, "terms": terms })).map_err(failed)?;
    let scope = row.scope.as_deref().map_or_else(|| Ok(Scope::default()), serde_json::from_str).map_err(failed)?;
    Ok(Offer {
        offer_id: row.offer_id.as_str().into(),
        terms,
        scope,
        valid_from: row.valid_from,
        valid_to: row.valid_to,
        priority: row.priority.unwrap_or(0),
        stackable: row.stackable.unwrap_or(false),
        max_per_order: row.max_per_order.and_then(|most| u32::try_from(most).ok()),
    })
}

struct Maker<'a> {
    truth: &'a Truth,
    offers: Vec<Offer>,
}

impl Maker<'_> {
    fn day(&self, day: i64) -> Option<Timestamp> {
        Timestamp::from_second(self.truth.spec.start_s() + day * DAY_S).ok()
    }

    fn id(&self, product: ProductNo) -> ProductId {
        self.truth.id(product).unwrap_or_default().into()
    }

    fn price(&self, product: ProductNo) -> i64 {
        self.truth.product(product).map_or(0, |product| product.price_cents)
    }

    fn add(&mut self, id: &str, terms: Terms, scope: Scope, days: (i64, Option<i64>), priority: i64) {
        self.offers.push(Offer {
            offer_id: id.into(),
            terms,
            scope,
            valid_from: self.day(days.0),
            valid_to: days.1.and_then(|day| self.day(day)),
            priority,
            stackable: false,
            max_per_order: None,
        });
    }

    fn products(&self, products: &[ProductNo]) -> Scope {
        Scope { products: products.iter().map(|&no| self.id(no)).collect(), ..Scope::default() }
    }
}

fn percent(percent: i64) -> Terms {
    Terms::PercentOff { percent: Decimal::from(percent) }
}

/// Products that sell at the end of the period and after it, cheap enough to be bought by the handful.
fn handful(truth: &Truth, most_cents: i64) -> Vec<ProductNo> {
    let end = f64::from(truth.spec.days);
    let fit = |no: &ProductNo| {
        truth.product(*no).is_some_and(|product| {
            product.price_cents <= most_cents
                && product.season == crate::words::Season::AllYear
                && product.on_sale(0.0)
                && product.on_sale(end)
                && !product.out_of_stock(end)
        })
    };
    (0..truth.products.len() as ProductNo).filter(fit).collect()
}

/// Makes all offers. What "buy N get M" and the planted tiers stand on comes first, in this order.
pub(crate) fn offers(truth: &Truth) -> Vec<Offer> {
    let roll = &mut dice(truth.spec.seed, Stream::Offers, 0);
    let mut maker = Maker { truth, offers: Vec::new() };
    let end = i64::from(truth.spec.days);
    let mut cheap = handful(truth, if truth.spec.preset == Preset::GiftShop { 400 } else { 350 });
    if cheap.len() < 8 {
        cheap = handful(truth, i64::MAX);
    }
    cheap.shuffle(roll);
    let mut cheap = cheap.into_iter();
    // The planted ones hold from well before the end, with no end: they are in force whenever the world is served.
    let buys = [(SEVEN_GET_TWO, 7, 2), ("B3G1", 3, 1), ("B12G2", 12, 2)];
    for ((id, buy, get), product) in buys.into_iter().zip(cheap.by_ref()) {
        let scope = maker.products(&[product]);
        maker.add(id, Terms::BuyXGetY { buy, get, get_products: Vec::new() }, scope, (end - 75, None), 10);
    }
    standing_tiers(&mut maker, roll, &mut cheap);
    monthly(&mut maker, roll);
    around_the_end(&mut maker, roll, end);
    maker.offers
}

/// Price breaks that hold all the time.
fn standing_tiers(maker: &mut Maker<'_>, roll: &mut Dice, cheap: &mut impl Iterator<Item = ProductNo>) {
    let count = (maker.truth.products.len() / 16).clamp(4, 2_000);
    let chosen: Vec<ProductNo> = cheap.take(count).collect();
    for (no, product) in chosen.into_iter().enumerate() {
        let steps: &[(u32, i64)] = match (maker.truth.spec.preset, below(roll, 2)) {
            (Preset::GiftShop, 0) => &[(12, 10), (48, 18)],
            (Preset::GiftShop, _) => &[(24, 12), (96, 22)],
            (Preset::Grocery, 0) => &[(4, 10)],
            (Preset::Grocery, _) => &[(6, 12), (12, 18)],
        };
        let price = maker.price(product);
        let tiers = steps
            .iter()
            .map(|&(min_quantity, off)| Tier { min_quantity, unit_price: money((price * (100 - off) / 100).max(1)) });
        let scope = maker.products(&[product]);
        let terms = Terms::TierPrice { tiers: tiers.collect() };
        maker.add(&format!("TIER-{:04}", no + 1), terms, scope, (0, None), 5);
    }
}

/// Every month something of the flyer is cheaper, and so is a subcategory now and then.
fn monthly(maker: &mut Maker<'_>, roll: &mut Dice) {
    let days = i64::from(maker.truth.spec.days);
    for (month, from) in (0..days).step_by(30).enumerate() {
        let flyer = maker.truth.shelf.flyer(from as f64 + 15.0);
        let featured: Vec<ProductNo> = flyer.iter().copied().take((flyer.len() / 2).max(1)).collect();
        let scope = maker.products(&featured);
        let off = 10 + 5 * below(roll, 4) as i64;
        maker.add(&format!("FLYER-{:02}", month + 1), percent(off), scope, (from, Some(from + 30)), 2);
        if chance(roll, 0.4) {
            let subcategory = below(roll, maker.truth.subcategories.len());
            let scope = Scope {
                categories: maker
                    .truth
                    .subcategories
                    .get(subcategory)
                    .map(|place| place.subcategory_id.clone())
                    .into_iter()
                    .collect(),
                ..Scope::default()
            };
            maker.add(&format!("WEEKEND-{:02}", month + 1), percent(10), scope, (from + 10, Some(from + 14)), 1);
        }
    }
}

fn around_the_end(maker: &mut Maker<'_>, roll: &mut Dice, end: i64) {
    let any = handful(maker.truth, i64::MAX);
    let pick = |roll: &mut Dice| any.get(below(roll, any.len())).copied().unwrap_or(0);
    let subcategory = maker
        .truth
        .subcategories
        .get(below(roll, maker.truth.subcategories.len()))
        .map(|place| place.subcategory_id.clone());
    let in_subcategory = Scope { categories: subcategory.into_iter().collect(), ..Scope::default() };
    maker.add("PCT-SUBCAT", percent(15), in_subcategory, (end - 20, Some(end + 60)), 1);
    let brand = Scope { brands: vec![format!("B{:03}", 1 + below(roll, 10))], ..Scope::default() };
    maker.add("PCT-BRAND", percent(10), brand, (end - 30, None), 1);
    for no in 1..=3 {
        let product = pick(roll);
        let off = (maker.price(product) / 6).max(5);
        let scope = maker.products(&[product]);
        maker.add(
            &format!("OFF-{no}"),
            Terms::AmountOff { amount: money(off), per: AmountPer::Unit },
            scope,
            (end - 30, None),
            3,
        );
    }
    let segment = if maker.truth.spec.preset == Preset::GiftShop { "wholesale" } else { "business" };
    let trade_web = Scope { segments: vec![segment.to_owned()], channels: vec![Channel::Web], ..Scope::default() };
    maker.add(
        "TRADE-WEB",
        Terms::AmountOff { amount: money(500), per: AmountPer::Order },
        trade_web,
        (end - 30, Some(end + 90)),
        0,
    );
    // Bundles are made of things that do go together.
    let mut bundles = 0;
    for _ in 0..400 {
        let a = pick(roll);
        let Some(b) = maker.truth.product(a).and_then(|product| product.complements.first()).map(|link| link.product)
        else {
            continue;
        };
        if bundles == 3 || any.binary_search(&b).is_err() {
            continue;
        }
        bundles += 1;
        let price = (maker.price(a) + maker.price(b)) * 85 / 100;
        let products = [(maker.id(a), 1), (maker.id(b), 1)].into_iter().collect();
        let scope = Scope::default();
        maker.add(
            &format!("BUNDLE-{bundles}"),
            Terms::BundlePrice { products, price: money(price) },
            scope,
            (end - 40, None),
            4,
        );
    }
    let gift = any.iter().copied().min_by_key(|&no| (maker.price(no), no)).unwrap_or(0);
    let min_total = money(if maker.truth.spec.preset == Preset::GiftShop { 5_000 } else { 4_000 });
    let terms = Terms::GiftOverTotal { min_total, gift: maker.id(gift), quantity: 1 };
    maker.add("GIFT", terms, Scope::default(), (end - 45, None), 0);
    // Not in force at the end: one is over, one has not begun.
    let over = maker.products(&[pick(roll)]);
    maker.add("OVER", percent(50), over, (end - 40, Some(end - 10)), 9);
    let coming = maker.products(&[pick(roll)]);
    maker.add("COMING", percent(50), coming, (end + 14, Some(end + 45)), 9);
    let for_one = between(roll, 0.0, maker.truth.spec.customers as f32) as u32;
    let vip = Scope { customers: vec![format!("{}", 10_001 + for_one).into()], ..Scope::default() };
    maker.add("VIP", percent(5), vip, (end - 30, Some(end + 90)), 0);
}
