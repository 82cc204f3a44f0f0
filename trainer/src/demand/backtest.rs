//! Methods held against what came about: spread of outcomes around a forecast, choice by kind of product, the judgement of the last weeks.

use endcap_methods::measure::{Interval, Row, bootstrap, mean};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::methods::Method;
use super::series::{Kind, Weekly, kind};

/// Weeks ahead.
pub const HORIZONS: [usize; 2] = [1, 4];
/// Weeks between two moments that are forecast from.
pub const STEP: usize = 4;
/// Quantiles of the 95% and 80% intervals, and the median between.
pub const LEVELS: [f64; 5] = [0.025, 0.1, 0.5, 0.9, 0.975];
/// Units that a forecast counts as at least when outcomes are compared with it: who expects nothing is not wrong without end.
const FLOOR: f64 = 0.5;
/// Fewer outcomes of a kind say nothing of their spread; those of all kinds stand in.
const LEAST_OUTCOMES: usize = 40;
const RESAMPLES: usize = 500;
/// The chosen methods, each for its kind.
const CHOSEN: &str = "chosen";

/// Forecasts of every method from one moment, with what came about.
pub struct Moment {
    pub kinds: Vec<Kind>,
    /// By horizon, method, product.
    expected: Vec<Vec<Vec<f64>>>,
    /// By horizon and product; empty where the weeks ahead are not known.
    actual: Vec<Vec<f64>>,
    /// By horizon and product: mean absolute error of going on as in the weeks just before, up to this moment. 0 where there is none.
    scale: Vec<Vec<f64>>,
}

impl Moment {
    /// From the beginning of `week`, on what was sold before it.
    pub fn at(weekly: &Weekly, week: usize) -> Self {
        let products = || (0..weekly.products()).into_par_iter();
        let expected = HORIZONS.iter().map(|horizon| {
            let of = |method: &Method| {
                let each = products().map(|product| match weekly.before(product, week) {
                    [] => 0.0,
                    series => method.expected(series, *horizon),
                });
                each.collect()
            };
            Method::ALL.iter().map(of).collect()
        });
        let is_known = |horizon: usize| week + horizon <= weekly.weeks;
        let actual = HORIZONS.iter().map(|horizon| {
            let known = if is_known(*horizon) { weekly.products() } else { 0 };
            (0..known).map(|product| weekly.after(product, week, *horizon)).collect()
        });
        let scale = HORIZONS.iter().map(|horizon| {
            let known = if is_known(*horizon) { weekly.products() } else { 0 };
            (0..known).map(|product| naive_error(weekly.before(product, week), *horizon)).collect()
        });
        Self {
            kinds: products().map(|product| kind(weekly.before(product, week))).collect(),
            expected: expected.collect(),
            actual: actual.collect(),
            scale: scale.collect(),
        }
    }

    pub fn expected(&self, horizon: usize, method: Method, product: usize) -> f64 {
        let methods = self.expected.get(horizon);
        let own = methods.and_then(|methods| methods.get(method as usize)).and_then(|own| own.get(product));
        own.copied().unwrap_or(0.0)
    }

    fn scale(&self, horizon: usize, product: usize) -> f64 {
        self.scale.get(horizon).and_then(|scale| scale.get(product)).copied().unwrap_or(0.0)
    }

    /// Products that were sold before, with what came about.
    fn outcomes(&self, horizon: usize) -> impl Iterator<Item = (usize, Kind, f64)> {
        let actual = self.actual.get(horizon).map_or(&[][..], Vec::as_slice);
        let each = self.kinds.iter().zip(actual).enumerate();
        each.filter(|(_, (kind, _))| **kind != Kind::Unsold).map(|(product, (kind, actual))| (product, *kind, *actual))
    }
}

/// The denominator of MASE (Hyndman and Koehler, Int. J. Forecasting 22(4), 2006) for sums over `horizon` weeks.
fn naive_error(series: &[f32], horizon: usize) -> f64 {
    let sums: Vec<f64> =
        series.rchunks_exact(horizon).map(|weeks| weeks.iter().copied().map(f64::from).sum()).collect();
    let errors: Vec<f64> = sums.windows(2).filter_map(|pair| Some((pair.first()? - pair.get(1)?).abs())).collect();
    mean(&errors)
}

