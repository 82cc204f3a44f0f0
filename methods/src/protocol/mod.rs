//! How published tasks ask and judge.

pub mod next_basket;
pub mod next_item;
pub mod session;
pub mod top_n;

use std::collections::HashSet;

use rayon::prelude::*;

use crate::blend::Question;
use crate::measure::{Row, bootstrap, mean};
use crate::{Scorer, Ties, top};

/// The best items of a method for each question, over all items.
pub fn lists(scorer: &dyn Scorer, questions: &[Question], items: usize, at: usize) -> Vec<Vec<u32>> {
    let ask = |scores: &mut Vec<f32>, question: &Question| {
        scorer.score(question.who, &question.history, scores);
        top(scores, at, Ties::SmallerItem)
    };
    questions.par_iter().map_init(|| vec![0.0; items], ask).collect()
}

/// A row of the mean and its interval.
pub(crate) fn row(model: &str, metric: String, values: &[f64], seed: i64) -> Row {
    let interval = bootstrap(values, seed);
    Row {
        model: model.to_owned(),
        metric,
        value: mean(values),
        low: interval.low,
        high: interval.high,
        n: values.len() as u64,
    }
}

/// Share of the items that stand in any list. It is one number and no mean, so that it has no interval by questions.
pub(crate) fn coverage(model: &str, at: usize, lists: &[Vec<u32>], items: usize) -> Row {
    let shown: HashSet<u32> = lists.iter().flatten().copied().collect();
    let value = shown.len() as f64 / items.max(1) as f64;
    let metric = format!("coverage@{at}");
    Row { model: model.to_owned(), metric, value, low: value, high: value, n: lists.len() as u64 }
}
