//! Real price breaks: a price list by quantity as sales data shows it, without any offer.

use rust_decimal::Decimal;

use super::money::{times, total};
use super::terms::Tier;

/// The next quantity at which a unit costs less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceBreak {
    /// Quantity at which it starts.
    pub needed: Decimal,
    /// `needed` less what is there.
    pub add: Decimal,
    pub unit_price: Decimal,
    /// Against `needed` units at today's unit price, 2 digits.
    pub saves: Decimal,
    /// `needed` units at the new price, 2 digits.
    pub line_total: Decimal,
    /// `needed` units cost no more than what is in the cart costs now.
    pub pays_for_itself: bool,
}

/// The next break above `quantity` (0 when the product is not in the cart) of a price list in any order. `unit_price` is what one costs below the
/// first break; today's price is the lower of it and the breaks already reached. Breaks that are not cheaper are no breaks.
pub fn next_break(tiers: &[Tier], quantity: Decimal, unit_price: Decimal) -> Option<PriceBreak> {
    let quantity = quantity.max(Decimal::ZERO);
    let reached = tiers.iter().filter(|tier| Decimal::from(tier.min_quantity) <= quantity).map(|tier| tier.unit_price);
    let today = reached.fold(unit_price, Decimal::min);
    let next = tiers
        .iter()
        .filter(|tier| {
            Decimal::from(tier.min_quantity) > quantity && tier.unit_price < today && tier.unit_price >= Decimal::ZERO
        })
        .min_by_key(|tier| (tier.min_quantity, tier.unit_price))?;
    let needed = Decimal::from(next.min_quantity);
    let line_total = total(times(needed, next.unit_price));
    Some(PriceBreak {
        needed,
        add: needed - quantity,
        unit_price: next.unit_price,
        saves: total(times(needed, today - next.unit_price)),
        line_total,
        pays_for_itself: line_total <= total(times(quantity, today)),
    })
}