/// Quantiles of outcome over forecast, by horizon, method and kind: the spread that forecasts from earlier moments had (split conformal
/// prediction with a relative score: Lei et al., J. Am. Stat. Assoc. 113, 2018).
#[derive(Clone, Debug, Default)]
pub struct Spread {
    of: Vec<Vec<Vec<[f64; LEVELS.len()]>>>,
}

fn quantiles(mut scores: Vec<f64>) -> [f64; LEVELS.len()] {
    scores.sort_unstable_by(f64::total_cmp);
    LEVELS.map(|level| {
        let at = (level * (scores.len() + 1) as f64).round() as usize;
        scores.get(at.clamp(1, scores.len().max(1)) - 1).copied().unwrap_or(0.0)
    })
}

impl Spread {
    pub fn of(moments: &[&Moment]) -> Self {
        let of_method = |horizon: usize, method: Method| -> Vec<[f64; LEVELS.len()]> {
            let score = &|moment: &Moment, product: usize, actual: f64| {
                actual / moment.expected(horizon, method, product).max(FLOOR)
            };
            let of_kind = |wanted: Option<Kind>| -> Vec<f64> {
                let each = moments.iter().flat_map(|moment| {
                    let own = moment
                        .outcomes(horizon)
                        .filter(move |(_, kind, _)| wanted.is_none_or(|wanted| wanted == *kind));
                    own.map(move |(product, _, actual)| score(moment, product, actual))
                });
                each.collect()
            };
            let all = of_kind(None);
            let each = Kind::ALL.iter().map(|kind| {
                let own = of_kind(Some(*kind));
                quantiles(if own.len() < LEAST_OUTCOMES { all.clone() } else { own })
            });
            each.collect()
        };
        let of = (0..HORIZONS.len())
            .map(|horizon| Method::ALL.par_iter().map(|method| of_method(horizon, *method)).collect());
        Self { of: of.collect() }
    }

    /// Units at [`LEVELS`].
    pub fn around(&self, horizon: usize, method: Method, kind: Kind, expected: f64) -> [f64; LEVELS.len()] {
        let own = self
            .of
            .get(horizon)
            .and_then(|methods| methods.get(method as usize))
            .and_then(|kinds| kinds.get(kind as usize));
        own.copied().unwrap_or_default().map(|ratio| ratio * expected.max(FLOOR))
    }
}

/// The mean pinball loss over [`LEVELS`], twice: for one level of a half it is the absolute error.
fn pinball(quantiles: &[f64; LEVELS.len()], actual: f64) -> f64 {
    let each = LEVELS.iter().zip(quantiles).map(|(level, quantile)| {
        let error = actual - quantile;
        2.0 * f64::max(level * error, (level - 1.0) * error)
    });
    each.sum::<f64>() / LEVELS.len() as f64
}

/// The method by horizon and kind.
pub type Choice = Vec<Vec<Method>>;

pub fn method_of(choice: &Choice, horizon: usize, kind: Kind) -> Method {
    choice.get(horizon).and_then(|kinds| kinds.get(kind as usize)).copied().unwrap_or(Method::SeasonalNaive)
}

/// The method with the least scaled pinball loss (Makridakis et al., Int. J. Forecasting 38(4), 2022: over the naive error so far) on the
/// moments to choose by, the naive one where none is better.
pub fn choose(moments: &[&Moment], spread: &Spread) -> Choice {
    let best = |horizon: usize, wanted: Kind| {
        let loss = |method: Method| -> f64 {
            let each = moments.iter().flat_map(|moment| {
                let own = moment.outcomes(horizon).filter(move |(_, kind, _)| *kind == wanted);
                own.map(move |(product, kind, actual)| {
                    let expected = moment.expected(horizon, method, product);
                    let scale = moment.scale(horizon, product).max(FLOOR);
                    pinball(&spread.around(horizon, method, kind, expected), actual) / scale
                })
            });
            each.sum()
        };
        let judged = Method::ALL.iter().map(|method| (*method, loss(*method)));
        judged.fold((Method::SeasonalNaive, f64::INFINITY), |best, found| if found.1 < best.1 { found } else { best }).0
    };
    (0..HORIZONS.len()).map(|horizon| Kind::ALL.iter().map(|kind| best(horizon, *kind)).collect()).collect()
}

