//! From a request and what live state knows to a question in the model's terms.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use super::Facts;
use crate::candidates::{HistoryOrder, Question, month_and_hour};
use crate::fitted::{Model, NONE};
use crate::offers::Buyer;
use crate::request::{Placement, RecommendationRequest};

/// One line of the cart that the catalogue knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CartEntry {
    pub product: u32,
    pub quantity: Decimal,
    pub unit_price: Option<Decimal>,
}

/// A request that has found its place in the model.
#[derive(Debug)]
pub struct Situated<'a> {
    pub request: &'a RecommendationRequest,
    /// The moment that the question is about.
    pub at: Timestamp,
    pub question: Question,
    /// The order so far, one entry a product; from the session when the request brings none.
    pub cart: Vec<CartEntry>,
    /// Never recommended: in the cart, looked at, just bought.
    pub excluded: Vec<u32>,
    /// `customer_type`, `age_band` and the like, for offers' segments.
    segments: Vec<&'a str>,
    /// Bought on the same day: hardly wanted again.
    bought_today: HashSet<u32>,
    /// Per product of the history: quantities, newest last.
    habits: HashMap<u32, Vec<f32>>,
}

/// A post-purchase question without a cart is about the customer's last order, if it is this recent.
const LAST_ORDER_S: i64 = 14 * 86_400;
/// Days within which an order counts as just made.
const SAME_DAY: f32 = 0.5;
/// Anchors beyond the newest so many add nothing but time.
const MAX_ANCHORS: usize = 60;

impl<'a> Situated<'a> {
    pub fn new(facts: &Facts<'a>, request: &'a RecommendationRequest) -> Self {
        let at = request.context.at.unwrap_or(facts.now);
        let model = facts.model;
        let (history, habits) = history(facts, at);
        let cart = cart(facts, request);
        let mut excluded: Vec<u32> = cart.iter().map(|entry| entry.product).collect();
        let looked_at = request.product_id.as_deref().and_then(|id| model.catalogue.find(id));
        let mut anchors = anchors(request, &cart, looked_at);
        excluded.extend(looked_at);
        if anchors.is_empty() && request.placement == Placement::PostPurchase {
            let just_bought = last_order(facts, at);
            excluded.extend(&just_bought);
            anchors = just_bought;
        }
        let viewed = facts.person.session.map_or_else(Vec::new, |session| {
            session.viewed.iter().filter_map(|(id, _)| model.catalogue.find(id)).collect()
        });
        let today = history.iter().filter(|order| order.age_days < SAME_DAY);
        let bought_today = today.flat_map(|order| order.lines.iter().map(|(product, _)| *product)).collect();
        let question = Question {
            segments: segments(facts, request, at, &anchors),
            anchors,
            history,
            viewed,
            month: month_and_hour(at).0,
        };
        let profile =
            |key: &str| facts.person.customer.and_then(|customer| customer.profile.get(key)).map(String::as_str);
        let segments = [
            request.context.customer_type.as_deref().or_else(|| profile("customer_type")),
            request.context.age_band.as_deref().or_else(|| profile("age_band")),
        ];
        Self {
            request,
            at,
            question,
            cart,
            excluded,
            segments: segments.into_iter().flatten().collect(),
            bought_today,
            habits,
        }
    }

    /// Whether the customer bought the product on this day.
    pub fn is_bought_today(&self, product: u32) -> bool {
        self.bought_today.contains(&product)
    }

    pub fn buyer(&self) -> Buyer<'_> {
        Buyer {
            customer_id: self.request.customer_id.as_deref(),
            segments: &self.segments,
            channel: self.request.context.channel,
        }
    }

    pub fn in_cart(&self, product: u32) -> Option<&CartEntry> {
        self.cart.iter().find(|entry| entry.product == product)
    }

    pub fn price_in_cart(&self, product: u32) -> Option<Decimal> {
        self.in_cart(product).and_then(|entry| entry.unit_price)
    }

    pub fn has_history(&self) -> bool {
        !self.question.history.is_empty()
    }

    /// Median quantity of the customer's own orders of a product, and how many there were.
    pub fn own_quantity(&self, product: u32) -> Option<(f32, usize)> {
        let mut quantities = self.habits.get(&product)?.clone();
        quantities.sort_unstable_by(f32::total_cmp);
        quantities.get(quantities.len() / 2).map(|median| (*median, quantities.len()))
    }

    /// Lines of the customer's history with products that have price breaks, and those of them at the first break or above.
    pub fn lines_at_breaks(&self, model: &Model) -> (u32, u32) {
        let mut counts = (0, 0);
        for (product, quantities) in &self.habits {
            let Some(first) = model.habits.breaks.row(*product).first() else { continue };
            let at_break = quantities.iter().filter(|quantity| **quantity >= first.min_quantity as f32);
            counts = (counts.0 + quantities.len() as u32, counts.1 + at_break.count() as u32);
        }
        counts
    }

    /// The customer's own quantities of a product, oldest first.
    pub fn own_quantities(&self, product: u32) -> &[f32] {
        self.habits.get(&product).map_or(&[], Vec::as_slice)
    }

    /// What to suggest of a product that is not in the cart: the customer's own habit, else everybody's.
    pub fn suggested_quantity(&self, facts: &Facts<'_>, product: u32) -> Decimal {
        let own = self.own_quantity(product).map(|(median, _)| median);
        let usual = own.or_else(|| facts.model.habits.usual_quantity(product)).unwrap_or(1.0);
        Decimal::from_f32(usual).unwrap_or(Decimal::ONE).max(Decimal::ONE).round_dp(3)
    }
}

