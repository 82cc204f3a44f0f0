//! Offers and prices as the pipeline asks them: the cart as priced lines, and what is within reach.

use rust_decimal::Decimal;

use super::{Facts, Pick, Situated};
use crate::fitted::NONE;
use crate::ids::{OfferId, ProductId};
use crate::offers::{self, Missing, PricedLine, Reach, Setting};
use crate::response::{Kind, Reason};

/// The cart as the offers' arithmetic wants it.
pub(crate) struct Counter<'a> {
    facts: &'a Facts<'a>,
    situated: &'a Situated<'a>,
    ids: Vec<ProductId>,
}

impl<'a> Counter<'a> {
    pub fn new(facts: &'a Facts<'a>, situated: &'a Situated<'a>) -> Self {
        let catalogue = &facts.model.catalogue;
        let ids = situated.cart.iter().map(|entry| ProductId::from(catalogue.id(entry.product))).collect();
        Self { facts, situated, ids }
    }

    fn line<'b>(&'b self, id: &'b ProductId, product: u32, quantity: Decimal) -> Option<PricedLine<'b>> {
        let catalogue = &self.facts.model.catalogue;
        let unit_price = self.situated.price_in_cart(product).or_else(|| self.facts.shelf.price(product))?;
        let category = |at: u32| (at != NONE).then(|| catalogue.category_ids.get(at as usize));
        Some(PricedLine {
            product_id: id,
            quantity,
            unit_price,
            category: category(catalogue.category(product)),
            subcategory: category(catalogue.subcategory(product)),
            brand: Some(catalogue.brand(product))
                .filter(|at| *at != NONE)
                .map(|at| catalogue.brand_ids.get(at as usize)),
        })
    }

    fn cart(&self) -> Vec<PricedLine<'_>> {
        let entries = self.ids.iter().zip(&self.situated.cart);
        entries.filter_map(|(id, entry)| self.line(id, entry.product, entry.quantity)).collect()
    }

    fn with_setting<T>(&self, ask: impl FnOnce(&[PricedLine<'_>], &Setting<'_>) -> T) -> T {
        let facts = self.facts;
        let price_of = |id: &str| facts.model.catalogue.find(id).and_then(|product| facts.shelf.price(product));
        let setting = Setting { buyer: self.situated.buyer(), now: self.situated.at, price_of: &price_of };
        ask(&self.cart(), &setting)
    }

    /// What a unit of a cart's line costs after the offers that hold for it already.
    pub fn unit_price_now(&self, product: u32) -> Option<Decimal> {
        let id = self.facts.model.catalogue.id(product);
        self.with_setting(|cart, setting| {
            let at = cart.iter().position(|line| line.product_id.as_str() == id)?;
            let line = cart.get(at)?;
            let pricing = offers::price(cart, self.facts.shelf.offers(), setting);
            let priced = pricing.lines.get(at).filter(|priced| priced.discount > Decimal::ZERO);
            // Without a discount the price itself: a line's total is rounded.
            priced.map_or(Some(line.unit_price), |priced| priced.total.checked_div(line.quantity))
        })
    }

    /// Offers that adding at most `max_add` of a product reaches, without those this customer keeps declining.
    pub fn reach(&self, product: u32, max_add: Decimal) -> Vec<Reach> {
        if self.facts.shelf.offers().is_empty() {
            return Vec::new();
        }
        let id = ProductId::from(self.facts.model.catalogue.id(product));
        let Some(line) = self.line(&id, product, Decimal::ZERO) else { return Vec::new() };
        let mut reached =
            self.with_setting(|cart, setting| offers::reach(cart, &line, self.facts.shelf.offers(), setting, max_add));
        reached.retain(|reach| !self.is_declined(&reach.offer_id));
        reached
    }

    /// Products that complete a bundle which the cart has begun.
    pub fn bundle_missing(&self, max_add: Decimal) -> Vec<Missing> {
        if self.facts.shelf.offers().is_empty() || self.situated.cart.is_empty() {
            return Vec::new();
        }
        let mut missing = self
            .with_setting(|cart, setting| offers::bundle_missing(cart, self.facts.shelf.offers(), setting, max_add));
        missing.retain(|missing| !self.is_declined(&missing.reach.offer_id));
        missing
    }

    fn is_declined(&self, offer: &OfferId) -> bool {
        let rules = &self.facts.policy.policy.over_promotion;
        let since = self.situated.at.as_second() - rules.decline_window.as_secs();
        let person = self.facts.person;
        let declines = [person.customer.map(|c| &c.declined_offers), person.session.map(|s| &s.declined_offers)];
        declines
            .into_iter()
            .flatten()
            .filter_map(|declined| declined.get(offer))
            .any(|times| times.at_s.iter().filter(|at| **at > since).count() >= rules.decline_limit.max(1) as usize)
    }
}

/// Names the offer that an item would serve in the quantity that is suggested anyway.
pub(crate) fn attach(facts: &Facts<'_>, situated: &Situated<'_>, picks: &mut [Pick]) {
    if facts.shelf.offers().is_empty() {
        return;
    }
    let counter = Counter::new(facts, situated);
    let max = facts.policy.policy.over_promotion.max_offer_items as usize;
    let mut left = max.saturating_sub(picks.iter().filter(|pick| pick.offer.is_some()).count());
    for pick in picks.iter_mut().filter(|pick| pick.kind != Kind::UpsellQuantity) {
        if left == 0 {
            break;
        }
        if pick.offer.is_none() {
            let reached = counter.reach(pick.product, pick.suggested);
            pick.offer = reached.first().map(Into::into);
            left -= usize::from(pick.offer.is_some());
        }
    }
}

/// Why an offer's step is worth taking, in words that its arithmetic backs.
pub(crate) fn offer_reason(reach: &Reach, in_cart: Decimal) -> Reason {
    let (add, needed, free) = (reach.add.normalize(), reach.needed.normalize(), reach.free.normalize());
    let saves = crate::amount::money_text(reach.saves);
    let text = match reach.offer_type {
        "BuyXGetY" => format!("Add {add} to reach {needed} and get {free} free"),
        "TierPrice" => format!("Add {add} to reach {needed} at the lower price and save {saves}"),
        "BundlePrice" => format!("Add {add} to complete the set and save {saves}"),
        "GiftOverTotal" => format!("Add {add} to reach the order total for a free gift"),
        _ => format!("Add {add} and save {saves}"),
    };
    super::reason::reason(
        "offer_within_reach",
        text,
        [
            ("in_cart", super::reason::number(in_cart)),
            ("needed", super::reason::number(reach.needed)),
            ("offer_id", reach.offer_id.as_str().into()),
            ("saves", saves.into()),
        ],
    )
}
