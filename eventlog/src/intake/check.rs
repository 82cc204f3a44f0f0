//! What the types of an event cannot say: which fields its type needs, bounds, and that no contact enters the log.

use endcap_recommender::offers;
use endcap_recommender::request::{FieldError, MAX_ID_BYTES};
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::parse::escape;
use crate::event::{Event, EventType, OfferChange};
use crate::live::{ERASE_KEY, PROFILE_KEYS};

/// Who sent it: exposures are the router's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Shops, OMS, web: may not write exposures.
    Client,
    /// The router.
    Router,
}

const MAX_LINES: usize = 1_000;
const MAX_SHOWN: usize = 200;
const MAX_CONTEXT_BYTES: usize = 16 * 1024;
const MAX_PROFILE_VALUE_BYTES: usize = 256;
/// Clocks of clients are wrong by so much at most.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// Parts of names under which contacts travel. They are refused wherever they stand: the log is read widely and kept long.
const CONTACTS: [&str; 10] = [
    "email",
    "e_mail",
    "phone",
    "mobile",
    "push_token",
    "first_name",
    "last_name",
    "full_name",
    "street",
    "ip_address",
];

struct Check {
    errors: Vec<FieldError>,
}

impl Check {
    fn wrong(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
    }

    fn id(&mut self, pointer: &str, id: Option<&str>) {
        if let Some(id) = id
            && (id.is_empty() || id.len() > MAX_ID_BYTES || id.chars().any(char::is_control))
        {
            self.wrong(
                pointer,
                "must have 1 to 256 bytes and no control characters; leave the field out when there is none",
            );
        }
    }

    fn quantity(&mut self, pointer: String, quantity: Decimal) {
        if quantity <= Decimal::ZERO || quantity > billion() {
            self.wrong(pointer, "must be above 0 and at most 1000000000; send what came back as a refund");
        }
    }

    fn stock_level(&mut self, pointer: &str, level: Option<Decimal>) {
        if level.is_some_and(|level| level < Decimal::ZERO || level > billion()) {
            self.wrong(pointer, "must be 0 to 1000000000; send what is promised beyond the stock as backordered");
        }
    }

    fn price(&mut self, pointer: String, price: Option<Decimal>) {
        if price.is_some_and(|price| price < Decimal::ZERO || price > billion()) {
            self.wrong(pointer, "must be 0 to 1000000000");
        }
    }
}

fn billion() -> Decimal {
    Decimal::from(1_000_000_000)
}

/// Every mistake at once, each with its place and remedy.
pub fn check(event: &Event, source: Source, now: Timestamp) -> Result<(), Vec<FieldError>> {
    let mut check = Check { errors: Vec::new() };
    if event.event_id.is_empty() {
        check.wrong("/event_id", "must not be empty; send an id that is unique for ever, such as a UUID");
    }
    check.id("/event_id", Some(&event.event_id).filter(|id| !id.is_empty()).map(String::as_str));
    check.id("/customer_id", event.customer_id.as_deref());
    check.id("/session_id", event.session_id.as_deref());
    check.id("/product_id", event.product_id.as_deref());
    check.id("/offer_id", event.offer_id.as_deref());
    check.id("/order_id", event.order_id.as_deref());
    check.id("/request_id", event.request_id.as_deref());
    if let Some(at) = event.at {
        if at < Timestamp::UNIX_EPOCH {
            check.wrong("/at", "lies before 1970; leave it out for now");
        }
        if now.checked_add(MAX_AHEAD).is_ok_and(|latest| at > latest) {
            check.wrong("/at", format!("lies more than 24 hours in the future (it is {now} here); send when it happened, or leave it out for now"));
        }
    }
    lines(&mut check, event);
    if let Some(quantity) = event.quantity {
        check.quantity("/quantity".to_owned(), quantity);
    }
    if event.event_type != EventType::Rate && event.value.is_some_and(|value| value.abs() > billion()) {
        check.wrong("/value", "must be at most 1000000000");
    }
    needs(&mut check, event, source);
    if let Some(context) = &event.context {
        context_is_lean(&mut check, context);
    }
    if check.errors.is_empty() { Ok(()) } else { Err(check.errors) }
}

