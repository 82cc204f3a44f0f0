//! Chooses the blend's weights, learns the ranker and decides what is worth its place, on the newest orders, with models that were
//! fitted on what came before them.

mod active;
mod breadth;
mod cases;
mod component;
mod hybrid;
mod ratings;
mod search;
mod window;

use std::collections::BTreeMap;

use endcap_recommender::artifact::Metric;
use endcap_recommender::candidates::{SIGNALS, Scratch, Signal, candidates};
use endcap_recommender::fitted::{Model, Ranker, Settings, SignalWeights, Situation};
use endcap_recommender::ranking;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use active::{Active, UNSEEN, compare as compare_with_active, unseen};
pub(crate) use cases::{Asker, CART_PRODUCTS};
pub use cases::{Case, cases};
pub use component::{Component, Gain};
pub use endcap_methods::measure::{Interval, bootstrap, ndcg, paired};
pub use window::{Window, choose};

use crate::fit::{associations, popularity, repeat};
use crate::learn::LearnOptions;
use crate::load::{Dataset, View};
use crate::options::{Architecture, Hyper};
use crate::progress::{Phase, Progress, check};
use crate::{TrainError, fit};
pub(crate) use endcap_methods::measure::mean;
pub(crate) use search::speaks;
use search::{Ranked, calibrate, search};

/// Rank at which lists are judged.
pub const AT: usize = 10;
/// Questions by situation that weights are searched on; more of them cost time and tell little more.
const SEARCH_CASES: usize = 400;
/// Questions by situation that are judged and, for a hybrid, learned from.
const MOST_CASES: usize = 1500;
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
    /// The ranker without its traits, which belong to the final fit.
    pub ranker: Option<Ranker>,
    /// What each generator is worth to the ranker, and whether it stays.
    pub components: Vec<Component>,
    /// What is served against each generator alone.
    pub comparisons: Vec<Comparison>,
    /// Share of the products sold before the window that stand in the first ten of any question of it.
    pub coverage: Option<f64>,
    /// Metrics of what little is known of: unknown customers, products with few orders.
    pub cold: Vec<Metric>,
    /// How far lists lean to what sells most: the shares of what is shown, and of what was ordered, that are among the tenth of the products
    /// with the most orders.
    pub popularity: Vec<Metric>,
    /// How often products were right by the chance that was given for them.
    pub calibration: Vec<Calibrated>,
    /// What a star above the mean adds to a product's logit; 0 where ratings are not worth it.
    pub rating_weight: f32,
}

/// Candidates of one situation with about the same chance of being right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    pub situation: String,
    /// Mean chance that was given.
    pub said: f64,
    /// Share that was right, with its 95% interval.
    pub right: f64,
    pub low: f64,
    pub high: f64,
    pub n: u64,
}

/// A paired difference on the same questions: what is served less the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    pub against: String,
    /// None for all together.
    pub situation: Option<String>,
    pub metric: String,
    pub difference: f64,
    pub low: f64,
    pub high: f64,
    pub n: u64,
}

impl Comparison {
    fn new(against: &str, situation: Option<&str>, differences: &[f64], seed: i64) -> Self {
        let Interval { low, high } = bootstrap(differences, seed);
        Self {
            against: against.to_owned(),
            situation: situation.map(str::to_owned),
            metric: "ndcg@10".to_owned(),
            difference: mean(differences),
            low,
            high,
            n: differences.len() as u64,
        }
    }
}

/// Fits on orders before the window what counting gives: no habits, nothing learned.
pub fn fit_before(data: &Dataset, before: View<'_>, settings: &Settings, hyper: &Hyper) -> Model {
    let products = data.catalogue.len();
    let baskets = fit::Baskets::of_sales(before, products, hyper.max_order_products);
    Model {
        catalogue: data.catalogue.clone(),
        associations: associations(&baskets, hyper.neighbours, &|| ()),
        popularity: popularity(data, before, settings.trend_half_life_days),
        repeat: repeat(&data.catalogue, before, data.customers.len()),
        settings: settings.clone(),
        ..Model::default()
    }
}

pub(crate) fn name_of(situation: Situation) -> &'static str {
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
    ranking::weights(settings, situation)
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
        pack_weights: defaults.pack_weights,
    }
}

/// Steps that tuning reports.
pub fn steps(architecture: Architecture) -> u64 {
    let rounds = if architecture == Architecture::Rules { 3 } else { 4 };
    let counted = (Situation::ALL.len() * rounds + TREND_DAYS.len() + HISTORY_DAYS.len() + SHRINKAGE.len()) as u64;
    if architecture == Architecture::Hybrid { counted + hybrid::STEPS } else { counted }
}

