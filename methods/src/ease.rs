//! EASE: a linear autoencoder in closed form (Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019), asked with a
//! history whose older items may count less.

use endcap_kernels::dot::axpy;
use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Side};
use rayon::prelude::*;

use crate::graph::Graph;
use crate::{Histories, History, Scorer};

#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EaseSettings {
    /// Added to the diagonal of the counts: more means smaller, smoother weights.
    pub ridge: f32,
    /// Only so many items, the most had ones, are weighted: time grows with the third power of their number, memory (14 bytes a pair) with
    /// the second. The others get no score above zero.
    pub items: usize,
    /// An item counts this much less for each later item of the history; 1: all count the same.
    pub decay: f32,
}

impl Default for EaseSettings {
    fn default() -> Self {
        Self { ridge: 200.0, items: 20_000, decay: 1.0 }
    }
}

/// A fitted autoencoder.
#[derive(Clone, Debug)]
pub struct Ease {
    decay: f32,
    /// The items that have weights, and each item's place among them (`u32::MAX`: none).
    chosen: Vec<u32>,
    place: Vec<u32>,
    /// chosen x chosen: row i holds what an item i in the history adds to each.
    weights: Vec<f32>,
}

/// `B` of a symmetric matrix of counts (size x size) with the ridge on its diagonal; `counts` is emptied on the way.
pub fn weights_of(counts: &mut Vec<f32>, size: usize) -> Result<Vec<f32>, NotSolvable> {
    let matrix = Mat::from_fn(size, size, |row, column| counts.get(row * size + column).copied().unwrap_or(0.0));
    *counts = Vec::new();
    let factor = matrix.llt(Side::Lower).map_err(|error| NotSolvable(format!("{error:?}")))?;
    drop(matrix);
    let inverse = factor.inverse();
    drop(factor);
    let mut weights = vec![0.0f32; size * size];
    weights.par_chunks_mut(size.max(1)).enumerate().for_each(|(from, row)| {
        for (to, weight) in row.iter_mut().enumerate() {
            *weight = if from == to { 0.0 } else { -inverse[(to, from)] / inverse[(to, to)] };
        }
    });
    Ok(weights)
}

/// The ridge is too small for these counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotSolvable(pub String);

impl Ease {
    /// `B = I - P / diag(P)` with `P = (X'X + ridge I)^-1` over the users' distinct items.
    pub fn fit(histories: &Histories, settings: &EaseSettings) -> Result<Self, NotSolvable> {
        let graph = Graph::of(histories);
        let mut chosen: Vec<u32> = (0..graph.items() as u32).filter(|item| graph.users_of(*item).len() > 1).collect();
        chosen.sort_by_key(|item| std::cmp::Reverse(graph.users_of(*item).len()));
        chosen.truncate(settings.items);
        chosen.sort_unstable();
        let mut place = vec![u32::MAX; graph.items()];
        for (at, item) in (0u32..).zip(&chosen) {
            if let Some(slot) = place.get_mut(*item as usize) {
                *slot = at;
            }
        }
        let size = chosen.len();
        let mut counts = vec![0.0f32; size * size];
        counts.par_chunks_mut(size.max(1)).zip(&chosen).enumerate().for_each(|(at, (row, item))| {
            for other in graph.users_of(*item).iter().flat_map(|user| graph.items_of(*user)) {
                let to = place.get(*other as usize).copied().unwrap_or(u32::MAX);
                if let Some(count) = row.get_mut(to as usize) {
                    *count += 1.0;
                }
            }
            if let Some(own) = row.get_mut(at) {
                *own += settings.ridge;
            }
        });
        let weights = weights_of(&mut counts, size)?;
        Ok(Self { decay: settings.decay, chosen, place, weights })
    }

    /// The same weights asked with another decay.
    pub fn with_decay(mut self, decay: f32) -> Self {
        self.decay = decay;
        self
    }
}

impl Scorer for Ease {
    fn score(&self, _: Option<usize>, history: &History, scores: &mut [f32]) {
        let size = self.chosen.len();
        let mut own = vec![0.0f32; size];
        let mut weight = 1.0;
        let mut seen: Vec<u32> = Vec::new();
        for item in history.items().rev() {
            if !seen.contains(&item) {
                seen.push(item);
                let at = self.place.get(item as usize).copied().unwrap_or(u32::MAX) as usize;
                if at < size {
                    axpy(weight, self.weights.get(at * size..(at + 1) * size).unwrap_or_default(), &mut own);
                }
            }
            weight *= self.decay;
        }
        scores.fill(0.0);
        for (item, value) in self.chosen.iter().zip(own) {
            if let Some(score) = scores.get_mut(*item as usize) {
                *score = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    /// Three items by hand: the inverse of a 3 x 3 matrix by cofactors.
    #[test]
    fn weights_by_hand() {
        let users = [vec![0, 1], vec![0, 1], vec![0, 1, 2], vec![2], vec![1, 2], vec![3]];
        let histories = Histories { items: 4, users: users.into_iter().map(History::of_items).collect() };
        let fitted = Ease::fit(&histories, &EaseSettings { ridge: 1.0, ..EaseSettings::default() }).unwrap();
        let g = [[4.0f64, 3.0, 1.0], [3.0, 5.0, 2.0], [1.0, 2.0, 4.0]];
        let cofactor = |i: usize, j: usize| {
            let rows: Vec<usize> = (0..3).filter(|r| *r != j).collect();
            let cols: Vec<usize> = (0..3).filter(|c| *c != i).collect();
            let minor = g[rows[0]][cols[0]] * g[rows[1]][cols[1]] - g[rows[0]][cols[1]] * g[rows[1]][cols[0]];
            if (i + j).is_multiple_of(2) { minor } else { -minor }
        };
        let mut scores = vec![9.0; 4];
        for from in 0..3u32 {
            fitted.score(None, &History::of_items(vec![from]), &mut scores);
            for to in (0..3).filter(|to| *to != from as usize) {
                let expected = -cofactor(from as usize, to) / cofactor(to, to);
                assert!((f64::from(scores[to]) - expected).abs() < 1e-5, "{from} {to}");
            }
            assert!(scores[3].abs() < 1e-9);
        }
        // An older item counts half.
        let (mut one, mut other) = (vec![0.0; 4], vec![0.0; 4]);
        fitted.score(None, &History::of_items(vec![0]), &mut one);
        fitted.score(None, &History::of_items(vec![1]), &mut other);
        fitted.with_decay(0.5).score(None, &History::of_items(vec![0, 1]), &mut scores);
        assert!((scores[2] - (0.5 * one[2] + other[2])).abs() < 1e-6);
    }

    #[test]
    fn only_the_most_had_items_are_weighted() {
        let users = [vec![0, 1, 2], vec![0, 1, 2], vec![0, 1]];
        let histories = Histories { items: 3, users: users.into_iter().map(History::of_items).collect() };
        let fitted = Ease::fit(&histories, &EaseSettings { items: 2, ..EaseSettings::default() }).unwrap();
        let mut scores = vec![0.0; 3];
        fitted.score(None, &History::of_items(vec![0]), &mut scores);
        assert!(scores[1] > 0.0 && scores[2].abs() < 1e-9);
    }
}
