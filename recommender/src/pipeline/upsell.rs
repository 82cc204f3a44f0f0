//! Upsell: more of what is in the cart (offer, real price break, full pack, habit), or a better product for the same need.

use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use serde_json::json;

use super::hints::{Counter, offer_reason};
use super::mix::Mix;
use super::reason::{number, reason, share};
use super::{CartEntry, Facts, Pick, Rules, Situated};
use crate::fitted::{NONE, money_from_i64};
use crate::offers::{Tier, next_break};
use crate::policy::UpsellMode;
use crate::reach::NearBreak;
use crate::response::{Kind, Reason};

/// What there is to gain, most convincing first. At most one item a product.
pub(crate) fn picks(facts: &Facts<'_>, situated: &Situated<'_>, rules: &Rules<'_>, mix: &Mix) -> Vec<Pick> {
    let counter = Counter::new(facts, situated);
    let mut picks = Vec::new();
    if mix.wants(Kind::UpsellQuantity) {
        let more = situated.cart.iter().filter_map(|entry| more_of(facts, situated, rules, &counter, entry));
        picks.extend(more);
    }
    if mix.wants(Kind::CrossSell) && facts.policy.policy.upsell_mode != UpsellMode::Behaviour {
        picks.extend(complete_bundle(facts, rules, &counter));
    }
    if mix.wants(Kind::UpsellProduct) {
        picks.extend(better(facts, situated, rules, &counter));
    }
    picks.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.product.cmp(&b.product)));
    let mut seen = Vec::new();
    picks.retain(|pick| {
        let is_new = !seen.contains(&pick.product);
        seen.push(pick.product);
        is_new
    });
    picks
}

/// Nobody doubles an order because of a hint, unless they usually order that much.
fn most(facts: &Facts<'_>, situated: &Situated<'_>, entry: &CartEntry) -> Decimal {
    let usual = facts.model.habits.quantity_p90.get(entry.product as usize).copied().unwrap_or(0.0);
    let own = situated.own_quantity(entry.product).map_or(0.0, |(median, _)| median);
    let usual = Decimal::from_f32(usual.min(own.max(1.0) * 4.0).max(own)).unwrap_or(Decimal::ZERO);
    (entry.quantity * Decimal::TWO).max(usual)
}

fn more_of(
    facts: &Facts<'_>,
    situated: &Situated<'_>,
    rules: &Rules<'_>,
    counter: &Counter<'_>,
    entry: &CartEntry,
) -> Option<Pick> {
    if rules.forbids_more_of(entry.product).is_some() {
        return None;
    }
    let most = most(facts, situated, entry);
    let mode = facts.policy.policy.upsell_mode;
    let by_offer =
        || (mode != UpsellMode::Behaviour).then(|| by_offer(facts, situated, counter, entry, most)).flatten();
    let by_habit = || {
        (mode != UpsellMode::OfferGrid)
            .then(|| {
                by_break(facts, situated, counter, entry, most)
                    .or_else(|| by_pack(facts, entry))
                    .or_else(|| by_habit(facts, situated, entry))
            })
            .flatten()
    };
    let pick = by_offer().or_else(by_habit)?;
    // More than there is cannot be sold.
    let enough = rules.on_hand(entry.product).is_none_or(|on_hand| on_hand >= pick.suggested);
    enough.then_some(pick)
}

fn pick(entry: &CartEntry, score: f32, suggested: Decimal, reason: Reason) -> Pick {
    Pick {
        product: entry.product,
        kind: Kind::UpsellQuantity,
        score: score.clamp(0.0, 1.0),
        suggested: suggested.normalize(),
        in_cart: entry.quantity.normalize(),
        offer: None,
        instead_of: None,
        reason,
    }
}

/// The nearer the step, the likelier it is taken.
fn nearness(from: Decimal, to: Decimal) -> f32 {
    from.checked_div(to).and_then(|ratio| ratio.to_f32()).unwrap_or(0.0)
}

fn by_offer(
    facts: &Facts<'_>,
    situated: &Situated<'_>,
    counter: &Counter<'_>,
    entry: &CartEntry,
    most: Decimal,
) -> Option<Pick> {
    let reached = counter.reach(entry.product, most - entry.quantity);
    let reach = reached.first()?;
    let mut reason = offer_reason(reach, entry.quantity);
    let reached_by = customers_who_reached(facts, entry.product, reach.needed);
    if let Some((similar, orders)) = reached_by {
        reason.evidence.insert("similar_customers_reached".to_owned(), share(similar));
        reason.evidence.insert("orders".to_owned(), orders.into());
    }
    let habit =
        situated.own_quantity(entry.product).is_some_and(|(own, _)| Decimal::from_f32(own) >= Some(reach.needed));
    let score = 0.3 + 0.5 * nearness(entry.quantity, reach.needed) + if habit { 0.2 } else { 0.0 };
    Some(Pick { offer: Some(reach.into()), ..pick(entry, score, reach.needed, reason) })
}