/// A tuning that chose nothing, and why.
pub fn skipped(settings: Settings, window: Option<Window>, why: String) -> Tuned {
    Tuned {
        settings,
        metrics: Vec::new(),
        window,
        skipped: Some(why),
        cases: BTreeMap::new(),
        top_scores: BTreeMap::new(),
        ranker: None,
        components: Vec::new(),
        comparisons: Vec::new(),
        coverage: None,
        cold: Vec::new(),
        popularity: Vec::new(),
        calibration: Vec::new(),
        rating_weight: 0.0,
    }
}

/// Tunes on the window, with a model that was fitted on what came before it. Skips, with the reason, where there is too little to
/// choose by.
pub fn tune(
    data: &Dataset,
    mut model: Model,
    window: Window,
    options: &LearnOptions,
    progress: &dyn Progress,
) -> Result<Tuned, TrainError> {
    let LearnOptions { architecture, hyper, seed, .. } = options;
    let (architecture, seed) = (*architecture, *seed);
    let trained_until = model.settings.trained_until;
    let settings = model.settings.clone();
    let (before, inside) = data.sales.view().split_at(window.from_s);
    let all = cases(data, &model, before, inside, seed, MOST_CASES);
    let enough: Vec<(Situation, Vec<Case>)> =
        Situation::ALL.into_iter().zip(all).filter(|(_, cases)| cases.len() >= LEAST_CASES).collect();
    if enough.is_empty() {
        let why = format!("no situation has {LEAST_CASES} questions in the window");
        return Ok(skipped(settings, Some(window), why));
    }
    let some: Vec<(Situation, Vec<Case>)> = enough
        .iter()
        .map(|(situation, cases)| (*situation, cases.iter().take(SEARCH_CASES).cloned().collect()))
        .collect();
    // Weights first, then what lies below them, then weights again for what changed. Counts first: that is all a router's pack has.
    weigh(&mut model, &some, true, progress)?;
    tune_numbers(&mut model, data, before, &some, hyper, progress)?;
    weigh(&mut model, &some, true, progress)?;
    if architecture != Architecture::Rules {
        model.settings.pack_weights = calibrated(&model, &some);
        weigh(&mut model, &some, false, progress)?;
    }
    drop(some);
    let mut tuned = Tuned { skipped: None, ..skipped(settings, Some(window), String::new()) };
    let blend = judge(&mut model, &enough, seed, &mut tuned, progress)?;
    let mut served = None;
    if architecture == Architecture::Hybrid && hyper.ranker_epochs > 0 {
        model.ranker = Some(Ranker {
            depth: hyper.ranker_depth,
            traits: fit::traits(&model.catalogue, before, &model.repeat),
            ..Ranker::default()
        });
        let liking = fit::liking(&data.ratings, model.catalogue.len(), window.from_s);
        let learning = hybrid::Learning { blend: &blend, liking: &liking, hyper, seed };
        served = hybrid::learn(&mut model, &enough, &learning, &mut tuned, progress)?;
    }
    let is_hybrid = served.is_some();
    let served = served.as_ref().unwrap_or(&blend.served);
    compare(is_hybrid, served, &blend, seed, &mut tuned);
    breadth::measure(&model, &enough, served, seed, &mut tuned);
    breadth::popularity_bias(&model, &enough, served, seed, &mut tuned);
    tuned.settings = Settings { trained_until, ..model.settings };
    Ok(tuned)
}

/// One list and how good it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Served {
    /// NDCG, recall and hit.
    pub measures: [f64; 3],
    /// The first ten products.
    pub list: Vec<u32>,
}

impl Served {
    fn ndcg(&self) -> f64 {
        self.measures[0]
    }
}

/// What was measured of each question, by situation.
pub(crate) struct Judged {
    pub situations: Vec<Situation>,
    pub served: Vec<Vec<Served>>,
    /// NDCG of each generator alone.
    pub alone: Vec<Vec<(Signal, Vec<f64>)>>,
}

