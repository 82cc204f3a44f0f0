//! What must never be recommended. One place decides it, for the predictor, for the router's pack and for tests.

use std::collections::HashSet;

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::{Facts, Situated};
use crate::live::Declines;
use crate::policy::{Backordered, WhenStale};
use crate::response::StockStatus;
use crate::shelf::{Availability, availability};

/// Why a product must not be recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forbidden {
    InCart,
    Inactive,
    NoPrice,
    OutOfStock,
    Backordered,
    Blocked,
    /// Not together with something in the order.
    Pair,
    Declined,
    FrequencyCap,
    /// Its subcategory is in the cart, and the placement wants other ones.
    SameCategory,
}

pub struct Rules<'a> {
    facts: &'a Facts<'a>,
    excluded: HashSet<u32>,
    forbidden_by_pair: HashSet<u32>,
    declined: HashSet<u32>,
    capped: HashSet<u32>,
    /// Subcategories in the cart, when the placement crosses categories.
    subcategories: HashSet<u32>,
    at: Timestamp,
    stale_after_s: i64,
    trust_stale: bool,
}

impl<'a> Rules<'a> {
    pub fn new(facts: &'a Facts<'a>, situated: &Situated<'_>) -> Self {
        let catalogue = &facts.model.catalogue;
        let policy = &facts.policy.policy;
        let now_s = situated.at.as_second();
        let since = now_s - policy.over_promotion.decline_window.as_secs();
        let customer = facts.person.customer;
        let session = facts.person.session;

        let declines = customer.map(|c| &c.declined_products).into_iter().chain(session.map(|s| &s.declined_products));
        let often =
            |times: &Declines, limit: u32| times.at_s.iter().filter(|at| **at > since).count() >= limit.max(1) as usize;
        let declined = declines
            .flatten()
            .filter(|(_, times)| often(times, policy.over_promotion.decline_limit))
            .filter_map(|(id, _)| catalogue.find(id))
            .collect();
        let capped = policy.over_promotion.frequency_cap.map_or_else(HashSet::new, |cap| {
            let shown = customer.map(|c| &c.shown).into_iter().chain(session.map(|s| &s.shown));
            shown.flatten().filter(|(_, times)| often(times, cap)).filter_map(|(id, _)| catalogue.find(id)).collect()
        });
        let anchored = situated.cart.iter().map(|entry| entry.product).chain(situated.question.anchors.iter().copied());
        let crosses =
            facts.policy.placement(situated.request.placement).is_some_and(|placement| placement.cross_category);
        Self {
            facts,
            excluded: situated.excluded.iter().copied().collect(),
            forbidden_by_pair: anchored
                .clone()
                .flat_map(|product| facts.policy.forbidden_with(product))
                .copied()
                .collect(),
            declined,
            capped,
            subcategories: if crosses {
                anchored.map(|product| catalogue.subcategory(product)).collect()
            } else {
                HashSet::new()
            },
            at: situated.at,
            stale_after_s: policy.stock.stale_after.as_secs(),
            trust_stale: policy.stock.when_stale == WhenStale::TrustLast,
        }
    }

    /// Whether a product may be recommended as something new for the order.
    pub fn forbids(&self, product: u32) -> Option<Forbidden> {
        self.forbids_beside_cart(product).or_else(|| self.forbids_more_of(product))
    }

    /// The rules about what the order already holds, which are cheap enough to be asked of every candidate.
    pub fn forbids_beside_cart(&self, product: u32) -> Option<Forbidden> {
        if self.excluded.contains(&product) {
            return Some(Forbidden::InCart);
        }
        let same_category = !self.subcategories.is_empty()
            && self.subcategories.contains(&self.facts.model.catalogue.subcategory(product));
        same_category.then_some(Forbidden::SameCategory)
    }

    /// Whether more of a product may be recommended: all rules but those about what the order already holds.
    pub fn forbids_more_of(&self, product: u32) -> Option<Forbidden> {
        if !self.facts.shelf.is_active(product) {
            return Some(Forbidden::Inactive);
        }
        if self.facts.shelf.price(product).is_none_or(|price| price <= Decimal::ZERO) {
            return Some(Forbidden::NoPrice);
        }
        if self.facts.policy.blocks(self.facts.model, product) {
            return Some(Forbidden::Blocked);
        }
        if self.forbidden_by_pair.contains(&product) {
            return Some(Forbidden::Pair);
        }
        if self.declined.contains(&product) {
            return Some(Forbidden::Declined);
        }
        if self.capped.contains(&product) {
            return Some(Forbidden::FrequencyCap);
        }
        let policy = &self.facts.policy.policy.stock;
        match self.availability(product) {
            Availability::Out => Some(Forbidden::OutOfStock),
            Availability::Backordered if policy.backordered == Backordered::Exclude => Some(Forbidden::Backordered),
            Availability::Unknown
                if policy.when_stale == WhenStale::Exclude && self.facts.shelf.stock(product).is_some() =>
            {
                Some(Forbidden::OutOfStock)
            }
            _ => None,
        }
    }

    pub fn is_pushed_down(&self, product: u32) -> bool {
        self.availability(product) == Availability::Backordered
    }

    fn availability(&self, product: u32) -> Availability {
        availability(self.facts.shelf.stock(product), self.at, self.stale_after_s, self.trust_stale)
    }

    /// What is on hand, where a level is known.
    pub fn on_hand(&self, product: u32) -> Option<Decimal> {
        self.facts.shelf.stock(product).map(|level| level.on_hand)
    }

    pub(crate) fn stock_status(&self, product: u32, wanted: Decimal) -> StockStatus {
        match self.availability(product) {
            Availability::Available if self.on_hand(product).is_some_and(|on_hand| on_hand < wanted + wanted) => {
                StockStatus::LowStock
            }
            Availability::Available => StockStatus::InStock,
            Availability::Backordered => StockStatus::Backordered,
            Availability::Unknown | Availability::Out => StockStatus::Unknown,
        }
    }
}
