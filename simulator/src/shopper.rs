//! How a shopper reacts to a list of recommendations: the pure judge behind live shopping.

use endcap_recommender::request::Placement;
use endcap_recommender::response::{Item, Kind};
use rust_decimal::prelude::ToPrimitive;

use crate::dice::unit;
use crate::truth::{CustomerTruth, ProductNo, Situation, Tastes, Truth};

/// One suggestion, as far as a shopper cares.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    pub product: ProductNo,
    /// From 1.
    pub rank: u32,
    pub kind: Kind,
    /// The line's whole quantity.
    pub suggested_quantity: f32,
    pub in_cart: f32,
    pub has_offer: bool,
    /// The shown price as a multiple of the shop's own; 1 where none is shown.
    pub price_ratio: f32,
    pub instead_of: Option<ProductNo>,
}

impl Suggestion {
    /// `None` when the world does not know the product.
    pub fn of(truth: &Truth, item: &Item) -> Option<Self> {
        let product = truth.product_no(&item.product_id)?;
        let own_price =
            truth.product(product).map(|known| known.price_cents as f32 / 100.0).filter(|price| *price > 0.0);
        let shown = item.unit_price.and_then(|price| price.to_f32());
        Some(Self {
            product,
            rank: item.rank,
            kind: item.kind,
            suggested_quantity: item.suggested_quantity.to_f32().unwrap_or(1.0),
            in_cart: item.in_cart.to_f32().unwrap_or(0.0),
            has_offer: item.offer.is_some(),
            price_ratio: shown.zip(own_price).map_or(1.0, |(shown, own)| shown / own),
            instead_of: item.instead_of.as_ref().and_then(|id| truth.product_no(id)),
        })
    }
}

/// What a shopper does about one suggestion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reaction {
    /// Did not get that far down the list.
    Unseen,
    /// Looked at it and went on.
    Passed,
    /// Clicked to see more, without taking it: the likelier, the nearer it was to being taken.
    Clicked,
    /// Said no: a wish not to see it again.
    Declined,
    /// Takes it; the line then has this quantity.
    Accepted { quantity: f32 },
}

/// A customer (or a stranger) as the judge sees them now.
#[derive(Clone, Copy, Debug)]
pub struct Shopper<'a> {
    pub truth: &'a Truth,
    pub customer: Option<&'a CustomerTruth<ProductNo>>,
    /// The customer's own, or those after a change.
    pub tastes: Option<&'a Tastes<ProductNo>>,
}

/// Of what is looked at and not taken, the share that is clicked: so many times what the interest in it is, and so much at most.
const CLICKS_BY_INTEREST: f64 = 1.5;
const CLICK_SHARE: f64 = 0.3;
/// Of what is looked at and not taken, the share that is declined outright.
const DECLINE_SHARE: f64 = 0.06;
/// A price may be so much above the shop's own before anybody minds.
const PRICE_SLACK: f32 = 1.05;
/// How fast interest falls with a price above that.
const PRICE_AVERSION: f32 = 1.5;

impl<'a> Shopper<'a> {
    /// A customer by id, with the tastes they began with; a stranger when the world does not know them.
    pub fn new(truth: &'a Truth, customer: &str) -> Self {
        let customer = truth.customer_no(customer).and_then(|no| truth.customer(no));
        Self { truth, customer, tastes: customer.map(|customer| &customer.tastes) }
    }

    /// Probability that a suggestion is taken once it is looked at.
    pub fn acceptance(&self, suggestion: &Suggestion, situation: &Situation<'_>) -> f64 {
        let interest = match (suggestion.kind, self.customer, suggestion.instead_of) {
            (Kind::UpsellQuantity, Some(customer), _) if suggestion.in_cart > 0.0 => Truth::upsell_acceptance(
                customer,
                suggestion.in_cart,
                suggestion.suggested_quantity,
                suggestion.has_offer,
            ),
            (Kind::UpsellQuantity, None, _) if suggestion.in_cart > 0.0 => 0.1,
            (Kind::UpsellProduct, _, Some(instead_of)) => {
                self.truth.upgrade_acceptance(self.customer, self.tastes, suggestion.product, instead_of)
            }
            _ => self.truth.acceptance_in(self.customer, self.tastes, suggestion.product, situation),
        };
        let dear = (suggestion.price_ratio / PRICE_SLACK).max(1.0);
        interest * f64::from(dear.powf(-PRICE_AVERSION))
    }

    /// Draws the reactions to a list, one for each suggestion in its order. Placement and cart are the situation's;
    /// `days_since_bought` there is replaced, per product, by what `last_bought` says.
    pub fn reacts(
        &self,
        dice: &mut impl rand::Rng,
        situation: &Situation<'_>,
        suggestions: &[Suggestion],
        last_bought: impl Fn(ProductNo) -> Option<f64>,
    ) -> Vec<Reaction> {
        suggestions
            .iter()
            .map(|suggestion| {
                let days_since_bought = last_bought(suggestion.product).map(|day| situation.day - day);
                let situation = Situation { days_since_bought, ..*situation };
                // Three draws each, whatever comes of them, so that one answer does not shift the next.
                let [sees, takes, else_does] = [unit(dice), unit(dice), unit(dice)].map(f64::from);
                let interest = self.acceptance(suggestion, &situation);
                if sees >= Truth::attention(suggestion.rank) {
                    Reaction::Unseen
                } else if takes < interest {
                    Reaction::Accepted { quantity: suggestion.suggested_quantity.max(1.0) }
                } else if else_does < DECLINE_SHARE * annoyance(situation.placement) {
                    Reaction::Declined
                } else if else_does > 1.0 - (CLICKS_BY_INTEREST * interest).min(CLICK_SHARE) {
                    Reaction::Clicked
                } else {
                    Reaction::Passed
                }
            })
            .collect()
    }
}

/// A clerk who types an order says no more readily than a visitor who scrolls on.
fn annoyance(placement: Placement) -> f64 {
    match placement {
        Placement::OrderEntry => 2.0,
        Placement::Checkout => 1.5,
        _ => 1.0,
    }
}
