//! Coordinate search over a situation's weights.

use endcap_kernels::TopK;
use endcap_recommender::candidates::{Candidate, SIGNALS, Signal};
use endcap_recommender::fitted::{Model, Situation};
use rayon::prelude::*;

use super::{AT, Case, Served, mean, ndcg};

/// A question's candidates with their signals, and which of them are right.
pub(super) struct Ranked {
    products: Vec<u32>,
    signals: Vec<[f32; SIGNALS]>,
    targets: Vec<u32>,
}

impl Ranked {
    /// What is in the cart is never an answer.
    pub fn new(case: &Case, found: &[Candidate]) -> Self {
        let wanted = |candidate: &&Candidate| !case.question.anchors.contains(&candidate.product);
        let mut targets = case.targets.clone();
        targets.sort_unstable();
        let found = || found.iter().filter(wanted);
        Self {
            products: found().map(|candidate| candidate.product).collect(),
            signals: found().map(|candidate| candidate.signals).collect(),
            targets,
        }
    }

    pub fn best(&self, weights: [f32; SIGNALS]) -> Vec<(u32, f32)> {
        let mut best = TopK::new(AT);
        for (product, signals) in self.products.iter().zip(&self.signals) {
            let score: f32 = signals.iter().zip(weights).map(|(signal, weight)| signal * weight).sum();
            best.push(*product, score);
        }
        best.into_sorted()
    }

    /// NDCG for each weight of one signal, the others as they are.
    fn ndcg_along(&self, weights: [f32; SIGNALS], signal: usize, grid: &[f32]) -> Vec<f64> {
        let mut others = weights;
        if let Some(slot) = others.get_mut(signal) {
            *slot = 0.0;
        }
        let sums: Vec<(u32, f32, f32)> = self
            .products
            .iter()
            .zip(&self.signals)
            .map(|(product, signals)| {
                let rest = signals.iter().zip(others).map(|(signal, weight)| signal * weight).sum();
                (*product, rest, signals.get(signal).copied().unwrap_or(0.0))
            })
            .collect();
        let one = |weight: f32| {
            let mut best = TopK::new(AT);
            for (product, rest, value) in &sums {
                best.push(*product, rest + weight * value);
            }
            ndcg(&self.hits(&best.into_sorted()), self.targets.len(), AT)
        };
        grid.iter().map(|weight| one(*weight)).collect()
    }

    fn hits(&self, best: &[(u32, f32)]) -> Vec<bool> {
        best.iter().map(|(product, _)| self.targets.binary_search(product).is_ok()).collect()
    }

    pub fn ndcg(&self, weights: [f32; SIGNALS]) -> f64 {
        ndcg(&self.hits(&self.best(weights)), self.targets.len(), AT)
    }

    pub fn judge(&self, weights: [f32; SIGNALS]) -> Served {
        let best = self.best(weights);
        let hits = self.hits(&best);
        let found = hits.iter().filter(|hit| **hit).count() as f64;
        let recall = found / self.targets.len().max(1) as f64;
        Served {
            measures: [ndcg(&hits, self.targets.len(), AT), recall, f64::from(u8::from(found > 0.0))],
            list: best.into_iter().map(|(product, _)| product).collect(),
        }
    }

    pub fn top_score(&self, weights: [f32; SIGNALS]) -> f32 {
        self.best(weights).first().map_or(0.0, |(_, score)| *score)
    }
}

const GRID: [f32; 14] = [0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0];
/// A season's weight may turn the trend around.
const SEASON_GRID: [f32; 9] = [-4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0];
const ROUNDS: usize = 4;
/// A smaller gain is noise that would only make the weights wander.
const LEAST_GAIN: f64 = 1e-4;

/// Whether a signal can say anything in a situation of the window. What was viewed is not in orders.
pub(crate) fn speaks(model: &Model, signal: Signal, situation: Situation) -> bool {
    let with_cart = matches!(situation, Situation::CartKnown | Situation::CartUnknown);
    let known = matches!(situation, Situation::CartKnown | Situation::EmptyKnown);
    let similar = &model.similar;
    match signal {
        Signal::Confidence | Signal::Excess => with_cart,
        Signal::Personal => known,
        Signal::Recent | Signal::Season | Signal::Segment => true,
        Signal::Viewed => false,
        Signal::Similar => with_cart && !similar.baskets.entries.is_empty(),
        Signal::Follows => with_cart && !similar.follows.entries.is_empty(),
        Signal::Taste => known && !similar.customers.entries.is_empty(),
        Signal::Content => situation != Situation::EmptyUnknown && !similar.content.entries.is_empty(),
        Signal::Deep => model.deep.is_some(),
    }
}

/// Whether a signal rests on more than counts.
fn is_learned(signal: Signal) -> bool {
    matches!(signal, Signal::Similar | Signal::Taste | Signal::Follows | Signal::Content | Signal::Deep)
}

/// Improves one weight after the other until a round gains nothing. Which signals a situation can have is its own business;
/// `viewed` has no history in orders and keeps its weight.
pub(super) fn search(
    model: &Model,
    ranked: &[Ranked],
    start: [f32; SIGNALS],
    situation: Situation,
    counts_only: bool,
) -> [f32; SIGNALS] {
    let free: Vec<usize> = Signal::ALL
        .into_iter()
        .enumerate()
        .filter(|(_, signal)| speaks(model, *signal, situation) && !(counts_only && is_learned(*signal)))
        .map(|(at, _)| at)
        .collect();
    let mut best = start;
    let mut best_value = mean(&super::judge_cases(ranked, best));
    for _ in 0..ROUNDS {
        let before = best_value;
        for at in &free {
            let grid: &[f32] = if *at == Signal::Season as usize { &SEASON_GRID } else { &GRID };
            let each: Vec<Vec<f64>> = ranked.par_iter().map(|ranked| ranked.ndcg_along(best, *at, grid)).collect();
            for (place, weight) in grid.iter().enumerate() {
                let values: Vec<f64> = each.iter().filter_map(|values| values.get(place).copied()).collect();
                let found = mean(&values);
                if found > best_value + LEAST_GAIN {
                    best_value = found;
                    if let Some(slot) = best.get_mut(*at) {
                        *slot = *weight;
                    }
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
