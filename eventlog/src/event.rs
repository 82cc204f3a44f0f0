//! The event schema: GA4 e-commerce names plus our own.

use endcap_recommender::amount;
use endcap_recommender::ids::{CustomerId, OfferId, ProductId, SessionId};
use endcap_recommender::offers::Offer;
use endcap_recommender::request::Placement;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What happened. `recommendation_shown` is written by the router alone (an *exposure*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    ViewItem,
    Search,
    /// A click, by GA4's name.
    SelectItem,
    AddToCart,
    RemoveFromCart,
    BeginCheckout,
    Purchase,
    Refund,
    Rate,
    RecommendationShown,
    RecommendationAccepted,
    RecommendationDeclined,
    StockChanged,
    PriceChanged,
    OfferChanged,
    CustomerChanged,
}

/// One line of a purchase, refund or cart event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventLine {
    pub product_id: ProductId,
    #[serde(default = "one", with = "amount::quantity")]
    #[schema(value_type = Option<f64>)]
    pub quantity: Decimal,
    #[serde(default, with = "amount::money::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub unit_price: Option<Decimal>,
}

fn one() -> Decimal {
    Decimal::ONE
}

/// New stock level (`stock_changed`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StockChange {
    #[serde(with = "amount::quantity")]
    #[schema(value_type = f64)]
    pub on_hand: Decimal,
    #[serde(default, with = "amount::quantity::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub backordered: Option<Decimal>,
    #[serde(default, with = "amount::quantity::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub on_order: Option<Decimal>,
}

/// New price or new state of sale (`price_changed`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PriceChange {
    #[serde(default, with = "amount::money::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub unit_price: Option<Decimal>,
    /// `false` takes the product off sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
}

/// An offer was declared, changed or withdrawn (`offer_changed`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
// One event at a time is in memory: a box would save nothing.
#[allow(clippy::large_enum_variant)]
pub enum OfferChange {
    Declared(Offer),
    Withdrawn { offer_id: OfferId, withdrawn: bool },
}

/// One item of an exposure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShownItem {
    pub product_id: ProductId,
    pub rank: u32,
    pub kind: String,
    pub score: f64,
    pub propensity: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer_id: Option<OfferId>,
}

/// What a `recommendation_shown` carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Exposure {
    pub model: String,
    pub version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// The rung that answered when it was not the arm itself: `active` or `pack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded: Option<String>,
    pub items: Vec<ShownItem>,
}

/// One event as it is sent and as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// The client's own, unique: sending the same again is a duplicate, not a second event.
    pub event_id: String,
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// RFC 3339; when it was accepted, when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<ProductId>,
    /// Several products at once (`purchase`, `refund`, cart events).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<EventLine>,
    /// The order's id (`purchase`, `refund`): a purchase is one order, whatever its channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// The answer that this follows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    #[serde(default, with = "amount::quantity::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub quantity: Option<Decimal>,
    /// Rating 1 to 5 (`rate`), else money.
    #[serde(default, with = "amount::money::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub value: Option<Decimal>,
    /// The offer that was declined or accepted with an item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer_id: Option<OfferId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<StockChange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceChange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<OfferChange>,
    /// New profile values (`customer_changed`): `customer_type`, `age_band`, `city_id`, ... Contacts are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub customer: Option<serde_json::Map<String, serde_json::Value>>,
    /// Search text, device, referrer and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub context: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
}

/// What became of one event of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum EventOutcome {
    /// On disk: it survives a crash.
    Accepted { event_id: String, offset: u64 },
    /// Was accepted before, within the deduplication horizon.
    Duplicate { event_id: String },
    /// Not stored. `index` is its place in the batch.
    Rejected { index: usize, event_id: Option<String>, pointer: String, detail: String },
}

/// Answer of `POST /v1/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventsResponse {
    pub accepted: usize,
    pub duplicates: usize,
    pub rejected: usize,
    /// In the order of the batch.
    pub results: Vec<EventOutcome>,
}
