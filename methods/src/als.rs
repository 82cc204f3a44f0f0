//! Matrix factorisation of implicit feedback by alternating least squares (Hu, Koren and Volinsky, "Collaborative filtering for implicit
//! feedback datasets", ICDM 2008): what was had is a preference of 1 with a confidence above that of what was not. Each system is solved
//! exactly, by Cholesky, so there is no number of inner steps to choose and the same bits come out for any number of threads.

use endcap_kernels::dense::linear;
use endcap_kernels::normal::{Lower, NormalEquations, Term};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::graph::Graph;
use crate::{Histories, History, Scorer};

#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlsSettings {
    /// Numbers of a factor.
    pub dim: usize,
    /// What was had has the confidence 1 + this, what was not has 1.
    pub confidence: f32,
    /// Added to the diagonal of every system: more means smaller factors.
    pub ridge: f32,
    /// Times that the factors of users and then those of items are solved for.
    pub iterations: u32,
    /// Of the items' first factors.
    pub seed: u64,
}

impl Default for AlsSettings {
    fn default() -> Self {
        Self { dim: 64, confidence: 10.0, ridge: 10.0, iterations: 10, seed: 1 }
    }
}

/// The factors of items; a user's follow from the history at hand, as the last half of an iteration would solve for them.
#[derive(Clone, Debug)]
pub struct Als {
    settings: AlsSettings,
    /// items x dim
    items: Vec<f32>,
    gram: Lower,
}

/// Is told the number of an iteration that is over, and the factors of users and of items.
pub type Done<'a> = dyn FnMut(u32, &[f32], &[f32]) + 'a;

/// A system is not positive definite: the ridge is not above 0, or a number is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to solve for the factors: a system is not positive definite; a larger `ridge` makes it so")]
pub struct NotDefinite;

impl Als {
    pub fn fit(histories: &Histories, settings: &AlsSettings) -> Result<Self, NotDefinite> {
        Self::of(&Graph::of(histories), settings, &mut |_, _, _| ())
    }

    /// Solves for both sides in turn; `done` is told of each iteration.
    pub fn of(graph: &Graph, settings: &AlsSettings, done: &mut Done<'_>) -> Result<Self, NotDefinite> {
        let settings = AlsSettings { dim: settings.dim.max(1), ..*settings };
        let dim = settings.dim;
        let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
        // All above 0, so that the first users' factors hold popularity at once.
        let mut items: Vec<f32> = (0..graph.items() * dim).map(|_| 0.01 * random.random::<f32>()).collect();
        let mut users = vec![0.0; graph.users() * dim];
        for iteration in 0..settings.iterations {
            solve_all(&mut users, &items, &settings, |user| graph.items_of(user))?;
            solve_all(&mut items, &users, &settings, |item| graph.users_of(item))?;
            done(iteration, &users, &items);
        }
        let mut gram = Lower::gram(&items, dim);
        gram.add_to_diagonal(settings.ridge);
        Ok(Self { settings, items, gram })
    }

    /// items x dim
    pub fn items(&self) -> &[f32] {
        &self.items
    }
}

/// Sparse data reach every system by a few terms, so that threads are given this many systems at a time.
const TOGETHER: usize = 32;

/// The factors of one side, given those of the other.
fn solve_all<'a>(
    own: &mut [f32],
    other: &[f32],
    settings: &AlsSettings,
    met: impl Fn(u32) -> &'a [u32] + Sync,
) -> Result<(), NotDefinite> {
    let dim = settings.dim;
    let mut base = Lower::gram(other, dim);
    base.add_to_diagonal(settings.ridge);
    let solved = own.par_chunks_mut(TOGETHER * dim).enumerate().map_init(
        || NormalEquations::new(dim),
        |equations, (first, factors)| {
            let mut numbers = (first * TOGETHER) as u32..;
            factors.chunks_exact_mut(dim).zip(&mut numbers).all(|(factor, number)| {
                let met = met(number);
                if met.is_empty() {
                    factor.fill(0.0);
                    return true;
                }
                equations.solve(&base, other, terms(met, settings.confidence), factor)
            })
        },
    );
    if solved.all(|solved| solved) { Ok(()) } else { Err(NotDefinite) }
}

