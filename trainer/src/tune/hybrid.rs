//! The ranker's part of tuning: lists from the window's questions, cross-fitted judgement, ablation, calibration.

use std::collections::BTreeMap;

use endcap_recommender::artifact::Metric;
use endcap_recommender::candidates::{Scratch, Signal};
use endcap_recommender::fitted::{Deep, Model, NONE, Ranker, SignalWeights, Situation};
use endcap_recommender::ranking::{inputs, shortlist};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::component::{Component, Parts};
use super::{AT, Calibrated, Case, Judged, Served, Tuned, metric, name_of, ndcg, ratings, served_metrics};
use crate::TrainError;
use crate::options::Hyper;
use crate::progress::{Phase, Progress, check};
use crate::ranker::calibrate::platt;
use crate::ranker::{self, FOLDS, List, NetOptions};

/// Generators that are taken out together to see what they are worth.
const COMPONENTS: [(&str, &[Signal]); 9] = [
    ("bought_together", &[Signal::Confidence, Signal::Excess]),
    ("personal", &[Signal::Personal]),
    ("popularity", &[Signal::Recent, Signal::Season]),
    ("segment", &[Signal::Segment]),
    ("similar", &[Signal::Similar]),
    ("taste", &[Signal::Taste]),
    ("follows", &[Signal::Follows]),
    ("content", &[Signal::Content]),
    ("deep", &[Signal::Deep]),
];
pub(super) const STEPS: u64 = COMPONENTS.len() as u64 + 4;

/// A question's list with what judging it needs.
pub(super) struct Shown {
    pub list: List,
    pub products: Vec<u32>,
    /// All that was right, found or not.
    pub targets: usize,
    /// Situation and place among its cases; none for a question that is only learned from.
    pub case: Option<(usize, usize)>,
    pub situation: Situation,
}

pub(super) fn judge(shown: &Shown, logits: &[f32]) -> Served {
    let mut order: Vec<usize> = (0..shown.products.len()).collect();
    let logit = |at: &usize| logits.get(*at).copied().unwrap_or(f32::MIN);
    let product = |at: &usize| shown.products.get(*at).copied().unwrap_or(0);
    order.sort_unstable_by(|a, b| logit(b).total_cmp(&logit(a)).then(product(a).cmp(&product(b))));
    order.truncate(AT);
    let hits: Vec<bool> = order.iter().map(|at| shown.list.right.contains(&(*at as u32))).collect();
    let found = hits.iter().filter(|hit| **hit).count() as f64;
    let recall = found / shown.targets.max(1) as f64;
    Served {
        measures: [ndcg(&hits, shown.targets, AT), recall, f64::from(u8::from(found > 0.0))],
        list: order.iter().map(product).collect(),
    }
}

fn show(
    model: &Model,
    case: &Case,
    crossed: bool,
    place: Option<(usize, usize)>,
    scratch: &mut Scratch,
) -> Option<Shown> {
    let ranker = model.ranker.as_ref()?;
    let catalogue = &model.catalogue;
    let anchors = &case.question.anchors;
    let taken = |product: u32| {
        let subcategory = catalogue.subcategory(product);
        crossed && subcategory != NONE && anchors.iter().any(|anchor| catalogue.subcategory(*anchor) == subcategory)
    };
    let wanted = |product: u32| !anchors.contains(&product) && !taken(product);
    let targets: Vec<u32> = case.targets.iter().copied().filter(|product| wanted(*product)).collect();
    if targets.is_empty() {
        return None;
    }
    let best = shortlist(model, &case.question, ranker.depth, &wanted, scratch);
    let mut rows = Vec::new();
    inputs(ranker, &case.question, &best, &mut rows);
    let products: Vec<u32> = best.iter().map(|candidate| candidate.product).collect();
    let right = (0u32..).zip(&products).filter(|(_, product)| targets.contains(product)).map(|(at, _)| at);
    // Customers are spread over the parts by their number.
    let fold = (case.group.wrapping_mul(0x9E37_79B1) >> 16) % u32::from(FOLDS);
    let list = List { rows: products.len(), inputs: rows, right: right.collect(), fold: fold as u8 };
    Some(Shown {
        list,
        products,
        targets: targets.len(),
        case: place,
        situation: endcap_recommender::ranking::situation_of(&case.question),
    })
}

