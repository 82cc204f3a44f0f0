//! Segments of customers: the fifths of recency, frequency and money with their bounds, and segments learned from what customers do.

use std::collections::BTreeMap;

use endcap_methods::measure::{bootstrap, mean};
use endcap_recommender::fitted::NONE;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::clusters::{self, Points};
use super::names::{self, Evidence};
use crate::features::Rfm;
use crate::load::{Dataset, View};

pub const FORMAT: &str = "endcap.segments/v1";
pub const OBJECT: &str = "segments";
/// Fewer customers with orders are not cut into segments.
const LEAST_CUSTOMERS: usize = 100;
/// Segments are learned from at most so many customers, drawn by the seed; all are assigned.
const MOST_CUSTOMERS: usize = 3000;
const LEAST_SEGMENTS: usize = 2;
const MOST_SEGMENTS: usize = 8;
/// Resamples that a partition is learned again from.
const RESAMPLES: u64 = 20;
/// Partitions whose mean adjusted Rand index is lower are not reproducible enough to be given names.
const STABLE: f64 = 0.8;
/// Categories with the most lines whose shares are looked at.
const CATEGORIES: usize = 8;

/// The object `segments`. It says nothing of a single customer: customers are assigned by it in the state beside the artifact.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Segments {
    pub format: String,
    /// Customers with an order.
    pub customers: u64,
    pub rfm: RfmScale,
    pub learned: Option<Learned>,
    /// Why nothing was learned, if so.
    pub skipped: Option<String>,
}

/// Where the fifths of recency, frequency and money begin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RfmScale {
    /// Days at most, of scores 2 to 5.
    pub recency_days_at_most: Vec<f64>,
    /// Orders at least, of scores 2 to 5.
    pub orders_at_least: Vec<f64>,
    pub money_at_least: Vec<f64>,
    /// Customers by the name of their scores.
    pub segments: BTreeMap<String, u64>,
}

/// What was learned, and how sure it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    pub features: Vec<Feature>,
    /// Every number of segments that was tried.
    pub tried: Vec<Tried>,
    /// How the number was chosen.
    pub criterion: String,
    pub segments: Vec<Segment>,
}

/// What customers are compared by: `(value - mean) / sd * weight`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    pub name: String,
    pub mean: f64,
    pub sd: f64,
    pub weight: f64,
}

/// A number of segments, and how well the customers fall into so many.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    pub segments: usize,
    /// Mean adjusted Rand index with partitions learned from bootstrap resamples (Hennig, Comput. Stat. Data Anal. 52, 2007), with its
    /// 95% interval over the resamples.
    pub stability: f64,
    pub low: f64,
    pub high: f64,
    pub resamples: u64,
    pub silhouette: f64,
    pub chosen: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    pub name: String,
    pub customers: u64,
    /// Share of all customers with orders, and of all their money.
    pub share: f64,
    pub money_share: f64,
    /// In the features' standardised and weighted units.
    pub centre: Vec<f64>,
    /// The largest differences from all customers, which the name is made of.
    pub evidence: Vec<Evidence>,
}

impl Learned {
    fn scaled(&self, raw: &[f64]) -> Vec<f64> {
        raw.iter().zip(&self.features).map(|(value, feature)| feature.scaled(*value)).collect()
    }

    /// The segment of a customer with these feature values.
    pub fn assign(&self, raw: &[f64]) -> usize {
        clusters::nearest(self.segments.iter().map(|segment| segment.centre.as_slice()), &self.scaled(raw)).0
    }
}

impl Feature {
    fn scaled(&self, value: f64) -> f64 {
        if self.sd > 0.0 { (value - self.mean) / self.sd * self.weight } else { 0.0 }
    }
}

/// Segments, and the place in the learned ones of each customer.
pub fn fit(data: &Dataset, sales: View<'_>, rfm: &[Option<Rfm>], seed: i64) -> (Segments, Vec<Option<u32>>) {
    let customers = rfm.iter().flatten().count();
    let mut found = Segments {
        format: FORMAT.to_owned(),
        customers: customers as u64,
        rfm: scale(rfm),
        learned: None,
        skipped: None,
    };
    if customers < LEAST_CUSTOMERS {
        found.skipped =
            Some(format!("{customers} customers have an order; segments are learned from {LEAST_CUSTOMERS} on"));
        return (found, vec![None; rfm.len()]);
    }
    let (names, raw) = describe(data, sales, rfm);
    let (learned, places) = learn(names, &raw, rfm, seed);
    found.learned = Some(learned);
    (found, places)
}

