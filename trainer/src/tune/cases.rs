//! Questions with known answers, from orders of the window.
//!
//! As the protocols Q1 and Q3 of `docs/`: an order is its distinct products in line order; with a cart, the first half (rounded down)
//! is the cart and the rest is to be found; without one, all of it. A customer's visible history is what was ordered before the
//! window. Products that were never sold before it cannot be ranked and are no targets.

use endcap_recommender::candidates::{HistoryOrder, Question};
use endcap_recommender::fitted::{Model, Situation};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::load::{Dataset, OrderHead, TRAITS, View};

#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub question: Question,
    /// In line order.
    pub targets: Vec<u32>,
    /// Questions of one customer have one number: they must not be learned from and judged by at once.
    pub group: u32,
    /// When the order was placed, in seconds since 1970.
    pub at_s: i64,
}

/// Orders that make a cart question.
pub(crate) const CART_PRODUCTS: std::ops::RangeInclusive<usize> = 4..=60;
const HISTORY_ORDERS: usize = 30;

/// Puts questions as the pipeline would: from orders, with what was visible before a moment.
pub(crate) struct Asker<'a> {
    data: &'a Dataset,
    model: &'a Model,
    before: View<'a>,
    history_of: Vec<Vec<u32>>,
}

impl<'a> Asker<'a> {
    pub fn new(data: &'a Dataset, model: &'a Model, before: View<'a>) -> Self {
        Self { data, model, before, history_of: before.by_customer(data.customers.len()) }
    }

    fn past(&self, head: &OrderHead) -> &[u32] {
        let own = head.customer().and_then(|customer| self.history_of.get(customer as usize));
        own.map_or(&[][..], Vec::as_slice)
    }

    /// Whether the customer ordered before.
    pub fn knows(&self, head: &OrderHead) -> bool {
        !self.past(head).is_empty()
    }

    /// Whether a product was sold before: others cannot be ranked.
    pub fn is_sold(&self, product: u32) -> bool {
        self.model.associations.item_orders(product) > 0
    }

    /// The question of an order whose first lines are in the cart.
    pub fn question(&self, head: &OrderHead, cart: &[u32]) -> Question {
        let past = self.past(head);
        let skipped = past.len().saturating_sub(HISTORY_ORDERS);
        let history = past.iter().skip(skipped).filter_map(|order| {
            let then = self.before.heads.get(*order as usize)?;
            let lines = self.before.lines(*order as usize).iter().map(|line| (line.product, line.quantity)).collect();
            Some(HistoryOrder { age_days: ((head.at_s - then.at_s) as f64 / 86_400.0) as f32, lines })
        });
        Question {
            anchors: cart.iter().rev().copied().collect(),
            history: history.collect(),
            viewed: Vec::new(),
            segments: segments(self.data, self.model, head),
            month: head.month(),
        }
    }
}

/// Up to `most` questions of each situation, in the order of [`Situation::ALL`], drawn by the seed.
pub fn cases(
    data: &Dataset,
    model: &Model,
    before: View<'_>,
    inside: View<'_>,
    seed: i64,
    most: usize,
) -> [Vec<Case>; 4] {
    let asker = Asker::new(data, model, before);
    let mut orders: Vec<usize> = (0..inside.len()).collect();
    let first_order: Vec<bool> = {
        let mut seen = std::collections::HashSet::new();
        inside.heads.iter().map(|head| head.customer().is_none_or(|customer| seen.insert(customer))).collect()
    };
    orders.shuffle(&mut ChaCha8Rng::seed_from_u64(seed as u64));
    let mut found: [Vec<Case>; 4] = Default::default();
    for at in orders {
        let Some(head) = inside.heads.get(at) else { continue };
        let products: Vec<u32> = inside.lines(at).iter().map(|line| line.product).collect();
        for cart_is_empty in [false, true] {
            let situation = Situation::of(cart_is_empty, asker.knows(head));
            let Some(list) = found.get_mut(situation as usize).filter(|list| list.len() < most) else { continue };
            // Of a known customer only the first order is judged without a cart: later ones would show it what was just bought.
            let fits = if cart_is_empty {
                first_order.get(at) == Some(&true)
            } else {
                CART_PRODUCTS.contains(&products.len())
            };
            let (cart, rest) = products.split_at(if cart_is_empty { 0 } else { products.len() / 2 });
            let targets: Vec<u32> = rest.iter().copied().filter(|product| asker.is_sold(*product)).collect();
            if !fits || targets.is_empty() {
                continue;
            }
            let group = head.customer().unwrap_or(u32::MAX - at as u32);
            list.push(Case { question: asker.question(head, cart), targets, group, at_s: head.at_s });
        }
    }
    found
}

/// The segments that a question about this order falls in, as the pipeline finds them.
fn segments(data: &Dataset, model: &Model, head: &OrderHead) -> Vec<u32> {
    let of_customer = |name: &str| {
        let traits = head.customer().and_then(|customer| data.traits.get(customer as usize));
        let place = TRAITS.iter().position(|known| *known == name);
        traits
            .zip(place)
            .and_then(|(traits, place)| traits.get(place).copied())
            .and_then(|label| data.labels.get(label))
    };
    let keys = [
        ("customer_type", of_customer("customer_type")),
        ("age_band", of_customer("age_band")),
        ("city", data.labels.get(head.city)),
        ("area", data.labels.get(head.area)),
        ("country", data.labels.get(head.country)),
        ("channel", data.labels.get(head.channel)),
    ];
    let mut found: Vec<u32> = keys
        .into_iter()
        .filter_map(|(kind, value)| model.popularity.segment(&format!("{kind}={}", value?)))
        .chain(model.popularity.segment(&format!("hour={:02}", head.hour)))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}
