//! What each event changes. Total: an event that makes no sense here changes nothing.

use endcap_recommender::ids::{CustomerId, ProductId, SessionId};
use endcap_recommender::live::{CustomerState, PastOrder, StockLevel};
use jiff::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value;

use super::bounds::note_decline;
use super::{ERASE_KEY, LiveState, PROFILE_KEYS, Shown, Visit};
use crate::event::{Event, EventType, OfferChange};

impl LiveState {
    pub(super) fn fold(&mut self, event: &Event, at_s: i64) {
        use EventType as T;
        self.touch(event, at_s);
        match event.event_type {
            T::ViewItem | T::SelectItem => self.viewed(event, at_s),
            T::AddToCart => self.cart(event, true),
            T::RemoveFromCart => self.cart(event, false),
            T::Purchase => self.purchase(event, at_s),
            T::Refund => self.refund(event, at_s),
            T::Rate => self.rate(event),
            T::RecommendationShown => self.showing(event, at_s),
            T::RecommendationDeclined => self.declined(event, at_s),
            T::StockChanged => self.stock(event, at_s),
            T::PriceChanged => self.price(event),
            T::OfferChanged => self.offer(event),
            T::CustomerChanged => self.profile(event),
            // They tell of interest that other events already carried; insights counts them.
            T::Search | T::BeginCheckout | T::RecommendationAccepted => {}
        }
    }

    /// The session lives, and is its customer's once it says so.
    fn touch(&mut self, event: &Event, at_s: i64) {
        let Some(id) = &event.session_id else { return };
        let stale = self
            .sessions
            .get(id)
            .is_some_and(|visit| self.clock_s.saturating_sub(visit.touched_s) > self.limits.session_idle_s);
        if stale {
            // A name that comes back after its session ended is a new session.
            self.sessions.remove(id);
        }
        let visit = self.sessions.entry(id.clone()).or_default();
        visit.touched_s = self.clock_s;
        visit.state.last_seen_s = visit.state.last_seen_s.max(at_s);
        if let Some(customer) = &event.customer_id {
            visit.state.customer_id = Some(customer.clone());
        }
    }

    fn visit(&mut self, id: Option<&SessionId>) -> Option<&mut Visit> {
        self.sessions.get_mut(id?)
    }

    /// The event's customer, or the one its session is known to belong to.
    fn whose(&self, event: &Event) -> Option<CustomerId> {
        event.customer_id.clone().or_else(|| {
            let session = self.sessions.get(event.session_id.as_ref()?)?;
            session.state.customer_id.clone()
        })
    }

    fn customer_mut(&mut self, id: CustomerId) -> &mut CustomerState {
        self.customers.entry(id).or_default()
    }

    fn viewed(&mut self, event: &Event, at_s: i64) {
        let limit = self.limits.views;
        let products: Vec<ProductId> =
            lines(event).into_iter().map(|(product, _)| self.names.shared(&product)).collect();
        let Some(visit) = self.visit(event.session_id.as_ref()) else { return };
        let viewed = &mut visit.state.viewed;
        for product in products {
            let place = viewed.partition_point(|(_, at)| *at <= at_s);
            viewed.insert(place, (product, at_s));
            if viewed.len() > limit {
                viewed.pop_front();
            }
        }
    }

    fn cart(&mut self, event: &Event, add: bool) {
        let limit = self.limits.cart_lines;
        let whole_line = !add && event.lines.is_empty() && event.quantity.is_none();
        let lines: Vec<(ProductId, f32)> =
            lines(event).into_iter().map(|(product, quantity)| (self.names.shared(&product), quantity)).collect();
        let Some(visit) = self.visit(event.session_id.as_ref()) else { return };
        let cart = &mut visit.state.cart;
        for (product, quantity) in lines {
            let room = cart.len() < limit;
            let line = cart.iter_mut().find(|(held, _)| *held == product);
            match line {
                Some((_, held)) if add => *held += quantity,
                Some((_, held)) => *held = if whole_line { 0.0 } else { *held - quantity },
                None if add && room => cart.push((product, quantity)),
                None => {}
            }
        }
        cart.retain(|(_, quantity)| *quantity > 0.0);
    }

    /// Adds an order, empties the session's cart, takes the goods from the shelf.
    fn purchase(&mut self, event: &Event, at_s: i64) {
        if let Some(visit) = self.visit(event.session_id.as_ref()) {
            visit.state.cart = Vec::new();
        }
        for (product, quantity) in exact_lines(event) {
            if let Some(level) = self.shelf.stock.get_mut(&product)
                // A level that was read after this sale has it in already.
                && level.as_of.as_second() <= at_s
            {
                level.on_hand = level.on_hand.saturating_sub(quantity).max(Decimal::ZERO);
            }
        }
        let Some(customer) = self.whose(event) else { return };
        let mut bought: Vec<(ProductId, f32)> = Vec::new();
        for (product, quantity) in lines(event) {
            match bought.iter_mut().find(|(held, _)| *held == product) {
                Some((_, held)) => *held += quantity,
                None => bought.push((self.names.shared(&product), quantity)),
            }
        }
        let limit = self.limits.orders;
        let orders = &mut self.customer_mut(customer).orders;
        let place = orders.partition_point(|order| order.at_s <= at_s);
        orders.insert(place, PastOrder { at_s, lines: bought });
        if orders.len() > limit {
            orders.pop_front();
        }
    }