/// How good forecasts of the last weeks were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// `model` is `chosen`, or a method for all kinds; `metric` is `mase.7d`, `pinball.7d` (over all units that were sold),
    /// `coverage80.7d`, `coverage95.7d`, `bias.7d` (over all units that were sold), and the same with `28d`.
    pub rows: Vec<Row>,
    /// `chosen` less `seasonal_naive` on the same products; below 0 it is better.
    pub differences: Vec<Row>,
    /// By kind: `chosen` less `seasonal_naive`, of what `differences` has over all.
    pub by_kind: Vec<KindMeasured>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KindMeasured {
    pub kind: String,
    pub products: u64,
    pub method_7d: String,
    pub method_28d: String,
    /// `mase.7d`, `mase.28d`
    pub differences: Vec<Row>,
}

struct Judged {
    kind: Kind,
    error: f64,
    mase: Option<f64>,
    loss: f64,
    actual: f64,
    inside: [bool; 2],
}

fn judged(moment: &Moment, spread: &Spread, horizon: usize, pick: impl Fn(Kind) -> Method) -> Vec<Judged> {
    let each = moment.outcomes(horizon).map(|(product, kind, actual)| {
        let method = pick(kind);
        let expected = moment.expected(horizon, method, product);
        let around = spread.around(horizon, method, kind, expected);
        let scale = moment.scale(horizon, product);
        // Units are whole for most products: what rounds into the interval is in it.
        let within = |low: f64, high: f64| (low.floor()..=high.ceil()).contains(&actual);
        let [low95, low80, _, high80, high95] = around;
        Judged {
            kind,
            error: expected - actual,
            mase: (scale > 0.0).then(|| (expected - actual).abs() / scale),
            loss: pinball(&around, actual),
            actual,
            inside: [within(low80, high80), within(low95, high95)],
        }
    });
    each.collect()
}

/// Sum over sum, with its bootstrap interval over products.
fn ratio(parts: &[(f64, f64)], seed: i64) -> (f64, Interval) {
    let over = |sums: (f64, f64)| if sums.1 > 0.0 { sums.0 / sums.1 } else { 0.0 };
    let add = |sums: (f64, f64), part: &(f64, f64)| (sums.0 + part.0, sums.1 + part.1);
    let value = over(parts.iter().fold((0.0, 0.0), add));
    let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
    let mut drawn: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let picks = (0..parts.len()).filter_map(|_| parts.get(random.random_range(0..parts.len())));
            over(picks.fold((0.0, 0.0), add))
        })
        .collect();
    drawn.sort_unstable_by(f64::total_cmp);
    let at = |place: usize| drawn.get(place).copied().unwrap_or(value);
    (value, Interval { low: at(RESAMPLES / 40), high: at(RESAMPLES - 1 - RESAMPLES / 40) })
}

fn row(model: &str, metric: String, (value, interval): (f64, Interval), n: usize) -> Row {
    Row { model: model.to_owned(), metric, value, low: interval.low, high: interval.high, n: n as u64 }
}

fn of_mean(values: &[f64], seed: i64) -> (f64, Interval) {
    (mean(values), bootstrap(values, seed))
}