fn lines(check: &mut Check, event: &Event) {
    if event.lines.len() > MAX_LINES {
        check.wrong(
            "/lines",
            format!("has {} lines, at most {MAX_LINES} are taken; send several events", event.lines.len()),
        );
    }
    if !event.lines.is_empty() && event.product_id.is_some() {
        check.wrong("/lines", "stands beside /product_id; send one of the two");
    }
    for (index, line) in event.lines.iter().enumerate().take(MAX_LINES) {
        check.id(&format!("/lines/{index}/product_id"), Some(&line.product_id));
        check.quantity(format!("/lines/{index}/quantity"), line.quantity);
        check.price(format!("/lines/{index}/unit_price"), line.unit_price);
    }
}

/// What each type must carry.
fn needs(check: &mut Check, event: &Event, source: Source) {
    use EventType as T;
    let needs_unit = !matches!(
        event.event_type,
        T::Purchase
            | T::Refund
            | T::RecommendationShown
            | T::StockChanged
            | T::PriceChanged
            | T::OfferChanged
            | T::CustomerChanged
    );
    if needs_unit && event.customer_id.is_none() && event.session_id.is_none() {
        check.wrong("/session_id", "is missing, and so is /customer_id; send at least one of the two");
    }
    let needs_product = matches!(
        event.event_type,
        T::ViewItem | T::SelectItem | T::AddToCart | T::RemoveFromCart | T::Purchase | T::Refund
    );
    if needs_product && event.product_id.is_none() && event.lines.is_empty() {
        check.wrong("/product_id", "is missing; send the product, or /lines for several");
    }
    let one_product = matches!(event.event_type, T::Rate | T::StockChanged | T::PriceChanged);
    if one_product && event.product_id.is_none() {
        check.wrong("/product_id", "is missing; send the one product that this is about");
    }
    match event.event_type {
        T::Rate => match event.value {
            None => check.wrong("/value", "is missing; send the rating, 1 to 5"),
            Some(value) if value < Decimal::ONE || value > Decimal::from(5) => {
                check.wrong("/value", "must be 1 to 5; bring other scales to it");
            }
            Some(_) => {}
        },
        T::RecommendationAccepted | T::RecommendationDeclined
            if event.product_id.is_none() && event.lines.is_empty() && event.offer_id.is_none() =>
        {
            check.wrong("/product_id", "is missing, and so is /offer_id; send what was accepted or declined");
        }
        T::RecommendationShown => exposure(check, event, source),
        T::StockChanged => match &event.stock {
            None => check.wrong("/stock", "is missing; send {\"on_hand\": 12}"),
            Some(stock) => {
                check.stock_level("/stock/on_hand", Some(stock.on_hand));
                check.stock_level("/stock/backordered", stock.backordered);
                check.stock_level("/stock/on_order", stock.on_order);
            }
        },
        T::PriceChanged => match &event.price {
            None => check.wrong("/price", "is missing; send {\"unit_price\": \"2.95\"} or {\"active\": false}"),
            Some(price) if price.unit_price.is_none() && price.active.is_none() => {
                check.wrong("/price", "is empty; send unit_price, active or both");
            }
            Some(price) => check.price("/price/unit_price".to_owned(), price.unit_price),
        },
        T::OfferChanged => offer(check, event),
        T::CustomerChanged => customer(check, event),
        _ => {}
    }
    if event.exposure.is_some() && event.event_type != T::RecommendationShown {
        check.wrong("/exposure", "belongs to recommendation_shown alone; leave it out");
    }
}

