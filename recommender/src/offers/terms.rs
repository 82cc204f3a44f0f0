//! What an offer says. How it is counted: [`crate::offers`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::amount;
use crate::ids::{CustomerId, OfferId, ProductId};
use crate::request::Channel;

/// A commercial offer. In force from `valid_from` (inclusive) to `valid_to` (exclusive).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Offer {
    pub offer_id: OfferId,
    /// `{"type": "BuyXGetY", "terms": {"buy": 7, "get": 2}}`
    #[serde(flatten)]
    pub terms: Terms,
    #[serde(default)]
    pub scope: Scope,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_to: Option<Timestamp>,
    /// Higher wins where two offers that exclude each other want the same line, whatever they save.
    #[serde(default)]
    pub priority: i64,
    /// May be applied together with other stackable offers on one line. One that is not stackable excludes every other there.
    #[serde(default)]
    pub stackable: bool,
    /// How many times one order may use it: multiples of `buy`, bundles, or lines (`TierPrice`, `PercentOff`, `AmountOff` per
    /// unit). Offers on the whole order are used once at most anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_order: Option<u32>,
}

/// The kinds of offer. Quantities are whole sales units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", content = "terms")]
pub enum Terms {
    /// For every full `buy` paid units of a line, `get` units come on top for nothing: of the same product, or of the first of
    /// `get_products` (the others are what the shop may hand out in its place).
    BuyXGetY {
        buy: u32,
        get: u32,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        get_products: Vec<ProductId>,
    },
    /// All units of the line cost the price of the highest tier reached, unless the line's own price is lower.
    TierPrice { tiers: Vec<Tier> },
    /// The line costs `percent` less; above 0, at most 100.
    PercentOff {
        #[serde(with = "amount::money")]
        #[schema(value_type = String)]
        percent: Decimal,
    },
    /// Every unit of the line, or the lines in scope together, cost `amount` less; never below nothing.
    AmountOff {
        #[serde(with = "amount::money")]
        #[schema(value_type = String)]
        amount: Decimal,
        per: AmountPer,
    },
    /// The products in their quantities together for one price, as often as the cart holds all of them.
    BundlePrice {
        products: BTreeMap<ProductId, u32>,
        #[serde(with = "amount::money")]
        #[schema(value_type = String)]
        price: Decimal,
    },
    /// `quantity` of `gift` for nothing once the lines in scope are worth `min_total` before any discount.
    GiftOverTotal {
        #[serde(with = "amount::money")]
        #[schema(value_type = String)]
        min_total: Decimal,
        gift: ProductId,
        quantity: u32,
    },
}

impl Terms {
    /// The type's name on the wire.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::BuyXGetY { .. } => "BuyXGetY",
            Self::TierPrice { .. } => "TierPrice",
            Self::PercentOff { .. } => "PercentOff",
            Self::AmountOff { .. } => "AmountOff",
            Self::BundlePrice { .. } => "BundlePrice",
            Self::GiftOverTotal { .. } => "GiftOverTotal",
        }
    }
}

/// One step of a price list: from `min_quantity` on, every unit costs `unit_price`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tier {
    pub min_quantity: u32,
    #[serde(with = "amount::money")]
    #[schema(value_type = String)]
    pub unit_price: Decimal,
}

/// What an amount is taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AmountPer {
    Unit,
    Order,
}

/// For what and whom an offer holds. An empty list means all; every list that is not empty must be met. A bundle names its
/// products itself, so its first three lists stay empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Scope {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<ProductId>,
    /// Categories or subcategories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub brands: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub customers: Vec<CustomerId>,
    /// `customer_type` or `age_band` values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Channel>,
}
