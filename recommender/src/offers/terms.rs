//! What an offer says.

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
    /// Higher wins where two offers want the same line.
    #[serde(default)]
    pub priority: i64,
    /// May be applied together with other stackable offers on one line.
    #[serde(default)]
    pub stackable: bool,
    /// How many times one order may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_order: Option<u32>,
}

/// The kinds of offer. Quantities are whole sales units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", content = "terms")]
pub enum Terms {
    /// Of every `buy` + `get`... see docs/api.md: after `buy` paid ones, `get` more are free (of the same product unless named).
    BuyXGetY {
        buy: u32,
        get: u32,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        get_products: Vec<ProductId>,
    },
    /// All units of the line cost the tier's price once its quantity is reached.
    TierPrice { tiers: Vec<Tier> },
    PercentOff {
        #[serde(with = "amount::money")]
        #[schema(value_type = String)]
        percent: Decimal,
    },
    AmountOff {
        #[serde(with = "amount::money")]
        #[schema(value_type = String)]
        amount: Decimal,
        per: AmountPer,
    },
    /// The products in their quantities together for one price.
    BundlePrice {
        products: BTreeMap<ProductId, u32>,
        #[serde(with = "amount::money")]
        #[schema(value_type = String)]
        price: Decimal,
    },
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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tier {
    pub min_quantity: u32,
    #[serde(with = "amount::money")]
    #[schema(value_type = String)]
    pub unit_price: Decimal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AmountPer {
    Unit,
    Order,
}

/// For what and whom an offer holds. An empty list means all.
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