/// The same order cut elsewhere: carts come in every length.
fn cut_anew(case: &Case, random: &mut ChaCha8Rng) -> Option<Case> {
    let products: Vec<u32> = case.question.anchors.iter().rev().chain(&case.targets).copied().collect();
    if case.question.anchors.is_empty() || products.len() < 3 {
        return None;
    }
    let (cart, rest) = products.split_at(random.random_range(1..products.len()));
    let mut other = case.clone();
    other.question.anchors = cart.iter().rev().copied().collect();
    other.targets = rest.to_vec();
    Some(other)
}

fn lists(model: &Model, all: &[(Situation, Vec<Case>)], seed: i64) -> Vec<Shown> {
    let mut found = Vec::new();
    for (place, (_, cases)) in all.iter().enumerate() {
        let each: Vec<Vec<Shown>> = cases
            .par_iter()
            .enumerate()
            .map_init(Scratch::default, |scratch, (at, case)| {
                let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
                random.set_stream(((place as u64) << 32) | at as u64);
                let mut shown: Vec<Shown> = show(model, case, false, Some((place, at)), scratch).into_iter().collect();
                if !case.question.anchors.is_empty() {
                    shown.extend(show(model, case, true, None, scratch));
                    shown.extend(cut_anew(case, &mut random).and_then(|case| show(model, &case, false, None, scratch)));
                }
                shown
            })
            .collect();
        found.extend(each.into_iter().flatten());
    }
    found
}

/// The lists, apart from what judging needs to know of them.
fn questions(model: &Model, all: &[(Situation, Vec<Case>)], seed: i64) -> (Vec<Shown>, Vec<List>) {
    let parts = lists(model, all, seed).into_iter().map(|mut shown| {
        let list = std::mem::take(&mut shown.list);
        // Judging needs to know only which rows were right, and who may judge them.
        shown.list = List { right: list.right.clone(), fold: list.fold, ..List::default() };
        (shown, list)
    });
    parts.unzip()
}

/// NDCG, recall and hit of every question that is judged, by situation and place.
fn judged(shown: &[Shown], logits: &[Vec<f32>], blend: &Judged) -> Vec<Vec<Served>> {
    let mut served: Vec<Vec<Served>> = blend.served.iter().map(|cases| vec![Served::default(); cases.len()]).collect();
    for (shown, logits) in shown.iter().zip(logits) {
        if let Some((place, at)) = shown.case
            && let Some(slot) = served.get_mut(place).and_then(|cases| cases.get_mut(at))
        {
            *slot = judge(shown, logits);
        }
    }
    served
}

fn ndcgs(served: &[Vec<Served>]) -> Vec<f64> {
    served.iter().flatten().map(Served::ndcg).collect()
}

/// What the ranker is learned with, beside its questions.
pub(super) struct Learning<'a> {
    pub blend: &'a Judged,
    /// By product, from ratings before the window ([`crate::fit::liking`]).
    pub liking: &'a [f32],
    pub hyper: &'a Hyper,
    pub seed: i64,
}