/// Whole sales units where a product cannot be split; at least one.
pub(crate) fn whole_unless_splittable(model: &Model, product: u32, quantity: Decimal) -> Decimal {
    if model.catalogue.is_splittable(product) { quantity.normalize() } else { quantity.floor().max(Decimal::ONE) }
}

fn cart(facts: &Facts<'_>, request: &RecommendationRequest) -> Vec<CartEntry> {
    let catalogue = &facts.model.catalogue;
    let mut cart: Vec<CartEntry> = Vec::new();
    let mut add = |product: u32, quantity: Decimal, unit_price: Option<Decimal>| {
        if let Some(entry) = cart.iter_mut().find(|entry| entry.product == product) {
            entry.quantity += quantity;
            entry.unit_price = entry.unit_price.or(unit_price);
        } else {
            cart.push(CartEntry { product, quantity, unit_price });
        }
    };
    if request.cart.is_empty() {
        let session = facts.person.session.map_or(&[][..], |session| &session.cart);
        for (id, quantity) in session {
            let quantity = Decimal::from_f32(*quantity).unwrap_or(Decimal::ONE);
            if let Some(product) = catalogue.find(id).filter(|_| quantity > Decimal::ZERO) {
                add(product, quantity, None);
            }
        }
    }
    for line in &request.cart {
        if let Some(product) = catalogue.find(&line.product_id) {
            add(product, line.quantity, line.unit_price);
        }
    }
    cart
}

/// What the answer should go with: the product that was just chosen first, then the newest lines.
fn anchors(request: &RecommendationRequest, cart: &[CartEntry], looked_at: Option<u32>) -> Vec<u32> {
    let from_cart = cart.iter().rev().map(|entry| entry.product);
    let only_the_product = request.placement == Placement::Product && looked_at.is_some();
    let mut anchors: Vec<u32> = looked_at.into_iter().collect();
    if !only_the_product {
        anchors.extend(from_cart.filter(|product| Some(*product) != looked_at).take(MAX_ANCHORS));
    }
    anchors
}

fn history(facts: &Facts<'_>, at: Timestamp) -> (Vec<HistoryOrder>, HashMap<u32, Vec<f32>>) {
    let Some(customer) = facts.person.customer else { return Default::default() };
    let orders = facts.policy.policy.history_orders as usize;
    let skipped = customer.orders.len().saturating_sub(orders);
    let mut habits: HashMap<u32, Vec<f32>> = HashMap::new();
    let mut history = Vec::with_capacity(customer.orders.len() - skipped);
    for order in customer.orders.iter().skip(skipped).filter(|order| order.at_s <= at.as_second()) {
        let lines: Vec<(u32, f32)> = order
            .lines
            .iter()
            .filter_map(|(id, quantity)| Some((facts.model.catalogue.find(id)?, *quantity)))
            .collect();
        for (product, quantity) in &lines {
            habits.entry(*product).or_default().push(*quantity);
        }
        let age_days = ((at.as_second() - order.at_s) as f64 / 86_400.0) as f32;
        history.push(HistoryOrder { age_days, lines });
    }
    (history, habits)
}

fn last_order(facts: &Facts<'_>, at: Timestamp) -> Vec<u32> {
    let last = facts.person.customer.and_then(|customer| customer.orders.back());
    let Some(last) = last.filter(|order| (0..=LAST_ORDER_S).contains(&(at.as_second() - order.at_s))) else {
        return Vec::new();
    };
    last.lines.iter().filter_map(|(id, _)| facts.model.catalogue.find(id)).take(MAX_ANCHORS).collect()
}

/// The segments that this question falls in, as far as the model has them.
fn segments(facts: &Facts<'_>, request: &RecommendationRequest, at: Timestamp, anchors: &[u32]) -> Vec<u32> {
    let popularity = &facts.model.popularity;
    let catalogue = &facts.model.catalogue;
    let context = &request.context;
    let customer = facts.person.customer;
    let mut found = Vec::new();
    let mut look = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            found.extend(popularity.segment(&format!("{key}={value}")));
        }
    };
    let profile = |key: &str| customer.and_then(|customer| customer.profile.get(key)).map(String::as_str);
    look("customer_type", context.customer_type.as_deref().or_else(|| profile("customer_type")));
    look("age_band", context.age_band.as_deref().or_else(|| profile("age_band")));
    look("city", context.city_id.as_deref().or_else(|| profile("city_id")));
    look("area", context.area_id.as_deref().or_else(|| profile("area_id")));
    look("country", context.country.as_deref().or_else(|| profile("country")));
    look("channel", context.channel.map(crate::request::Channel::as_str));
    look("hour", Some(&format!("{:02}", month_and_hour(at).1)));
    // Alternatives to what is looked at, or was left behind, are of its own kind.
    if matches!(request.placement, Placement::Product | Placement::AbandonedCart) {
        for anchor in anchors.iter().take(5) {
            let subcategory = catalogue.subcategory(*anchor);
            if subcategory != NONE {
                look("subcategory", Some(catalogue.category_ids.get(subcategory as usize)));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}
