//! The shelf as one version sees it: price, stock and state of sale by dense index, and the offers. Built from the catalogue and
//! the live state, then kept current by events.

use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::fitted::Catalogue;
use crate::live::{ShelfState, StockLevel};
use crate::offers::{Offer, OfferBook};

/// What is known of one product on the shelf.
#[derive(Clone, Debug, Default)]
struct Slot {
    price: Option<Decimal>,
    stock: Option<StockLevel>,
    active: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Shelf {
    slots: Vec<Slot>,
    offers: OfferBook,
}

impl Shelf {
    /// The catalogue's prices and states of sale, overridden by live state.
    pub fn new(catalogue: &Catalogue, state: &ShelfState) -> Self {
        let slots = (0..catalogue.len() as u32)
            .map(|product| Slot {
                price: catalogue.list_price(product),
                stock: None,
                active: catalogue.is_active(product),
            })
            .collect();
        let mut shelf = Self { slots, offers: OfferBook::default() };
        for (product, level) in &state.stock {
            shelf.set_stock(catalogue, product, level.clone());
        }
        for (product, price) in &state.prices {
            shelf.set_price(catalogue, product, *price);
        }
        for (product, active) in &state.active {
            shelf.set_active(catalogue, product, *active);
        }
        for offer in state.offers.values() {
            shelf.set_offer(offer.clone());
        }
        shelf
    }

    fn slot_mut(&mut self, catalogue: &Catalogue, product: &str) -> Option<&mut Slot> {
        catalogue.find(product).and_then(|at| self.slots.get_mut(at as usize))
    }

    /// A product that the version does not know is ignored: it cannot be recommended anyway.
    pub fn set_stock(&mut self, catalogue: &Catalogue, product: &str, level: StockLevel) {
        if let Some(slot) = self.slot_mut(catalogue, product) {
            slot.stock = Some(level);
        }
    }

    pub fn set_price(&mut self, catalogue: &Catalogue, product: &str, price: Decimal) {
        if let Some(slot) = self.slot_mut(catalogue, product) {
            slot.price = Some(price);
        }
    }

    pub fn set_active(&mut self, catalogue: &Catalogue, product: &str, active: bool) {
        if let Some(slot) = self.slot_mut(catalogue, product) {
            slot.active = active;
        }
    }

    pub fn set_offer(&mut self, offer: Offer) {
        self.offers.insert(offer);
    }

    pub fn withdraw_offer(&mut self, offer: &str) {
        self.offers.remove(offer);
    }

    pub fn price(&self, product: u32) -> Option<Decimal> {
        self.slots.get(product as usize).and_then(|slot| slot.price)
    }

    pub fn stock(&self, product: u32) -> Option<&StockLevel> {
        self.slots.get(product as usize).and_then(|slot| slot.stock.as_ref())
    }

    pub fn is_active(&self, product: u32) -> bool {
        self.slots.get(product as usize).is_some_and(|slot| slot.active)
    }

    pub fn offers(&self) -> &OfferBook {
        &self.offers
    }
}

/// Whether a product can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    Available,
    /// An order would wait.
    Backordered,
    Out,
    /// No level is known, or the last one is too old to be trusted.
    Unknown,
}

/// What a stock level means. With nothing on hand, a product that is already promised beyond that is *backordered*: the shop takes
/// orders that wait. Any other is *out*, whatever is on its way.
pub fn availability(level: Option<&StockLevel>, now: Timestamp, stale_after_s: i64, trust_stale: bool) -> Availability {
    let Some(level) = level else { return Availability::Unknown };
    let is_stale = now.as_second() - level.as_of.as_second() > stale_after_s;
    if is_stale && !trust_stale {
        return Availability::Unknown;
    }
    let positive = |amount: Option<Decimal>| amount.is_some_and(|amount| amount > Decimal::ZERO);
    if level.on_hand > Decimal::ZERO {
        Availability::Available
    } else if positive(level.backordered) {
        Availability::Backordered
    } else {
        Availability::Out
    }
}
