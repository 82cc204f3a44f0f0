//! The two-tower network as it is served: a customer's history, the cart and the moment become one vector, products are vectors,
//! and their inner product says how well they fit.

use endcap_kernels::dense::linear;
use endcap_kernels::norm::layer_norm;
use endcap_kernels::scan::Vectors;

use super::Situation;
use crate::artifact::{ArtifactError, Columns, ColumnsBuilder};
use crate::candidates::Question;

/// Products of a history or a cart that are read, newest first.
pub const BAG_PRODUCTS: usize = 100;
/// A line's weight against the next newer one's.
pub const CART_DECAY: f32 = 0.85;
/// An order's weight halves in so many days.
pub const HISTORY_HALF_LIFE_DAYS: f32 = 60.0;
pub const NORM_EPSILON: f32 = 1e-5;
/// Rows of `context`: months, then situations.
pub const CONTEXTS: usize = 12 + Situation::ALL.len();

/// Learned by the trainer. With `d` = [`Deep::dim`] and all matrices row by row:
///
/// `x = bag(history) H' + bag(cart) C' + month + situation`, `q = x + relu(norm(x) U' + u) V' + v`, score of product i = `q . item_i + b_i`.
#[derive(Clone, Debug, Default)]
pub struct Deep {
    pub dim: usize,
    pub hidden: usize,
    /// What products say when they stand in a history or a cart: products x d.
    pub inputs: Vec<f32>,
    /// Products x (d + 1): embedding plus content, and last the bias, so that a query with a 1 appended scans it all.
    pub items: Vectors,
    /// d x d
    pub history: Vec<f32>,
    /// d x d
    pub cart: Vec<f32>,
    /// [`CONTEXTS`] x d
    pub context: Vec<f32>,
    pub gain: Vec<f32>,
    pub shift: Vec<f32>,
    /// hidden x d, and its bias
    pub up: Vec<f32>,
    pub up_bias: Vec<f32>,
    /// d x hidden, and its bias
    pub down: Vec<f32>,
    pub down_bias: Vec<f32>,
}

/// The products of a cart, newest first, with weights that sum to 1.
pub fn cart_bag(anchors: &[u32]) -> Vec<(u32, f32)> {
    let mut weight = 1.0;
    let bag = anchors.iter().take(BAG_PRODUCTS).map(|product| {
        let entry = (*product, weight);
        weight *= CART_DECAY;
        entry
    });
    normalised(bag.collect())
}

/// The newest distinct products of a history with weights that sum to 1. Orders come newest last, each with its age in days.
pub fn history_bag<'a>(orders: impl DoubleEndedIterator<Item = (f32, &'a [(u32, f32)])>) -> Vec<(u32, f32)> {
    let mut bag: Vec<(u32, f32)> = Vec::new();
    for (age_days, lines) in orders.rev() {
        if bag.len() >= BAG_PRODUCTS {
            break;
        }
        let weight = (-age_days.max(0.0) / HISTORY_HALF_LIFE_DAYS).exp2().max(1e-6);
        for (product, _) in lines {
            match bag.iter_mut().find(|(seen, _)| seen == product) {
                Some((_, sum)) => *sum += weight,
                None => bag.push((*product, weight)),
            }
        }
    }
    bag.truncate(BAG_PRODUCTS);
    normalised(bag)
}

fn normalised(mut bag: Vec<(u32, f32)>) -> Vec<(u32, f32)> {
    let sum: f32 = bag.iter().map(|(_, weight)| weight).sum();
    for (_, weight) in &mut bag {
        *weight /= sum.max(f32::MIN_POSITIVE);
    }
    bag
}