fn scale(rfm: &[Option<Rfm>]) -> RfmScale {
    let bound = |slot: usize, value: fn(&Rfm) -> f64, best: fn(f64, f64) -> f64, none: f64| -> Vec<f64> {
        let least = |score: u8| {
            let with = rfm.iter().flatten().filter(|rfm| rfm.scores.get(slot).is_some_and(|own| *own >= score));
            with.map(value).fold(none, best)
        };
        // A score that nobody has begins where nobody is.
        (2..=5).map(least).map(|bound| if bound.is_finite() { bound } else { -1.0 }).collect()
    };
    let mut segments: BTreeMap<String, u64> = BTreeMap::new();
    for rfm in rfm.iter().flatten() {
        *segments.entry(rfm.segment().to_owned()).or_default() += 1;
    }
    RfmScale {
        recency_days_at_most: bound(0, |rfm| f64::from(rfm.recency_days), f64::max, f64::NEG_INFINITY),
        orders_at_least: bound(1, |rfm| f64::from(rfm.orders), f64::min, f64::INFINITY),
        money_at_least: bound(2, |rfm| rfm.money, f64::min, f64::INFINITY),
        segments,
    }
}

/// By customer: logarithms of recency, frequency, money and products by order, then the shares of the largest categories.
fn describe(data: &Dataset, sales: View<'_>, rfm: &[Option<Rfm>]) -> (Vec<String>, Vec<Option<Vec<f64>>>) {
    let catalogue = &data.catalogue;
    let mut lines: BTreeMap<u32, u64> = BTreeMap::new();
    for (_, own) in sales.orders() {
        for line in own.iter().filter(|line| catalogue.category(line.product) != NONE) {
            *lines.entry(catalogue.category(line.product)).or_default() += 1;
        }
    }
    let mut largest: Vec<(u32, u64)> = lines.into_iter().collect();
    largest.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    largest.truncate(CATEGORIES);
    let category_name = |category: u32| {
        let name = catalogue.category_names.get(category as usize);
        if name.is_empty() { catalogue.category_ids.get(category as usize) } else { name }.to_owned()
    };
    let names: Vec<String> = names::PLAIN
        .iter()
        .map(|plain| plain.name.to_owned())
        .chain(largest.iter().map(|(category, _)| format!("{}{}", names::CATEGORY, category_name(*category))))
        .collect();
    let orders = sales.by_customer(data.customers.len());
    let raw = orders.iter().zip(rfm).map(|(own, rfm)| {
        let rfm = rfm.as_ref()?;
        let products = || own.iter().flat_map(|order| sales.lines(*order as usize)).map(|line| line.product);
        let count = products().count().max(1) as f64;
        let shares = largest.iter().map(|(category, _)| {
            products().filter(|product| catalogue.category(*product) == *category).count() as f64 / count
        });
        let plain = [
            f64::from(rfm.recency_days).max(0.0).ln_1p(),
            f64::from(rfm.orders).ln(),
            rfm.money.max(0.0).ln_1p(),
            (count / f64::from(rfm.orders).max(1.0)).ln_1p(),
        ];
        Some(plain.into_iter().chain(shares).collect())
    });
    let raw = raw.collect();
    (names, raw)
}

fn standardised(names: Vec<String>, raw: &[Option<Vec<f64>>]) -> Vec<Feature> {
    let shares = names.len().saturating_sub(names::PLAIN.len());
    let of = |(at, name): (usize, String)| {
        let values: Vec<f64> = raw.iter().flatten().filter_map(|row| row.get(at).copied()).collect();
        let mean = mean(&values);
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len().max(1) as f64;
        // All categories together weigh as much as one other feature and a half: what is bought colours a segment, it does not make it.
        let weight = if at < names::PLAIN.len() { 1.0 } else { (1.5 / shares.max(1) as f64).sqrt() };
        Feature { name, mean, sd: variance.sqrt(), weight }
    };
    names.into_iter().enumerate().map(of).collect()
}

