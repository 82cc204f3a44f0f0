//! A linear autoencoder of low rank with a softmax over all items: the denoising autoencoder with multinomial likelihood of Liang et al.
//! ("Variational autoencoders for collaborative filtering", WWW 2018) without a hidden layer. A user is the sum of the vectors of what the
//! user had, of which some are dropped at each look, so that what is left must find them.

use endcap_kernels::dense::linear;
use endcap_kernels::dot::axpy;
use endcap_kernels::loss::{Targets, linear_cross_entropy};
use endcap_kernels::sparse::{Adam, SparseTable};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::graph::Graph;
use crate::{Histories, History, Scorer};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoencoderSettings {
    pub dim: usize,
    /// Share of a user's items that is dropped at each look.
    pub dropout: f32,
    pub epochs: u32,
    /// Users a step.
    pub batch: usize,
    pub learning_rate: f32,
    pub weight_decay: f32,
    /// A user's n items weigh n to this power in all: 1 is the likelihood's own, 0 hears every user alike.
    pub voice: f32,
    pub seed: u64,
}

impl Default for AutoencoderSettings {
    fn default() -> Self {
        Self {
            dim: 64,
            dropout: 0.5,
            epochs: 10,
            batch: 512,
            learning_rate: 0.005,
            weight_decay: 0.0,
            voice: 0.5,
            seed: 1,
        }
    }
}

/// A fitted autoencoder.
#[derive(Clone, Debug)]
pub struct Autoencoder {
    dim: usize,
    /// items x dim: what an item says of a user, and how it answers.
    said: Vec<f32>,
    answers: Vec<f32>,
    bias: Vec<f32>,
    /// Mean loss of each epoch.
    pub losses: Vec<f64>,
}

struct Tables {
    dim: usize,
    said: SparseTable,
    answers: SparseTable,
    bias: SparseTable,
}

/// Items that are heard and items that are targets, of one user.
struct Look<'a> {
    heard: Vec<u32>,
    targets: &'a [u32],
}

impl Tables {
    fn new(items: usize, settings: &AutoencoderSettings) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
        let dim = settings.dim.max(1);
        let half = 0.5 / (dim as f32).sqrt();
        let mut drawn = || {
            let values = (0..items * dim).map(|_| half * (2.0 * random.random::<f32>() - 1.0)).collect();
            SparseTable::new(items, dim, values)
        };
        let (said, answers) = (drawn(), drawn());
        Self { dim, said, answers, bias: SparseTable::new(items, 1, Vec::new()) }
    }

    /// The mean loss and the gradients: of what is said by the ids given, of answers and of the bias by all.
    fn gradients(&self, looks: &[Look<'_>], voice: f32) -> (f64, Vec<u32>, [Vec<f32>; 3]) {
        let dim = self.dim;
        let mut hidden = vec![0.0; looks.len() * dim];
        let (mut starts, mut ids, mut weights) = (vec![0], Vec::new(), Vec::new());
        for (look, hidden) in looks.iter().zip(hidden.chunks_exact_mut(dim)) {
            encode(self.said.values(), dim, &look.heard, hidden);
            let weight = (look.targets.len().max(1) as f32).powf(voice - 1.0);
            ids.extend_from_slice(look.targets);
            weights.resize(ids.len(), weight);
            starts.push(ids.len() as u32);
        }
        let targets = Targets { starts: &starts, ids: &ids, weights: &weights };
        let found = linear_cross_entropy(&hidden, self.answers.values(), Some(self.bias.values()), dim, &targets);
        let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum::<f64>().max(f64::MIN_POSITIVE);
        let scale = (1.0 / total) as f32;
        let scaled = |mut values: Vec<f32>| {
            for value in &mut values {
                *value *= scale;
            }
            values
        };
        let d_hidden = scaled(found.d_hidden);
        let mut heard: Vec<u32> = looks.iter().flat_map(|look| look.heard.iter().copied()).collect();
        heard.sort_unstable();
        heard.dedup();
        let mut d_said = vec![0.0; heard.len() * dim];
        for (look, gradient) in looks.iter().zip(d_hidden.chunks_exact(dim)) {
            let share = share(&look.heard);
            for item in &look.heard {
                let at = heard.binary_search(item).unwrap_or(0) * dim;
                axpy(share, gradient, d_said.get_mut(at..at + dim).unwrap_or_default());
            }
        }
        (found.loss / total, heard, [d_said, scaled(found.d_weight), scaled(found.d_bias)])
    }
}

/// What each of a user's items counts.
fn share(heard: &[u32]) -> f32 {
    1.0 / (heard.len().max(1) as f32).sqrt()
}

fn encode(said: &[f32], dim: usize, heard: &[u32], hidden: &mut [f32]) {
    for item in heard {
        let at = *item as usize * dim;
        axpy(share(heard), said.get(at..at + dim).unwrap_or_default(), hidden);
    }
}

