//! Chooses the blend's weights on the newest orders, with models that were fitted on what came before them.

mod cases;
mod metric;
mod search;
mod window;

use std::collections::BTreeMap;

use endcap_recommender::artifact::Metric;
use endcap_recommender::candidates::{SIGNALS, Scratch, Signal, candidates};
use endcap_recommender::fitted::{Model, Settings, SignalWeights, Situation};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use cases::{Case, cases};
pub use metric::{Interval, bootstrap, ndcg};
pub use window::{Window, choose};

use crate::fit::{associations, popularity, repeat};
use crate::load::{Dataset, View};
use crate::options::Hyper;
use crate::progress::{Phase, Progress, check};
use crate::{TrainError, fit};
use search::{Ranked, calibrate, mean, search, speaks};

/// Rank at which lists are judged.
pub const AT: usize = 10;
/// Questions by situation; more of them cost time and tell little more.
const MOST_CASES: usize = 400;
/// Fewer questions of a situation choose nothing.
const LEAST_CASES: usize = 30;
const TREND_DAYS: [f32; 5] = [7.0, 14.0, 30.0, 60.0, 120.0];
const HISTORY_DAYS: [f32; 5] = [15.0, 30.0, 60.0, 120.0, 240.0];
const SHRINKAGE: [f32; 4] = [1.0, 5.0, 10.0, 30.0];

/// What tuning found, as it is kept in a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    pub settings: Settings,
    pub metrics: Vec<Metric>,
    pub window: Option<Window>,
    /// Why nothing was chosen, if so.
    pub skipped: Option<String>,
    /// Questions by situation.
    pub cases: BTreeMap<String, u64>,
    /// Distribution of the top score by situation (quantiles as in [`crate::features::QUANTILES`]), for drift.
    pub top_scores: BTreeMap<String, Vec<f64>>,
}

/// Fits on orders before the window what candidates need: no habits, no catalogue of its own.
pub fn fit_before(data: &Dataset, before: View<'_>, settings: &Settings, hyper: &Hyper) -> Model {
    let products = data.catalogue.len();
    let baskets = fit::Baskets::of_sales(before, products, hyper.max_order_products);
    Model {
        catalogue: data.catalogue.clone(),
        associations: associations(&baskets, hyper.neighbours, &|| ()),
        popularity: popularity(data, before, settings.trend_half_life_days),
        repeat: repeat(&data.catalogue, before, data.customers.len()),
        habits: endcap_recommender::fitted::Habits::default(),
        settings: settings.clone(),
    }
}

fn name_of(situation: Situation) -> &'static str {
    match situation {
        Situation::CartKnown => "cart_known",
        Situation::CartUnknown => "cart_unknown",
        Situation::EmptyKnown => "empty_known",
        Situation::EmptyUnknown => "empty_unknown",
    }
}

fn ranked(model: &Model, cases: &[Case]) -> Vec<Ranked> {
    cases
        .par_iter()
        .map_init(Scratch::default, |scratch, case| Ranked::new(case, candidates(model, &case.question, scratch)))
        .collect()
}

pub(crate) fn weights_of(settings: &Settings, situation: Situation) -> [f32; SIGNALS] {
    let weights = settings.weights.get(&situation);
    Signal::ALL.map(|signal| weights.and_then(|weights| weights.get(&signal)).copied().unwrap_or(0.0))
}

fn to_weights(weights: [f32; SIGNALS]) -> SignalWeights {
    Signal::ALL.into_iter().zip(weights).filter(|(_, weight)| *weight != 0.0).collect()
}

/// The settings before tuning: defaults, and what was asked for.
pub fn settings_of(data: &Dataset, hyper: &Hyper) -> Settings {
    let defaults = Settings::default();
    Settings {
        currency: data.currency.clone(),
        trained_until: data.trained_until(),
        trend_half_life_days: hyper.trend_half_life_days.unwrap_or(defaults.trend_half_life_days),
        history_half_life_days: hyper.history_half_life_days.unwrap_or(defaults.history_half_life_days),
        confidence_shrinkage: hyper.confidence_shrinkage.unwrap_or(defaults.confidence_shrinkage),
        weights: defaults.weights,
    }
}

/// Steps that tuning reports.
pub fn steps() -> u64 {
    (Situation::ALL.len() * 3 + TREND_DAYS.len() + HISTORY_DAYS.len() + SHRINKAGE.len() + 1) as u64
}

/// Tunes on the last window. Skips, with the reason, where there is too little to choose by.
pub fn tune(data: &Dataset, hyper: &Hyper, seed: i64, progress: &dyn Progress) -> Result<Tuned, TrainError> {
    let settings = settings_of(data, hyper);
    let skip = |window: Option<Window>, why: String| Tuned {
        settings: settings.clone(),
        metrics: Vec::new(),
        window,
        skipped: Some(why),
        cases: BTreeMap::new(),
        top_scores: BTreeMap::new(),
    };
    let window = match choose(data.sales.view(), hyper.validation_days) {
        Ok(window) => window,
        Err(why) => return Ok(skip(None, why)),
    };
    let (before, inside) = data.sales.view().split_at(window.from_s);
    let mut model = fit_before(data, before, &settings, hyper);
    progress.advance(1);
    let all = cases(data, &model, before, inside, seed, MOST_CASES);
    let enough: Vec<(Situation, Vec<Case>)> =
        Situation::ALL.into_iter().zip(all).filter(|(_, cases)| cases.len() >= LEAST_CASES).collect();
    if enough.is_empty() {
        return Ok(skip(Some(window), format!("no situation has {LEAST_CASES} questions in the window")));
    }
    // Weights first, then what lies below them, then weights again for what changed.
    weigh(&mut model, &enough, progress)?;
    tune_numbers(&mut model, data, before, &enough, hyper, progress)?;
    weigh(&mut model, &enough, progress)?;
    let mut tuned = Tuned { window: Some(window), ..skip(None, String::new()) };
    tuned.skipped = None;
    judge(&mut model, &enough, seed, &mut tuned, progress)?;
    tuned.settings = Settings { trained_until: settings.trained_until, ..model.settings };
    Ok(tuned)
}

