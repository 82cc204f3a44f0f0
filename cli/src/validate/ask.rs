//! One situation asked of the pipeline, in the very way in which a predictor asks it.

use std::collections::BTreeMap;
use std::sync::Arc;

use endcap_eventlog::live::{Limits, LiveState};
use endcap_recommender::artifact::ArtifactManifest;
use endcap_recommender::candidates::Scratch;
use endcap_recommender::fitted::Model;
use endcap_recommender::live::{BaselineState, CustomerState, Declines, PastOrder, ShelfState, StockLevel};
use endcap_recommender::pipeline::{CompiledPolicy, Facts, Forbidden, Person, Rules, Situated, recommend};
use endcap_recommender::policy::{Pair, Policy};
use endcap_recommender::request::{CartLine, Context, FieldError, MAX_LIMIT, Placement, RecommendationRequest};
use endcap_recommender::response::Item;
use endcap_serving::live_view::LiveView;
use jiff::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::file::{Line, Situation};
use super::words::Text;

const DAY_S: i64 = 86_400;

/// An artifact with the state beside it and the rules it is served under.
#[derive(Debug)]
pub struct Shop {
    pub model: Arc<Model>,
    pub manifest: ArtifactManifest,
    /// SHA-256 of the manifest.
    pub digest: String,
    pub state: BaselineState,
    pub policy: Policy,
    /// SHA-256 of the rules as JSON.
    pub policy_sha256: String,
}

/// What came in a situation.
#[derive(Debug)]
pub struct Answer {
    pub request: RecommendationRequest,
    /// The moment of the question.
    pub at: Timestamp,
    pub items: Vec<Item>,
    /// Of products that somebody looked for and that are not among the items: why, by id.
    pub why_not: BTreeMap<String, String>,
}

impl Shop {
    /// Asks in a situation at a moment. `looked_for` are ids of products whose absence is to be explained.
    pub fn ask(
        &self,
        situation: &Situation,
        at: Timestamp,
        looked_for: &[&str],
        scratch: &mut Scratch,
    ) -> Result<Answer, Vec<FieldError>> {
        let request = request(situation, at);
        request.validate()?;
        let customers = self.customer(situation, at).into_iter();
        let customers = customers.zip(&request.customer_id).map(|(state, id)| (id.clone(), state)).collect();
        let state = BaselineState { customers, shelf: self.shelf(situation, at) };
        let live = LiveView::new(self.model.clone(), LiveState::from_baseline(state, Limits::default()));
        let policy = CompiledPolicy::new(self.policy(situation), &self.model);
        let (customer, session) = live.person(&request, policy.policy.over_promotion.frequency_cap.is_some());
        let shelf = live.shelf();
        let person = Person { customer: customer.as_ref(), session: session.as_ref() };
        let facts = Facts { model: &self.model, shelf: &shelf, policy: &policy, person, now: at };
        let items = recommend(&facts, &request, scratch);
        let missing = looked_for.iter().filter(|id| !items.iter().any(|item| item.product_id.as_str() == **id));
        let missing: Vec<&str> = missing.copied().collect();
        let why_not = why_not(&facts, &request, &missing, scratch);
        Ok(Answer { request, at, items, why_not })
    }

    /// The customer as the situation has them; none where nobody is named.
    fn customer(&self, situation: &Situation, at: Timestamp) -> Option<CustomerState> {
        let id = situation.customer.as_deref()?;
        let mut state = self.state.customers.get(id).cloned().unwrap_or_default();
        if let Some(orders) = &situation.past_orders {
            let mut orders: Vec<PastOrder> = orders
                .iter()
                .map(|order| PastOrder {
                    at_s: at.as_second() - i64::from(order.days_ago) * DAY_S,
                    lines: order.lines.iter().map(|line| (line.product.0.as_str().into(), habit(line))).collect(),
                })
                .collect();
            orders.sort_by_key(|order| order.at_s);
            state.orders = orders.into();
        }
        for declined in situation.declined.iter().flatten() {
            // Just before the question, one second after the other.
            let times = i64::from(declined.times.unwrap_or(1));
            let declines = Declines { at_s: (1..=times).rev().map(|ago| at.as_second() - ago).collect() };
            if let Some(product) = &declined.product {
                state.declined_products.insert(product.0.as_str().into(), declines);
            } else if let Some(offer) = &declined.offer {
                state.declined_offers.insert(offer.0.as_str().into(), declines);
            }
        }
        Some(state)
    }

