//! What stands in a scenario file. Names are plain words, so that who sells can write it; docs/scenarios.md says every field.

use std::collections::BTreeMap;

use endcap_recommender::offers::Offer;
use endcap_recommender::request::{Channel, Placement, WantedKind};
use endcap_recommender::response::{Kind, StockStatus};
use jiff::Timestamp;
use serde::Deserialize;

use super::words::{Amount, OneOr, Range, Short, Text};

/// A whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    #[serde(default)]
    pub title: Option<String>,
    /// What holds in every scenario that does not say otherwise.
    #[serde(default)]
    pub defaults: Situation,
    pub scenarios: Vec<Scenario>,
}

/// One case: a situation, and what must be true of the recommendations in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    /// The promise or the rule that it guards, for who signs.
    pub why: String,
    #[serde(default)]
    pub situation: Situation,
    pub expect: Expect,
}

/// Who asks, with what in the order, when, and what is on the shelf. What is left out is as the artifact has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Situation {
    /// Left out: somebody nobody knows.
    pub customer: Option<Text>,
    pub customer_type: Option<Text>,
    pub age_band: Option<Text>,
    pub city: Option<Text>,
    pub area: Option<Text>,
    pub country: Option<Text>,
    /// In place of the customer's own history.
    pub past_orders: Option<Vec<PastOrder>>,
    pub declined: Option<Vec<Declined>>,
    pub placement: Option<Placement>,
    pub looking_at: Option<Text>,
    /// The order so far.
    pub cart: Option<Vec<OneOr<Line>>>,
    pub channel: Option<Channel>,
    /// The moment of the question; the end of the training data when left out.
    pub at: Option<Timestamp>,
    pub kinds: Option<Vec<WantedKind>>,
    pub limit: Option<u32>,
    pub everything_out_of_stock: Option<bool>,
    /// Stock by product; it wins over `everything_out_of_stock`.
    pub stock: Option<BTreeMap<Text, OneOr<Level, Amount>>>,
    pub prices: Option<BTreeMap<Text, Amount>>,
    /// Products that are not sold any more.
    pub off_sale: Option<Vec<Text>>,
    pub blocked: Option<Vec<Text>>,
    pub blocked_categories: Option<Vec<Text>>,
    pub blocked_brands: Option<Vec<Text>>,
    pub forbidden_pairs: Option<Vec<(Text, Text)>>,
    /// Exactly these offers exist, by id or written out; `[]` for none. The artifact's own when left out.
    pub offers: Option<Vec<OneOr<InlineOffer>>>,
    pub max_offer_items: Option<u32>,
}

impl Situation {
    /// What is not said here is as in `defaults`.
    #[must_use]
    pub fn over(self, defaults: &Self) -> Self {
        macro_rules! fields {
            ($($field:ident),* $(,)?) => {
                Self { $($field: self.$field.or_else(|| defaults.$field.clone())),* }
            };
        }
        fields!(
            customer,
            customer_type,
            age_band,
            city,
            area,
            country,
            past_orders,
            declined,
            placement,
            looking_at,
            cart,
            channel,
            at,
            kinds,
            limit,
            everything_out_of_stock,
            stock,
            prices,
            off_sale,
            blocked,
            blocked_categories,
            blocked_brands,
            forbidden_pairs,
            offers,
            max_offer_items,
        )
    }
}

/// A line of an order; a product alone is one unit of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub product: Text,
    #[serde(default)]
    pub quantity: Option<Amount>,
    /// What this order pays; the shop's price when left out.
    #[serde(default)]
    pub unit_price: Option<Amount>,
}

impl Short<Text> for Line {
    const EXPECTED: &'static str = "a product, or {product: ..., quantity: 6}";
    fn of(product: Text) -> Self {
        Self { product, quantity: None, unit_price: None }
    }
}

/// An order that the customer made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastOrder {
    pub days_ago: u32,
    pub lines: Vec<OneOr<Line>>,
}

/// What the customer said no to shortly before.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declined {
    #[serde(default)]
    pub product: Option<Text>,
    #[serde(default)]
    pub offer: Option<Text>,
    #[serde(default)]
    pub times: Option<u32>,
}

/// A stock level: a number, or with what is promised beyond it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    pub on_hand: Amount,
    #[serde(default)]
    pub backordered: Option<Amount>,
}