/// Learns the ranker, decides what stays, and writes metrics and the ablation table into `tuned`; returns what the cross-fitted rankers
/// list. Where the ranker is not better than the blend (lower end of the 95% interval of the paired difference at or below 0), it stays
/// out.
pub(super) fn learn(
    model: &mut Model,
    all: &[(Situation, Vec<Case>)],
    learning: &Learning<'_>,
    tuned: &mut Tuned,
    progress: &dyn Progress,
) -> Result<Option<Vec<Vec<Served>>>, TrainError> {
    let Learning { blend, liking, hyper, seed } = *learning;
    check(progress, Phase::Tune)?;
    let (mut info, mut lists) = questions(model, all, seed);
    progress.advance(1);
    let options = NetOptions { epochs: hyper.ranker_epochs, seed, ..NetOptions::default() };
    let depth = hyper.ranker_depth;
    let parts: Parts = blend
        .situations
        .iter()
        .zip(&blend.served)
        .map(|(situation, served)| (name_of(*situation), served.len()))
        .collect();
    // What generators are worth is found on the judged questions alone, which halves the work.
    let fit = |info: &[Shown], lists: &[List], left_out: &[Vec<Signal>]| -> Result<Vec<Vec<f64>>, TrainError> {
        let done = || progress.advance(1);
        let is_judged: Vec<bool> = info.iter().map(|shown| shown.case.is_some()).collect();
        let logits = ranker::cross_fit(lists, &is_judged, depth, left_out, &options, &done)?;
        Ok(logits.iter().map(|logits| ndcgs(&judged(info, logits, blend))).collect())
    };
    let present: Vec<(&str, &[Signal])> =
        COMPONENTS.into_iter().filter(|(name, _)| *name != "deep" || model.deep.is_some()).collect();
    let left_out: Vec<Vec<Signal>> =
        std::iter::once(Vec::new()).chain(present.iter().map(|(_, signals)| signals.to_vec())).collect();
    let measured = fit(&info, &lists, &left_out)?;
    let whole = measured.first().cloned().unwrap_or_default();
    let mut dropped: Vec<Signal> = Vec::new();
    for ((name, signals), without) in present.into_iter().zip(measured.iter().skip(1)) {
        let component = Component::new(name, &whole, without, &parts, seed);
        if !component.kept {
            dropped.extend(signals);
        }
        tuned.components.push(component);
    }
    check(progress, Phase::Tune)?;
    // Two that do the same are each worth nothing while the other stands: they only go together if that costs nothing, from the
    // shortlist on.
    let before = (model.settings.weights.clone(), model.deep.clone());
    if !dropped.is_empty() {
        drop_from(model, &dropped);
        // The largest thing that a training holds: never two of it. What turns out to be missed is put together again.
        drop((info, lists));
        (info, lists) = questions(model, all, seed);
        let without = fit(&info, &lists, std::slice::from_ref(&dropped))?;
        let hurts = |without: &Vec<f64>| Component::new("all dropped", &whole, without, &parts, seed).kept;
        if without.first().is_none_or(hurts) {
            dropped.clear();
            tuned.components.iter_mut().for_each(|component| component.kept = true);
            (model.settings.weights, model.deep) = before.clone();
            drop((info, lists));
            (info, lists) = questions(model, all, seed);
        }
    }
    check(progress, Phase::Tune)?;
    let everything = vec![true; lists.len()];
    let fitted = ranker::cross_fit(&lists, &everything, depth, std::slice::from_ref(&dropped), &options, &|| ())?;
    let mut logits = fitted.into_iter().next().unwrap_or_default();
    let rating_weight = ratings::learn(&info, &mut logits, liking, &parts, seed, tuned);
    let mut served = judged(&info, &logits, blend);
    // Where the blend is no worse, it ranks: what is served is the better of the two by situation.
    let mut serves = vec![0; Situation::ALL.len()];
    for ((situation, own), other) in blend.situations.iter().zip(&mut served).zip(&blend.served) {
        let mean = |cases: &[Served]| super::mean(&cases.iter().map(Served::ndcg).collect::<Vec<_>>());
        let is_better = mean(own) > mean(other);
        if let Some(slot) = serves.get_mut(*situation as usize) {
            *slot = u32::from(is_better);
        }
        if !is_better {
            own.clone_from(other);
        }
    }
    progress.advance(1);

    let blend_ndcg = ndcgs(&blend.served);
    let component = Component::new("ranker", &ndcgs(&served), &blend_ndcg, &parts, seed).if_sure();
    let kept = component.kept;
    tuned.components.push(component);
    if !kept {
        // What the generators are worth to a ranker that stays out says nothing of the blend, which keeps them all.
        (model.settings.weights, model.deep) = before;
        for component in &mut tuned.components {
            component.kept = !["ranker", "ratings"].contains(&component.name.as_str());
        }
        return Ok(None);
    }
    let mut ranker = ranker::learn(&lists, depth, &dropped, &options)?;
    ranker.calibration = calibration(&info, &logits);
    ranker.serves = serves;
    tuned.rating_weight = rating_weight;
    restore(model, before, &ranker);
    let generators: Vec<Metric> =
        tuned.metrics.drain(..).filter(|metric| metric.name.matches('.').count() > 1).collect();
    tuned.metrics = served_metrics(blend, &served, seed);
    for (situation, cases) in blend.situations.iter().zip(&blend.served) {
        let values: Vec<f64> = cases.iter().map(Served::ndcg).collect();
        tuned.metrics.push(metric(format!("ndcg@10.{}.blend", name_of(*situation)), &values, seed));
    }
    tuned.metrics.extend(generators);
    top_scores(&info, &logits, &ranker, tuned);
    tuned.calibration = calibrated(&info, &logits, &ranker);
    tuned.ranker = Some(ranker);
    progress.advance(1);
    Ok(Some(served))
}

