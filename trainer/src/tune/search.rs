//! Coordinate search over a situation's weights.

use endcap_kernels::TopK;
use endcap_recommender::candidates::{Candidate, SIGNALS, Signal};
use endcap_recommender::fitted::Situation;
use rayon::prelude::*;

use super::{AT, Case, ndcg};

/// A question's candidates with their signals, and which of them are right.
pub(super) struct Ranked {
    candidates: Vec<Candidate>,
    targets: Vec<u32>,
}

impl Ranked {
    /// What is in the cart is never an answer.
    pub fn new(case: &Case, found: &[Candidate]) -> Self {
        let wanted = |candidate: &&Candidate| !case.question.anchors.contains(&candidate.product);
        let mut targets = case.targets.clone();
        targets.sort_unstable();
        Self { candidates: found.iter().filter(wanted).copied().collect(), targets }
    }

    fn best(&self, weights: [f32; SIGNALS]) -> Vec<(u32, f32)> {
        let mut best = TopK::new(AT);
        for candidate in &self.candidates {
            let score: f32 = candidate.signals.iter().zip(weights).map(|(signal, weight)| signal * weight).sum();
            best.push(candidate.product, score);
        }
        best.into_sorted()
    }

    fn hits(&self, best: &[(u32, f32)]) -> Vec<bool> {
        best.iter().map(|(product, _)| self.targets.binary_search(product).is_ok()).collect()
    }

    pub fn ndcg(&self, weights: [f32; SIGNALS]) -> f64 {
        ndcg(&self.hits(&self.best(weights)), self.targets.len(), AT)
    }

    /// NDCG, recall and whether anything was hit.
    pub fn judge(&self, weights: [f32; SIGNALS]) -> [f64; 3] {
        let hits = self.hits(&self.best(weights));
        let found = hits.iter().filter(|hit| **hit).count() as f64;
        [
            ndcg(&hits, self.targets.len(), AT),
            found / self.targets.len().max(1) as f64,
            f64::from(u8::from(found > 0.0)),
        ]
    }

    pub fn top_score(&self, weights: [f32; SIGNALS]) -> f32 {
        self.best(weights).first().map_or(0.0, |(_, score)| *score)
    }
}

/// Summed in order, so that the number of threads does not show.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn value(ranked: &[Ranked], weights: [f32; SIGNALS]) -> f64 {
    let each: Vec<f64> = ranked.par_iter().map(|ranked| ranked.ndcg(weights)).collect();
    mean(&each)
}

const GRID: [f32; 14] = [0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0];
/// A season's weight may turn the trend around.
const SEASON_GRID: [f32; 9] = [-4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0];
const ROUNDS: usize = 4;
/// A smaller gain is noise that would only make the weights wander.
const LEAST_GAIN: f64 = 1e-4;

/// Whether a signal can say anything in a situation of the window. What was viewed is not in orders.
pub(super) fn speaks(signal: Signal, situation: Situation) -> bool {
    match signal {
        Signal::Confidence | Signal::Excess => matches!(situation, Situation::CartKnown | Situation::CartUnknown),
        Signal::Personal => matches!(situation, Situation::CartKnown | Situation::EmptyKnown),
        Signal::Recent | Signal::Season | Signal::Segment => true,
        Signal::Viewed => false,
    }
}

/// Improves one weight after the other until a round gains nothing. Which signals a situation can have is its own business;
/// `viewed` has no history in orders and keeps its weight.
pub(super) fn search(ranked: &[Ranked], start: [f32; SIGNALS], situation: Situation) -> [f32; SIGNALS] {
    let free: Vec<usize> = Signal::ALL
        .into_iter()
        .enumerate()
        .filter(|(_, signal)| speaks(*signal, situation))
        .map(|(at, _)| at)
        .collect();
    let mut best = start;
    let mut best_value = value(ranked, best);
    for _ in 0..ROUNDS {
        let before = best_value;
        for at in &free {
            let grid: &[f32] = if *at == Signal::Season as usize { &SEASON_GRID } else { &GRID };
            for weight in grid {
                let mut tried = best;
                if let Some(slot) = tried.get_mut(*at) {
                    *slot = *weight;
                }
                let found = value(ranked, tried);
                if found > best_value + LEAST_GAIN {
                    (best, best_value) = (tried, found);
                }
            }
        }
        if best_value - before < LEAST_GAIN {
            break;
        }
    }
    best
}

/// Scales weights so that the mean score of a top ten is the share of it that was right.
pub(super) fn calibrate(ranked: &[Ranked], weights: [f32; SIGNALS]) -> [f32; SIGNALS] {
    let each: Vec<(f64, f64, usize)> = ranked
        .par_iter()
        .map(|ranked| {
            let best = ranked.best(weights);
            let hits = ranked.hits(&best).into_iter().filter(|hit| *hit).count() as f64;
            (hits, best.iter().map(|(_, score)| f64::from(*score)).sum(), best.len())
        })
        .collect();
    let hits: f64 = each.iter().map(|one| one.0).sum();
    let scores: f64 = each.iter().map(|one| one.1).sum();
    if hits <= 0.0 || scores <= 0.0 {
        return weights;
    }
    let factor = (hits / scores) as f32;
    weights.map(|weight| weight * factor)
}
