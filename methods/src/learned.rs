//! A ranker over what several methods say, learned from questions whose answers are known.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::blend::{Question, Scale};
use crate::boost::{BoostSettings, Boosted, Lists};
use crate::popularity::distinct;
use crate::{Histories, History, Scorer, Ties, top};

/// Highest items of each method that are candidates.
const DEPTH: usize = 60;
/// One question in so many tells when to stop.
const STOP_BY: usize = 5;
const PATIENCE: usize = 15;

/// How items are had again, by item.
#[derive(Clone, Debug, Default)]
struct Again {
    /// Of the baskets that followed one with the item, the share that held it again, drawn to that of all items.
    rate: Vec<f32>,
}

/// Baskets that the rate of all items counts as.
const SHRINKAGE: f32 = 20.0;

impl Again {
    fn fit(histories: &Histories) -> Self {
        let mut had = vec![0.0f32; histories.items];
        let mut again = vec![0.0f32; histories.items];
        for user in &histories.users {
            let baskets: Vec<Vec<u32>> = user.baskets.iter().map(|basket| distinct(&basket.items)).collect();
            for pair in baskets.windows(2) {
                let [one, next] = pair else { continue };
                for item in one {
                    if let (Some(had), Some(again)) = (had.get_mut(*item as usize), again.get_mut(*item as usize)) {
                        *had += 1.0;
                        *again += f32::from(u8::from(next.binary_search(item).is_ok()));
                    }
                }
            }
        }
        let overall = again.iter().sum::<f32>() / had.iter().sum::<f32>().max(1.0);
        let rate = |(again, had): (&f32, &f32)| (again + SHRINKAGE * overall) / (had + SHRINKAGE);
        Self { rate: again.iter().zip(&had).map(rate).collect() }
    }
}

/// What the methods say, and how items and users are.
pub struct Views<'a> {
    parts: Vec<&'a dyn Scorer>,
    again: Again,
}

/// Columns that do not come from the methods.
const FACTS: usize = 9;

impl<'a> Views<'a> {
    /// `histories` is what the methods were fitted on.
    pub fn new(parts: Vec<&'a dyn Scorer>, histories: &Histories) -> Self {
        Self { parts, again: Again::fit(histories) }
    }

    /// Features of a candidate.
    fn width(&self) -> usize {
        self.parts.len() + FACTS
    }

    /// Candidates, ascending, and their features, one row after the other.
    fn of(&self, who: Option<usize>, history: &History, items: usize) -> (Vec<u32>, Vec<f32>) {
        let mut said = vec![vec![0.0; items]; self.parts.len()];
        let mut chosen: Vec<u32> = Vec::new();
        for (part, scores) in self.parts.iter().zip(&mut said) {
            part.score(who, history, scores);
            Scale::Share.apply(scores);
            chosen.extend(top(scores, DEPTH, Ties::SmallerItem));
        }
        chosen.sort_unstable();
        chosen.dedup();
        let baskets = history.baskets.len() as f32;
        let size = history.items().count() as f32 / baskets.max(1.0);
        // How often the user had an item, and how many baskets ago at last and at first.
        let mut had: HashMap<u32, (f32, f32, f32)> = HashMap::new();
        let mut all = 0.0f32;
        for (ago, basket) in history.baskets.iter().rev().enumerate() {
            for item in distinct(&basket.items) {
                let had = had.entry(item).or_insert((0.0, ago as f32, 0.0));
                had.0 += 1.0;
                had.2 = ago as f32;
                all += 1.0;
            }
        }
        let kinds = had.len() as f32;
        let repeats = 1.0 - kinds / all.max(1.0);
        let row = |item: &u32| -> Vec<f32> {
            let (times, ago, first) = had.get(item).copied().unwrap_or((0.0, 1000.0, 1000.0));
            let again = self.again.rate.get(*item as usize).copied().unwrap_or(0.0);
            // Baskets since the last time over the usual ones between two times; 0 where there was no second time.
            let due = if times > 1.0 { (ago + 1.0) * (times - 1.0) / (first - ago).max(1.0) } else { 0.0 };
            let share = times / baskets.max(1.0);
            let facts: [f32; FACTS] = [times, ago, share, due, again, baskets, size, kinds, repeats];
            said.iter().map(|scores| scores.get(*item as usize).copied().unwrap_or(0.0)).chain(facts).collect()
        };
        let features = chosen.iter().flat_map(row).collect();
        (chosen, features)
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
        let (candidates, features) = self.views.of(who, history, scores.len());
        scores.fill(f32::NEG_INFINITY);
        for (item, features) in candidates.iter().zip(features.chunks(self.views.width())) {
            if let Some(score) = scores.get_mut(*item as usize) {
                *score = self.ranker.predict(features);
            }
        }
    }
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
    let of = |(at, question): (usize, &Question)| {
        let (candidates, features) = views.of(question.who, &question.history, items);
        let found = candidates.iter().filter(|item| question.targets.contains(item)).count();
        let share = |item: &u32| if question.targets.contains(item) { 1.0 / found as f32 } else { 0.0 };
        let share: Vec<f32> = candidates.iter().map(share).collect();
        (found > 0).then_some((at, features, share))
    };
    let all: Vec<_> = questions.par_iter().enumerate().filter_map(of).collect();
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