/// Paired differences of what is served to each generator alone, and to the blend where that is not what is served.
fn compare(is_hybrid: bool, served: &[Vec<Served>], judged: &Judged, seed: i64, tuned: &mut Tuned) {
    let mut pooled: BTreeMap<Signal, Vec<f64>> = BTreeMap::new();
    for ((situation, served), alone) in judged.situations.iter().zip(served).zip(&judged.alone) {
        for (signal, values) in alone {
            let differences: Vec<f64> = served.iter().zip(values).map(|(own, other)| own.ndcg() - other).collect();
            pooled.entry(*signal).or_default().extend(&differences);
            tuned.comparisons.push(Comparison::new(signal.name(), Some(name_of(*situation)), &differences, seed));
        }
    }
    for (signal, differences) in pooled {
        tuned.comparisons.push(Comparison::new(signal.name(), None, &differences, seed));
    }
    if is_hybrid {
        let pairs = served.iter().flatten().zip(judged.served.iter().flatten());
        let differences: Vec<f64> = pairs.map(|(own, other)| own.ndcg() - other.ndcg()).collect();
        tuned.comparisons.push(Comparison::new("blend", None, &differences, seed));
    }
}

/// The weights as they stand, scaled so that a score is about a probability.
fn calibrated(model: &Model, all: &[(Situation, Vec<Case>)]) -> BTreeMap<Situation, SignalWeights> {
    let mut weights = model.settings.weights.clone();
    for (situation, cases) in all {
        let found = calibrate(&ranked(model, cases), weights_of(&model.settings, *situation));
        weights.insert(*situation, to_weights(found));
    }
    weights
}

fn weigh(
    model: &mut Model,
    all: &[(Situation, Vec<Case>)],
    counts_only: bool,
    progress: &dyn Progress,
) -> Result<(), TrainError> {
    for (situation, cases) in all {
        check(progress, Phase::Tune)?;
        let ranked = ranked(model, cases);
        let best = search(model, &ranked, weights_of(&model.settings, *situation), *situation, counts_only);
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

pub(crate) const MEASURES: [&str; 3] = ["ndcg@10", "recall@10", "hit_rate@10"];

/// Metrics of what is served: all together, then by situation.
pub(crate) fn served_metrics(judged: &Judged, served: &[Vec<Served>], seed: i64) -> Vec<Metric> {
    let of = |cases: &mut dyn Iterator<Item = &Served>, at: usize| -> Vec<f64> {
        cases.filter_map(|served| served.measures.get(at).copied()).collect()
    };
    let overall = MEASURES
        .iter()
        .enumerate()
        .map(|(at, measure)| metric((*measure).to_owned(), &of(&mut served.iter().flatten(), at), seed));
    let each = judged.situations.iter().zip(served).flat_map(|(situation, cases)| {
        MEASURES.iter().enumerate().map(move |(at, measure)| {
            metric(format!("{measure}.{}", name_of(*situation)), &of(&mut cases.iter(), at), seed)
        })
    });
    overall.chain(each).collect()
}

/// Measures the blend and every signal alone, and scales the weights so that a score is about a probability.
fn judge(
    model: &mut Model,
    all: &[(Situation, Vec<Case>)],
    seed: i64,
    tuned: &mut Tuned,
    progress: &dyn Progress,
) -> Result<Judged, TrainError> {
    let mut judged = Judged { situations: Vec::new(), served: Vec::new(), alone: Vec::new() };
    let mut metrics = Vec::new();
    for (situation, cases) in all {
        check(progress, Phase::Tune)?;
        let name = name_of(*situation);
        let ranked = ranked(model, cases);
        let weights = calibrate(&ranked, weights_of(&model.settings, *situation));
        model.settings.weights.insert(*situation, to_weights(weights));
        let served: Vec<Served> = ranked.par_iter().map(|ranked| ranked.judge(weights)).collect();
        let mut alone = Vec::new();
        for (at, signal) in Signal::ALL.into_iter().enumerate().filter(|(_, signal)| speaks(model, *signal, *situation))
        {
            let mut only = [0.0; SIGNALS];
            if let Some(weight) = only.get_mut(at) {
                *weight = 1.0;
            }
            let values = judge_cases(&ranked, only);
            metrics.push(metric(format!("ndcg@10.{name}.{}", signal.name()), &values, seed));
            alone.push((signal, values));
        }
        tuned.cases.insert(name.to_owned(), cases.len() as u64);
        let tops = ranked.iter().map(|ranked| f64::from(ranked.top_score(weights))).collect();
        tuned.top_scores.insert(name.to_owned(), crate::features::quantiles(tops));
        judged.situations.push(*situation);
        judged.served.push(served);
        judged.alone.push(alone);
        progress.advance(1);
    }
    tuned.metrics = served_metrics(&judged, &judged.served, seed);
    tuned.metrics.extend(metrics);
    Ok(judged)
}
