//! Commercial offers: their terms and their exact arithmetic.

mod terms;

pub use terms::{AmountPer, Offer, Scope, Terms, Tier};
