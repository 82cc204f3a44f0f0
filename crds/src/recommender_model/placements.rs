//! Placements and occasions: where a recommendation is shown and why it is asked for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::text::DecimalText;

/// Mix and limits of one placement; what is left out is the placement's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// The placement.
    pub name: PlacementName,
    /// Kinds of items that may be shown; without it the placement's own mix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "set"))]
    pub kinds: Vec<ItemKind>,
    /// Items of a list at most; without it the placement's own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<i32>,
    /// Show only products whose subcategory is not in the cart.
    #[serde(default)]
    pub cross_category: bool,
    /// Factor of a generator (confidence, excess, personal, recent, season, segment, viewed, similar, taste, follows, content, deep) as a decimal in quotes; 1 where it is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub weights: BTreeMap<String, DecimalText>,
}

/// Where a recommendation is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlacementName {
    OrderEntry,
    Cart,
    Product,
    Checkout,
    PostPurchase,
    AbandonedCart,
    Home,
    Email,
}

/// Kinds of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    CrossSell,
    UpsellQuantity,
    UpsellProduct,
    Reorder,
    Popular,
}

/// Moments at which the OMS may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Occasion {
    ProductSelected,
    CartUpdated,
    PreCheckout,
    OrderCompleted,
    CartAbandoned,
}

pub(super) fn all_placements() -> Vec<Placement> {
    use PlacementName::{AbandonedCart, Cart, Checkout, Email, Home, OrderEntry, PostPurchase, Product};
    [OrderEntry, Cart, Product, Checkout, PostPurchase, AbandonedCart, Home, Email]
        .into_iter()
        .map(|name| Placement { name, kinds: Vec::new(), limit: None, cross_category: false, weights: BTreeMap::new() })
        .collect()
}

pub(super) fn first_four_occasions() -> Vec<Occasion> {
    vec![Occasion::ProductSelected, Occasion::CartUpdated, Occasion::PreCheckout, Occasion::OrderCompleted]
}
