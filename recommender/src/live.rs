//! What is known of customers, sessions and the shelf beside the model: live state, keyed by external ids so that it serves every
//! version. The event log folds it; the trainer writes its first form, the *baseline state*.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::amount;
use crate::ids::{CustomerId, OfferId, ProductId, SessionId};
use crate::offers::Offer;

/// One order of a customer's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastOrder {
    /// Seconds since 1970.
    pub at_s: i64,
    /// Distinct products in line order, with their quantity (a double is enough for a habit).
    pub lines: Vec<(ProductId, f32)>,
}

/// When something (a decline, a showing) last happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Declines {
    /// Seconds since 1970, newest last, at most 16.
    pub at_s: VecDeque<i64>,
}

/// What is known of a customer. No contact ever stands here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CustomerState {
    /// Newest last.
    pub orders: VecDeque<PastOrder>,
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub declined_products: HashMap<ProductId, Declines>,
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub declined_offers: HashMap<OfferId, Declines>,
    /// Showings by product, for the frequency cap; the 200 products shown last.
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub shown: HashMap<ProductId, Declines>,
    /// Rating 1 to 5 by product.
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub ratings: HashMap<ProductId, f32>,
    /// `customer_type`, `age_band`, `income_band`, `gender`, `city_id`, `area_id`, `country`
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub profile: HashMap<String, String>,
}

/// What a visit did so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionState {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// Product and second of the view or click, newest last, at most 50.
    pub viewed: VecDeque<(ProductId, i64)>,
    /// The cart as the events built it.
    pub cart: Vec<(ProductId, f32)>,
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub declined_products: HashMap<ProductId, Declines>,
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub declined_offers: HashMap<OfferId, Declines>,
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub shown: HashMap<ProductId, Declines>,
    pub last_seen_s: i64,
}

/// A stock level. Products without one are taken as available, and said to be `unknown`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StockLevel {
    #[serde(with = "amount::quantity")]
    pub on_hand: Decimal,
    /// Promised beyond what is on hand: above zero with nothing on hand means that an order would wait.
    #[serde(default, with = "amount::quantity::option", skip_serializing_if = "Option::is_none")]
    pub backordered: Option<Decimal>,
    #[serde(default, with = "amount::quantity::option", skip_serializing_if = "Option::is_none")]
    pub on_order: Option<Decimal>,
    pub as_of: Timestamp,
}

/// What is on the shelf: changes of stock, price and offers since the catalogue was trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShelfState {
    pub stock: HashMap<ProductId, StockLevel>,
    /// Unit price by product, where it differs from the artifact's or is newer.
    pub prices: HashMap<ProductId, Decimal>,
    /// All offers that were declared; whether one is in force is decided when it is used.
    pub offers: HashMap<OfferId, Offer>,
    /// Products that were taken off sale (`false`) or put back (`true`).
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub active: HashMap<ProductId, bool>,
}

/// What happened before the first event, written by the trainer beside (not inside) the artifact.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BaselineState {
    pub customers: HashMap<CustomerId, CustomerState>,
    pub shelf: ShelfState,
}

/// Sessions by id, as the live state keeps them.
pub type Sessions = HashMap<SessionId, SessionState>;
