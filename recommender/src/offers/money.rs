//! Rounding: one rule, in one place.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

/// Digits after the point of what a customer sees.
const TOTAL_DIGITS: u32 = 2;
/// Digits after the point while counting.
const WORKING_DIGITS: u32 = 4;

/// Half away from zero (half up for money owed) to 4 digits.
pub(super) fn working(value: Decimal) -> Decimal {
    value.round_dp_with_strategy(WORKING_DIGITS, RoundingStrategy::MidpointAwayFromZero)
}

/// Half away from zero (half up for money owed) to 2 digits.
pub(super) fn total(value: Decimal) -> Decimal {
    value.round_dp_with_strategy(TOTAL_DIGITS, RoundingStrategy::MidpointAwayFromZero)
}

/// Down to 2 digits.
pub(super) fn total_floor(value: Decimal) -> Decimal {
    value.round_dp_with_strategy(TOTAL_DIGITS, RoundingStrategy::ToZero)
}

/// A product of two amounts that are not negative, to 4 digits; the largest decimal where it would not fit.
pub(super) fn times(a: Decimal, b: Decimal) -> Decimal {
    working(a.saturating_mul(b))
}

/// How many whole times `part` (above 0) fits into `whole` (not negative).
pub(super) fn fits(whole: Decimal, part: u32) -> u64 {
    let whole_units = whole.floor().to_u64().unwrap_or(u64::MAX);
    whole_units.checked_div(u64::from(part)).unwrap_or(0)
}
