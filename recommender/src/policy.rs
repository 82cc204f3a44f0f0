//! `spec.recommendation`: the merchandiser's rules. The JSON is the custom resource's own (camelCase); it travels in the signed
//! routing table, so that router and predictor follow the same rules.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::ProductId;
use crate::request::Placement;
use crate::response::Kind;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpsellMode {
    /// Only what an active offer supports.
    OfferGrid,
    /// Habit and price tiers.
    Behaviour,
    #[default]
    Hybrid,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Objective {
    #[default]
    Probability,
    Revenue,
    Margin,
    LifetimeValue,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutOfStock {
    #[default]
    Exclude,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backordered {
    Exclude,
    #[default]
    PushDown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenStale {
    #[default]
    TrustLast,
    Exclude,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StockPolicy {
    pub out_of_stock: OutOfStock,
    pub backordered: Backordered,
    /// Go-style duration.
    pub stale_after: GoDuration,
    pub when_stale: WhenStale,
}

impl Default for StockPolicy {
    fn default() -> Self {
        Self {
            out_of_stock: OutOfStock::default(),
            backordered: Backordered::default(),
            stale_after: GoDuration::hours(24),
            when_stale: WhenStale::default(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OverPromotion {
    /// Offer-driven items a list at most.
    pub max_offer_items: u32,
    /// An offer or product that was declined this often within the window is not shown to that customer again.
    pub decline_limit: u32,
    pub decline_window: GoDuration,
    /// Showings of one product to one unit within the decline window; none: no cap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_cap: Option<u32>,
}

impl Default for OverPromotion {
    fn default() -> Self {
        Self { max_offer_items: 2, decline_limit: 3, decline_window: GoDuration::hours(336), frequency_cap: None }
    }
}

/// Never recommended. A pair `[a, b]`: b is not recommended to an order that holds a, nor a to one that holds b.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Blocklist {
    pub products: Vec<ProductId>,
    pub categories: Vec<String>,
    pub brands: Vec<String>,
    pub pairs: Vec<Pair>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub a: ProductId,
    pub b: ProductId,
}

/// What differs from a placement's own mix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementPolicy {
    pub name: Placement,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Kind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only products whose subcategory is not in the cart.
    #[serde(default)]
    pub cross_category: bool,
    /// Factor per generator (`bought_together`, `personal`, `popular`, `trend`, `segment`, `viewed`, ...), decimal strings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, String>,
}

/// `spec.recommendation`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Policy {
    pub upsell_mode: UpsellMode,
    pub objective: Objective,
    pub placements: Vec<PlacementPolicy>,
    /// How many last orders of a customer are looked at.
    pub history_orders: u32,
    pub stock: StockPolicy,
    pub over_promotion: OverPromotion,
    pub blocklist: Blocklist,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            upsell_mode: UpsellMode::default(),
            objective: Objective::default(),
            placements: Vec::new(),
            history_orders: 30,
            stock: StockPolicy::default(),
            over_promotion: OverPromotion::default(),
            blocklist: Blocklist::default(),
        }
    }
}

/// A duration in Go's notation (`90s`, `1h30m`), as custom resources write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration {
    pub milliseconds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no duration; write it like 90s, 15m or 24h")]
pub struct BadDuration(String);

impl GoDuration {
    pub const fn hours(hours: u64) -> Self {
        Self { milliseconds: hours * 3_600_000 }
    }

    pub fn as_secs(self) -> i64 {
        (self.milliseconds / 1_000) as i64
    }

    pub fn parse(text: &str) -> Result<Self, BadDuration> {
        let bad = || BadDuration(text.to_owned());
        let mut rest = text;
        let mut milliseconds: u64 = 0;
        if text.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
            let (number, tail) = rest.split_at(digits);
            let number: u64 = number.parse().map_err(|_| bad())?;
            let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_end);
            let factor = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                _ => return Err(bad()),
            };
            milliseconds = number.checked_mul(factor).and_then(|ms| milliseconds.checked_add(ms)).ok_or_else(bad)?;
            rest = tail;
        }
        Ok(Self { milliseconds })
    }
}

impl std::fmt::Display for GoDuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = self.milliseconds;
        match ms {
            ms if ms % 3_600_000 == 0 => write!(f, "{}h", ms / 3_600_000),
            ms if ms % 60_000 == 0 => write!(f, "{}m", ms / 60_000),
            ms if ms % 1_000 == 0 => write!(f, "{}s", ms / 1_000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

impl Serialize for GoDuration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