/// Share of the customers just below a quantity that later reached it, where the data has shown it.
fn customers_who_reached(facts: &Facts<'_>, product: u32, needed: Decimal) -> Option<(f32, u32)> {
    let breaks = facts.model.habits.breaks.row(product);
    let found = breaks.iter().find(|entry| Decimal::from(entry.min_quantity) == needed)?;
    Some((found.reached, found.orders))
}

fn by_break(
    facts: &Facts<'_>,
    situated: &Situated<'_>,
    counter: &Counter<'_>,
    entry: &CartEntry,
    most: Decimal,
) -> Option<Pick> {
    let breaks = facts.model.habits.breaks.row(entry.product);
    if breaks.is_empty() {
        return None;
    }
    // A sale may be cheaper than the break: nothing would be saved.
    let unit_price = counter.unit_price_now(entry.product)?;
    let tiers: Vec<Tier> = breaks
        .iter()
        .filter_map(|entry| {
            Some(Tier { min_quantity: entry.min_quantity, unit_price: money_from_i64(entry.unit_price)? })
        })
        .collect();
    let next = next_break(&tiers, entry.quantity, unit_price).filter(|next| next.needed <= most)?;
    let (reached, orders) = customers_who_reached(facts, entry.product, next.needed).unwrap_or((0.0, 0));
    let score = score_of_break(facts, situated, entry, next.needed, unit_price);
    let price = crate::amount::money_text(next.unit_price);
    let saves = crate::amount::money_text(next.saves);
    let text =
        format!("Add {} to reach {} at {price} each and save {saves}", next.add.normalize(), next.needed.normalize());
    let reason = reason(
        "price_break",
        text,
        [
            ("in_cart", number(entry.quantity)),
            ("needed", number(next.needed)),
            ("unit_price", price.into()),
            ("saves", saves.into()),
            ("similar_customers_reached", share(reached)),
            ("orders", orders.into()),
        ],
    );
    Some(pick(entry, score, next.needed, reason))
}

/// How sure it is that the break is wanted, on the scale of the other hints. How near the quantity is says nothing of it
/// (docs/quality.md), who buys does.
fn score_of_break(
    facts: &Facts<'_>,
    situated: &Situated<'_>,
    entry: &CartEntry,
    needed: Decimal,
    unit_price: Decimal,
) -> f32 {
    let habits = &facts.model.habits;
    let mut steps = habits.breaks.row(entry.product).iter();
    let Some(step) = steps.find(|step| Decimal::from(step.min_quantity) == needed) else { return 0.0 };
    let Some(weights) = &habits.reach else {
        let own = situated.own_quantity(entry.product);
        let habit = own.is_some_and(|(own, _)| Decimal::from_f32(own) >= Some(needed));
        return 0.25 + 0.6 * step.reached + if habit { 0.1 } else { 0.0 };
    };
    let (lines, lines_at_break) = situated.lines_at_breaks(facts.model);
    let near = NearBreak {
        quantity: entry.quantity.to_f32().unwrap_or(0.0),
        unit_price: crate::fitted::money_to_i64(Some(unit_price)),
        step: *step,
        own: situated.own_quantities(entry.product),
        lines,
        lines_at_break,
    };
    0.25 + 0.6 * near.chance(weights) as f32
}

fn by_pack(facts: &Facts<'_>, entry: &CartEntry) -> Option<Pick> {
    let pack = Decimal::from(facts.model.catalogue.pack_size(entry.product)?);
    let full = (entry.quantity / pack).ceil() * pack;
    // A pack that is less than half full is a choice, not an oversight.
    if full == entry.quantity || entry.quantity < full - pack / Decimal::TWO {
        return None;
    }
    let packs = (full / pack).normalize();
    let text = format!("Add {} to fill {packs} pack(s) of {}", (full - entry.quantity).normalize(), pack.normalize());
    let reason = reason(
        "pack_size",
        text,
        [("in_cart", number(entry.quantity)), ("pack_size", number(pack)), ("packs", number(packs))],
    );
    Some(pick(entry, 0.2 + 0.3 * nearness(entry.quantity, full), full, reason))
}