impl Deep {
    /// The question as a vector of `dim + 1` numbers, the last of them 1.
    pub fn query(&self, question: &Question) -> Vec<f32> {
        let d = self.dim;
        let situation = Situation::of(question.anchors.is_empty(), !question.history.is_empty());
        let month = usize::from(question.month.clamp(1, 12).unsigned_abs()) - 1;
        let mut x = vec![0.0; d];
        for row in [month, 12 + situation as usize] {
            add(&mut x, self.context.get(row * d..(row + 1) * d).unwrap_or(&[]), 1.0);
        }
        let orders = question.history.iter().map(|order| (order.age_days, order.lines.as_slice()));
        for (bag, matrix) in [(history_bag(orders), &self.history), (cart_bag(&question.anchors), &self.cart)] {
            let mut mean = vec![0.0; d];
            for (product, weight) in bag {
                let at = product as usize * d;
                add(&mut mean, self.inputs.get(at..at + d).unwrap_or(&[]), weight);
            }
            let mut out = Vec::new();
            linear(&mean, matrix, &vec![0.0; d], 1, d, d, false, &mut out);
            add(&mut x, &out, 1.0);
        }
        let (normed, _, _) = layer_norm(&x, d, &self.gain, &self.shift, NORM_EPSILON);
        let (mut up, mut down) = (Vec::new(), Vec::new());
        linear(&normed, &self.up, &self.up_bias, 1, d, self.hidden, true, &mut up);
        linear(&up, &self.down, &self.down_bias, 1, self.hidden, d, false, &mut down);
        add(&mut x, &down, 1.0);
        x.push(1.0);
        x
    }

    /// Score of one product; higher is better, only differences mean something.
    pub fn score(&self, query: &[f32], product: u32) -> f32 {
        if (product as usize) < self.items.rows() {
            endcap_kernels::dot::dot(query, self.items.row(product as usize))
        } else {
            f32::MIN
        }
    }

    fn parts(&self) -> [(&'static str, &Vec<f32>, usize); 9] {
        let (d, hidden) = (self.dim, self.hidden);
        [
            ("history", &self.history, d * d),
            ("cart", &self.cart, d * d),
            ("context", &self.context, CONTEXTS * d),
            ("gain", &self.gain, d),
            ("shift", &self.shift, d),
            ("up", &self.up, hidden * d),
            ("up_bias", &self.up_bias, hidden),
            ("down", &self.down, d * hidden),
            ("down_bias", &self.down_bias, d),
        ]
    }

    pub(crate) fn encode(&self, object: &'static str) -> Result<Vec<u8>, ArtifactError> {
        let mut columns = ColumnsBuilder::default();
        columns
            .numbers("shape", &[self.dim as u32, self.hidden as u32])
            .numbers("inputs", &self.inputs)
            .numbers("items", self.items.values());
        for (name, values, _) in self.parts() {
            columns.numbers(name, values);
        }
        columns.finish(object)
    }

    pub(crate) fn decode(object: &'static str, bytes: &[u8], products: usize) -> Result<Self, ArtifactError> {
        let columns = Columns::open(object, bytes)?;
        let shape: Vec<u32> = columns.exactly("shape", 2)?;
        let size = |at: usize| shape.get(at).copied().unwrap_or(0).min(1 << 16) as usize;
        let mut deep = Self { dim: size(0), hidden: size(1), ..Self::default() };
        deep.inputs = columns.exactly("inputs", products * deep.dim)?;
        deep.items = Vectors::new(deep.dim + 1, columns.exactly("items", products * (deep.dim + 1))?);
        let sizes = deep.parts().map(|(name, _, len)| (name, len));
        let mut parts = sizes.into_iter().map(|(name, len)| columns.exactly(name, len));
        let mut next = || parts.next().unwrap_or_else(|| Ok(Vec::new()));
        deep.history = next()?;
        deep.cart = next()?;
        deep.context = next()?;
        deep.gain = next()?;
        deep.shift = next()?;
        deep.up = next()?;
        deep.up_bias = next()?;
        deep.down = next()?;
        deep.down_bias = next()?;
        Ok(deep)
    }
}

fn add(to: &mut [f32], from: &[f32], weight: f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += weight * from;
    }
}
