//! Learns the hybrid ranker on the validation window, judges it on questions that it has not seen (cross-fitting), and finds what each
//! generator is worth to it.

pub mod calibrate;
#[cfg(test)]
mod gradients;
pub mod net;

use endcap_recommender::candidates::Signal;
use endcap_recommender::fitted::{Layers, Ranker, Situation};
use endcap_recommender::ranking::{INPUTS, input_signals};
use rayon::prelude::*;

pub use net::{List, NetOptions};

use crate::TrainError;

/// Parts of the cross-fitting.
pub const FOLDS: u8 = 3;

fn failed(source: candle_core::Error) -> TrainError {
    TrainError::Tensor { what: "the ranker", source: Box::new(source) }
}

/// Means and spreads of the lists' inputs; inputs of `without` are switched off.
fn standardise(lists: &[&List], depth: usize, without: &[Signal]) -> Ranker {
    let mut sums = vec![(0.0f64, 0.0f64); INPUTS];
    let mut rows = 0.0f64;
    for list in lists {
        rows += list.rows as f64;
        for row in list.inputs.chunks_exact(INPUTS) {
            for ((sum, squares), value) in sums.iter_mut().zip(row) {
                *sum += f64::from(*value);
                *squares += f64::from(*value) * f64::from(*value);
            }
        }
    }
    let rows = rows.max(1.0);
    let off = input_signals().map(|signal| signal.is_some_and(|signal| without.contains(&signal)));
    let mean: Vec<f32> = sums.iter().map(|(sum, _)| (sum / rows) as f32).collect();
    let inverse = sums.iter().zip(off).map(|((sum, squares), off)| {
        let sd = (squares / rows - (sum / rows).powi(2)).max(0.0).sqrt();
        if off || sd < 1e-6 { 0.0 } else { (1.0 / sd) as f32 }
    });
    Ranker { depth, inverse_sd: inverse.collect(), mean, ..Ranker::default() }
}

/// Learns from all lists. Traits and calibration are left empty.
pub fn learn(lists: &[List], depth: usize, without: &[Signal], options: &NetOptions) -> Result<Ranker, TrainError> {
    learn_from(&lists.iter().collect::<Vec<_>>(), depth, without, options)
}

fn learn_from(lists: &[&List], depth: usize, without: &[Signal], options: &NetOptions) -> Result<Ranker, TrainError> {
    let usable: Vec<&List> = lists.iter().copied().filter(|list| !list.right.is_empty()).collect();
    let mut ranker = standardise(&usable, depth, without);
    ranker.calibration = Situation::ALL.iter().flat_map(|_| [1.0, 0.0]).collect();
    net::learn(&usable, &mut ranker, options).map_err(failed)?;
    Ok(ranker)
}

/// Logits of a list's rows.
pub fn logits(ranker: &Ranker, list: &List, layers: &mut Layers) -> Vec<f32> {
    let mut inputs = list.inputs.clone();
    ranker.standardise(&mut inputs);
    ranker.logits(&inputs, layers)
}

/// For each set of generators that is left out: logits of every list by a ranker that was learned without the list's fold, on those
/// lists that `used` marks. All rankers are learned side by side. `done` is called after each set's share of the work.
pub fn cross_fit(
    lists: &[List],
    used: &[bool],
    depth: usize,
    left_out: &[Vec<Signal>],
    options: &NetOptions,
    done: &(dyn Fn() + Sync),
) -> Result<Vec<Vec<Vec<f32>>>, TrainError> {
    let folds = usize::from(FOLDS);
    let rankers: Vec<Ranker> = (0..left_out.len() * folds)
        .into_par_iter()
        .with_max_len(1)
        .map(|job| {
            let (without, fold) = (left_out.get(job / folds).map_or(&[][..], Vec::as_slice), (job % folds) as u8);
            let marked = lists.iter().zip(used).filter(|(list, used)| **used && list.fold != fold);
            let others: Vec<&List> = marked.map(|(list, _)| list).collect();
            let ranker = learn_from(&others, depth, without, options);
            if fold == 0 {
                done();
            }
            ranker
        })
        .collect::<Result<_, _>>()?;
    let of_list = |layers: &mut Layers, list: &List, rankers: &[Ranker]| {
        rankers.get(list.fold as usize).map_or_else(Vec::new, |ranker| logits(ranker, list, layers))
    };
    Ok(rankers
        .chunks(folds)
        .map(|rankers| {
            lists.par_iter().map_init(Layers::default, |layers, list| of_list(layers, list, rankers)).collect()
        })
        .collect())
}
