//! The active version on the window's questions, so that the card says what a new version gains.

use std::collections::HashMap;

use endcap_recommender::artifact::Metric;
use endcap_recommender::candidates::{HistoryOrder, Question, SIGNALS, Scratch};
use endcap_recommender::fitted::{Model, Situation};
use endcap_recommender::ranking::rank;
use rayon::prelude::*;

use super::{AT, Case, Comparison, LEAST_CASES, Served, Tuned, Window, metric, ndcg};

/// A version that serves now.
#[derive(Debug)]
pub struct Active {
    pub name: String,
    pub model: Model,
}

impl Active {
    /// How it is named in comparisons. One that has learned from the window's own orders is in the advantage, and it is said.
    pub fn against(&self, window_from_s: i64) -> String {
        let knows = self.model.settings.trained_until.is_some_and(|until| until.as_second() >= window_from_s);
        let note = if knows { " (had learned from part of the window)" } else { "" };
        format!("active {}{note}", self.name)
    }

    /// NDCG of its lists for the same questions, asked in its own terms; products that it does not know are never found.
    pub fn judge(&self, own: &Model, all: &[(Situation, Vec<Case>)]) -> Vec<f64> {
        let ids = (0..own.catalogue.len() as u32)
            .filter_map(|product| self.model.catalogue.find(own.catalogue.id(product)).map(|theirs| (product, theirs)));
        let theirs: HashMap<u32, u32> = ids.collect();
        let each = |scratch: &mut Scratch, case: &Case| {
            let question = self.question(own, &case.question, &theirs);
            let wanted = |product: u32| !question.anchors.contains(&product);
            let targets: Vec<u32> = case.targets.iter().filter_map(|product| theirs.get(product).copied()).collect();
            let list = rank(&self.model, &question, &[1.0; SIGNALS], &wanted, scratch);
            let hits: Vec<bool> = list.iter().take(AT).map(|ranked| targets.contains(&ranked.product)).collect();
            ndcg(&hits, case.targets.len(), AT)
        };
        all.iter()
            .flat_map(|(_, cases)| cases.par_iter().map_init(Scratch::default, each).collect::<Vec<f64>>())
            .collect()
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

/// The active version on the same questions. It may have learned from some of them: only those of orders that were placed after it was
/// trained say which of the two is better, and become figures for gates (split `unseen`: of this version, and `.active` of the other).
pub(super) fn against_active(
    active: &Active,
    model: &Model,
    all: &[(Situation, Vec<Case>)],
    served: &[Vec<Served>],
    window: Window,
    seed: i64,
    tuned: &mut Tuned,
) {
    let until = active.model.settings.trained_until.map_or(i64::MIN, jiff::Timestamp::as_second);
    let at = all.iter().flat_map(|(_, cases)| cases.iter().map(|case| case.at_s));
    let pairs = served.iter().flatten().map(Served::ndcg).zip(active.judge(model, all)).zip(at);
    let (unseen, seen): (Vec<_>, Vec<_>) = pairs.partition(|(_, at)| *at > until);
    let differences =
        |pairs: &[((f64, f64), i64)]| pairs.iter().map(|((own, other), _)| own - other).collect::<Vec<f64>>();
    if unseen.len() < LEAST_CASES {
        let every: Vec<_> = unseen.into_iter().chain(seen).collect();
        tuned.comparisons.push(Comparison::new(&active.against(window.from_s), None, &differences(&every), seed));
        return;
    }
    tuned.comparisons.push(Comparison::new(
        &active.against(until.saturating_add(1).max(window.from_s)),
        None,
        &differences(&unseen),
        seed,
    ));
    let (own, other): (Vec<f64>, Vec<f64>) = unseen.into_iter().map(|(pair, _)| pair).unzip();
    for (name, values) in [("ndcg@10", own), ("ndcg@10.active", other)] {
        tuned.metrics.push(Metric { split: UNSEEN.to_owned(), ..metric(name.to_owned(), &values, seed) });
    }
}

/// Questions of the window whose orders the active version cannot have learned from.
pub const UNSEEN: &str = "unseen";
