//! For which line, buyer and moment an offer holds.

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::terms::{AmountPer, Offer, Terms};
use crate::ids::ProductId;
use crate::request::Channel;

/// A line of a cart with what the rules need to know about its product. One line per product is expected; where a product
/// stands on several lines each counts by itself, except that a bundle counts them together (dearest units first).
#[derive(Clone, Copy, Debug)]
pub struct PricedLine<'a> {
    pub product_id: &'a ProductId,
    /// Sales units. What is not above 0 counts as 0.
    pub quantity: Decimal,
    /// Money per unit before offers. What is below 0 counts as 0.
    pub unit_price: Decimal,
    pub category: Option<&'a str>,
    pub subcategory: Option<&'a str>,
    pub brand: Option<&'a str>,
}

/// Who buys, and where.
#[derive(Clone, Copy, Debug, Default)]
pub struct Buyer<'a> {
    pub customer_id: Option<&'a str>,
    /// `customer_type` and `age_band` values.
    pub segments: &'a [&'a str],
    pub channel: Option<Channel>,
}

/// Everything outside the cart that a price depends on.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    pub buyer: Buyer<'a>,
    pub now: Timestamp,
    /// Unit price of a product that may not be in the cart, for the worth of gifts. A gift without a known price is given all the same and
    /// counts as worth 0.
    pub price_of: &'a dyn Fn(&str) -> Option<Decimal>,
}

/// Whether the offer's window holds `now`: from `valid_from` (inclusive) to `valid_to` (exclusive).
pub fn in_force(offer: &Offer, now: Timestamp) -> bool {
    offer.valid_from.is_none_or(|from| from <= now) && offer.valid_to.is_none_or(|to| now < to)
}

/// Whether the offer holds for this buyer: customers, segments and channels. A list that is not empty is not met by one of whom
/// nothing is known.
pub fn holds_for(offer: &Offer, buyer: &Buyer<'_>) -> bool {
    let scope = &offer.scope;
    (scope.customers.is_empty() || buyer.customer_id.is_some_and(|id| scope.customers.iter().any(|c| c.as_str() == id)))
        && (scope.segments.is_empty() || scope.segments.iter().any(|s| buyer.segments.contains(&s.as_str())))
        && (scope.channels.is_empty() || buyer.channel.is_some_and(|channel| scope.channels.contains(&channel)))
}

/// Whether the offer is about this line's product.
pub fn covers(offer: &Offer, line: &PricedLine<'_>) -> bool {
    if let Terms::BundlePrice { products, .. } = &offer.terms {
        return products.contains_key(line.product_id);
    }
    let scope = &offer.scope;
    let is = |known: Option<&str>, wanted: &str| known == Some(wanted);
    (scope.products.is_empty() || scope.products.contains(line.product_id))
        && (scope.categories.is_empty()
            || scope.categories.iter().any(|c| is(line.category, c) || is(line.subcategory, c)))
        && (scope.brands.is_empty() || scope.brands.iter().any(|b| is(line.brand, b)))
}

/// Whether the offer's scope holds for this line and buyer. Says nothing about time ([`in_force`]) or quantity.
pub fn applies_to(offer: &Offer, line: &PricedLine<'_>, buyer: &Buyer<'_>) -> bool {
    covers(offer, line) && holds_for(offer, buyer)
}

/// Whether the offer works on the whole order rather than on single lines.
pub(super) fn is_on_order(offer: &Offer) -> bool {
    matches!(offer.terms, Terms::GiftOverTotal { .. } | Terms::AmountOff { per: AmountPer::Order, .. })
}