fn exposure(check: &mut Check, event: &Event, source: Source) {
    if source == Source::Client {
        check.wrong("/type", "recommendation_shown is written by the router alone; send select_item, recommendation_accepted or recommendation_declined");
        return;
    }
    match &event.exposure {
        None => check.wrong("/exposure", "is missing; send what was shown"),
        Some(exposure) if exposure.items.len() > MAX_SHOWN => {
            check.wrong("/exposure/items", format!("has more than {MAX_SHOWN} items"));
        }
        Some(exposure) => {
            for (index, item) in exposure.items.iter().enumerate() {
                check.id(&format!("/exposure/items/{index}/product_id"), Some(&item.product_id));
                if !(item.score.is_finite() && item.propensity.is_finite()) {
                    check.wrong(format!("/exposure/items/{index}"), "score and propensity must be finite");
                }
            }
        }
    }
}

fn offer(check: &mut Check, event: &Event) {
    match &event.offer {
        None => check.wrong("/offer", "is missing; send the offer, or {\"offer_id\": \"...\", \"withdrawn\": true}"),
        Some(OfferChange::Withdrawn { offer_id, withdrawn }) => {
            check.id("/offer/offer_id", Some(offer_id));
            if !withdrawn {
                check.wrong("/offer/withdrawn", "must be true; send the whole offer to declare it again");
            }
        }
        Some(OfferChange::Declared(offer)) => {
            if let Err(errors) = offers::validate(offer) {
                for error in errors {
                    check.wrong(format!("/offer{}", error.pointer), error.detail);
                }
            }
        }
    }
}

fn customer(check: &mut Check, event: &Event) {
    if event.customer_id.is_none() {
        check.wrong("/customer_id", "is missing; send whose profile changed");
    }
    let Some(profile) = event.customer.as_ref().filter(|profile| !profile.is_empty()) else {
        check.wrong("/customer", "is missing or empty; send what changed, such as {\"age_band\": \"25-34\"}");
        return;
    };
    for (key, value) in profile {
        let pointer = format!("/customer/{}", escape(key));
        if key == ERASE_KEY {
            if *value != Value::Bool(true) || profile.len() > 1 {
                check.wrong(pointer, "must be true and stand alone; it erases what is known of the customer");
            }
        } else if is_contact(key) {
            check.wrong(pointer, "contacts never enter the log; leave it out");
        } else if !PROFILE_KEYS.contains(&key.as_str()) {
            check.wrong(pointer, format!("is no profile field; send some of {}", PROFILE_KEYS.join(", ")));
        } else {
            match value {
                Value::Null => {}
                Value::String(text) if text.len() <= MAX_PROFILE_VALUE_BYTES && !text.is_empty() => {}
                _ => check.wrong(pointer, "must be a string of 1 to 256 bytes, or null to forget it"),
            }
        }
    }
}

fn context_is_lean(check: &mut Check, context: &Map<String, Value>) {
    for key in context.keys().filter(|key| is_contact(key)) {
        check.wrong(format!("/context/{}", escape(key)), "contacts never enter the log; leave it out");
    }
    let mut budget = MAX_CONTEXT_BYTES;
    if !fits(context, &mut budget) {
        check.wrong("/context", format!("has more than {MAX_CONTEXT_BYTES} bytes of text; send less"));
    }
}

fn is_contact(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace(['-', ' '], "_");
    CONTACTS.iter().any(|contact| key.contains(contact)) || key == "address" || key == "name"
}

/// Whether keys and strings of an object stay within a budget of bytes.
fn fits(map: &Map<String, Value>, budget: &mut usize) -> bool {
    fn take(bytes: usize, budget: &mut usize) -> bool {
        *budget = budget.saturating_sub(bytes.saturating_add(4));
        *budget > 0
    }
    fn value_fits(value: &Value, budget: &mut usize) -> bool {
        match value {
            Value::String(text) => take(text.len(), budget),
            Value::Array(items) => items.iter().all(|item| value_fits(item, budget)) && take(0, budget),
            Value::Object(map) => fits(map, budget),
            _ => take(8, budget),
        }
    }
    map.iter().all(|(key, value)| take(key.len(), budget) && value_fits(value, budget))
}
