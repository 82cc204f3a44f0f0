//! The blocks between an item's vector and what comes next, forth and back. Rows are tokens.

use endcap_kernels::dense::{input_gradient, linear, weight_gradient};
use endcap_kernels::dot::axpy;
use endcap_kernels::norm::{layer_norm, layer_norm_backward};
use endcap_kernels::sparse::SparseTable;
use rand_chacha::ChaCha8Rng;

use super::attention::Heads;
use super::random::{drawn as drawn_table, dropped, mixed};
use super::row;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    pub dim: usize,
    pub heads: usize,
    pub blocks: usize,
    pub inner: usize,
    pub length: usize,
}

/// The values of the tables of the body: the places, then [`BLOCK`] a block, then gain and shift of the last norm.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub shape: Shape,
    pub tables: Vec<Vec<f32>>,
}

const PLACES: usize = 0;
/// Tables of a block, from its first: gain and shift of a norm, weight and bias of query, key and value, weight and bias of what leaves the
/// attention, gain and shift of a norm, weights and biases of the two layers.
const BLOCK: usize = 12;
const EPSILON: f32 = 1e-6;

/// First values: weights spread by their inputs' number, gains one, biases zero.
pub(super) fn drawn(shape: Shape, random: &mut ChaCha8Rng) -> Vec<SparseTable> {
    let Shape { dim, inner, .. } = shape;
    let spread = |inputs: usize| 1.0 / (inputs as f32).sqrt();
    let flat = |dim: usize, value: f32| SparseTable::new(1, dim, vec![value; dim]);
    let mut tables = vec![drawn_table(shape.length, dim, 0.1 * spread(dim), random)];
    for _ in 0..shape.blocks {
        tables.extend([flat(dim, 1.0), flat(dim, 0.0)]);
        tables.extend([drawn_table(3 * dim, dim, spread(dim), random), flat(3 * dim, 0.0)]);
        tables.extend([drawn_table(dim, dim, 0.5 * spread(dim), random), flat(dim, 0.0)]);
        tables.extend([flat(dim, 1.0), flat(dim, 0.0)]);
        tables.extend([drawn_table(inner, dim, spread(dim), random), flat(inner, 0.0)]);
        tables.extend([drawn_table(dim, inner, 0.5 * spread(inner), random), flat(dim, 0.0)]);
    }
    tables.extend([flat(dim, 1.0), flat(dim, 0.0)]);
    tables
}

/// Dropout of one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drop {
    rate: f32,
    key: u64,
    first_row: usize,
}

impl Drop {
    pub(super) fn new(rate: f32, seed: u64, step: u64) -> Self {
        Self { rate: rate.clamp(0.0, 0.95), key: mixed(seed ^ mixed(step)), first_row: 0 }
    }

    /// For rows from this one on.
    pub(super) fn at(self, first_row: usize) -> Self {
        Self { first_row, ..self }
    }

    fn apply(this: Option<Self>, site: usize, dim: usize, values: &mut [f32]) {
        if let Some(Self { rate, key, first_row }) = this {
            dropped(values, dim, rate, mixed(key ^ site as u64), first_row);
        }
    }
}

/// What of a block's way forth its way back needs.
struct Saved {
    input: Vec<f32>,
    first: Normed,
    qkv: Vec<f32>,
    context: Vec<f32>,
    shares: Vec<f32>,
    middle: Vec<f32>,
    second: Normed,
    /// After the cut at zero and dropout.
    inner: Vec<f32>,
}

struct Normed {
    out: Vec<f32>,
    mean: Vec<f32>,
    inverse_sd: Vec<f32>,
}

/// A way forth.
pub(super) struct Trace {
    /// tokens x dim
    pub out: Vec<f32>,
    blocks: Vec<Saved>,
    last: Vec<f32>,
    norm: Normed,
}

impl Body {
    fn table(&self, at: usize) -> &[f32] {
        self.tables.get(at).map_or(&[], Vec::as_slice)
    }

    fn heads(&self) -> Heads {
        Heads { dim: self.shape.dim, heads: self.shape.heads }
    }

    fn norm(&self, x: &[f32], gain: usize) -> Normed {
        let (out, mean, inverse_sd) = layer_norm(x, self.shape.dim, self.table(gain), self.table(gain + 1), EPSILON);
        Normed { out, mean, inverse_sd }
    }

    fn norm_back(&self, d_out: &[f32], x: &[f32], normed: &Normed, gain: usize, d: &mut [Vec<f32>]) -> Vec<f32> {
        let (dx, d_gain, d_shift) =
            layer_norm_backward(d_out, x, self.shape.dim, self.table(gain), &normed.mean, &normed.inverse_sd);
        put(d, gain, d_gain);
        put(d, gain + 1, d_shift);
        dx
    }

    fn layer(&self, x: &[f32], weight: usize, inputs: usize, outputs: usize, relu: bool) -> Vec<f32> {
        let mut out = Vec::new();
        let rows = x.len() / inputs;
        linear(x, self.table(weight), self.table(weight + 1), rows, inputs, outputs, relu, &mut out);
        out
    }

