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
const PATIENCE: usize = 25;

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
const FACTS: usize = 7;

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
        // How often the user had an item, and how many baskets ago at last.
        let mut had: HashMap<u32, (f32, f32)> = HashMap::new();
        for (ago, basket) in history.baskets.iter().rev().enumerate() {
            for item in distinct(&basket.items) {
                had.entry(item).or_insert((0.0, ago as f32)).0 += 1.0;
            }
        }
        let kinds = had.len() as f32;
        let row = |item: &u32| -> Vec<f32> {
            let (times, ago) = had.get(item).copied().unwrap_or((0.0, 1000.0));
            let again = self.again.rate.get(*item as usize).copied().unwrap_or(0.0);
            let facts: [f32; FACTS] = [times, ago, times / baskets.max(1.0), again, baskets, size, kinds];
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

/// Learns a ranker. One question in five is not learned from: it tells by `worth` of its list of `at` how many trees to keep.
pub fn learn(
    views: &Views<'_>,
    questions: &[Question],
    items: usize,
    at: usize,
    settings: BoostSettings,
    worth: crate::blend::Worth<'_>,
) -> Boosted {
    let of = |question: &Question| views.of(question.who, &question.history, items);
    let (held, taught): (Vec<_>, Vec<_>) = questions.iter().enumerate().partition(|(at, _)| at % STOP_BY == 0);
    let mut lists = Lists { features: vec![Vec::new(); views.width()], ..Lists::default() };
    let taught: Vec<_> = taught.par_iter().map(|(_, question)| (of(question), &question.targets)).collect();
    for ((candidates, features), targets) in taught {
        let found = candidates.iter().filter(|item| targets.contains(item)).count();
        if found == 0 {
            continue;
        }
        for (item, row) in candidates.iter().zip(features.chunks(views.width())) {
            for (column, value) in lists.features.iter_mut().zip(row) {
                column.push(*value);
            }
            lists.share.push(if targets.contains(item) { 1.0 / found as f32 } else { 0.0 });
        }
        lists.ends.push(lists.share.len());
    }
    let held: Vec<_> = held.par_iter().map(|(_, question)| (of(question), &question.targets)).collect();
    let mut sums: Vec<Vec<f32>> = held.iter().map(|((candidates, _), _)| vec![0.0; candidates.len()]).collect();
    let mut judge = |fitted: &Boosted| {
        let values: Vec<f64> = held
            .par_iter()
            .zip(&mut sums)
            .map(|(((candidates, features), targets), sums)| {
                for (sum, features) in sums.iter_mut().zip(features.chunks(views.width())) {
                    *sum += fitted.newest(features);
                }
                let best = top(sums, at, Ties::SmallerItem);
                let list: Vec<u32> =
                    best.into_iter().filter_map(|place| candidates.get(place as usize).copied()).collect();
                worth(&list, targets)
            })
            .collect();
        crate::measure::mean(&values)
    };
    Boosted::fit(&lists, settings, PATIENCE, &mut judge)
}
