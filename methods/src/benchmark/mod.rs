//! Published tasks from end to end: methods are fitted on what lies before the part that is held out to choose by, the weights of their blend
//! are chosen there, everything is fitted again on all that lies before the test, and the test is judged once.

pub mod next_item;
pub mod top_n;

use serde::Serialize;

use crate::blend::{Blend, Part, Question, Scale, Worth, choose};
use crate::measure::Row;
use crate::protocol::lists;
use crate::{Scorer, Unseen};

/// A method that was fitted.
pub struct Method {
    pub name: String,
    pub scorer: Box<dyn Scorer>,
    pub scale: Scale,
    /// Where the search of weights starts.
    pub weight: f32,
}

impl Method {
    fn new(name: &str, weight: f32, scorer: impl Scorer + 'static) -> Self {
        Self { name: name.to_owned(), scorer: Box::new(scorer), scale: Scale::Share, weight }
    }
}

/// A method could not be fitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to fit {method}: {why}; {remedy}")]
pub struct FitError {
    pub method: &'static str,
    pub why: String,
    pub remedy: &'static str,
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// By method, the blend last.
    pub rows: Vec<Row>,
    /// Weights of the blend, chosen on what was held out.
    pub weights: Vec<(String, f32)>,
    /// What the blend's lists were worth there.
    pub validation: f64,
    /// Questions asked to choose, and to judge.
    pub chosen_by: usize,
    pub judged_by: usize,
}

/// Weights and what they reach on questions; items that a user had are never named.
fn weights(methods: &[Method], questions: &[Question], items: usize, at: usize, worth: Worth<'_>) -> (Vec<f32>, f64) {
    let unseen: Vec<Unseen<'_>> = methods.iter().map(|method| Unseen(method.scorer.as_ref())).collect();
    let parts: Vec<Part<'_>> = methods
        .iter()
        .zip(&unseen)
        .map(|(method, scorer)| Part { scorer, scale: method.scale, weight: method.weight })
        .collect();
    choose(&parts, questions, items, at, 0.3, worth)
}

/// What makes rows of lists.
type Rows<'a> = &'a dyn Fn(&str, &[Question], &[Vec<u32>]) -> Vec<Row>;

/// The rows of each method alone and of the blend.
fn judged(
    methods: &[Method],
    weights: &[f32],
    questions: &[Question],
    items: usize,
    at: usize,
    rows: Rows<'_>,
) -> Vec<Row> {
    let mut all = Vec::new();
    for method in methods {
        all.extend(rows(&method.name, questions, &lists(&Unseen(method.scorer.as_ref()), questions, items, at)));
    }
    let parts = methods
        .iter()
        .zip(weights)
        .map(|(method, weight)| Part { scorer: method.scorer.as_ref(), scale: method.scale, weight: *weight })
        .collect();
    all.extend(rows("blend", questions, &lists(&Unseen(&Blend { parts }), questions, items, at)));
    all
}

/// Every so many of the questions, so that about `most` are left.
fn thinned(questions: &[Question], most: usize) -> Vec<Question> {
    questions.iter().step_by(questions.len().div_ceil(most.max(1)).max(1)).cloned().collect()
}