fn by_habit(facts: &Facts<'_>, situated: &Situated<'_>, entry: &CartEntry) -> Option<Pick> {
    let whole = |quantity: f32| {
        Decimal::from_f32(quantity)
            .map(|q| super::situate::whole_unless_splittable(facts.model, entry.product, q.round_dp(3)))
    };
    if let Some((own, times)) = situated.own_quantity(entry.product).filter(|(_, times)| *times >= 2) {
        let usual = whole(own).filter(|usual| *usual > entry.quantity)?;
        let text = format!("This customer usually orders {}", usual.normalize());
        let reason = reason(
            "usual_quantity",
            text,
            [("in_cart", number(entry.quantity)), ("usual", number(usual)), ("orders", times.into())],
        );
        return Some(pick(entry, 0.3 + 0.3 * nearness(entry.quantity, usual), usual, reason));
    }
    let orders = facts.model.associations.item_orders(entry.product);
    let usual = facts.model.habits.usual_quantity(entry.product).and_then(whole)?;
    if usual <= entry.quantity || usual > entry.quantity * Decimal::TWO || orders < 20 {
        return None;
    }
    let text = format!("Half of {orders} orders take {} or more", usual.normalize());
    let reason = reason(
        "usual_quantity",
        text,
        [("in_cart", number(entry.quantity)), ("usual", number(usual)), ("orders", orders.into())],
    );
    Some(pick(entry, 0.1 + 0.2 * nearness(entry.quantity, usual), usual, reason))
}

fn complete_bundle(facts: &Facts<'_>, rules: &Rules<'_>, counter: &Counter<'_>) -> Vec<Pick> {
    let missing = counter.bundle_missing(Decimal::from(24)).into_iter();
    missing
        .filter_map(|missing| {
            let product = facts.model.catalogue.find(&missing.product_id)?;
            let lawful = rules.forbids(product).is_none()
                && rules.on_hand(product).is_none_or(|on_hand| on_hand >= missing.quantity);
            lawful.then(|| Pick {
                product,
                kind: Kind::CrossSell,
                score: 0.7,
                suggested: missing.reach.needed,
                in_cart: Decimal::ZERO,
                offer: Some((&missing.reach).into()),
                instead_of: None,
                reason: offer_reason(&missing.reach, Decimal::ZERO),
            })
        })
        .collect()
}

/// A better product for the same need as something in the order: dearer, and taken by buyers of that one.
fn better(facts: &Facts<'_>, situated: &Situated<'_>, rules: &Rules<'_>, counter: &Counter<'_>) -> Vec<Pick> {
    let grid_only = facts.policy.policy.upsell_mode == UpsellMode::OfferGrid;
    let catalogue = &facts.model.catalogue;
    let mut picks = Vec::new();
    for anchor in situated.question.anchors.iter().take(20) {
        let Some(price) = situated.price_in_cart(*anchor).or_else(|| facts.shelf.price(*anchor)) else { continue };
        let lawful = facts.model.habits.better.row(*anchor).iter().find(|entry| {
            facts.shelf.price(entry.product).is_some_and(|better| better > price)
                && rules.forbids(entry.product).is_none()
                && !rules.is_pushed_down(entry.product)
                && (!grid_only || !counter.reach(entry.product, Decimal::ONE).is_empty())
        });
        let Some(entry) = lawful else { continue };
        let better_price = facts.shelf.price(entry.product).unwrap_or(price);
        let is_variant = catalogue.variant_group(*anchor) != NONE
            && catalogue.variant_group(*anchor) == catalogue.variant_group(entry.product);
        let quantity = situated.in_cart(*anchor).map_or(Decimal::ONE, |line| line.quantity);
        let quantity = rules.on_hand(entry.product).map_or(quantity, |on_hand| quantity.min(on_hand));
        let text = format!(
            "{:.0}% of the buyers of {} took this one; {} customers",
            entry.accepted * 100.0,
            catalogue.name(*anchor),
            entry.customers
        );
        picks.push(Pick {
            product: entry.product,
            kind: Kind::UpsellProduct,
            score: (0.1 + entry.accepted).clamp(0.0, 1.0),
            suggested: super::situate::whole_unless_splittable(facts.model, entry.product, quantity),
            in_cart: Decimal::ZERO,
            offer: None,
            instead_of: Some(*anchor),
            reason: reason(
                "better_variant",
                text,
                [
                    ("instead_of", catalogue.id(*anchor).into()),
                    ("accepted", share(entry.accepted)),
                    ("customers", entry.customers.into()),
                    ("price_difference", crate::amount::money_text(better_price - price).into()),
                    ("same_product_family", json!(is_variant)),
                ],
            ),
        });
    }
    picks
}