/// Judges every method, and the chosen ones together, from one moment that nothing was chosen on.
pub fn measure(moment: &Moment, spread: &Spread, choice: &Choice, seed: i64) -> Measured {
    let mut measured = Measured::default();
    let mut kinds: Vec<KindMeasured> = Kind::ALL
        .iter()
        .map(|kind| KindMeasured {
            kind: kind.as_str().to_owned(),
            products: moment.kinds.iter().filter(|own| *own == kind).count() as u64,
            method_7d: method_of(choice, 0, *kind).as_str().to_owned(),
            method_28d: method_of(choice, 1, *kind).as_str().to_owned(),
            differences: Vec::new(),
        })
        .collect();
    for (at, weeks) in HORIZONS.iter().enumerate() {
        let days = format!("{}d", weeks * 7);
        let chosen = judged(moment, spread, at, |kind| method_of(choice, at, kind));
        let naive = judged(moment, spread, at, |_| Method::SeasonalNaive);
        let mut tell = |name: &str, found: &[Judged]| {
            let mase: Vec<f64> = found.iter().filter_map(|one| one.mase).collect();
            let inside =
                |place: usize| found.iter().map(|one| f64::from(u8::from(one.inside[place]))).collect::<Vec<f64>>();
            let over_units =
                |part: fn(&Judged) -> f64| found.iter().map(|one| (part(one), one.actual)).collect::<Vec<_>>();
            let mut put = |metric: &str, value: (f64, Interval), n: usize| {
                measured.rows.push(row(name, format!("{metric}.{days}"), value, n));
            };
            put("mase", of_mean(&mase, seed), mase.len());
            put("pinball", ratio(&over_units(|one| one.loss), seed), found.len());
            // Of the methods that are not chosen these two are enough to compare.
            if name != CHOSEN && name != Method::SeasonalNaive.as_str() {
                return;
            }
            put("coverage80", of_mean(&inside(0), seed), found.len());
            put("coverage95", of_mean(&inside(1), seed), found.len());
            put("bias", ratio(&over_units(|one| one.error), seed), found.len());
        };
        tell(CHOSEN, &chosen);
        for method in Method::ALL {
            tell(method.as_str(), &judged(moment, spread, at, |_| method));
        }
        let pairs = || chosen.iter().zip(&naive);
        let less = |wanted: Option<Kind>| -> Vec<f64> {
            let own = pairs().filter(|(own, _)| wanted.is_none_or(|wanted| wanted == own.kind));
            own.filter_map(|(own, other)| Some(own.mase? - other.mase?)).collect()
        };
        let all = less(None);
        measured.differences.push(row("seasonal_naive", format!("mase.{days}"), of_mean(&all, seed), all.len()));
        let losses: Vec<(f64, f64)> = pairs().map(|(own, other)| (own.loss - other.loss, own.actual)).collect();
        measured.differences.push(row("seasonal_naive", format!("pinball.{days}"), ratio(&losses, seed), losses.len()));
        for (kind, told) in Kind::ALL.iter().zip(&mut kinds) {
            let own = less(Some(*kind));
            if !own.is_empty() {
                told.differences.push(row("seasonal_naive", format!("mase.{days}"), of_mean(&own, seed), own.len()));
            }
        }
    }
    kinds.retain(|kind| kind.products > 0 && kind.kind != Kind::Unsold.as_str());
    measured.by_kind = kinds;
    measured
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }

    #[test]
    fn losses_by_hand() {
        // 10 sold, quantiles 2, 4, 8, 12, 20: 2 * (0.025*8 + 0.1*6 + 0.5*2 + 0.1*2 + 0.025*10) / 5
        close(pinball(&[2.0, 4.0, 8.0, 12.0, 20.0], 10.0), 2.0 * (0.2 + 0.6 + 1.0 + 0.2 + 0.25) / 5.0);
        close(naive_error(&[9.0, 1.0, 2.0, 4.0, 3.0], 2), 4.0);
        close(naive_error(&[1.0, 4.0, 2.0], 1), 2.5);
        let (value, interval) = ratio(&[(1.0, 2.0), (3.0, 6.0)], 1);
        close(value, 0.5);
        close(interval.low + interval.high, 1.0);
    }

    #[test]
    fn quantiles_are_those_of_the_scores() {
        let found = quantiles((1..=39).rev().map(f64::from).collect());
        assert_eq!(found.map(|value| value as u32), [1, 4, 20, 36, 39]);
        assert_eq!(quantiles(Vec::new()).map(|value| value as u32), [0; 5]);
    }
}