impl Short<Amount> for Level {
    const EXPECTED: &'static str = "how many are on hand, such as 0, or {on_hand: 0, backordered: 5}";
    fn of(on_hand: Amount) -> Self {
        Self { on_hand, backordered: None }
    }
}

/// An offer as docs/offers.md has it, with products and categories by id or name; or the id of one that the artifact has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InlineOffer {
    pub offer_id: Text,
    #[serde(rename = "type", default)]
    pub offer_type: Option<String>,
    #[serde(default)]
    pub terms: serde_json::Value,
    #[serde(default)]
    pub scope: ScopeWords,
    #[serde(default)]
    pub valid_from: Option<Timestamp>,
    #[serde(default)]
    pub valid_to: Option<Timestamp>,
    #[serde(default)]
    pub priority: i64,
    #[serde(default)]
    pub stackable: bool,
    #[serde(default)]
    pub max_per_order: Option<u32>,
    /// With ids for names.
    #[serde(skip)]
    pub resolved: Option<Offer>,
}

impl Short<Text> for InlineOffer {
    const EXPECTED: &'static str = "the id of an offer, or {offer_id: B7G2, type: BuyXGetY, terms: {buy: 7, get: 2}}";
    fn of(offer_id: Text) -> Self {
        Self {
            offer_id,
            offer_type: None,
            terms: serde_json::Value::Null,
            scope: ScopeWords::default(),
            valid_from: None,
            valid_to: None,
            priority: 0,
            stackable: false,
            max_per_order: None,
            resolved: None,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScopeWords {
    pub products: Vec<Text>,
    pub categories: Vec<Text>,
    pub brands: Vec<Text>,
    pub customers: Vec<Text>,
    pub segments: Vec<Text>,
    pub channels: Vec<Channel>,
}

/// What must be true of the list. Everything that is said must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// An empty list.
    pub nothing: bool,
    /// How many items.
    pub at_least: Option<usize>,
    pub at_most: Option<usize>,
    pub first: Option<OneOr<Wanted>>,
    pub must_contain: Vec<OneOr<Wanted>>,
    pub must_not_contain: Vec<OneOr<Wanted>>,
    /// Every item is of one of these.
    pub only_categories: Option<Vec<Text>>,
    pub only_kinds: Option<Vec<Kind>>,
    /// Each of these offers is served by an item.
    pub uses_offers: Vec<Text>,
    pub offers_at_most: Option<usize>,
    /// What all items' offers save together, as the answer says it.
    pub total_saved: Option<Range>,
}

/// An item as it is wanted or not wanted: all that is said must hold of it. A product alone is that product.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    pub product: Option<Text>,
    pub kind: Option<Kind>,
    pub category: Option<Text>,
    pub offer: Option<Text>,
    pub with_offer: Option<bool>,
    pub instead_of: Option<Text>,
    pub stock: Option<StockStatus>,
    pub suggested_quantity: Option<Range>,
    pub unit_price: Option<Range>,
    pub add: Option<Range>,
    pub free: Option<Range>,
    pub saves: Option<Range>,
    pub line_total: Option<Range>,
    /// Among the first so many items.
    pub within_first: Option<u32>,
    /// So many such items; one unless said. For `must_contain`.
    pub count_at_least: Option<usize>,
}

impl Short<Text> for Wanted {
    const EXPECTED: &'static str = "a product, or what is to hold of an item, such as {kind: cross_sell}";
    fn of(product: Text) -> Self {
        Self { product: Some(product), ..Self::default() }
    }
}

impl Wanted {
    /// The numbers that must be within bounds, by field.
    pub fn ranges(&self) -> impl Iterator<Item = (&Range, &'static str)> {
        let all = [
            (&self.suggested_quantity, "suggested_quantity"),
            (&self.unit_price, "unit_price"),
            (&self.add, "add"),
            (&self.free, "free"),
            (&self.saves, "saves"),
            (&self.line_total, "line_total"),
        ];
        all.into_iter().filter_map(|(range, key)| range.as_ref().map(|range| (range, key)))
    }

    /// Whether anything is asked of the item itself.
    pub fn says_something(&self) -> bool {
        self.product.is_some()
            || self.kind.is_some()
            || self.category.is_some()
            || self.offer.is_some()
            || self.with_offer.is_some()
            || self.instead_of.is_some()
            || self.stock.is_some()
            || self.ranges().next().is_some()
    }
}