fn learn(names: Vec<String>, raw: &[Option<Vec<f64>>], rfm: &[Option<Rfm>], seed: i64) -> (Learned, Vec<Option<u32>>) {
    let features = standardised(names, raw);
    let mut learned = Learned { features, ..Learned::default() };
    let mut with_orders: Vec<usize> = (0..raw.len()).filter(|at| raw.get(*at).is_some_and(Option::is_some)).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
    if with_orders.len() > MOST_CUSTOMERS {
        with_orders.shuffle(&mut random);
        with_orders.truncate(MOST_CUSTOMERS);
        with_orders.sort_unstable();
    }
    let values = with_orders.iter().filter_map(|at| raw.get(*at)?.as_ref()).flat_map(|row| learned.scaled(row));
    let points = Points { dimensions: learned.features.len(), values: values.collect() };
    let tried: Vec<(Tried, Points)> =
        (LEAST_SEGMENTS..=MOST_SEGMENTS).into_par_iter().map(|k| try_out(&points, k, seed)).collect();
    let best = choose(&tried);
    learned.criterion = format!(
        "the most segments, of {LEAST_SEGMENTS} to {MOST_SEGMENTS}, whose mean adjusted Rand index over {RESAMPLES} bootstrap resamples is \
         {STABLE} or more; the most stable number where none is"
    );
    let centres = tried.get(best).map(|(_, centres)| centres.clone()).unwrap_or_default();
    learned.tried = tried.into_iter().map(|(tried, _)| tried).collect();
    if let Some(tried) = learned.tried.get_mut(best) {
        tried.chosen = true;
    }
    learned.segments = centres.rows().map(|centre| Segment { centre: centre.to_vec(), ..Segment::default() }).collect();
    let mut places: Vec<Option<u32>> =
        raw.iter().map(|row| row.as_ref().map(|row| learned.assign(row) as u32)).collect();
    tell(&mut learned, raw, rfm, &mut places);
    (learned, places)
}

/// The partition of all points, and how like it those of resamples are.
fn try_out(points: &Points, k: usize, seed: i64) -> (Tried, Points) {
    let stream = |at: u64| {
        let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
        random.set_stream(((k as u64) << 32) | at);
        random
    };
    let centres = clusters::fit(points, k, &mut stream(0));
    let own = clusters::assign(&centres, points);
    let agreements: Vec<f64> = (1..=RESAMPLES)
        .into_par_iter()
        .map(|at| {
            let mut random = stream(at);
            let drawn: Vec<usize> = (0..points.len()).map(|_| random.random_range(0..points.len())).collect();
            let other = clusters::fit(&points.pick(&drawn), k, &mut random);
            clusters::adjusted_rand(&own, &clusters::assign(&other, points))
        })
        .collect();
    let interval = bootstrap(&agreements, seed);
    let tried = Tried {
        segments: k,
        stability: mean(&agreements),
        low: interval.low,
        high: interval.high,
        resamples: RESAMPLES,
        silhouette: clusters::silhouette(&centres, points),
        chosen: false,
    };
    (tried, centres)
}

fn choose(tried: &[(Tried, Points)]) -> usize {
    let stable = tried.iter().rposition(|(tried, _)| tried.stability >= STABLE);
    let best = || {
        let each = tried.iter().enumerate().map(|(at, (tried, _))| (at, tried.stability));
        each.fold((0, f64::MIN), |best, found| if found.1 > best.1 { found } else { best }).0
    };
    stable.unwrap_or_else(best)
}

/// Sizes, evidence and names; the largest segment first.
fn tell(learned: &mut Learned, raw: &[Option<Vec<f64>>], rfm: &[Option<Rfm>], places: &mut [Option<u32>]) {
    let money: f64 = rfm.iter().flatten().map(|rfm| rfm.money).sum();
    let all = places.iter().flatten().count().max(1) as f64;
    for (at, segment) in (0u32..).zip(&mut learned.segments) {
        let mut sums = vec![0.0; learned.features.len()];
        let mut own_money = 0.0;
        for ((place, row), rfm) in places.iter().zip(raw).zip(rfm) {
            if let (true, Some(row), Some(rfm)) = (*place == Some(at), row, rfm) {
                segment.customers += 1;
                own_money += rfm.money;
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        }
        let means: Vec<f64> = sums.iter().map(|sum| sum / segment.customers.max(1) as f64).collect();
        segment.share = segment.customers as f64 / all;
        segment.money_share = if money > 0.0 { own_money / money } else { 0.0 };
        segment.evidence = names::evidence(&learned.features, &means);
    }
    let mut order: Vec<usize> = (0..learned.segments.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(learned.segments.get(*at).map(|segment| segment.customers)));
    let sorted: Vec<Segment> = order.iter().filter_map(|at| learned.segments.get(*at).cloned()).collect();
    learned.segments = sorted;
    for place in places.iter_mut().flatten() {
        *place = order.iter().position(|at| *at == *place as usize).unwrap_or(0) as u32;
    }
    let names = names::names(learned.segments.iter().map(|segment| segment.evidence.as_slice()));
    for (segment, (name, used)) in learned.segments.iter_mut().zip(names) {
        segment.name = name;
        segment.evidence.truncate(used);
    }
}