    /// Nets what came back against the newest earlier orders that hold it. The shelf is left alone: what comes back is not always
    /// for sale again, and `stock_changed` says when it is.
    fn refund(&mut self, event: &Event, at_s: i64) {
        let Some(customer) = self.whose(event) else { return };
        let Some(state) = self.customers.get_mut(&customer) else { return };
        for (product, mut left) in lines(event) {
            for order in state.orders.iter_mut().rev().filter(|order| order.at_s <= at_s) {
                for (_, quantity) in order.lines.iter_mut().filter(|(held, _)| *held == product) {
                    let taken = quantity.min(left);
                    *quantity -= taken;
                    left -= taken;
                }
                order.lines.retain(|(_, quantity)| *quantity > 0.0);
                if left <= 0.0 {
                    break;
                }
            }
        }
        state.orders.retain(|order| !order.lines.is_empty());
    }

    fn rate(&mut self, event: &Event) {
        let (Some(customer), Some(product), Some(value)) =
            (self.whose(event), &event.product_id, event.value.and_then(|value| value.to_f32()))
        else {
            return;
        };
        let product = self.names.shared(product);
        let limit = self.limits.ratings;
        let ratings = &mut self.customer_mut(customer).ratings;
        ratings.insert(product.clone(), value);
        if ratings.len() > limit {
            // No moment is kept with a rating; any rule that all followers share will do.
            let out = ratings.keys().filter(|held| **held != product).min().cloned();
            if let Some(out) = out {
                ratings.remove(&out);
            }
        }
    }

    fn showing(&mut self, event: &Event, at_s: i64) {
        let Some(exposure) = &event.exposure else { return };
        if exposure.items.is_empty() {
            return;
        }
        let products: Vec<ProductId> = exposure.items.iter().map(|item| self.names.shared(&item.product_id)).collect();
        let shown: &mut Shown = match (&event.customer_id, &event.session_id) {
            (Some(customer), _) => self.shown_customers.entry(customer.clone()).or_default(),
            (None, Some(session)) => self.shown_sessions.entry(session.clone()).or_default(),
            (None, None) => return,
        };
        for product in products {
            let place = shown.items.partition_point(|(_, at)| *at <= at_s);
            shown.items.insert(place, (product, at_s));
        }
        while shown.items.len() > self.limits.showings {
            shown.items.pop_front();
        }
    }

    /// The customer's, when known, else the session's.
    fn declined(&mut self, event: &Event, at_s: i64) {
        let limit = self.limits.declined;
        let products: Vec<ProductId> =
            lines(event).into_iter().map(|(product, _)| self.names.shared(&product)).collect();
        let (declined_products, declined_offers) = if let Some(customer) = self.whose(event) {
            let state = self.customer_mut(customer);
            (&mut state.declined_products, &mut state.declined_offers)
        } else if let Some(visit) = self.visit(event.session_id.as_ref()) {
            (&mut visit.state.declined_products, &mut visit.state.declined_offers)
        } else {
            return;
        };
        for product in products {
            note_decline(declined_products, product, at_s, limit);
        }
        if let Some(offer) = &event.offer_id {
            note_decline(declined_offers, offer.clone(), at_s, limit);
        }
    }

    fn stock(&mut self, event: &Event, at_s: i64) {
        let (Some(product), Some(change)) = (&event.product_id, &event.stock) else { return };
        let as_of = event.at.or_else(|| Timestamp::from_second(at_s).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
        if self.shelf.stock.get(product).is_some_and(|level| level.as_of > as_of) {
            // An older reading that came late.
            return;
        }
        let level =
            StockLevel { on_hand: change.on_hand, backordered: change.backordered, on_order: change.on_order, as_of };
        let product = self.names.shared(product);
        self.shelf.stock.insert(product, level);
    }

    fn price(&mut self, event: &Event) {
        let (Some(product), Some(change)) = (&event.product_id, &event.price) else { return };
        let product = self.names.shared(product);
        if let Some(active) = change.active {
            self.shelf.active.insert(product.clone(), active);
        }
        if let Some(price) = change.unit_price {
            self.shelf.prices.insert(product, price);
        }
    }

    fn offer(&mut self, event: &Event) {
        match &event.offer {
            Some(OfferChange::Declared(offer)) => {
                self.shelf.offers.insert(offer.offer_id.clone(), offer.clone());
            }
            Some(OfferChange::Withdrawn { offer_id, withdrawn: true }) => {
                self.shelf.offers.remove(offer_id);
            }
            Some(OfferChange::Withdrawn { .. }) | None => {}
        }
    }

    fn profile(&mut self, event: &Event) {
        let (Some(customer), Some(change)) = (&event.customer_id, &event.customer) else { return };
        if change.get(ERASE_KEY) == Some(&Value::Bool(true)) {
            self.erase(customer);
            return;
        }
        let profile = &mut self.customer_mut(customer.clone()).profile;
        for key in PROFILE_KEYS {
            match change.get(key) {
                Some(Value::String(text)) => {
                    profile.insert(key.to_owned(), text.clone());
                }
                Some(Value::Null) => {
                    profile.remove(key);
                }
                _ => {}
            }
        }
    }
}

/// Products and exact quantities of an event: its lines, else its one product.
fn exact_lines(event: &Event) -> Vec<(ProductId, Decimal)> {
    if event.lines.is_empty() {
        let quantity = event.quantity.unwrap_or(Decimal::ONE);
        return event.product_id.iter().map(|product| (product.clone(), quantity)).collect();
    }
    event.lines.iter().map(|line| (line.product_id.clone(), line.quantity)).collect()
}

/// The same with quantities as a habit needs them.
fn lines(event: &Event) -> Vec<(ProductId, f32)> {
    exact_lines(event)
        .into_iter()
        .map(|(product, quantity)| (product, quantity.to_f32().filter(|quantity| quantity.is_finite()).unwrap_or(1.0)))
        .collect()
}
