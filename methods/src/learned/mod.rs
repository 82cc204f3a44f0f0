//! A ranker over what several methods say, learned from questions whose answers are known.

pub mod facts;

use rayon::prelude::*;

use crate::blend::{Question, Scale};
use crate::boost::{BoostSettings, Boosted, Lists};
use crate::{History, Scorer, Ties, top};
use facts::Facts;

/// Highest items of each method that are candidates.
const DEPTH: usize = 60;
/// One question in so many tells when to stop.
const STOP_BY: usize = 5;
const PATIENCE: usize = 15;
/// Questions that are asked together.
pub const GROUP: usize = 16;

/// How what methods say of an item becomes a row of numbers.
pub struct Features {
    /// Of each method.
    pub scales: Vec<Scale>,
    pub facts: Box<dyn Facts>,
    /// Only what some method names above 0 is a candidate.
    pub named_only: bool,
}

/// What one method says of every item: shares, and what a share of 1 was before.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    pub shares: &'a [f32],
    pub unit: f32,
}

impl<'a> Said<'a> {
    /// Turns scores into shares.
    pub fn of(scores: &'a mut [f32]) -> Self {
        let unit = Scale::Share.apply(scores);
        Self { shares: scores, unit }
    }
}

impl Features {
    /// Numbers of a candidate.
    fn width(&self, methods: usize) -> usize {
        methods * self.scales.len() + self.facts.width()
    }

    /// Candidates, ascending, and their numbers, one row after the other.
    pub fn of(&self, said: &[Said<'_>], history: &History) -> (Vec<u32>, Vec<f32>) {
        let share = |said: &Said<'_>, item: u32| said.shares.get(item as usize).copied().unwrap_or(0.0);
        let mut chosen: Vec<u32> = said.iter().flat_map(|said| top(said.shares, DEPTH, Ties::SmallerItem)).collect();
        chosen.sort_unstable();
        chosen.dedup();
        if self.named_only {
            chosen.retain(|item| said.iter().any(|said| share(said, *item) > 0.0));
        }
        let factors: Vec<Vec<f32>> = self
            .scales
            .iter()
            .map(|scale| {
                let factor = |said: &Said<'_>| match scale {
                    Scale::Share => 1.0,
                    Scale::Plain => said.unit,
                    Scale::Highest => 1.0 / said.shares.iter().copied().fold(f32::MIN_POSITIVE, f32::max),
                };
                said.iter().map(factor).collect()
            })
            .collect();
        let facts = self.facts.of(history, &chosen);
        let width = self.facts.width();
        let mut rows = Vec::with_capacity(chosen.len() * self.width(said.len()));
        for (item, facts) in chosen.iter().zip(facts.chunks(width.max(1))) {
            for factors in &factors {
                rows.extend(said.iter().zip(factors).map(|(said, factor)| share(said, *item) * factor));
            }
            rows.extend_from_slice(facts);
        }
        (chosen, rows)
    }
}

/// Methods, and how their word becomes numbers.
pub struct Views<'a> {
    parts: Vec<&'a dyn Scorer>,
    features: &'a Features,
}

impl<'a> Views<'a> {
    pub fn new(parts: Vec<&'a dyn Scorer>, features: &'a Features) -> Self {
        Self { parts, features }
    }

    fn width(&self) -> usize {
        self.features.width(self.parts.len())
    }

    /// By user: candidates, ascending, and their numbers, one row after the other.
    fn of(&self, users: &[(Option<usize>, &History)], items: usize) -> Vec<(Vec<u32>, Vec<f32>)> {
        let mut scores: Vec<Vec<f32>> = self
            .parts
            .iter()
            .map(|part| {
                let mut scores = vec![0.0; users.len() * items];
                part.score_all(users, &mut scores);
                scores
            })
            .collect();
        let mut parts: Vec<_> = scores.iter_mut().map(|scores| scores.chunks_exact_mut(items.max(1))).collect();
        let of_user = |(_, history): &(Option<usize>, &History)| {
            let said: Vec<Said<'_>> = parts.iter_mut().filter_map(Iterator::next).map(Said::of).collect();
            self.features.of(&said, history)
        };
        users.iter().map(of_user).collect()
    }
}

