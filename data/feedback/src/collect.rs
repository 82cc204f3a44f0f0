//! The first reading: everything but what people looked at. Its size goes with sales and changes, not with clicks.

use std::collections::{BTreeMap, HashMap, HashSet};

use endcap_eventlog::event::{Event, EventType, OfferChange};
use endcap_eventlog::export::{Content, Export, UsedPart};
use endcap_eventlog::live::{ERASE_KEY, PROFILE_KEYS};
use endcap_recommender::offers::Offer;
use futures::TryStreamExt;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;

use crate::tally::Tally;
use crate::{FeedbackError, Tick};

/// One product of an event.
#[derive(Clone, Debug)]
pub struct Piece {
    pub product: String,
    pub quantity: Decimal,
    pub unit_price: Option<Decimal>,
}

/// A purchase.
#[derive(Clone, Debug)]
pub struct Sale {
    pub order_id: String,
    pub offset: u64,
    pub at: Timestamp,
    pub customer: Option<String>,
    pub pieces: Vec<Piece>,
    pub value: Option<Decimal>,
    /// `channel`, `city_id`, `area_id` and `country` of the context.
    pub place: [Option<String>; 4],
}

/// Goods that came back.
#[derive(Clone, Debug)]
pub struct Refund {
    pub event_id: String,
    pub at: Timestamp,
    pub customer: Option<String>,
    pub order_id: Option<String>,
    pub pieces: Vec<Piece>,
}

/// The newest reading of a stock.
#[derive(Clone, Debug)]
pub struct Level {
    pub on_hand: Decimal,
    pub backordered: Option<Decimal>,
    pub on_order: Option<Decimal>,
    pub as_of: Timestamp,
}

/// When a customer was erased: what the log took before the offset, and what tables hold of before the moment, goes.
#[derive(Clone, Copy, Debug)]
pub struct Erased {
    pub offset: u64,
    pub at: Timestamp,
}

/// A profile's changes; `None` forgets a value.
#[derive(Clone, Debug)]
pub struct Profile {
    pub since: Timestamp,
    pub values: BTreeMap<String, Option<String>>,
}

/// What came of something that was shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    pub accepted: Option<bool>,
    pub clicked: bool,
}

/// What the first reading found, with the last word on everything in the log's order.
#[derive(Debug, Default)]
pub struct Collected {
    pub parts: Vec<UsedPart>,
    pub sales: Vec<Sale>,
    pub refunds: Vec<Refund>,
    pub prices: HashMap<String, (Option<Decimal>, Option<bool>)>,
    /// `None`: withdrawn.
    pub offers: HashMap<String, Option<Offer>>,
    pub stock: HashMap<String, Level>,
    /// What purchases took: product, seconds, quantity.
    pub taken: HashMap<String, Vec<(i64, Decimal)>>,
    pub profiles: HashMap<String, Profile>,
    pub erased: HashMap<String, Erased>,
    /// By request and product.
    pub outcomes: HashMap<(String, String), Outcome>,
    /// The oldest interaction: the tables may know those from then on.
    pub oldest_interaction: Option<Timestamp>,
    /// Whether the second reading has something to do.
    pub interactions: bool,
    pub exposures: bool,
    /// Whose session it is, by the newest word.
    sessions: HashMap<String, String>,
    orders: HashSet<String>,
    /// The tables are as of this moment.
    as_of: Option<Timestamp>,
    pub tally: Tally,
}

/// Products of an event: its lines, else its one product.
pub fn pieces(event: &Event) -> Vec<Piece> {
    if event.lines.is_empty() {
        let quantity = event.quantity.unwrap_or(Decimal::ONE);
        let unit_price = event.value.filter(|_| quantity > Decimal::ZERO).and_then(|value| value.checked_div(quantity));
        let product = event.product_id.iter();
        return product.map(|product| Piece { product: product.to_string(), quantity, unit_price }).collect();
    }
    let lines = event.lines.iter();
    lines
        .map(|line| Piece {
            product: line.product_id.to_string(),
            quantity: line.quantity,
            unit_price: line.unit_price,
        })
        .collect()
}

/// Whether an event is a row of `interactions`.
pub fn is_interaction(kind: EventType) -> bool {
    use EventType as T;
    matches!(
        kind,
        T::ViewItem
            | T::Search
            | T::SelectItem
            | T::AddToCart
            | T::RemoveFromCart
            | T::BeginCheckout
            | T::Rate
            | T::RecommendationAccepted
            | T::RecommendationDeclined
    )
}

/// Reads the events of some offsets. `as_of`: the dataset's newest order.
pub async fn collect(
    export: &Export,
    offsets: std::ops::Range<u64>,
    as_of: Option<Timestamp>,
    tick: Tick<'_>,
) -> Result<Collected, FeedbackError> {
    let mut found = Collected { as_of, ..Collected::default() };
    let mut ranges = std::pin::pin!(export.read(offsets.clone()));
    while let Some(range) = ranges.try_next().await? {
        if !tick(range.events.len() as u64) {
            return Err(FeedbackError::Stopped);
        }
        found.parts.extend(range.parts);
        for event in range.events.iter().filter(|event| offsets.contains(&event.offset)) {
            found.tally.count("read", 1);
            match &event.content {
                Content::Event(inner) => found.take(inner, event.offset, (event.at(), event.accepted())),
                Content::Unreadable(_) => found.tally.reject("unreadable", || format!("offset {}", event.offset)),
            }
        }
    }
    Ok(found)
}

impl Collected {
    /// The customer of an event, or of its session, as far as the log had said then.
    fn whose(&self, event: &Event) -> Option<String> {
        let own = event.customer_id.as_ref().map(ToString::to_string);
        own.or_else(|| self.session_customer(event.session_id.as_deref()?))
    }

