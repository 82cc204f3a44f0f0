//! The strongest directions of who had what, found by a randomised range finder (Halko, Martinsson and Tropp, "Finding structure with
//! randomness", SIAM Review 53(2), 2011), and a low-pass filter made of them: the ideal filter of GF-CF (Shen et al., "How powerful is graph
//! convolution for recommendation?", CIKM 2021), with a ridge that lets weaker directions through less.

use endcap_kernels::dense::{linear, weight_gradient};
use endcap_kernels::dot::axpy;
use faer::{Mat, Side};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::Graph;
use super::links::powers;
use crate::{Histories, History, Scorer};

#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectrumSettings {
    /// Directions.
    pub rank: usize,
    /// Users and items are weighed by the number of their links to minus these powers.
    pub user_power: f32,
    pub item_power: f32,
    /// A direction of strength s (the strongest is 1) passes with s^2 / (s^2 + ridge).
    pub ridge: f32,
    /// What is reached counts with its users' number to this power.
    pub reached: f32,
    /// Rounds of the range finder.
    pub rounds: usize,
    pub seed: u64,
}

impl Default for SpectrumSettings {
    fn default() -> Self {
        Self { rank: 512, user_power: 0.5, item_power: 0.5, ridge: 0.05, reached: 0.5, rounds: 4, seed: 1 }
    }
}

/// A fitted filter.
#[derive(Clone, Debug)]
pub struct Spectrum {
    rank: usize,
    /// items x rank: what an item of the history adds, filtered.
    spoken: Vec<f32>,
    /// items x rank: how an item answers.
    reached: Vec<f32>,
    /// Squared strengths, strongest first, the strongest being 1.
    pub strengths: Vec<f32>,
}

/// The strengths could not be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound(pub String);

/// Extra directions that the range finder carries along.
const SPARE: usize = 20;
/// Parts of a sum over rows; a constant, so that the number of threads changes no bit.
const PARTS: usize = 16;

impl Spectrum {
    pub fn fit(histories: &Histories, settings: SpectrumSettings) -> Result<Self, NotFound> {
        Self::of(&Graph::of(histories), settings)
    }

    pub fn of(graph: &Graph, settings: SpectrumSettings) -> Result<Self, NotFound> {
        let (users, items) = (graph.users() as u32, graph.items() as u32);
        let rank = settings.rank.clamp(1, (users.min(items) as usize).max(1));
        let wide = (rank + SPARE).min(users.min(items) as usize).max(rank);
        let of_user = powers((0..users).map(|user| graph.items_of(user).len()), settings.user_power);
        let of_item = powers((0..items).map(|item| graph.users_of(item).len()), settings.item_power);
        let to_users = |block: &[f32]| product(wide, users, |user| graph.items_of(user), &of_user, &of_item, block);
        let to_items = |block: &[f32]| product(wide, items, |item| graph.users_of(item), &of_item, &of_user, block);

        let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
        let mut block: Vec<f32> = (0..items as usize * wide).map(|_| random.random::<f32>() * 2.0 - 1.0).collect();
        for _ in 0..settings.rounds.max(1) {
            block = orthonormal(to_items(&to_users(&block)), wide)?;
        }
        let through = to_users(&block);
        let inner = gram(&through, wide);
        let inner = Mat::from_fn(wide, wide, |row, column| inner.get(row * wide + column).copied().unwrap_or(0.0));
        let found = inner.self_adjoint_eigen(Side::Lower).map_err(|error| NotFound(format!("{error:?}")))?;
        // Eigenvalues rise; the strongest `rank` are the last, turned so that they come first.
        let turn: Vec<f32> = (0..rank)
            .flat_map(|at| (0..wide).map(move |row| (row, wide - 1 - at)))
            .map(|(row, column)| found.U()[(row, column)] as f32)
            .collect();
        let values: Vec<f64> = (0..rank).map(|at| found.S()[wide - 1 - at].max(0.0)).collect();
        let strongest = values.first().copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
        let strengths: Vec<f32> = values.iter().map(|value| (value / strongest) as f32).collect();
        let directions = in_parts(&block, wide, |rows, count, out| {
            linear(rows, &turn, &[], count, wide, rank, false, out);
        });
        let mut spoken = directions.clone();
        let mut reached = directions;
        let counts = |power: f32| powers((0..items).map(|item| graph.users_of(item).len()), power);
        for (row, own) in spoken.chunks_exact_mut(rank).zip(&of_item) {
            for (value, strength) in row.iter_mut().zip(&strengths) {
                *value *= own * strength / (strength + settings.ridge).max(f32::MIN_POSITIVE);
            }
        }
        for (row, own) in reached.chunks_exact_mut(rank).zip(counts(-settings.reached)) {
            for value in row.iter_mut() {
                *value *= own;
            }
        }
        Ok(Self { rank, spoken, reached, strengths })
    }
}

