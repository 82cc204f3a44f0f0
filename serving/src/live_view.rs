//! Live state as the request path reads it: readers never wait for a batch of events to be applied.
//!
//! The shelf is held twice. Readers take the front one without a lock; the writer changes the back one, swaps them, and repeats the
//! changes on the other before the next batch (the left-right scheme of Ramalhete and Correia, 2015, with reference counts in place of
//! its read indicators). Customers and sessions are copied out under a short read lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use endcap_eventlog::EventType;
use endcap_eventlog::live::{LiveState, LiveUpdate};
use endcap_recommender::RecommendationRequest;
use endcap_recommender::fitted::Model;
use endcap_recommender::ids::{OfferId, ProductId};
use endcap_recommender::live::{CustomerState, Declines, SessionState, ShelfState, StockLevel};
use endcap_recommender::offers::Offer;
use endcap_recommender::shelf::Shelf;
use rust_decimal::Decimal;

use crate::follow::Sink;

/// Events that are applied under one write lock at most: a reader waits no longer than these take.
const BATCH: usize = 64;
/// A reader holds a shelf for about one answer; one that still does after this makes the writer copy.
const PATIENCE: Duration = Duration::from_millis(20);

#[derive(Clone)]
enum Change {
    Stock(ProductId, StockLevel),
    Price(ProductId, Decimal),
    Active(ProductId, bool),
    Declared(Offer),
    Withdrawn(OfferId),
}

struct Back {
    shelf: Arc<Shelf>,
    /// What the front has and the back has not.
    behind: Vec<Change>,
}

pub struct LiveView {
    model: Arc<Model>,
    state: RwLock<LiveState>,
    front: ArcSwap<Shelf>,
    back: Mutex<Back>,
    next_offset: AtomicU64,
}

impl LiveView {
    pub fn new(model: Arc<Model>, state: LiveState) -> Self {
        let shelf = Shelf::new(&model.catalogue, state.shelf());
        Self {
            next_offset: AtomicU64::new(state.next_offset()),
            front: ArcSwap::from_pointee(shelf.clone()),
            back: Mutex::new(Back { shelf: Arc::new(shelf), behind: Vec::new() }),
            state: RwLock::new(state),
            model,
        }
    }

    fn take(&self, state: LiveState) {
        let shelf = Shelf::new(&self.model.catalogue, state.shelf());
        let mut back = self.back.lock().unwrap_or_else(PoisonError::into_inner);
        *back = Back { shelf: Arc::new(shelf.clone()), behind: Vec::new() };
        self.front.store(Arc::new(shelf));
        self.next_offset.store(state.next_offset(), Ordering::Release);
        let old = std::mem::replace(&mut *self.state.write().unwrap_or_else(PoisonError::into_inner), state);
        // Freed outside the lock: it may be large.
        drop(back);
        drop(old);
    }

    fn fold(&self, updates: &[LiveUpdate]) {
        for batch in updates.chunks(BATCH) {
            let mut changes = Vec::new();
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            for update in batch {
                state.apply(update);
                // The state decides what an event means (such as an old stock level that comes late); the shelf copies it.
                changes_of(&state, update, &mut changes);
            }
            let next = state.next_offset();
            drop(state);
            if !changes.is_empty() {
                self.publish(changes);
            }
            self.next_offset.store(next, Ordering::Release);
        }
    }

    fn publish(&self, changes: Vec<Change>) {
        let mut back = self.back.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waited = Duration::ZERO;
        while Arc::get_mut(&mut back.shelf).is_none() && waited < PATIENCE {
            std::thread::sleep(Duration::from_micros(200));
            waited += Duration::from_micros(200);
        }
        let behind = std::mem::take(&mut back.behind);
        // Copies only where a reader still holds it.
        let shelf = Arc::make_mut(&mut back.shelf);
        for change in behind.iter().chain(&changes) {
            change.make(shelf, &self.model);
        }
        back.shelf = self.front.swap(back.shelf.clone());
        back.behind = changes;
    }

    /// The shelf as it is now. Hold it for one answer only.
    pub fn shelf(&self) -> Arc<Shelf> {
        self.front.load_full()
    }

