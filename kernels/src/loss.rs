//! A linear layer and softmax cross-entropy in one pass: the logits of a block of rows are made, turned into gradients and thrown
//! away while they still lie in the second-level cache, so rows x items numbers are never stored.

use rayon::prelude::*;

use crate::dot::axpy;
use crate::level::Level;
use crate::matmul::{Size, Strided, multiply};
use crate::x86;

#[cfg(test)]
mod tests;

/// Rows are split into at most this many parts, each with gradients of its own that are summed in order: a constant, so that the
/// number of threads changes no bit.
const PARTS: usize = 8;
/// Fewer parts where their weight gradients would take more than this many numbers in all (1 GiB).
const PART_FLOATS: usize = 1 << 28;
/// Logits of a block: half of a second-level cache of 2 MiB.
const BLOCK_FLOATS: usize = 1 << 18;
/// Products of thinner blocks spend their time on reading the weights.
const BLOCK_ROWS: std::ops::RangeInclusive<usize> = 32..=256;
const LANES: usize = 16;

/// For every row its target items and their weights: row r has `ids[starts[r]..starts[r + 1]]`, and `weights` likewise. The weights of
/// a row may sum to anything, and a row may have no targets.
#[derive(Clone, Copy, Debug)]
pub struct Targets<'a> {
    /// rows + 1 numbers, from zero, never falling.
    pub starts: &'a [u32],
    pub ids: &'a [u32],
    pub weights: &'a [f32],
}

impl Targets<'_> {
    fn of(&self, row: usize) -> impl Iterator<Item = (usize, f32)> {
        let bound = |at: usize| self.starts.get(at).map_or(0, |start| *start as usize);
        let span = bound(row)..bound(row + 1);
        let ids = self.ids.get(span.clone()).unwrap_or_default();
        let weights = self.weights.get(span).unwrap_or_default();
        ids.iter().map(|id| *id as usize).zip(weights.iter().copied())
    }

    fn fit(&self, rows: usize, items: usize) -> bool {
        self.starts.len() == rows + 1
            && self.starts.first() == Some(&0)
            && self.starts.is_sorted()
            && self.starts.last().is_some_and(|end| *end as usize == self.ids.len())
            && self.ids.len() == self.weights.len()
            && self.ids.iter().all(|id| (*id as usize) < items)
    }
}

/// The loss summed over rows, and its gradients (of the sum: divide by the rows for a mean).
#[derive(Clone, Debug, Default)]
pub struct LinearLoss {
    pub loss: f64,
    /// rows x dim
    pub d_hidden: Vec<f32>,
    /// items x dim
    pub d_weight: Vec<f32>,
    /// items; empty where no bias was given
    pub d_bias: Vec<f32>,
}

/// `sum over rows and their targets of w * (logsumexp(logits) - logits[target])` with `logits = hidden * weight^T + bias`, and its
/// gradients.
///
/// `hidden` is rows x `dim`, `weight` items x `dim`, `bias` one number an item (for in-batch softmax: minus the logarithm of how often
/// the item is drawn, Yi et al. 2019, "Sampling-bias-corrected neural modeling"). A bias of minus infinity takes an item out.
/// Exponentials are exact to 2e-7, products and sums in `f32`. The same bits for any number of threads.
///
/// Shapes or target ids that do not fit each other give a loss of not-a-number and zero gradients; not-a-number among the inputs gives
/// it as well.
pub fn linear_cross_entropy(
    hidden: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    dim: usize,
    targets: &Targets<'_>,
) -> LinearLoss {
    at_level(Level::best(), hidden, weight, bias, dim, targets)
}

fn at_level(
    level: Level,
    hidden: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    dim: usize,
    targets: &Targets<'_>,
) -> LinearLoss {
    let rows = hidden.len().checked_div(dim).unwrap_or(0);
    let items = weight.len().checked_div(dim).unwrap_or(0);
    let nothing = |loss| LinearLoss {
        loss,
        d_hidden: vec![0.0; hidden.len()],
        d_weight: vec![0.0; weight.len()],
        d_bias: vec![0.0; bias.map_or(0, <[f32]>::len)],
    };
    let fits = rows * dim == hidden.len()
        && items * dim == weight.len()
        && bias.is_none_or(|bias| bias.len() == items)
        && targets.fit(rows, items);
    if !fits {
        return nothing(f64::NAN);
    }
    if rows == 0 || items == 0 {
        return nothing(0.0);
    }
    let stride = items.next_multiple_of(LANES);
    let layer = Layer { level, dim, items, stride, weight, across: &transposed(weight, dim, stride), bias, targets };
    let block_rows = (BLOCK_FLOATS / stride).clamp(*BLOCK_ROWS.start(), *BLOCK_ROWS.end());
    let parts = PARTS.min(PART_FLOATS / (items * dim)).clamp(1, rows.div_ceil(block_rows));
    let part_rows = rows.div_ceil(parts);
    let mut d_hidden = vec![0.0; hidden.len()];
    let parts: Vec<Part> = d_hidden
        .par_chunks_mut(part_rows * dim)
        .zip(hidden.par_chunks(part_rows * dim))
        .enumerate()
        .map(|(at, (d_hidden, hidden))| layer.part(at * part_rows, block_rows, hidden, d_hidden))
        .collect();
    let loss = parts.iter().map(|part| part.loss).sum();
    let (d_weight, d_bias): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.d_weight, part.d_bias)).unzip();
    LinearLoss { loss, d_hidden, d_weight: summed(d_weight), d_bias: summed(d_bias) }
}

