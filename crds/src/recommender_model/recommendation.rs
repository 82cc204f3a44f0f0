//! `spec.recommendation`: the merchandiser's rules. A wish is a line of YAML in Git.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::placements::{Occasion, Placement, all_placements, first_four_occasions};
use crate::common::refs::ObjectRef;
use crate::common::rule::{at_least, rule};
use crate::common::text::{DurationText, ShopId};

/// The business rules of what is recommended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Recommendation {
    /// OfferGrid suggests more only where an active offer supports it, Behaviour by habit and price tiers, Hybrid by both.
    pub upsell_mode: UpsellMode,
    /// What the order of a list maximises.
    pub objective: Objective,
    /// Mix and limits of a placement, where they differ from the placement's own.
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub placements: Vec<Placement>,
    /// Moments at which the OMS may ask.
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "set"))]
    pub occasions: Vec<Occasion>,
    /// How many last orders of a customer are live state.
    #[schemars(range(min = 1, max = 200))]
    pub history_orders: i32,
    /// What stock means for a list.
    pub stock: StockRules,
    /// How much advertising of offers a customer gets.
    pub over_promotion: OverPromotion,
    /// What is never recommended.
    #[schemars(extend("x-kubernetes-validations" = rule(
        "!has(self.configMapRef) || !(has(self.products) || has(self.categories) || has(self.brands) || has(self.pairs))",
        "give the lists here or in a ConfigMap, not both: remove configMapRef or the lists",
    )))]
    pub blocklist: Blocklist,
    /// For how long a click or purchase counts for the last exposure of that product.
    #[schemars(extend("x-kubernetes-validations" = at_least("1m")))]
    pub attribution_window: DurationText,
}

impl Default for Recommendation {
    fn default() -> Self {
        Self {
            upsell_mode: UpsellMode::default(),
            objective: Objective::default(),
            placements: all_placements(),
            occasions: first_four_occasions(),
            history_orders: 30,
            stock: StockRules::default(),
            over_promotion: OverPromotion::default(),
            blocklist: Blocklist::default(),
            attribution_window: "24h".into(),
        }
    }
}

/// Where suggestions to buy more come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UpsellMode {
    OfferGrid,
    Behaviour,
    #[default]
    Hybrid,
}

/// What the order of a list maximises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Objective {
    #[default]
    Probability,
    Revenue,
    Margin,
    LifetimeValue,
}

/// What stock means for a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StockRules {
    /// What happens to a product that is out of stock.
    pub out_of_stock: OutOfStock,
    /// What happens to a product that can only be backordered.
    pub backordered: Backordered,
    /// Age at which a stock figure is stale.
    #[schemars(extend("x-kubernetes-validations" = at_least("1m")))]
    pub stale_after: DurationText,
    /// What a stale figure means.
    pub when_stale: WhenStale,
}

impl Default for StockRules {
    fn default() -> Self {
        Self {
            out_of_stock: OutOfStock::Exclude,
            backordered: Backordered::PushDown,
            stale_after: "24h".into(),
            when_stale: WhenStale::TrustLast,
        }
    }
}

/// A product that is out of stock is never recommended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OutOfStock {
    #[default]
    Exclude,
}

/// What happens to a product that can only be backordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Backordered {
    Exclude,
    #[default]
    PushDown,
}

/// What a stale stock figure means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenStale {
    #[default]
    TrustLast,
    Exclude,
}

/// How much advertising of offers a customer gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OverPromotion {
    /// Items of one list that may serve an offer.
    #[schemars(range(min = 0, max = 100))]
    pub max_offer_items: i32,
    /// Declines after which an offer or product is not shown to that customer again, within declineWindow.
    #[schemars(range(min = 1, max = 1000))]
    pub decline_limit: i32,
    /// For how long a decline counts.
    #[schemars(extend("x-kubernetes-validations" = at_least("1m")))]
    pub decline_window: DurationText,
    /// Showings of one product to one unit within declineWindow; without it there is no cap.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub frequency_cap: Option<i32>,
}

impl Default for OverPromotion {
    fn default() -> Self {
        Self { max_offer_items: 2, decline_limit: 3, decline_window: "336h".into(), frequency_cap: None }
    }
}

/// What is never recommended: lists here, or a ConfigMap that holds them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Blocklist {
    /// Product ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub products: Vec<ShopId>,
    /// Category ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub categories: Vec<ShopId>,
    /// Brand ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub brands: Vec<ShopId>,
    /// Products that never go together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub pairs: Vec<Pair>,
    /// A ConfigMap with the keys products, categories, brands (an id a line) and pairs (two ids a line, a tab between).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ObjectRef>,
}

/// Two products that never go together: neither is recommended to an order that holds the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("self.a != self.b").message("a pair needs two different products"))]
pub struct Pair {
    /// One product.
    pub a: ShopId,
    /// The other product.
    pub b: ShopId,
}