fn weigh(model: &mut Model, all: &[(Situation, Vec<Case>)], progress: &dyn Progress) -> Result<(), TrainError> {
    for (situation, cases) in all {
        check(progress, Phase::Tune)?;
        let ranked = ranked(model, cases);
        let best = search(&ranked, weights_of(&model.settings, *situation), *situation);
        model.settings.weights.insert(*situation, to_weights(best));
        progress.advance(1);
    }
    Ok(())
}

/// Mean over situations, so that a rare one counts as much as a frequent one.
fn overall(model: &Model, all: &[(Situation, Vec<Case>)]) -> f64 {
    let sum: f64 = all
        .iter()
        .map(|(situation, cases)| mean(&judge_cases(&ranked(model, cases), weights_of(&model.settings, *situation))))
        .sum();
    sum / all.len().max(1) as f64
}

fn judge_cases(ranked: &[Ranked], weights: [f32; SIGNALS]) -> Vec<f64> {
    ranked.par_iter().map(|ranked| ranked.ndcg(weights)).collect()
}

/// Where a number that is tuned lies.
type Slot = fn(&mut Settings) -> &mut f32;

fn tune_numbers(
    model: &mut Model,
    data: &Dataset,
    before: View<'_>,
    all: &[(Situation, Vec<Case>)],
    hyper: &Hyper,
    progress: &dyn Progress,
) -> Result<(), TrainError> {
    let mut best = overall(model, all);
    if hyper.trend_half_life_days.is_none() {
        for days in TREND_DAYS {
            check(progress, Phase::Tune)?;
            let kept = (model.popularity.clone(), model.settings.trend_half_life_days);
            model.popularity = popularity(data, before, days);
            model.settings.trend_half_life_days = days;
            let found = overall(model, all);
            if found > best {
                best = found;
            } else {
                (model.popularity, model.settings.trend_half_life_days) = kept;
            }
            progress.advance(1);
        }
    }
    let numbers: [(bool, &[f32], Slot); 2] = [
        (hyper.history_half_life_days.is_none(), &HISTORY_DAYS, |settings| &mut settings.history_half_life_days),
        (hyper.confidence_shrinkage.is_none(), &SHRINKAGE, |settings| &mut settings.confidence_shrinkage),
    ];
    for (free, values, slot) in numbers {
        for value in values.iter().filter(|_| free) {
            check(progress, Phase::Tune)?;
            let kept = std::mem::replace(slot(&mut model.settings), *value);
            let found = overall(model, all);
            if found > best {
                best = found;
            } else {
                *slot(&mut model.settings) = kept;
            }
            progress.advance(1);
        }
    }
    Ok(())
}

fn metric(name: String, values: &[f64], seed: i64) -> Metric {
    let Interval { low, high } = bootstrap(values, seed);
    Metric {
        name,
        split: "validation".to_owned(),
        value: mean(values),
        low: Some(low),
        high: Some(high),
        n: values.len() as u64,
    }
}

/// Measures the blend and every signal alone, and scales the weights so that a score is about a probability.
fn judge(
    model: &mut Model,
    all: &[(Situation, Vec<Case>)],
    seed: i64,
    tuned: &mut Tuned,
    progress: &dyn Progress,
) -> Result<(), TrainError> {
    let mut blend: [Vec<f64>; 3] = Default::default();
    let mut metrics = Vec::new();
    for (situation, cases) in all {
        check(progress, Phase::Tune)?;
        let name = name_of(*situation);
        let ranked = ranked(model, cases);
        let weights = calibrate(&ranked, weights_of(&model.settings, *situation));
        model.settings.weights.insert(*situation, to_weights(weights));
        let judged: Vec<[f64; 3]> = ranked.par_iter().map(|ranked| ranked.judge(weights)).collect();
        for (at, measure) in ["ndcg@10", "recall@10", "hit_rate@10"].into_iter().enumerate() {
            let values: Vec<f64> = judged.iter().map(|three| three.get(at).copied().unwrap_or(0.0)).collect();
            metrics.push(metric(format!("{measure}.{name}"), &values, seed));
            if let Some(sum) = blend.get_mut(at) {
                sum.extend(values);
            }
        }
        for (at, signal) in Signal::ALL.into_iter().enumerate().filter(|(_, signal)| speaks(*signal, *situation)) {
            let mut alone = [0.0; SIGNALS];
            if let Some(weight) = alone.get_mut(at) {
                *weight = 1.0;
            }
            metrics.push(metric(format!("ndcg@10.{name}.{}", signal.name()), &judge_cases(&ranked, alone), seed));
        }
        tuned.cases.insert(name.to_owned(), cases.len() as u64);
        let tops = ranked.iter().map(|ranked| f64::from(ranked.top_score(weights))).collect();
        tuned.top_scores.insert(name.to_owned(), crate::features::quantiles(tops));
        progress.advance(1);
    }
    let measures = ["ndcg@10", "recall@10", "hit_rate@10"].into_iter().zip(&blend);
    tuned.metrics = measures.map(|(measure, values)| metric(measure.to_owned(), values, seed)).chain(metrics).collect();
    Ok(())
}
