//! The active version on the window's questions, so that the card says what a new version gains.

use std::collections::HashMap;

use endcap_recommender::artifact::Metric;
use endcap_recommender::candidates::{HistoryOrder, Question, SIGNALS, Scratch};
use endcap_recommender::fitted::Model;
use endcap_recommender::ranking::rank;
use rayon::prelude::*;

use super::{AT, Case, Comparison, LEAST_CASES, MEASURES, MOST_CASES, Tuned, Window, cases, metric, ndcg};
use crate::load::Dataset;

/// A version that serves now.
#[derive(Debug)]
pub struct Active {
    pub name: String,
    pub model: Model,
}

impl Active {
    /// NDCG, recall and hit of its lists for questions that another model's numbers are in, asked in its own terms; products that it does
    /// not know are never found.
    fn judge(&self, own: &Model, all: &[Vec<Case>]) -> Vec<[f64; 3]> {
        let ids = (0..own.catalogue.len() as u32)
            .filter_map(|product| self.model.catalogue.find(own.catalogue.id(product)).map(|theirs| (product, theirs)));
        let theirs: HashMap<u32, u32> = ids.collect();
        let each = |scratch: &mut Scratch, case: &Case| {
            let question = self.question(own, &case.question, &theirs);
            let wanted = |product: u32| !question.anchors.contains(&product);
            let targets: Vec<u32> = case.targets.iter().filter_map(|product| theirs.get(product).copied()).collect();
            let list = rank(&self.model, &question, &[1.0; SIGNALS], &wanted, scratch);
            let hits: Vec<bool> = list.iter().take(AT).map(|ranked| targets.contains(&ranked.product)).collect();
            let found = hits.iter().filter(|hit| **hit).count() as f64;
            let recall = found / case.targets.len().max(1) as f64;
            [ndcg(&hits, case.targets.len(), AT), recall, f64::from(u8::from(found > 0.0))]
        };
        all.iter().flat_map(|cases| cases.par_iter().map_init(Scratch::default, each).collect::<Vec<_>>()).collect()
    }

    fn question(&self, own: &Model, question: &Question, theirs: &HashMap<u32, u32>) -> Question {
        let map = |list: &[u32]| list.iter().filter_map(|product| theirs.get(product).copied()).collect();
        let history = question.history.iter().map(|order| HistoryOrder {
            age_days: order.age_days,
            lines: order.lines.iter().filter_map(|(id, quantity)| Some((*theirs.get(id)?, *quantity))).collect(),
        });
        let segments = question
            .segments
            .iter()
            .filter_map(|segment| self.model.popularity.segment(own.popularity.segment_keys.get(*segment as usize)));
        Question {
            anchors: map(&question.anchors),
            history: history.collect(),
            viewed: map(&question.viewed),
            segments: segments.collect(),
            month: question.month,
        }
    }
}

/// Questions of the window whose orders the active version cannot have learned from.
pub const UNSEEN: &str = "unseen";

/// From when on orders are news to both: the active version was trained before, and so is the twin that it is compared with.
pub fn unseen(active: &Active, window: Window) -> i64 {
    let until = active.model.settings.trained_until.map_or(i64::MIN, jiff::Timestamp::as_second);
    until.saturating_add(1).max(window.from_s)
}

/// The active version beside a twin of the new one that was fitted on orders before the same moment: what came after it is asked of
/// both, and becomes figures for gates (split `unseen`; `.active` are the other's). Too few questions become none.
pub fn compare(active: &Active, twin: Model, data: &Dataset, from_s: i64, seed: i64, tuned: &mut Tuned) {
    let (before, inside) = data.sales.view().split_at(from_s);
    let all: Vec<Vec<Case>> = cases(data, &twin, before, inside, seed, MOST_CASES).into();
    if all.iter().map(Vec::len).sum::<usize>() < LEAST_CASES {
        return;
    }
    let theirs = active.judge(&twin, &all);
    let twin = Active { name: String::new(), model: twin };
    let own = twin.judge(&twin.model, &all);
    let of = |measured: &[[f64; 3]], at: usize| measured.iter().map(|one| one[at]).collect::<Vec<f64>>();
    let differences: Vec<f64> = of(&own, 0).iter().zip(of(&theirs, 0)).map(|(own, other)| own - other).collect();
    tuned.comparisons.push(Comparison::new(&format!("active {}", active.name), None, &differences, seed));
    for (at, name) in MEASURES.into_iter().enumerate() {
        for (name, values) in [(name.to_owned(), of(&own, at)), (format!("{name}.active"), of(&theirs, at))] {
            tuned.metrics.push(Metric { split: UNSEEN.to_owned(), ..metric(name, &values, seed) });
        }
    }
}
