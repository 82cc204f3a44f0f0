//! What a cart costs with its offers.

use rust_decimal::Decimal;

use super::book::Offers;
use super::case::Case;
use super::choose::choose;
use super::money::{times, total};
use super::scope::{PricedLine, Setting, is_on_order};
use super::terms::{Offer, Terms};
use crate::ids::{OfferId, ProductId};

/// One offer at work on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferUse {
    pub offer_id: OfferId,
    /// Multiples of `buy`, bundles, or 1.
    pub times: u64,
    /// Money taken off the line or worth of what is free, 4 digits.
    pub saving: Decimal,
}

/// A line of the cart after its offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinePricing {
    /// Before offers, 2 digits.
    pub subtotal: Decimal,
    /// `subtotal - total`
    pub discount: Decimal,
    /// To pay for the line, 2 digits, before discounts on the order.
    pub total: Decimal,
    pub offers: Vec<OfferUse>,
}

/// Goods on top for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gift {
    pub product_id: ProductId,
    pub quantity: Decimal,
    pub offer_id: OfferId,
    /// The line that earned it; none: the order.
    pub line: Option<usize>,
    /// At its price, 2 digits; 0 where no price is known.
    pub value: Decimal,
}

/// Money off the whole order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderDiscount {
    pub offer_id: OfferId,
    /// 2 digits
    pub amount: Decimal,
}

/// A cart after its offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pricing {
    /// One per line of the cart, in its order.
    pub lines: Vec<LinePricing>,
    pub gifts: Vec<Gift>,
    pub order_discounts: Vec<OrderDiscount>,
    /// Sum of subtotals.
    pub total_before: Decimal,
    /// To pay.
    pub total: Decimal,
}

impl Pricing {
    /// What the order saves: discounts and the worth of gifts, 2 digits.
    pub fn saving(&self) -> Decimal {
        self.total_before - self.total + self.gifts.iter().map(|gift| gift.value).sum::<Decimal>()
    }
}

/// Prices a cart with the best lawful combination of offers (see [`crate::offers`]). The answer does not depend on the order of `offers`.
/// Never fails: amounts that are negative count as 0.
pub fn price<S: Offers + ?Sized>(cart: &[PricedLine<'_>], offers: &S, setting: &Setting<'_>) -> Pricing {
    let case = Case::new(cart, offers, setting);
    let mut pricing = Pricing::default();
    for (l, (outcome, line)) in choose(&case).into_iter().zip(&case.lines).enumerate() {
        let (subtotal, payable) = (total(line.base), total(outcome.amount));
        let mut used = Vec::with_capacity(outcome.uses.len());
        for one in outcome.uses {
            let Some(offer) = case.pool.get(one.offer) else { continue };
            if let Some((product_id, quantity)) = one.gift {
                let offer_id = offer.offer_id.clone();
                pricing.gifts.push(Gift { product_id, quantity, offer_id, line: Some(l), value: total(one.saving) });
            }
            used.push(OfferUse { offer_id: offer.offer_id.clone(), times: one.times, saving: one.saving });
        }
        used.sort_by(|a, b| a.offer_id.cmp(&b.offer_id));
        pricing.total_before = pricing.total_before.saturating_add(subtotal);
        pricing.total = pricing.total.saturating_add(payable);
        pricing.lines.push(LinePricing { subtotal, discount: subtotal - payable, total: payable, offers: used });
    }
    let (discounts, gifts) = on_order(&case, &pricing.lines);
    pricing.total -= discounts.iter().map(|discount| discount.amount).sum::<Decimal>();
    pricing.order_discounts = discounts;
    pricing.gifts.extend(gifts);
    pricing
}

type OnOrder = (Vec<OrderDiscount>, Vec<Gift>);

/// The offers on the order: one that is not stackable, or all stackable ones.
fn on_order(case: &Case<'_>, lines: &[LinePricing]) -> OnOrder {
    let offers: Vec<(usize, &Offer)> =
        case.pool.iter().copied().enumerate().filter(|(_, offer)| is_on_order(offer)).collect();
    let exclusive = offers.iter().filter(|(_, offer)| !offer.stackable).map(|&entry| vec![entry]);
    let stack: Vec<(usize, &Offer)> = offers.iter().copied().filter(|(_, offer)| offer.stackable).collect();
    let mut best: Option<((i64, Decimal), OnOrder)> = None;
    let mut choices: Vec<Vec<(usize, &Offer)>> = exclusive.chain([stack]).filter(|choice| !choice.is_empty()).collect();
    choices.sort_by_key(|choice| choice.first().map(|entry| entry.0));
    for choice in choices {
        let (effect, priority) = apply(case, lines, &choice);
        let Some(priority) = priority else { continue };
        let saving = effect.0.iter().map(|x| x.amount).chain(effect.1.iter().map(|x| x.value)).sum::<Decimal>();
        if best.as_ref().is_none_or(|(most, _)| (priority, saving) > *most) {
            best = Some(((priority, saving), effect));
        }
    }
    best.map(|(_, effect)| effect).unwrap_or_default()
}

/// Applies offers on the order by id. Also the highest priority among those that had an effect.
fn apply(case: &Case<'_>, lines: &[LinePricing], offers: &[(usize, &Offer)]) -> (OnOrder, Option<i64>) {
    let mut left: Vec<Decimal> = lines.iter().map(|line| line.total).collect();
    let (mut discounts, mut gifts, mut priority) = (Vec::new(), Vec::new(), None);
    for &(o, offer) in offers {
        let Some(about) = case.about.get(o) else { continue };
        let offer_id = offer.offer_id.clone();
        match &offer.terms {
            Terms::AmountOff { amount, .. } => {
                let mut open = total(*amount);
                for &l in about {
                    if let Some(payable) = left.get_mut(l) {
                        let part = open.min(*payable);
                        *payable -= part;
                        open -= part;
                    }
                }
                let amount = total(*amount) - open;
                if amount > Decimal::ZERO {
                    discounts.push(OrderDiscount { offer_id, amount });
                    priority = priority.max(Some(offer.priority));
                }
            }
            Terms::GiftOverTotal { min_total, gift, quantity } => {
                let worth: Decimal = about.iter().filter_map(|&l| lines.get(l)).map(|line| line.subtotal).sum();
                if worth >= *min_total {
                    let quantity = Decimal::from(*quantity);
                    let value = total(times(quantity, case.worth(gift)));
                    gifts.push(Gift { product_id: gift.clone(), quantity, offer_id, line: None, value });
                    priority = priority.max(Some(offer.priority));
                }
            }
            _ => {}
        }
    }
    ((discounts, gifts), priority)
}