/// `out[r] = own[r] * sum over entries e of r of other[e] * block[e]`, rows of `wide` numbers.
fn product<'a>(
    wide: usize,
    rows: u32,
    entries: impl Fn(u32) -> &'a [u32] + Sync,
    own: &[f32],
    other: &[f32],
    block: &[f32],
) -> Vec<f32> {
    let mut out = vec![0.0; rows as usize * wide];
    out.par_chunks_mut(wide).zip(own).enumerate().for_each(|(row, (out, own))| {
        for entry in entries(row as u32) {
            let weight = own * other.get(*entry as usize).copied().unwrap_or(0.0);
            let from = *entry as usize * wide;
            axpy(weight, block.get(from..from + wide).unwrap_or_default(), out);
        }
    });
    out
}

/// `block' block` (wide x wide) in double precision.
fn gram(block: &[f32], wide: usize) -> Vec<f64> {
    let part_rows = (block.len() / wide).div_ceil(PARTS).max(1);
    let parts: Vec<Vec<f32>> = block
        .par_chunks(part_rows * wide)
        .map(|rows| {
            let mut out = Vec::new();
            weight_gradient(rows, rows, rows.len() / wide, wide, wide, &mut out);
            out
        })
        .collect();
    let mut sum = vec![0.0f64; wide * wide];
    for part in parts {
        for (sum, value) in sum.iter_mut().zip(part) {
            *sum += f64::from(value);
        }
    }
    sum
}

/// Applies a map of rows to parts of a block, side by side.
fn in_parts(block: &[f32], wide: usize, map: impl Fn(&[f32], usize, &mut Vec<f32>) + Sync) -> Vec<f32> {
    let part_rows = (block.len() / wide).div_ceil(PARTS).max(1);
    let parts: Vec<Vec<f32>> = block
        .par_chunks(part_rows * wide)
        .map(|rows| {
            let mut out = Vec::new();
            map(rows, rows.len() / wide, &mut out);
            out
        })
        .collect();
    parts.concat()
}

/// Orthonormal columns with the same span, by two rounds of Cholesky QR (Yamamoto et al., ETNA 44, 2015).
fn orthonormal(mut block: Vec<f32>, wide: usize) -> Result<Vec<f32>, NotFound> {
    for _ in 0..2 {
        let mut inner = gram(&block, wide);
        let most = inner.iter().step_by(wide + 1).copied().fold(0.0, f64::max);
        // Directions that the data does not have would make the factor singular.
        inner.iter_mut().step_by(wide + 1).for_each(|value| *value += 1e-7 * most + f64::MIN_POSITIVE);
        let inner = Mat::from_fn(wide, wide, |row, column| inner.get(row * wide + column).copied().unwrap_or(0.0));
        let factor = inner.llt(Side::Lower).map_err(|error| NotFound(format!("{error:?}")))?;
        // Rows of L^-1, by forward substitution of the unit columns: Q = block L^-T.
        let lower = factor.L();
        let mut inverse = Mat::<f64>::identity(wide, wide);
        faer::linalg::triangular_solve::solve_lower_triangular_in_place(
            lower,
            inverse.as_mut(),
            faer::get_global_parallelism(),
        );
        let inverse: Vec<f32> = (0..wide * wide).map(|at| inverse[(at / wide, at % wide)] as f32).collect();
        block = in_parts(&block, wide, |rows, count, out| {
            linear(rows, &inverse, &[], count, wide, wide, false, out);
        });
    }
    Ok(block)
}

