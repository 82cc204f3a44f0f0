//! The active version on the window's questions, so that the card says what a new version gains.

use std::collections::HashMap;

use endcap_recommender::candidates::{HistoryOrder, Question, SIGNALS, Scratch};
use endcap_recommender::fitted::{Model, Situation};
use endcap_recommender::ranking::rank;
use rayon::prelude::*;

use super::{AT, Case, ndcg};

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
