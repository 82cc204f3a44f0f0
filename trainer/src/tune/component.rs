//! Rows of the ablation table.

use serde::{Deserialize, Serialize};

use super::paired;

/// What a component is worth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Component {
    pub name: String,
    pub kept: bool,
    /// NDCG@10 of all less NDCG@10 without it, on the same questions, with its 95% interval.
    pub difference: f64,
    pub low: f64,
    pub high: f64,
    pub n: u64,
    /// The same among the questions of one situation.
    #[serde(default)]
    pub situations: Vec<Gain>,
}

/// What a component is worth in one situation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    pub situation: String,
    pub difference: f64,
    pub low: f64,
    pub high: f64,
    pub n: u64,
}

/// Names of situations with how many questions of each were judged, in the order of the questions.
pub(super) type Parts = Vec<(&'static str, usize)>;

impl Component {
    /// Of the same questions with and without it, by situation. Kept if it is missed when left out.
    pub(super) fn new(name: &str, whole: &[f64], without: &[f64], parts: &Parts, seed: i64) -> Self {
        let (difference, interval) = paired(whole, without, seed);
        let mut from = 0;
        let situations = parts.iter().filter_map(|(situation, size)| {
            let questions = from..from + size;
            from = questions.end;
            let (whole, without) = (whole.get(questions.clone())?, without.get(questions)?);
            let (difference, interval) = paired(whole, without, seed);
            let (low, high, n) = (interval.low, interval.high, whole.len() as u64);
            Some(Gain { situation: (*situation).to_owned(), difference, low, high, n })
        });
        let situations: Vec<Gain> = situations.collect();
        Self {
            name: name.to_owned(),
            // What carries one situation stays, even when it is worth nothing over all of them.
            kept: difference > 0.0 || situations.iter().any(|gain| gain.low > 0.0),
            difference,
            low: interval.low,
            high: interval.high,
            n: whole.len() as u64,
            situations,
        }
    }

    /// The same, kept only if it surely brings something over all questions.
    pub(super) fn if_sure(self) -> Self {
        Self { kept: self.low > 0.0, ..self }
    }
}