    /// Whose session it is.
    pub fn session_customer(&self, session: &str) -> Option<String> {
        self.sessions.get(session).cloned()
    }

    /// Whether a customer was erased after this event.
    pub fn is_erased(&self, customer: &str, offset: u64) -> bool {
        self.erased.get(customer).is_some_and(|erased| offset < erased.offset)
    }

    /// Whether the tables, which have no time of their own for it, know it already.
    fn is_old(&mut self, event: &Event, at: Timestamp) -> bool {
        let old = self.as_of.is_some_and(|as_of| at <= as_of);
        if old {
            self.tally.reject("older_than_the_tables", || example(event));
        }
        old
    }

    fn take(&mut self, event: &Event, offset: u64, (at, accepted): (Timestamp, Timestamp)) {
        use EventType as T;
        if let (Some(session), Some(customer)) = (&event.session_id, &event.customer_id) {
            self.sessions.insert(session.to_string(), customer.to_string());
        }
        if is_interaction(event.event_type) {
            self.interactions = true;
            self.oldest_interaction = Some(self.oldest_interaction.map_or(at, |oldest| oldest.min(at)));
        }
        match event.event_type {
            T::Purchase => self.purchase(event, offset, at),
            T::Refund => {
                let customer = self.whose(event);
                self.refunds.push(Refund {
                    event_id: event.event_id.clone(),
                    at,
                    customer,
                    order_id: event.order_id.clone(),
                    pieces: pieces(event),
                });
            }
            T::SelectItem | T::RecommendationAccepted | T::RecommendationDeclined => self.outcome(event),
            T::StockChanged => self.stock(event, at),
            T::PriceChanged => self.price(event, at),
            T::OfferChanged => self.offer(event, at),
            T::CustomerChanged => self.customer(event, offset, (at, accepted)),
            T::RecommendationShown => self.exposures = true,
            T::ViewItem | T::Search | T::AddToCart | T::RemoveFromCart | T::BeginCheckout | T::Rate => {}
        }
    }

    fn purchase(&mut self, event: &Event, offset: u64, at: Timestamp) {
        let pieces = pieces(event);
        for piece in &pieces {
            self.taken.entry(piece.product.clone()).or_default().push((at.as_second(), piece.quantity));
        }
        if event.order_id.is_none() && self.is_old(event, at) {
            // Nothing tells it from an order that is in the tables.
            return;
        }
        let order_id = event.order_id.clone().unwrap_or_else(|| event.event_id.clone());
        if !self.orders.insert(order_id.clone()) {
            self.tally.reject("duplicate_order", || example(event));
            return;
        }
        let customer = self.whose(event);
        let context = |key: &str| {
            let text = event.context.as_ref()?.get(key)?.as_str()?;
            (!text.is_empty()).then(|| text.to_owned())
        };
        let place = ["channel", "city_id", "area_id", "country"].map(context);
        self.sales.push(Sale { order_id, offset, at, customer, pieces, value: event.value, place });
    }

    fn outcome(&mut self, event: &Event) {
        let Some(request) = &event.request_id else { return };
        for piece in pieces(event) {
            let outcome = self.outcomes.entry((request.clone(), piece.product)).or_default();
            match event.event_type {
                EventType::RecommendationAccepted => outcome.accepted = Some(true),
                EventType::RecommendationDeclined => outcome.accepted = Some(false),
                _ => outcome.clicked = true,
            }
        }
    }

    fn stock(&mut self, event: &Event, at: Timestamp) {
        let (Some(product), Some(change)) = (&event.product_id, &event.stock) else { return };
        if self.stock.get(product.as_str()).is_some_and(|known| known.as_of > at) {
            return;
        }
        let level =
            Level { on_hand: change.on_hand, backordered: change.backordered, on_order: change.on_order, as_of: at };
        self.stock.insert(product.to_string(), level);
    }

    fn price(&mut self, event: &Event, at: Timestamp) {
        let (Some(product), Some(change)) = (&event.product_id, &event.price) else { return };
        if self.is_old(event, at) {
            return;
        }
        let known = self.prices.entry(product.to_string()).or_default();
        known.0 = change.unit_price.or(known.0);
        known.1 = change.active.or(known.1);
    }

    fn offer(&mut self, event: &Event, at: Timestamp) {
        let Some(change) = &event.offer else { return };
        if self.is_old(event, at) {
            return;
        }
        match change {
            OfferChange::Declared(offer) => self.offers.insert(offer.offer_id.to_string(), Some(offer.clone())),
            OfferChange::Withdrawn { offer_id, .. } => self.offers.insert(offer_id.to_string(), None),
        };
    }

    fn customer(&mut self, event: &Event, offset: u64, (at, accepted): (Timestamp, Timestamp)) {
        let (Some(id), Some(change)) = (&event.customer_id, &event.customer) else { return };
        if change.get(ERASE_KEY) == Some(&Value::Bool(true)) {
            self.profiles.remove(id.as_str());
            self.sessions.retain(|_, customer| customer.as_str() != id.as_str());
            self.erased.insert(id.to_string(), Erased { offset, at: at.max(accepted) });
            return;
        }
        if self.is_old(event, at) {
            return;
        }
        let known =
            self.profiles.entry(id.to_string()).or_insert_with(|| Profile { since: at, values: BTreeMap::new() });
        for key in PROFILE_KEYS {
            match change.get(key) {
                Some(Value::String(text)) => known.values.insert(key.to_owned(), Some(text.clone())),
                Some(Value::Null) => known.values.insert(key.to_owned(), None),
                _ => None,
            };
        }
    }
}

fn example(event: &Event) -> String {
    format!("event_id={}", event.event_id)
}
