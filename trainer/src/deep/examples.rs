//! What the two-tower network learns from: orders cut into what was there and what came.

use endcap_recommender::fitted::{Rows, Situation, cart_bag, history_bag};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::load::View;

/// Orders of a history that are read.
const HISTORY_ORDERS: usize = 30;
/// Shares of examples with an empty cart, and of those of known customers whose history is left out.
const EMPTY_CART: f64 = 0.3;
const UNKNOWN: f64 = 0.15;
/// Older orders count less: half in so many days.
const HALF_LIFE_DAYS: f32 = 150.0;
/// Longer orders are cut to this many products, in line order.
const MOST_PRODUCTS: usize = 200;

/// Some examples side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Product and weight, by example.
    pub history: Rows<(u32, f32)>,
    pub cart: Rows<(u32, f32)>,
    /// Rows of the context table.
    pub context: Rows<(u32, f32)>,
    /// What came, with weights.
    pub targets: Rows<(u32, f32)>,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Orders and who made them.
#[derive(Debug)]
pub struct Examples<'a> {
    sales: View<'a>,
    /// Orders of each customer, oldest first, and the place of each order in its customer's list.
    by_customer: Vec<Vec<u32>>,
    place: Vec<u32>,
}

struct Parts {
    history: Vec<(u32, f32)>,
    cart: Vec<(u32, f32)>,
    context: Vec<(u32, f32)>,
    targets: Vec<(u32, f32)>,
}

impl<'a> Examples<'a> {
    pub fn new(sales: View<'a>, customers: usize) -> Self {
        let by_customer = sales.by_customer(customers);
        let mut place = vec![0; sales.len()];
        for orders in &by_customer {
            for (at, order) in (0u32..).zip(orders) {
                if let Some(slot) = place.get_mut(*order as usize) {
                    *slot = at;
                }
            }
        }
        Self { sales, by_customer, place }
    }

    /// All orders once, in an order and with cuts that follow from seed and epoch.
    pub fn epoch(&self, seed: i64, epoch: u32) -> Vec<u32> {
        let mut orders: Vec<u32> = (0..self.sales.len() as u32).collect();
        orders.shuffle(&mut random(seed, epoch, u32::MAX));
        orders
    }

    /// The examples of some orders; an order that leaves nothing to guess is left out.
    pub fn batch(&self, orders: &[u32], seed: i64, epoch: u32) -> Batch {
        let parts: Vec<Parts> = orders.iter().filter_map(|order| self.example(*order, seed, epoch)).collect();
        let rows = |of: fn(&Parts) -> &Vec<(u32, f32)>| Rows::from_rows(parts.iter().map(|part| of(part).clone()));
        Batch {
            history: rows(|part| &part.history),
            cart: rows(|part| &part.cart),
            context: rows(|part| &part.context),
            targets: rows(|part| &part.targets),
        }
    }

    fn example(&self, order: u32, seed: i64, epoch: u32) -> Option<Parts> {
        let mut random = random(seed, epoch, order);
        let head = self.sales.heads.get(order as usize)?;
        let lines = self.sales.lines(order as usize);
        let lines = lines.get(..lines.len().min(MOST_PRODUCTS))?;
        let days = |from_s: i64, to_s: i64| ((to_s - from_s) as f64 / 86_400.0) as f32;

        let mut history = Vec::new();
        let is_unknown = random.random_bool(UNKNOWN);
        if let Some(customer) = head.customer().filter(|_| !is_unknown) {
            let own = self.by_customer.get(customer as usize).map_or(&[][..], Vec::as_slice);
            let until = self.place.get(order as usize).map_or(0, |at| *at as usize);
            let before = own.get(until.saturating_sub(HISTORY_ORDERS)..until).unwrap_or(&[]);
            let orders: Vec<(f32, Vec<(u32, f32)>)> = before
                .iter()
                .filter_map(|at| {
                    let then = self.sales.heads.get(*at as usize)?;
                    let lines = self.sales.lines(*at as usize).iter().map(|line| (line.product, line.quantity));
                    Some((days(then.at_s, head.at_s), lines.collect()))
                })
                .collect();
            history = history_bag(orders.iter().map(|(age, lines)| (*age, lines.as_slice())));
        }
        let cut =
            if lines.len() < 2 || random.random_bool(EMPTY_CART) { 0 } else { random.random_range(1..lines.len()) };
        let (cart, rest) = lines.split_at(cut);
        let anchors: Vec<u32> = cart.iter().rev().map(|line| line.product).collect();
        let weight = (-days(head.at_s, self.sales.last_s()) / HALF_LIFE_DAYS).exp2() / rest.len().max(1) as f32;
        let situation = Situation::of(anchors.is_empty(), !history.is_empty());
        let month = u32::from(head.month().unsigned_abs()).saturating_sub(1);
        (!rest.is_empty()).then(|| Parts {
            history,
            cart: cart_bag(&anchors),
            context: vec![(month, 1.0), (12 + situation as u32, 1.0)],
            targets: rest.iter().map(|line| (line.product, weight)).collect(),
        })
    }
}

/// A generator of its own for every order of every epoch, so that nothing depends on how the work is cut.
fn random(seed: i64, epoch: u32, order: u32) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
    random.set_stream((u64::from(epoch) << 32) | u64::from(order));
    random
}
