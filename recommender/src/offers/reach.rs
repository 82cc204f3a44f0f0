//! Offers within reach: how many more of a product make an offer worth more.
//!
//! A step is first guessed from the offer's terms, then confirmed by pricing the cart with it, so that what is promised is what
//! [`price`] gives: an offer that another one displaces is not promised.

use rust_decimal::Decimal;

use super::book::Offers;
use super::money::fits;
use super::price::{Pricing, price};
use super::scope::{PricedLine, Setting, covers, holds_for, in_force};
use super::terms::{AmountPer, Offer, Terms};
use crate::ids::{OfferId, ProductId};
use crate::response::OfferHint;

/// An offer that adding some of a product reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    pub offer_id: OfferId,
    /// Its name on the wire.
    pub offer_type: &'static str,
    /// Units to add to what is in the cart.
    pub add: Decimal,
    /// The line's quantity then.
    pub needed: Decimal,
    /// Units for nothing then, those already earned included.
    pub free: Decimal,
    /// What the offer saves then against the same goods without it, 2 digits: on the line, over all lines for a bundle, on the order for an
    /// offer on the order.
    pub saves: Decimal,
    /// What the line costs then (a bundle: all its lines), 2 digits.
    pub line_total: Decimal,
    /// How much more the order saves then than it does now, all offers counted.
    pub gain: Decimal,
}

impl From<&Reach> for OfferHint {
    fn from(reach: &Reach) -> Self {
        Self {
            offer_id: reach.offer_id.clone(),
            offer_type: reach.offer_type.to_owned(),
            add: reach.add,
            free: reach.free,
            saves: reach.saves,
            line_total: reach.line_total,
        }
    }
}

/// A product that would complete a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub product_id: ProductId,
    /// Units to add.
    pub quantity: Decimal,
    pub reach: Reach,
}

