//! One question: `POST /v1/recommendations`.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::amount;
use crate::ids::{CustomerId, ProductId, SessionId};

/// Where the recommendation is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    OrderEntry,
    Cart,
    Product,
    Checkout,
    PostPurchase,
    AbandonedCart,
    Home,
    Email,
}

impl Placement {
    pub const ALL: [Self; 8] = [
        Self::OrderEntry,
        Self::Cart,
        Self::Product,
        Self::Checkout,
        Self::PostPurchase,
        Self::AbandonedCart,
        Self::Home,
        Self::Email,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrderEntry => "order_entry",
            Self::Cart => "cart",
            Self::Product => "product",
            Self::Checkout => "checkout",
            Self::PostPurchase => "post_purchase",
            Self::AbandonedCart => "abandoned_cart",
            Self::Home => "home",
            Self::Email => "email",
        }
    }
}

/// Which kinds of items are wanted. `upsell` asks for both upsells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WantedKind {
    CrossSell,
    Upsell,
    UpsellQuantity,
    UpsellProduct,
    Reorder,
    Popular,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    BackOffice,
    Web,
    Mobile,
    Branch,
    Email,
    Partner,
}

impl Channel {
    pub const ALL: [Self; 6] = [Self::BackOffice, Self::Web, Self::Mobile, Self::Branch, Self::Email, Self::Partner];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::BackOffice => "back_office",
            Self::Web => "web",
            Self::Mobile => "mobile",
            Self::Branch => "branch",
            Self::Email => "email",
            Self::Partner => "partner",
        }
    }
}

/// Why the question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    ProductSelected,
    CartUpdated,
    PreCheckout,
    OrderCompleted,
    CartAbandoned,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CartLine {
    pub product_id: ProductId,
    /// Integer, or a decimal string where the unit can be split. 1 when missing.
    #[serde(default = "one", with = "amount::quantity")]
    #[schema(value_type = Option<f64>, example = 6)]
    pub quantity: Decimal,
    /// What this order pays; the catalogue's price when missing.
    #[serde(default, with = "amount::money::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2.95")]
    pub unit_price: Option<Decimal>,
}

fn one() -> Decimal {
    Decimal::ONE
}

/// Circumstances. All optional; unknown keys are ignored so that callers can send what they have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Context {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_band: Option<String>,
    /// The moment that the question is about (RFC 3339); now when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
}

/// What the OMS asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecommendationRequest {
    pub placement: Placement,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// The order so far, in the order in which it was entered; empty when nothing was entered.
    #[serde(default)]
    pub cart: Vec<CartLine>,
    /// The product that is looked at (placement `product`) or was just chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<ProductId>,
    #[serde(default)]
    pub context: Context,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occasion: Option<Occasion>,
    /// Empty: the placement's own mix.
    #[serde(default)]
    pub kinds: Vec<WantedKind>,
    /// How many items at most; the placement's own limit when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What is wrong with a request, and what to send instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, ToSchema)]
#[error("{pointer}: {detail}")]
pub struct FieldError {
    /// JSON pointer of the field, such as `/cart/0/quantity`.
    pub pointer: String,
    pub detail: String,
}

/// Bounds of a request.
pub const MAX_CART_LINES: usize = 1_000;
pub const MAX_LIMIT: u32 = 100;
pub const MAX_ID_BYTES: usize = 256;

impl RecommendationRequest {
    /// The unit that is assigned to an arm when no header names it: the customer, else the session.
    pub fn unit(&self) -> Option<&str> {
        self.customer_id.as_deref().or(self.session_id.as_deref())
    }

    /// Checks what the types cannot: every mistake at once, each with its place and remedy.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut wrong = |pointer: String, detail: &str| errors.push(FieldError { pointer, detail: detail.to_owned() });
        let id_is_bad = |id: &str| id.is_empty() || id.len() > MAX_ID_BYTES;
        const BAD_ID: &str = "must have 1 to 256 bytes; leave the field out when there is none";
        if self.customer_id.as_deref().is_some_and(id_is_bad) {
            wrong("/customer_id".to_owned(), BAD_ID);
        }
        if self.session_id.as_deref().is_some_and(id_is_bad) {
            wrong("/session_id".to_owned(), BAD_ID);
        }
        if self.product_id.as_deref().is_some_and(id_is_bad) {
            wrong("/product_id".to_owned(), BAD_ID);
        }
        if self.cart.len() > MAX_CART_LINES {
            wrong("/cart".to_owned(), "has more than 1000 lines; send the last 1000");
        }
        let billion = Decimal::from(1_000_000_000);
        for (line, entry) in self.cart.iter().enumerate().take(MAX_CART_LINES) {
            if id_is_bad(&entry.product_id) {
                wrong(format!("/cart/{line}/product_id"), "must have 1 to 256 bytes");
            }
            if entry.quantity <= Decimal::ZERO || entry.quantity > billion {
                wrong(
                    format!("/cart/{line}/quantity"),
                    "must be above 0 and at most 1000000000; leave returned lines out",
                );
            }
            if entry.unit_price.is_some_and(|price| price < Decimal::ZERO || price > billion) {
                wrong(format!("/cart/{line}/unit_price"), "must be 0 to 1000000000");
            }
        }
        if self.limit.is_some_and(|limit| limit == 0 || limit > MAX_LIMIT) {
            wrong("/limit".to_owned(), "must be 1 to 100; leave it out for the placement's own limit");
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}