impl Spectrum {
    fn query(&self, history: &History, query: &mut [f32]) {
        let mut own: Vec<u32> = history.items().collect();
        own.sort_unstable();
        own.dedup();
        for item in own {
            let from = item as usize * self.rank;
            axpy(1.0, self.spoken.get(from..from + self.rank).unwrap_or_default(), query);
        }
    }
}

impl Scorer for Spectrum {
    fn score(&self, who: Option<usize>, history: &History, scores: &mut [f32]) {
        self.score_all(&[(who, history)], scores);
    }

    fn score_all(&self, users: &[(Option<usize>, &History)], scores: &mut [f32]) {
        let mut queries = vec![0.0; users.len() * self.rank];
        for ((_, history), query) in users.iter().zip(queries.chunks_exact_mut(self.rank)) {
            self.query(history, query);
        }
        let items = scores.len() / users.len().max(1);
        let mut found = Vec::new();
        linear(&queries, &self.reached, &[], users.len(), self.rank, items, false, &mut found);
        for (score, found) in scores.iter_mut().zip(found) {
            *score = found;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    fn histories() -> Histories {
        let users =
            (0..40u32).map(|user| History::of_items((0..6).map(|at| (user * 7 + at * at + at * user) % 15).collect()));
        Histories { items: 15, users: users.collect() }
    }

    /// With every direction and no ridge nothing is filtered: what is asked is what is answered.
    #[test]
    fn all_directions_are_the_identity() {
        let settings = SpectrumSettings { rank: 15, ridge: 0.0, item_power: 0.4, reached: 0.4, ..Default::default() };
        let fitted = Spectrum::fit(&histories(), settings).unwrap();
        let mut scores = vec![0.0; 15];
        fitted.score(None, &History::of_items(vec![3, 8]), &mut scores);
        for (item, score) in scores.iter().enumerate() {
            let expected = f32::from(u8::from([3, 8].contains(&item)));
            assert!((score - expected).abs() < 1e-3, "{item}: {score}");
        }
    }

    /// Two groups that share nothing have two directions of strength 1, and a filter of these two knows the groups.
    #[test]
    fn groups_are_the_strongest_directions() {
        let users = [vec![0, 1], vec![0, 1], vec![0, 1], vec![2, 3], vec![2, 3], vec![2, 3]];
        let histories = Histories { items: 4, users: users.into_iter().map(History::of_items).collect() };
        let settings = SpectrumSettings { rank: 2, ridge: 0.0, ..Default::default() };
        let fitted = Spectrum::fit(&histories, settings).unwrap();
        assert!(fitted.strengths.iter().all(|strength| (strength - 1.0).abs() < 1e-4));
        let mut scores = vec![0.0; 4];
        fitted.score(None, &History::of_items(vec![2]), &mut scores);
        for (score, expected) in scores.iter().zip([0.0, 0.0, 0.5, 0.5]) {
            assert!((score - expected).abs() < 1e-4, "{scores:?}");
        }
    }

    #[test]
    fn threads_change_nothing() {
        let fit = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let settings = SpectrumSettings { rank: 5, ..Default::default() };
            pool.install(|| Spectrum::fit(&histories(), settings).unwrap().reached)
        };
        assert_eq!(fit(1), fit(3));
    }
}