/// What adding up to `max_add` units of `product` would reach, per offer the smallest step; largest gain first, then the smaller step, then by id.
/// What is in the cart already of it is looked up there; `product.quantity` is not used.
pub fn reach<S: Offers + ?Sized>(
    cart: &[PricedLine<'_>],
    product: &PricedLine<'_>,
    offers: &S,
    setting: &Setting<'_>,
    max_add: Decimal,
) -> Vec<Reach> {
    let at = cart.iter().position(|line| line.product_id == product.product_id);
    let in_cart = at.and_then(|at| cart.get(at)).map_or(Decimal::ZERO, |line| line.quantity.max(Decimal::ZERO));
    // What this order pays for what it holds counts, not the shop's price.
    let base = at.and_then(|at| cart.get(at)).unwrap_or(product);
    let mut steps: Vec<(&Offer, Decimal)> = Vec::new();
    offers.about(base, &mut |offer| {
        if in_force(offer, setting.now)
            && holds_for(offer, &setting.buyer)
            && !steps.iter().any(|(seen, _)| seen.offer_id == offer.offer_id)
            && let Some(needed) = next_step(offer, cart, base, in_cart)
            && needed > in_cart
            && needed - in_cart <= max_add
        {
            steps.push((offer, needed));
        }
    });
    if steps.is_empty() {
        return Vec::new();
    }
    let now = price(cart, offers, setting);
    let mut then_cart: Vec<PricedLine<'_>> = cart.to_vec();
    let at = at.unwrap_or_else(|| {
        then_cart.push(*base);
        then_cart.len() - 1
    });
    let mut found = Vec::new();
    for (offer, needed) in steps {
        if let Some(line) = then_cart.get_mut(at) {
            line.quantity = needed;
        }
        let then = price(&then_cart, offers, setting);
        let (before, after) = (given(offer, &now), given(offer, &then));
        let gain = then.saving() - now.saving();
        // More of this offer over the whole order, and not at the price of more of another.
        let more = (after.0 > before.0 && gain > Decimal::ZERO) || (after.1 > before.1 && gain >= Decimal::ZERO);
        let after = effect(offer, &then, &then_cart, at);
        if more && (after.saves > Decimal::ZERO || after.free > Decimal::ZERO) {
            found.push(Reach {
                offer_id: offer.offer_id.clone(),
                offer_type: offer.terms.type_name(),
                add: needed - in_cart,
                needed,
                free: after.free,
                saves: after.saves,
                line_total: after.line_total,
                gain,
            });
        }
    }
    found.sort_by(|a, b| b.gain.cmp(&a.gain).then(a.add.cmp(&b.add)).then(a.offer_id.cmp(&b.offer_id)));
    found
}

/// The smallest quantity of the line above `in_cart` at which the terms say more; nothing where more of it changes nothing.
fn next_step(offer: &Offer, cart: &[PricedLine<'_>], line: &PricedLine<'_>, in_cart: Decimal) -> Option<Decimal> {
    match &offer.terms {
        Terms::BuyXGetY { buy, .. } => {
            Some(Decimal::from(fits(in_cart, *buy).checked_add(1)?).saturating_mul(Decimal::from(*buy)))
        }
        Terms::TierPrice { tiers } => {
            super::breaks::next_break(tiers, in_cart, line.unit_price).map(|step| step.needed)
        }
        Terms::PercentOff { .. } | Terms::AmountOff { per: AmountPer::Unit, .. } => {
            in_cart.is_zero().then_some(Decimal::ONE)
        }
        Terms::AmountOff { per: AmountPer::Order, .. } => {
            let eligible = cart.iter().any(|line| covers(offer, line) && line.quantity > Decimal::ZERO);
            (!eligible).then_some(Decimal::ONE)
        }
        Terms::BundlePrice { products, .. } => {
            let (_, &need) = products.iter().find(|(product, _)| *product == line.product_id)?;
            let next = fits(in_cart, need).checked_add(1)?;
            let others_suffice = products
                .iter()
                .filter(|(product, _)| *product != line.product_id)
                .all(|(product, &need)| fits(held(cart, product), need) >= next);
            others_suffice.then(|| Decimal::from(next).saturating_mul(Decimal::from(need)))
        }
        Terms::GiftOverTotal { min_total, .. } => {
            let worth: Decimal = cart
                .iter()
                .filter(|line| covers(offer, line))
                .map(|line| {
                    super::money::total(super::money::times(
                        line.quantity.max(Decimal::ZERO),
                        line.unit_price.max(Decimal::ZERO),
                    ))
                })
                .sum();
            let short = *min_total - worth;
            (short > Decimal::ZERO && line.unit_price > Decimal::ZERO)
                .then(|| (short / line.unit_price).ceil().saturating_add(in_cart))
        }
    }
}

fn held(cart: &[PricedLine<'_>], product: &ProductId) -> Decimal {
    cart.iter().filter(|line| line.product_id == product).map(|line| line.quantity.max(Decimal::ZERO).floor()).sum()
}

/// What an offer gives over a whole priced cart: money (the worth of gifts included) and free units.
fn given(offer: &Offer, pricing: &Pricing) -> (Decimal, Decimal) {
    let on_lines = pricing.lines.iter().flat_map(|line| &line.offers).filter(|used| used.offer_id == offer.offer_id);
    let gifts = || pricing.gifts.iter().filter(|gift| gift.offer_id == offer.offer_id);
    let on_order = pricing.order_discounts.iter().filter(|discount| discount.offer_id == offer.offer_id);
    let money = on_lines.map(|used| used.saving).sum::<Decimal>()
        + on_order.map(|discount| discount.amount).sum::<Decimal>()
        + gifts().filter(|gift| gift.line.is_none()).map(|gift| gift.value).sum::<Decimal>();
    (money, gifts().map(|gift| gift.quantity).sum())
}

struct Effect {
    saves: Decimal,
    free: Decimal,
    line_total: Decimal,
}

/// What an offer does in a priced cart, as seen from line `at`.
fn effect(offer: &Offer, pricing: &Pricing, cart: &[PricedLine<'_>], at: usize) -> Effect {
    let whole = matches!(offer.terms, Terms::BundlePrice { .. });
    let mine = |l: usize| if whole { cart.get(l).is_some_and(|line| covers(offer, line)) } else { l == at };
    let on_lines: Decimal = pricing
        .lines
        .iter()
        .enumerate()
        .filter(|(l, _)| mine(*l))
        .flat_map(|(_, line)| &line.offers)
        .filter(|used| used.offer_id == offer.offer_id)
        .map(|used| used.saving)
        .sum();
    let order_gifts = pricing.gifts.iter().filter(|gift| gift.offer_id == offer.offer_id && gift.line.is_none());
    let on_order: Decimal = order_gifts.map(|gift| gift.value).sum::<Decimal>()
        + pricing.order_discounts.iter().filter(|x| x.offer_id == offer.offer_id).map(|x| x.amount).sum::<Decimal>();
    let free = pricing
        .gifts
        .iter()
        .filter(|gift| gift.offer_id == offer.offer_id && gift.line.is_none_or(&mine))
        .map(|gift| gift.quantity)
        .sum();
    let line_total = pricing.lines.iter().enumerate().filter(|(l, _)| mine(*l)).map(|(_, line)| line.total).sum();
    Effect { saves: super::money::total(on_lines + on_order), free, line_total }
}

/// The products that complete one more bundle by themselves: of every bundle that the cart has begun, where one product alone is short.
/// Their prices come from `setting.price_of`; a product without one is left out. Offers that ask for a category or brand are not
/// counted on them.
pub fn bundle_missing<S: Offers + ?Sized>(
    cart: &[PricedLine<'_>],
    offers: &S,
    setting: &Setting<'_>,
    max_add: Decimal,
) -> Vec<Missing> {
    let mut bundles: Vec<&Offer> = Vec::new();
    for line in cart.iter().filter(|line| line.quantity > Decimal::ZERO) {
        offers.about(line, &mut |offer| {
            if matches!(offer.terms, Terms::BundlePrice { .. })
                && !bundles.iter().any(|seen| seen.offer_id == offer.offer_id)
            {
                bundles.push(offer);
            }
        });
    }
    let mut found = Vec::new();
    for offer in bundles {
        let Terms::BundlePrice { products, .. } = &offer.terms else { continue };
        let made = products.iter().map(|(product, &need)| fits(held(cart, product), need)).min().unwrap_or(0);
        let mut short = products.iter().filter(|(product, need)| fits(held(cart, product), **need) <= made);
        let (Some((product_id, _)), None) = (short.next(), short.next()) else { continue };
        let Some(unit_price) = (setting.price_of)(product_id) else { continue };
        let line = PricedLine {
            product_id,
            quantity: Decimal::ZERO,
            unit_price,
            category: None,
            subcategory: None,
            brand: None,
        };
        found.extend(
            reach(cart, &line, offers, setting, max_add)
                .into_iter()
                .filter(|reach| reach.offer_id == offer.offer_id)
                .map(|reach| Missing { product_id: product_id.clone(), quantity: reach.add, reach }),
        );
    }
    found.sort_by(|a, b| b.reach.gain.cmp(&a.reach.gain).then(a.reach.offer_id.cmp(&b.reach.offer_id)));
    found
}