/// Methods and the ranker over them.
pub struct Learned<'a> {
    views: Views<'a>,
    ranker: &'a Boosted,
}

impl<'a> Learned<'a> {
    pub fn new(views: Views<'a>, ranker: &'a Boosted) -> Self {
        Self { views, ranker }
    }
}

impl Scorer for Learned<'_> {
    /// Items that no method has among its highest are never recommended.
    fn score(&self, who: Option<usize>, history: &History, scores: &mut [f32]) {
        let found = self.views.of(&[(who, history)], scores.len());
        scores.fill(f32::NEG_INFINITY);
        for (candidates, features) in &found {
            for (item, features) in candidates.iter().zip(features.chunks(self.views.width().max(1))) {
                if let Some(score) = scores.get_mut(*item as usize) {
                    *score = self.ranker.predict(features);
                }
            }
        }
    }
}

/// The best candidates by a ranker, best first; equal ones by number.
pub fn ranked(ranker: &Boosted, candidates: &[u32], features: &[f32], at: usize) -> Vec<u32> {
    let width = features.len() / candidates.len().max(1);
    let scores: Vec<f32> = features.chunks(width.max(1)).map(|features| ranker.predict(features)).collect();
    let best = top(&scores, at, Ties::SmallerItem);
    best.into_iter().filter_map(|place| candidates.get(place as usize).copied()).collect()
}

/// A list that is not learned from: its features, what its candidates should get, and what they have so far.
struct Held {
    features: Vec<f32>,
    share: Vec<f32>,
    sums: Vec<f32>,
}

impl Held {
    /// Mean log-likelihood of its targets. Adds what the newest tree says.
    fn likelihood(&mut self, fitted: &Boosted, width: usize) -> f64 {
        for (sum, features) in self.sums.iter_mut().zip(self.features.chunks(width)) {
            *sum += fitted.newest(features);
        }
        let all: f64 = self.sums.iter().map(|sum| f64::from(*sum).exp()).sum();
        let targets = self.share.iter().zip(&self.sums).filter(|(share, _)| **share > 0.0);
        targets.map(|(share, sum)| f64::from(*share) * (f64::from(*sum) - all.ln())).sum()
    }
}

/// Learns a ranker from questions. One in five is not learned from: the likelihood of its targets tells how many trees to keep.
pub fn learn(views: &Views<'_>, questions: &[Question], items: usize, settings: BoostSettings) -> Boosted {
    let width = views.width();
    let of = |at: usize, question: &Question, (candidates, features): (Vec<u32>, Vec<f32>)| {
        let found = candidates.iter().filter(|item| question.targets.contains(item)).count();
        let share = |item: &u32| if question.targets.contains(item) { 1.0 / found as f32 } else { 0.0 };
        let share: Vec<f32> = candidates.iter().map(share).collect();
        (found > 0).then_some((at, features, share))
    };
    let all: Vec<_> = questions
        .par_chunks(GROUP)
        .enumerate()
        .flat_map_iter(|(group, questions)| {
            let users: Vec<_> = questions.iter().map(|question| (question.who, &question.history)).collect();
            let found = views.of(&users, items).into_iter().zip(questions).enumerate();
            found.filter_map(move |(at, (found, question))| of(group * GROUP + at, question, found)).collect::<Vec<_>>()
        })
        .collect();
    let mut lists = Lists { features: vec![Vec::new(); width], ..Lists::default() };
    let mut held: Vec<Held> = Vec::new();
    for (at, features, share) in all {
        if at % STOP_BY == 0 {
            held.push(Held { features, sums: vec![0.0; share.len()], share });
            continue;
        }
        for row in features.chunks(width) {
            for (column, value) in lists.features.iter_mut().zip(row) {
                column.push(*value);
            }
        }
        lists.share.extend(share);
        lists.ends.push(lists.share.len());
    }
    let mut judge = |fitted: &Boosted| {
        let values: Vec<f64> = held.par_iter_mut().map(|list| list.likelihood(fitted, width)).collect();
        crate::measure::mean(&values)
    };
    Boosted::fit(&lists, settings, PATIENCE, &mut judge)
}