fn terms(met: &[u32], confidence: f32) -> impl Iterator<Item = Term> {
    met.iter().map(move |row| Term { row: *row, weight: confidence, target: 1.0 + confidence })
}

impl Scorer for Als {
    fn score(&self, _: Option<usize>, history: &History, scores: &mut [f32]) {
        let dim = self.settings.dim;
        let mut own: Vec<u32> = history.items().collect();
        own.sort_unstable();
        own.dedup();
        let mut factor = vec![0.0; dim];
        NormalEquations::new(dim).solve(&self.gram, &self.items, terms(&own, self.settings.confidence), &mut factor);
        let mut found = Vec::new();
        linear(&factor, &self.items, &[], 1, dim, self.items.len() / dim, false, &mut found);
        scores.fill(0.0);
        for (score, found) in scores.iter_mut().zip(found) {
            *score = found;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use crate::{Ties, top};

    fn groups() -> Histories {
        let of = |user: u32| -> Vec<u32> {
            let own = (0..10).filter(|item| !(item + user / 2).is_multiple_of(4));
            own.map(|item| item + 10 * (user % 2)).collect()
        };
        Histories { items: 20, users: (0..24).map(|user| History::of_items(of(user))).collect() }
    }

    /// What the paper minimises.
    fn loss(graph: &Graph, users: &[f32], items: &[f32], settings: &AlsSettings) -> f64 {
        let dim = settings.dim;
        let mut sum = 0.0;
        for user in 0..graph.users() {
            for item in 0..graph.items() {
                let product: f64 =
                    (0..dim).map(|at| f64::from(users[user * dim + at]) * f64::from(items[item * dim + at])).sum();
                let had = graph.items_of(user as u32).contains(&(item as u32));
                let (wanted, weight) = if had { (1.0, 1.0 + f64::from(settings.confidence)) } else { (0.0, 1.0) };
                sum += weight * (wanted - product) * (wanted - product);
            }
        }
        let size = users.iter().chain(items).map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>();
        sum + f64::from(settings.ridge) * size
    }

    #[test]
    fn the_loss_falls_and_no_step_along_an_axis_lowers_it_further() {
        let graph = Graph::of(&groups());
        let settings = AlsSettings { dim: 3, confidence: 4.0, ridge: 0.5, iterations: 40, seed: 3 };
        let mut losses = Vec::new();
        let mut last = (Vec::new(), Vec::new());
        Als::of(&graph, &settings, &mut |_, users, items| {
            losses.push(loss(&graph, users, items, &settings));
            last = (users.to_vec(), items.to_vec());
        })
        .unwrap();
        assert!(losses.windows(2).all(|pair| pair[1] <= pair[0] + 1e-3), "{losses:?}");
        let (users, items) = last;
        let lowest = loss(&graph, &users, &items, &settings);
        for at in 0..items.len() {
            for by in [-0.02, 0.02] {
                let mut moved = items.clone();
                moved[at] += by;
                assert!(loss(&graph, &users, &moved, &settings) > lowest);
            }
        }
    }

    #[test]
    fn a_history_finds_its_group_and_threads_change_nothing() {
        let settings = AlsSettings { dim: 4, ridge: 1.0, ..AlsSettings::default() };
        let fit = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Als::fit(&groups(), &settings).unwrap())
        };
        let (one, two) = (fit(1), fit(2));
        assert_eq!(one.items(), two.items());
        let mut scores = vec![9.0; 20];
        one.score(None, &History::of_items(vec![11, 12, 13]), &mut scores);
        assert!(top(&scores, 8, Ties::SmallerItem).iter().all(|item| *item >= 10), "{scores:?}");
        one.score(None, &History::default(), &mut scores);
        assert!(scores.iter().all(|score| score.abs() < 1e-9));
    }

    #[test]
    fn what_cannot_be_solved_is_said() {
        let settings = AlsSettings { ridge: f32::NAN, ..AlsSettings::default() };
        assert!(Als::fit(&groups(), &settings).is_err());
        assert!(NotDefinite.to_string().contains("ridge"));
    }
}