    /// What is known of who is asking. `with_showings`: also what was shown to them, which only a frequency cap needs.
    pub fn person(
        &self,
        request: &RecommendationRequest,
        with_showings: bool,
    ) -> (Option<CustomerState>, Option<SessionState>) {
        let (customer_id, session_id) = (request.customer_id.as_deref(), request.session_id.as_deref());
        if customer_id.is_none() && session_id.is_none() {
            return (None, None);
        }
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let session = session_id.and_then(|id| state.session(id)).cloned();
        // A visit that named its customer once is theirs.
        let known = customer_id.or_else(|| session.as_ref().and_then(|session| session.customer_id.as_deref()));
        let mut customer = known.and_then(|id| state.customer(id)).cloned();
        if with_showings && let Some(shown) = state.shown(known, session_id) {
            let customer = customer.get_or_insert_default();
            for (product, at_s) in &shown.items {
                let moments: &mut Declines = customer.shown.entry(product.clone()).or_default();
                moments.at_s.push_back(*at_s);
            }
        }
        (customer, session)
    }
}

impl Sink for LiveView {
    fn replace(&self, state: LiveState) {
        // A log that never heard of anything knows less than the artifact's baseline.
        let knows_nothing =
            state.next_offset() == 0 && state.customers_len() == 0 && *state.shelf() == ShelfState::default();
        if knows_nothing && self.next_offset() == 0 {
            return;
        }
        self.take(state);
    }

    fn apply(&self, updates: &[LiveUpdate]) {
        self.fold(updates);
    }

    fn next_offset(&self) -> u64 {
        self.next_offset.load(Ordering::Acquire)
    }
}

fn changes_of(state: &LiveState, update: &LiveUpdate, changes: &mut Vec<Change>) {
    let event = &update.event;
    let shelf = state.shelf();
    match (event.event_type, &event.product_id) {
        (EventType::StockChanged, Some(product)) => {
            changes.extend(shelf.stock.get(product).map(|level| Change::Stock(product.clone(), level.clone())));
        }
        (EventType::PriceChanged, Some(product)) => {
            changes.extend(shelf.prices.get(product).map(|price| Change::Price(product.clone(), *price)));
            changes.extend(shelf.active.get(product).map(|active| Change::Active(product.clone(), *active)));
        }
        (EventType::OfferChanged, _) => {
            use endcap_eventlog::event::OfferChange;
            let id = match &event.offer {
                Some(OfferChange::Declared(offer)) => &offer.offer_id,
                Some(OfferChange::Withdrawn { offer_id, .. }) => offer_id,
                None => return,
            };
            changes.push(match shelf.offers.get(id) {
                Some(offer) => Change::Declared(offer.clone()),
                None => Change::Withdrawn(id.clone()),
            });
        }
        _ => {}
    }
}

impl Change {
    fn make(&self, shelf: &mut Shelf, model: &Model) {
        let catalogue = &model.catalogue;
        match self {
            Self::Stock(product, level) => shelf.set_stock(catalogue, product, level.clone()),
            Self::Price(product, price) => shelf.set_price(catalogue, product, *price),
            Self::Active(product, active) => shelf.set_active(catalogue, product, *active),
            Self::Declared(offer) => shelf.set_offer(offer.clone()),
            Self::Withdrawn(id) => shelf.withdraw_offer(id),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use endcap_eventlog::Event;
    use endcap_eventlog::live::Limits;
    use endcap_recommender::fitted::{Catalogue, CatalogueRow};

    use super::*;

    fn update(offset: u64, json: serde_json::Value) -> LiveUpdate {
        let event: Event = serde_json::from_value(json).unwrap();
        LiveUpdate { offset, accepted_ms: 1_700_000_000_000 + offset as i64, event }
    }

    #[test]
    fn both_shelves_get_every_change_even_while_they_are_read() {
        let row = |id: &str| CatalogueRow { id: id.to_owned(), active: true, ..CatalogueRow::default() };
        let catalogue = Catalogue::build(vec![row("A"), row("B")], |_| None);
        let model = Arc::new(Model { catalogue, ..Model::default() });
        let view = LiveView::new(model, LiveState::new(Limits::default()));
        let held = view.shelf();
        for offset in 0..5_u64 {
            let event = serde_json::json!({"event_id": format!("e{offset}"), "type": "price_changed", "product_id": "A",
                "price": {"unit_price": format!("{offset}.50"), "active": offset % 2 == 0}});
            view.apply(&[update(offset, event)]);
            let shelf = view.shelf();
            assert_eq!(shelf.price(0).unwrap().to_string(), format!("{offset}.50"));
            assert_eq!(shelf.is_active(0), offset % 2 == 0);
            assert_eq!(shelf.price(1), None);
            assert_eq!(view.next_offset(), offset + 1);
        }
        assert_eq!(held.price(0), None);
    }
}