impl Autoencoder {
    /// Learns from users of two items or more. `told` hears each epoch's number and mean loss.
    pub fn fit(histories: &Histories, settings: &AutoencoderSettings, told: &dyn Fn(u32, f64)) -> Self {
        let graph = Graph::of(histories);
        let mut tables = Tables::new(graph.items(), settings);
        let mut users: Vec<u32> = (0..graph.users() as u32).filter(|user| graph.items_of(*user).len() > 1).collect();
        let mut random = ChaCha8Rng::seed_from_u64(settings.seed ^ 0xae);
        let all: Vec<u32> = (0..graph.items() as u32).collect();
        let mut losses = Vec::new();
        for epoch in 0..settings.epochs {
            users.shuffle(&mut random);
            // A rate that falls along a half cosine to a twentieth (Loshchilov and Hutter, 2017).
            let part = f64::from(epoch) / f64::from(settings.epochs.max(1));
            let factor = 0.05 + 0.95 * 0.5 * (1.0 + (std::f64::consts::PI * part).cos());
            let adam = Adam {
                learning_rate: settings.learning_rate * factor as f32,
                beta2: 0.99,
                weight_decay: settings.weight_decay,
                ..Adam::default()
            };
            let (mut sum, mut steps) = (0.0, 0u32);
            for chosen in users.chunks(settings.batch.max(1)) {
                let looks: Vec<Look<'_>> = chosen
                    .iter()
                    .map(|user| {
                        let targets = graph.items_of(*user);
                        let is_heard = |_: &u32| random.random::<f32>() >= settings.dropout;
                        Look { heard: targets.iter().copied().filter(is_heard).collect(), targets }
                    })
                    .collect();
                let (loss, heard, [d_said, d_answers, d_bias]) = tables.gradients(&looks, settings.voice);
                tables.said.step(&heard, &d_said, &adam);
                tables.answers.step(&all, &d_answers, &adam);
                tables.bias.step(&all, &d_bias, &adam);
                sum += loss;
                steps += 1;
            }
            let loss = sum / f64::from(steps.max(1));
            told(epoch, loss);
            losses.push(loss);
        }
        Self {
            dim: tables.dim,
            said: tables.said.into_values(),
            answers: tables.answers.into_values(),
            bias: tables.bias.into_values(),
            losses,
        }
    }
}

impl Scorer for Autoencoder {
    /// Probabilities.
    fn score(&self, _: Option<usize>, history: &History, scores: &mut [f32]) {
        let mut heard: Vec<u32> = history.items().collect();
        heard.sort_unstable();
        heard.dedup();
        let mut hidden = vec![0.0; self.dim];
        encode(&self.said, self.dim, &heard, &mut hidden);
        let mut found = Vec::new();
        linear(&hidden, &self.answers, &self.bias, 1, self.dim, self.bias.len(), false, &mut found);
        scores.fill(0.0);
        crate::transformer::softmax(&mut found);
        for (score, found) in scores.iter_mut().zip(found) {
            *score = found;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn every_parameter_has_the_gradient_of_finite_differences() {
        let settings = AutoencoderSettings { dim: 3, ..Default::default() };
        let mut tables = Tables::new(5, &settings);
        let looks = [
            Look { heard: vec![0, 2], targets: &[0, 2, 4] },
            Look { heard: vec![], targets: &[1] },
            Look { heard: vec![2], targets: &[2, 3] },
        ];
        let (_, heard, gradients) = tables.gradients(&looks, 0.5);
        assert_eq!(heard, vec![0, 2]);
        for (which, gradient) in gradients.iter().enumerate() {
            for (at, found) in gradient.iter().enumerate() {
                let dim = if which == 2 { 1 } else { 3 };
                let place = if which == 0 { heard[at / 3] as usize * 3 + at % 3 } else { at };
                let mut loss = |by: f32| {
                    let table =
                        [&mut tables.said, &mut tables.answers, &mut tables.bias].into_iter().nth(which).unwrap();
                    let before = table.clone();
                    let mut values = table.values().to_vec();
                    values[place] += by;
                    *table = SparseTable::new(5, dim, values);
                    let loss = tables.gradients(&looks, 0.5).0;
                    *[&mut tables.said, &mut tables.answers, &mut tables.bias].into_iter().nth(which).unwrap() = before;
                    loss
                };
                let expected = (loss(1e-2) - loss(-1e-2)) / 2e-2;
                assert!((f64::from(*found) - expected).abs() < 1e-3, "{which} {at}: {found} is not {expected}");
            }
        }
    }

    #[test]
    fn groups_are_learned() {
        let users =
            (0..60u32).map(|user| History::of_items((0..4).map(|at| (user * 3 + at) % 6 + 6 * (user % 2)).collect()));
        let histories = Histories { items: 12, users: users.collect() };
        let settings = AutoencoderSettings { dim: 4, batch: 8, epochs: 60, learning_rate: 0.02, ..Default::default() };
        let fitted = Autoencoder::fit(&histories, &settings, &|_, _| ());
        let mut scores = vec![0.0; 12];
        fitted.score(None, &History::of_items(vec![6, 7]), &mut scores);
        let own: f32 = scores[6..].iter().sum();
        assert!(own > 0.9, "{scores:?}");
        assert!(fitted.losses[59] < fitted.losses[0]);
    }
}