/// `weight` (items x dim) turned to dim x `stride`, zeros behind the items.
fn transposed(weight: &[f32], dim: usize, stride: usize) -> Vec<f32> {
    let mut across = vec![0.0; dim * stride];
    across.par_chunks_mut(LANES * stride).enumerate().for_each(|(band, out)| {
        let first = band * LANES;
        for (item, row) in weight.chunks_exact(dim).enumerate() {
            let values = row.get(first..).unwrap_or_default();
            for (lane, value) in out.chunks_exact_mut(stride).zip(values) {
                if let Some(place) = lane.get_mut(item) {
                    *place = *value;
                }
            }
        }
    });
    across
}

/// The sum of equally long lists, always in the order given.
fn summed(lists: Vec<Vec<f32>>) -> Vec<f32> {
    const PIECE: usize = 1 << 14;
    let mut lists = lists.into_iter();
    let mut total = lists.next().unwrap_or_default();
    let others: Vec<Vec<f32>> = lists.collect();
    total.par_chunks_mut(PIECE).enumerate().for_each(|(at, total)| {
        for other in &others {
            axpy(1.0, other.get(at * PIECE..).unwrap_or_default(), total);
        }
    });
    total
}

struct Layer<'a> {
    level: Level,
    dim: usize,
    items: usize,
    /// Items rounded up to whole vectors: from one row of a logits block to the next.
    stride: usize,
    weight: &'a [f32],
    /// `weight` turned.
    across: &'a [f32],
    bias: Option<&'a [f32]>,
    targets: &'a Targets<'a>,
}

/// What one part of the rows adds.
struct Part {
    loss: f64,
    d_weight: Vec<f32>,
    d_bias: Vec<f32>,
}

impl Layer<'_> {
    fn part(&self, first_row: usize, block_rows: usize, hidden: &[f32], d_hidden: &mut [f32]) -> Part {
        let mut part = Part {
            loss: 0.0,
            d_weight: vec![0.0; self.weight.len()],
            d_bias: vec![0.0; self.bias.map_or(0, <[f32]>::len)],
        };
        let mut logits = vec![0.0; block_rows.min(hidden.len() / self.dim) * self.stride];
        let mut scaled = Vec::with_capacity(block_rows * self.dim);
        let blocks = hidden.chunks(block_rows * self.dim).zip(d_hidden.chunks_mut(block_rows * self.dim));
        for (at, (hidden, d_hidden)) in blocks.enumerate() {
            self.block(first_row + at * block_rows, hidden, d_hidden, &mut logits, &mut scaled, &mut part);
        }
        part
    }

    /// Exponentials stay unscaled in the block: the rows' factors `weight sum / sum of exponentials` go onto the much smaller `hidden`
    /// and `d_hidden`, and what targets take away is added row by row.
    fn block(
        &self,
        first_row: usize,
        hidden: &[f32],
        d_hidden: &mut [f32],
        logits: &mut [f32],
        scaled: &mut Vec<f32>,
        part: &mut Part,
    ) {
        let Layer { level, dim, items, stride, .. } = *self;
        let rows = hidden.len() / dim;
        let across = Strided { data: self.across, row_stride: 1, column_stride: stride };
        let hidden_columns = Strided { data: hidden, row_stride: 1, column_stride: dim };
        multiply(Size { m: stride, n: rows, k: dim }, logits, stride, false, across, hidden_columns);

        let bias = self.bias.unwrap_or_default();
        scaled.clear();
        let mut factors = [0.0f32; *BLOCK_ROWS.end()];
        let each = logits.chunks_exact_mut(stride).zip(hidden.chunks_exact(dim)).zip(&mut factors).enumerate();
        for (at, ((row, vector), factor)) in each {
            let Some(row) = row.get_mut(..items) else { continue };
            let highest = x86::max_row(level, row, bias);
            let mut total = 0.0;
            let mut targeted = 0.0;
            for (target, weight) in self.targets.of(first_row + at) {
                let add = bias.get(target).copied().unwrap_or(0.0);
                let logit = row.get(target).map_or(f32::NAN, |logit| logit + add);
                total += f64::from(weight);
                targeted += f64::from(weight) * f64::from(logit);
            }
            let sum = x86::exp_row(level, row, bias, highest);
            let log_sum = f64::from(highest) + f64::from(sum).ln();
            part.loss += total * log_sum - targeted;
            *factor = (total / f64::from(sum)) as f32;
            scaled.extend(vector.iter().map(|x| x * *factor));
            x86::axpy(level, *factor, row, &mut part.d_bias);
        }

        let exponentials = Strided { data: logits, row_stride: 1, column_stride: stride };
        let weight_columns = Strided { data: self.weight, row_stride: 1, column_stride: dim };
        multiply(Size { m: dim, n: rows, k: items }, d_hidden, dim, false, weight_columns, exponentials);
        let by_item = Strided { data: logits, row_stride: stride, column_stride: 1 };
        let scaled_columns = Strided { data: scaled, row_stride: 1, column_stride: dim };
        multiply(Size { m: dim, n: items, k: rows }, &mut part.d_weight, dim, true, scaled_columns, by_item);

        let each = d_hidden.chunks_exact_mut(dim).zip(hidden.chunks_exact(dim)).zip(factors).enumerate();
        for (at, ((d_row, vector), factor)) in each {
            for x in d_row.iter_mut() {
                *x *= factor;
            }
            for (target, weight) in self.targets.of(first_row + at) {
                let span = target * dim..(target + 1) * dim;
                x86::axpy(level, -weight, self.weight.get(span.clone()).unwrap_or_default(), d_row);
                x86::axpy(level, -weight, vector, part.d_weight.get_mut(span).unwrap_or_default());
                if let Some(place) = part.d_bias.get_mut(target) {
                    *place -= weight;
                }
            }
        }
    }
}