/// A generator that is not worth its place weighs nothing in the blend either, which makes the ranker's shortlist.
fn drop_from(model: &mut Model, dropped: &[Signal]) {
    for weights in model.settings.weights.values_mut() {
        weights.retain(|signal, _| !dropped.contains(signal));
    }
    if dropped.contains(&Signal::Deep) {
        model.deep = None;
    }
}

/// Where the blend serves, it serves as it was judged: with all its generators.
fn restore(model: &mut Model, before: (BTreeMap<Situation, SignalWeights>, Option<Deep>), ranker: &Ranker) {
    for (situation, weights) in before.0 {
        if !ranker.serves(situation) {
            model.settings.weights.insert(situation, weights);
        }
    }
    if model.settings.weights.values().any(|weights| weights.contains_key(&Signal::Deep)) {
        model.deep = before.1;
    }
}

/// Slope and offset by situation, from logits of rankers that had not seen the question.
fn calibration(info: &[Shown], logits: &[Vec<f32>]) -> Vec<f32> {
    Situation::ALL
        .into_iter()
        .flat_map(|situation| {
            let seen: Vec<(f32, bool)> = info
                .iter()
                .zip(logits)
                .filter(|(shown, _)| shown.situation == situation && shown.case.is_some())
                .flat_map(|(shown, logits)| {
                    (0u32..).zip(logits).map(|(at, logit)| (*logit, shown.list.right.contains(&at)))
                })
                .collect();
            let (slope, offset) = platt(&seen);
            [slope, offset]
        })
        .collect()
}

fn top_scores(info: &[Shown], logits: &[Vec<f32>], ranker: &Ranker, tuned: &mut Tuned) {
    for situation in Situation::ALL {
        if !ranker.serves(situation) {
            continue;
        }
        let tops: Vec<f64> = info
            .iter()
            .zip(logits)
            .filter(|(shown, _)| shown.situation == situation && shown.case.is_some())
            .filter_map(|(_, logits)| logits.iter().copied().max_by(f32::total_cmp))
            .map(|logit| f64::from(ranker.probability(situation, logit)))
            .collect();
        if !tops.is_empty() {
            tuned.top_scores.insert(name_of(situation).to_owned(), crate::features::quantiles(tops));
        }
    }
}

/// Bins of about as many candidates each, by the chance that was given.
const BINS: usize = 10;
/// Of a list's candidates the best ones: the long tail below says nothing of what is shown.
const BINNED: usize = 30;

/// How often candidates were right by the chance that the cross-fitted rankers gave. Two numbers by situation were fitted on the same
/// questions, so that this is a little kind.
fn calibrated(info: &[Shown], logits: &[Vec<f32>], ranker: &Ranker) -> Vec<Calibrated> {
    let mut found = Vec::new();
    for situation in Situation::ALL.into_iter().filter(|situation| ranker.serves(*situation)) {
        let mut seen: Vec<(f64, bool)> = Vec::new();
        for (shown, logits) in info.iter().zip(logits) {
            if shown.situation != situation || shown.case.is_none() {
                continue;
            }
            let mut best: Vec<(u32, f32)> = (0u32..).zip(logits.iter().copied()).collect();
            best.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            let chances = best
                .into_iter()
                .take(BINNED)
                .map(|(at, logit)| (f64::from(ranker.probability(situation, logit)), shown.list.right.contains(&at)));
            seen.extend(chances);
        }
        seen.sort_by(|a, b| a.0.total_cmp(&b.0));
        for bin in seen.chunks(seen.len().div_ceil(BINS).max(1)) {
            let right: Vec<f64> = bin.iter().map(|(_, right)| f64::from(u8::from(*right))).collect();
            let share = super::mean(&right);
            // Wilson's interval (J. Am. Stat. Assoc. 22, 1927); resampling a few thousand yes and no would tell the same.
            let (n, z) = (right.len() as f64, 1.96f64);
            let middle = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
            let half = z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
            found.push(Calibrated {
                situation: name_of(situation).to_owned(),
                said: super::mean(&bin.iter().map(|(chance, _)| *chance).collect::<Vec<f64>>()),
                right: share,
                low: (middle - half).max(0.0),
                high: (middle + half).min(1.0),
                n: bin.len() as u64,
            });
        }
    }
    found
}
