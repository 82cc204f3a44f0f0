//! Commercial offers: their terms and their exact arithmetic. The same with worked examples: docs/offers.md.
//!
//! # What each type does
//!
//! | type | acts on | effect | a *use* (`max_per_order`) |
//! | --- | --- | --- | --- |
//! | `BuyXGetY` | a line | for every full `buy` paid units, `get` units come on top for nothing; what is paid stays | one multiple of `buy` |
//! | `TierPrice` | a line | all its units cost the best tier reached, if that is below the line's price | one line |
//! | `PercentOff` | a line | it costs `percent` less | one line |
//! | `AmountOff` per unit | a line | every unit costs `amount` less, never below 0 | one line |
//! | `BundlePrice` | the lines of its products | as often as the cart holds all of them, whole units, they cost `price`; never dearer than apart | one bundle |
//! | `AmountOff` per order | the order | `amount` less on what is left to pay for the lines in scope | the order |
//! | `GiftOverTotal` | the order | `quantity` of `gift` on top, once the lines in scope are worth `min_total` *before* discounts | the order |
//!
//! # Which offers combine
//!
//! 1. An offer counts if its window holds the moment (`valid_from` included, `valid_to` not) and its scope the line, customer, segment
//!    and channel. A scope that asks for a customer, segment or channel is not met by an unknown one.
//! 2. **A line** takes either one offer that is not stackable, or all stackable ones together. They act in this order: `TierPrice`,
//!    `PercentOff`, `AmountOff` per unit, `BundlePrice` (what it saves at list prices), `BuyXGetY`; then by id. Two percents
//!    multiply. A line never costs less than 0.
//! 3. Where these exclude each other, the higher priority wins (a stack counts with the highest of its offers that has an effect on
//!    the line), whatever it saves; then what saves most over all lines; then the smaller id. A bundle that is not stackable takes
//!    the lines whose units it could use.
//! 4. Where an offer has fewer uses than lines want, the uses go where the order saves most (at the highest priority first).
//! 5. **The order** after its lines: again one offer that is not stackable, or all stackable ones, chosen the same way. Offers on
//!    the order and offers on lines do not exclude each other.
//!
//! The choice in 3 and 4 is exact (tested against brute force) except where more than about a thousand combinations hang together (a
//! scarce offer on dozens of lines); there it is the best of those tried, never worse than taking the largest saving first.
//!
//! # Rounding
//!
//! Decimals throughout. Each step on a line is rounded to 4 digits, a line's total and subtotal and the worth of a gift to 2, always half away
//! from zero. Totals are sums of rounded lines.
//!
//! # What is monotone
//!
//! A payable total is not: with a tier, 20 units may cost less than 19. What holds when one line's quantity grows and all else stays
//! (one line per product, whole-cent prices): for each offer alone, and for the best choice among offers of one priority, the
//! *saving* (discounts and the worth of what is free) never falls; free units of a `BuyXGetY` never fall; the unit price that a
//! tier gives never rises. Across priorities it is the savings by priority, compared from the highest down, that never fall: a
//! merchant who ranks a small offer above a large one means the small one.

mod book;
mod breaks;
mod case;
mod choose;
mod combine;
mod money;
mod parts;
mod price;
mod reach;
mod scope;
mod terms;
mod validate;

pub use book::{OfferBook, Offers};
pub use breaks::{PriceBreak, next_break};
pub use parts::Parts;
pub use price::{Gift, LinePricing, OfferUse, OrderDiscount, Pricing, price};
pub use reach::{Missing, Reach, bundle_missing, reach};
pub use scope::{Buyer, PricedLine, Setting, applies_to, covers, holds_for, in_force};
pub use terms::{AmountPer, Offer, Scope, Terms, Tier};
pub use validate::{MAX_MONEY, MAX_QUANTITY, validate};