    /// The gradient of a layer's input; those of its weight and bias go to `d`.
    fn layer_back(
        &self,
        d_out: &[f32],
        x: &[f32],
        weight: usize,
        [inputs, outputs]: [usize; 2],
        d: &mut [Vec<f32>],
    ) -> Vec<f32> {
        let rows = x.len() / inputs;
        let (mut d_weight, mut d_x, mut d_bias) = (Vec::new(), Vec::new(), vec![0.0; outputs]);
        weight_gradient(d_out, x, rows, inputs, outputs, &mut d_weight);
        input_gradient(d_out, self.table(weight), rows, inputs, outputs, &mut d_x);
        for row in d_out.chunks_exact(outputs) {
            axpy(1.0, row, &mut d_bias);
        }
        put(d, weight, d_weight);
        put(d, weight + 1, d_bias);
        d_x
    }

    pub(super) fn forward(&self, sequences: &[&[u32]], vectors: &[f32], drop: Option<Drop>) -> Trace {
        let Shape { dim, inner, blocks, .. } = self.shape;
        let lengths: Vec<usize> = sequences.iter().map(|items| items.len()).collect();
        let mut x = Vec::with_capacity(lengths.iter().sum::<usize>() * dim);
        for items in sequences {
            for (place, item) in (0u32..).zip(*items) {
                let of_place = row(self.table(PLACES), dim, place);
                x.extend(row(vectors, dim, *item).iter().zip(of_place).map(|(item, place)| item + place));
            }
        }
        Drop::apply(drop, 0, dim, &mut x);
        let mut saved = Vec::with_capacity(blocks);
        for block in 0..blocks {
            let at = 1 + block * BLOCK;
            let site = 1 + block * 3;
            let input = x;
            let first = self.norm(&input, at);
            let qkv = self.layer(&first.out, at + 2, dim, 3 * dim, false);
            let (context, shares) = self.heads().forward(&qkv, &lengths);
            let mut middle = self.layer(&context, at + 4, dim, dim, false);
            Drop::apply(drop, site, dim, &mut middle);
            axpy(1.0, &input, &mut middle);
            let second = self.norm(&middle, at + 6);
            let mut hidden = self.layer(&second.out, at + 8, dim, inner, true);
            Drop::apply(drop, site + 1, inner, &mut hidden);
            let mut out = self.layer(&hidden, at + 10, inner, dim, false);
            Drop::apply(drop, site + 2, dim, &mut out);
            axpy(1.0, &middle, &mut out);
            x = out;
            saved.push(Saved { input, first, qkv, context, shares, middle, second, inner: hidden });
        }
        let norm = self.norm(&x, 1 + blocks * BLOCK);
        Trace { out: norm.out.clone(), blocks: saved, last: x, norm }
    }

    /// The gradients of the items' vectors as they were read (tokens x dim) and of the body's tables, from that of what came out.
    pub(super) fn backward(
        &self,
        sequences: &[&[u32]],
        trace: Trace,
        d_out: &[f32],
        drop: Option<Drop>,
    ) -> (Vec<f32>, Vec<Vec<f32>>) {
        let Shape { dim, inner, blocks, .. } = self.shape;
        let lengths: Vec<usize> = sequences.iter().map(|items| items.len()).collect();
        let mut d: Vec<Vec<f32>> = self.tables.iter().map(|_| Vec::new()).collect();
        let mut d_x = self.norm_back(d_out, &trace.last, &trace.norm, 1 + blocks * BLOCK, &mut d);
        for (block, saved) in trace.blocks.into_iter().enumerate().rev() {
            let at = 1 + block * BLOCK;
            let site = 1 + block * 3;
            let mut d_branch = d_x.clone();
            Drop::apply(drop, site + 2, dim, &mut d_branch);
            let mut d_inner = self.layer_back(&d_branch, &saved.inner, at + 10, [inner, dim], &mut d);
            Drop::apply(drop, site + 1, inner, &mut d_inner);
            for (gradient, value) in d_inner.iter_mut().zip(&saved.inner) {
                // What was cut or dropped lets nothing back.
                *gradient = if *value > 0.0 { *gradient } else { 0.0 };
            }
            let d_second = self.layer_back(&d_inner, &saved.second.out, at + 8, [dim, inner], &mut d);
            let d_norm = self.norm_back(&d_second, &saved.middle, &saved.second, at + 6, &mut d);
            axpy(1.0, &d_norm, &mut d_x);

            let mut d_branch = d_x.clone();
            Drop::apply(drop, site, dim, &mut d_branch);
            let d_context = self.layer_back(&d_branch, &saved.context, at + 4, [dim, dim], &mut d);
            let d_qkv = self.heads().backward(&saved.qkv, &lengths, &saved.shares, &d_context);
            let d_first = self.layer_back(&d_qkv, &saved.first.out, at + 2, [dim, 3 * dim], &mut d);
            let d_norm = self.norm_back(&d_first, &saved.input, &saved.first, at, &mut d);
            axpy(1.0, &d_norm, &mut d_x);
        }
        Drop::apply(drop, 0, dim, &mut d_x);
        let mut d_places = vec![0.0; self.table(PLACES).len()];
        let places = lengths.iter().flat_map(|length| 0..*length as u32);
        for (place, gradient) in places.zip(d_x.chunks_exact(dim)) {
            axpy(1.0, gradient, super::row_mut(&mut d_places, dim, place));
        }
        put(&mut d, PLACES, d_places);
        (d_x, d)
    }
}

fn put(tables: &mut [Vec<f32>], at: usize, values: Vec<f32>) {
    if let Some(table) = tables.get_mut(at) {
        *table = values;
    }
}