    fn shelf(&self, situation: &Situation, at: Timestamp) -> ShelfState {
        let mut shelf = self.state.shelf.clone();
        let level = |on_hand: Decimal, backordered| StockLevel { on_hand, backordered, on_order: None, as_of: at };
        if situation.everything_out_of_stock == Some(true) {
            let ids = self.model.catalogue.ids.iter();
            shelf.stock = ids.map(|id| (id.into(), level(Decimal::ZERO, None))).collect();
        }
        for (product, stock) in situation.stock.iter().flatten() {
            shelf.stock.insert(
                product.0.as_str().into(),
                level(stock.on_hand.0, stock.backordered.map(|backordered| backordered.0)),
            );
        }
        for (product, price) in situation.prices.iter().flatten() {
            shelf.prices.insert(product.0.as_str().into(), price.0);
        }
        for product in situation.off_sale.iter().flatten() {
            shelf.active.insert(product.0.as_str().into(), false);
        }
        if let Some(offers) = &situation.offers {
            let offers = offers.iter().filter_map(|offer| offer.resolved.clone());
            shelf.offers = offers.map(|offer| (offer.offer_id.clone(), offer)).collect();
        }
        shelf
    }

    fn policy(&self, situation: &Situation) -> Policy {
        let mut policy = self.policy.clone();
        let blocklist = &mut policy.blocklist;
        blocklist.products.extend(situation.blocked.iter().flatten().map(|product| product.0.as_str().into()));
        blocklist.categories.extend(situation.blocked_categories.iter().flatten().map(|category| category.0.clone()));
        blocklist.brands.extend(situation.blocked_brands.iter().flatten().map(|brand| brand.0.clone()));
        let pairs = situation.forbidden_pairs.iter().flatten();
        blocklist.pairs.extend(pairs.map(|(a, b)| Pair { a: a.0.as_str().into(), b: b.0.as_str().into() }));
        if let Some(most) = situation.max_offer_items {
            policy.over_promotion.max_offer_items = most;
        }
        policy
    }
}

fn habit(line: &Line) -> f32 {
    line.quantity.and_then(|quantity| quantity.0.to_f32()).unwrap_or(1.0)
}

fn request(situation: &Situation, at: Timestamp) -> RecommendationRequest {
    let text = |text: Option<&Text>| text.map(|text| text.0.clone());
    let lines = situation.cart.iter().flatten();
    RecommendationRequest {
        placement: situation.placement.unwrap_or(Placement::OrderEntry),
        customer_id: situation.customer.as_ref().map(|text| text.0.as_str().into()),
        session_id: None,
        cart: lines
            .map(|line| CartLine {
                product_id: line.product.0.as_str().into(),
                quantity: line.quantity.map_or(Decimal::ONE, |quantity| quantity.0),
                unit_price: line.unit_price.map(|price| price.0),
            })
            .collect(),
        product_id: situation.looking_at.as_ref().map(|text| text.0.as_str().into()),
        context: Context {
            channel: situation.channel,
            device: None,
            city_id: text(situation.city.as_ref()),
            area_id: text(situation.area.as_ref()),
            country: text(situation.country.as_ref()),
            customer_type: text(situation.customer_type.as_ref()),
            age_band: text(situation.age_band.as_ref()),
            at: Some(at),
        },
        occasion: None,
        kinds: situation.kinds.clone().unwrap_or_default(),
        limit: situation.limit,
    }
}

/// Why products are not in a list: the rule that forbids them, or where they would stand in a longer one.
fn why_not(
    facts: &Facts<'_>,
    request: &RecommendationRequest,
    missing: &[&str],
    scratch: &mut Scratch,
) -> BTreeMap<String, String> {
    if missing.is_empty() {
        return BTreeMap::new();
    }
    let situated = Situated::new(facts, request);
    let rules = Rules::new(facts, &situated);
    let longer = recommend(facts, &RecommendationRequest { limit: Some(MAX_LIMIT), ..request.clone() }, scratch);
    let mut found = BTreeMap::new();
    for id in missing {
        let forbidden = facts.model.catalogue.find(id).and_then(|product| rules.forbids(product));
        let rank = longer.iter().find(|item| item.product_id.as_str() == *id).map(|item| item.rank);
        let why = match (forbidden, rank) {
            (Some(forbidden), _) => forbidden_because(forbidden).to_owned(),
            (None, Some(rank)) => format!("nothing forbids it, it would be number {rank} of a longer list"),
            (None, None) => format!("nothing forbids it, but it is not among the first {MAX_LIMIT}"),
        };
        found.insert((*id).to_owned(), why);
    }
    found
}

fn forbidden_because(forbidden: Forbidden) -> &'static str {
    match forbidden {
        Forbidden::InCart => "it is in the order, looked at, or just bought",
        Forbidden::Inactive => "it is not sold any more",
        Forbidden::NoPrice => "it has no price",
        Forbidden::OutOfStock => "it is out of stock",
        Forbidden::Backordered => "it is backordered",
        Forbidden::Blocked => "it, its category or its brand is blocked",
        Forbidden::Pair => "it is forbidden beside something in the order",
        Forbidden::Declined => "this customer declined it too often",
        Forbidden::FrequencyCap => "it was shown to this customer too often",
        Forbidden::SameCategory => "its subcategory is in the order, and the placement wants other ones",
    }
}
