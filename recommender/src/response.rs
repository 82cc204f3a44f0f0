//! One answer.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::amount;
use crate::ids::{OfferId, ProductId};

/// What an item is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    CrossSell,
    UpsellQuantity,
    UpsellProduct,
    Reorder,
    Popular,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StockStatus {
    InStock,
    /// In stock, but fewer than what is suggested or usually sold in two weeks.
    LowStock,
    Backordered,
    /// No stock level is known for this product.
    Unknown,
}

/// The offer that an item serves, with its arithmetic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OfferHint {
    pub offer_id: OfferId,
    /// `BuyXGetY`, `TierPrice`, `PercentOff`, `AmountOff`, `BundlePrice`, `GiftOverTotal`
    #[serde(rename = "type")]
    pub offer_type: String,
    /// How many to add to what is in the cart.
    #[serde(with = "amount::quantity")]
    #[schema(value_type = f64)]
    pub add: Decimal,
    /// How many of them are free (`BuyXGetY`, `GiftOverTotal`).
    #[serde(with = "amount::quantity")]
    #[schema(value_type = f64)]
    pub free: Decimal,
    /// What the order saves against buying the same without the offer.
    #[serde(with = "amount::money")]
    #[schema(value_type = String, example = "3.30")]
    pub saves: Decimal,
    /// What the lines of this offer cost then.
    #[serde(with = "amount::money")]
    #[schema(value_type = String, example = "11.55")]
    pub line_total: Decimal,
}

/// Why: a stable code, a sentence, and the numbers that it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// `bought_together`, `usual`, `due_again`, `popular`, `trending`, `popular_like_you`, `seasonal`, `offer_within_reach`, `price_break`,
    /// `usual_quantity`, `pack_size`, `better_variant`, `viewed`, `new`
    pub code: String,
    pub text: String,
    #[schema(value_type = Object)]
    pub evidence: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Item {
    /// From 1.
    pub rank: u32,
    pub product_id: ProductId,
    pub name: String,
    pub kind: Kind,
    /// 0 to 1, comparable within one answer.
    pub score: f64,
    #[serde(default, with = "amount::money::option")]
    #[schema(value_type = Option<String>, example = "1.65")]
    pub unit_price: Option<Decimal>,
    pub stock: StockStatus,
    /// The line's whole quantity that is suggested, what is in the cart included.
    #[serde(with = "amount::quantity")]
    #[schema(value_type = f64)]
    pub suggested_quantity: Decimal,
    #[serde(with = "amount::quantity")]
    #[schema(value_type = f64)]
    pub in_cart: Decimal,
    #[serde(default)]
    pub offer: Option<OfferHint>,
    /// For `upsell_product`: the product in the cart that this one is better than.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<ProductId>,
    pub reason: Reason,
    /// Probability with which this item was shown at this rank (1 when nothing was drawn).
    pub propensity: f64,
}

/// Which rung of the ladder answered in place of the arm that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// The active version answered for another arm.
    Active,
    /// The router's own pack of rules and popular products answered.
    Pack,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Degraded {
    pub from: Rung,
    /// `deadline`, `no_ready_endpoint`, `connection_failed`, `predictor_error`, ...
    pub why: String,
}

/// What the OMS gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecommendationResponse {
    /// UUID v7; events that follow from this answer name it.
    pub request_id: String,
    pub model: String,
    pub version: String,
    pub arm: Option<String>,
    pub experiment: Option<String>,
    /// Null when the arm that was asked answered.
    pub degraded: Option<Degraded>,
    /// ISO 4217
    pub currency: Option<String>,
    pub items: Vec<Item>,
}
