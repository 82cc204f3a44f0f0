//! Embedding tables of which a training step touches few rows: the step costs what it touches, not the table.

use rayon::prelude::*;

use crate::level::{Level, mul_add};
use crate::x86;

mod distinct;
mod state;
#[cfg(test)]
mod tests;

pub use distinct::Distinct;

/// Rows that one task takes along; results do not depend on it.
const TASK_ROWS: usize = 64;

/// Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    pub learning_rate: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub epsilon: f32,
    /// A touched row shrinks by `learning_rate * weight_decay` of itself.
    pub weight_decay: f32,
}

impl Default for Adam {
    fn default() -> Self {
        Self { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 }
    }
}

/// A table of rows x dim numbers with the two moments of Adam and a counter of steps for each row.
///
/// Adam here is *lazy*: a row whose id is not in a step keeps its value, its moments and its counter, where dense Adam would go on
/// moving it along its decaying first moment and shrink it by the weight decay. Bias correction counts the steps of the row, not of
/// the table. With every row in every step the two are the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SparseTable {
    dim: usize,
    values: Vec<f32>,
    /// For each row its first moments, then its second.
    moments: Vec<f32>,
    steps: Vec<u32>,
}

/// What of [`Adam`] is the same for all elements of a row at its step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    keep: f32,
    step: f32,
    second_correction: f32,
}

impl Rates {
    fn at(adam: &Adam, step: u32) -> Self {
        let power = i32::try_from(step).unwrap_or(i32::MAX);
        let first_correction = 1.0 - f64::from(adam.beta1).powi(power);
        let second_correction = 1.0 - f64::from(adam.beta2).powi(power);
        Self {
            beta1: adam.beta1,
            beta2: adam.beta2,
            epsilon: adam.epsilon,
            keep: 1.0 - adam.learning_rate * adam.weight_decay,
            step: (f64::from(adam.learning_rate) / first_correction) as f32,
            second_correction: (1.0 / second_correction) as f32,
        }
    }
}

#[allow(clippy::inline_always)] // must be compiled inside its caller, with the caller's instructions
#[inline(always)]
pub(crate) fn adam_row_body<const FMA: bool>(
    values: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    gradient: &[f32],
    rates: Rates,
) {
    for (((value, first), second), gradient) in values.iter_mut().zip(first).zip(second).zip(gradient) {
        *first = mul_add::<FMA>(rates.beta1, *first, (1.0 - rates.beta1) * gradient);
        *second = mul_add::<FMA>(rates.beta2, *second, (1.0 - rates.beta2) * gradient * gradient);
        let size = (*second * rates.second_correction).sqrt() + rates.epsilon;
        *value = rates.keep * *value - rates.step * *first / size;
    }
}

/// Rows that follow each other in the table, and which of a step's ids they answer.
struct Task<'a> {
    first_row: usize,
    places: &'a [u32],
    values: &'a mut [f32],
    moments: &'a mut [f32],
    steps: &'a mut [u32],
}

impl SparseTable {
    /// `values` is rows x dim, row by row; what is missing is zero, what is over is cut off.
    pub fn new(rows: usize, dim: usize, mut values: Vec<f32>) -> Self {
        values.resize(rows * dim, 0.0);
        Self { dim, values, moments: vec![0.0; rows * dim * 2], steps: vec![0; rows] }
    }

    pub fn rows(&self) -> usize {
        self.steps.len()
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    /// rows x dim
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// The rows of the ids, one after the other: ids.len() x dim. An id beyond the table gives zeros.
    pub fn gather(&self, ids: &[u32]) -> Vec<f32> {
        let mut out = vec![0.0; ids.len() * self.dim];
        if self.dim == 0 {
            return out;
        }
        out.par_chunks_mut(TASK_ROWS * self.dim).zip(ids.par_chunks(TASK_ROWS)).for_each(|(out, ids)| {
            for (out, id) in out.chunks_exact_mut(self.dim).zip(ids) {
                let start = (*id as usize).saturating_mul(self.dim);
                if let Some(row) = self.values.get(start..start.saturating_add(self.dim)) {
                    out.copy_from_slice(row);
                }
            }
        });
        out
    }

    /// One step of lazy Adam: row i of `gradients` (ids.len() x dim) belongs to `ids[i]`.
    ///
    /// Ids should be distinct ([`Distinct`] makes them so, and ascending, which saves a sort here); repeats are steps of their own, one
    /// after the other. Ids beyond the table, and ids without a whole row of gradients, are passed over. The same bits for any number
    /// of threads.
    pub fn step(&mut self, ids: &[u32], gradients: &[f32], adam: &Adam) {
        self.step_at(Level::best(), ids, gradients, adam);
    }

    fn step_at(&mut self, level: Level, ids: &[u32], gradients: &[f32], adam: &Adam) {
        let dim = self.dim;
        if dim == 0 {
            return;
        }
        let known = ids.len().min(gradients.len() / dim);
        let mut order: Vec<u32> = (0..known as u32).collect();
        let id_at = |place: u32| ids.get(place as usize).copied().unwrap_or(u32::MAX);
        if !ids.is_sorted() {
            order.sort_by_key(|place| id_at(*place));
        }
        let inside = order.partition_point(|place| (id_at(*place) as usize) < self.steps.len());
        order.truncate(inside);

        self.tasks(&order, id_at).into_par_iter().for_each(|task| {
            for place in task.places {
                let row = id_at(*place) as usize - task.first_row;
                let gradient = gradients.get(*place as usize * dim..).unwrap_or_default();
                let Some(counter) = task.steps.get_mut(row) else { continue };
                let values = task.values.get_mut(row * dim..(row + 1) * dim).unwrap_or_default();
                let moments = task.moments.get_mut(row * dim * 2..(row + 1) * dim * 2).unwrap_or_default();
                let (first, second) = moments.split_at_mut(dim);
                *counter = counter.saturating_add(1);
                x86::adam_row(level, values, first, second, gradient, Rates::at(adam, *counter));
            }
        });
    }

    /// Cuts the table between rows so that each task has its own piece; equal ids stay in one task. `order` is sorted by id.
    fn tasks<'a>(&'a mut self, order: &'a [u32], id_at: impl Fn(u32) -> u32) -> Vec<Task<'a>> {
        let dim = self.dim;
        let mut tasks = Vec::with_capacity(order.len() / TASK_ROWS + 1);
        let (mut values, mut moments, mut steps) =
            (self.values.as_mut_slice(), self.moments.as_mut_slice(), self.steps.as_mut_slice());
        let (mut left, mut first_row) = (order, 0);
        while !left.is_empty() {
            let mut count = TASK_ROWS.min(left.len());
            let last = left.get(count - 1).map_or(u32::MAX, |place| id_at(*place));
            count += left.get(count..).unwrap_or_default().partition_point(|place| id_at(*place) == last);
            let (places, rest) = left.split_at(count);
            let rows = last as usize + 1 - first_row;
            let (task_values, rest_values) = values.split_at_mut(rows * dim);
            let (task_moments, rest_moments) = moments.split_at_mut(rows * dim * 2);
            let (task_steps, rest_steps) = steps.split_at_mut(rows);
            tasks.push(Task { first_row, places, values: task_values, moments: task_moments, steps: task_steps });
            (values, moments, steps) = (rest_values, rest_moments, rest_steps);
            (left, first_row) = (rest, last as usize + 1);
        }
        tasks
    }
}
