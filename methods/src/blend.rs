//! Several methods as one, with weights that are chosen by what came of questions whose answers are known.

use rayon::prelude::*;

use crate::{History, Scorer};

/// How the scores of methods with different scales are made comparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Scale {
    /// As they are.
    Plain,
    /// Over the sum of what is above 0.
    #[default]
    Share,
    /// Over the highest.
    Highest,
}

impl Scale {
    /// Brings scores to the scale. What is below 0 or never counts as 0: a blend's methods have no veto. Returns what was divided by.
    pub fn apply(self, scores: &mut [f32]) -> f32 {
        let above = scores.iter().copied().filter(|score| *score > 0.0);
        let unit = match self {
            Self::Plain => 1.0,
            Self::Share => above.map(f64::from).sum::<f64>() as f32,
            Self::Highest => above.fold(0.0, f32::max),
        };
        for score in scores {
            *score = if *score > 0.0 { *score / unit } else { 0.0 };
        }
        unit
    }
}

/// One method of a blend.
pub struct Part<'a> {
    pub scorer: &'a dyn Scorer,
    pub scale: Scale,
    pub weight: f32,
}

/// The weighted sum of methods' scores on a common scale (CombSUM: Fox and Shaw, TREC-2, 1994).
pub struct Blend<'a> {
    pub parts: Vec<Part<'a>>,
}

impl Scorer for Blend<'_> {
    fn score(&self, who: Option<usize>, history: &History, scores: &mut [f32]) {
        scores.fill(0.0);
        let mut own = vec![0.0; scores.len()];
        for part in self.parts.iter().filter(|part| part.weight != 0.0) {
            part.scorer.score(who, history, &mut own);
            part.scale.apply(&mut own);
            for (score, own) in scores.iter_mut().zip(&own) {
                *score += part.weight * own;
            }
        }
    }
}

/// A question whose answer is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub who: Option<usize>,
    pub history: History,
    /// Distinct.
    pub targets: Vec<u32>,
}

/// What the methods say of the items that may be in a question's list.
#[derive(Clone, Debug)]
struct Candidates {
    /// Ascending.
    items: Vec<u32>,
    /// By candidate, then by method.
    scores: Vec<f32>,
    targets: Vec<u32>,
}

/// Highest items of each method that are candidates while weights are searched.
const DEPTH: usize = 60;
/// Steps of the search over one weight, as factors of it.
const FACTORS: [f32; 8] = [0.0, 0.25, 0.5, 0.8, 1.25, 2.0, 4.0, 10.0];
/// A smaller gain is noise that would only make the weights wander.
const LEAST_GAIN: f64 = 2e-5;

/// What is worth how much: of a list and its targets.
pub type Worth<'a> = &'a (dyn Fn(&[u32], &[u32]) -> f64 + Sync);

/// Chooses weights by coordinate ascent, each in its turn, until a round brings nothing: what the lists of `at` items are worth, in
/// the mean over the questions. Starts at the parts' own weights; a part whose weight is 0 is tried at `trial`. Nothing is drawn, so
/// that the same questions give the same weights.
pub fn choose(
    parts: &[Part<'_>],
    questions: &[Question],
    items: usize,
    at: usize,
    trial: f32,
    worth: Worth<'_>,
) -> (Vec<f32>, f64) {
    let all: Vec<Candidates> = questions.par_iter().map(|question| candidates(parts, question, items)).collect();
    let value = |weights: &[f32]| -> f64 {
        let values: Vec<f64> = all.par_iter().map(|found| worth(&best(found, weights, at), &found.targets)).collect();
        crate::measure::mean(&values)
    };
    let mut weights: Vec<f32> = parts.iter().map(|part| part.weight).collect();
    let mut reached = value(&weights);
    loop {
        let before = reached;
        for place in 0..weights.len() {
            let own = weights.get(place).copied().unwrap_or(0.0);
            let start = if own > 0.0 { own } else { trial };
            for factor in FACTORS.into_iter().chain((own == 0.0).then_some(1.0)) {
                let mut tried = weights.clone();
                if let Some(slot) = tried.get_mut(place) {
                    *slot = start * factor;
                }
                let found = value(&tried);
                if found > reached + LEAST_GAIN {
                    (weights, reached) = (tried, found);
                }
            }
        }
        if reached <= before {
            return (weights, reached);
        }
    }
}

fn candidates(parts: &[Part<'_>], question: &Question, items: usize) -> Candidates {
    let mut scores = vec![vec![0.0; items]; parts.len()];
    let mut chosen: Vec<u32> = Vec::new();
    for (part, scores) in parts.iter().zip(&mut scores) {
        part.scorer.score(question.who, &question.history, scores);
        part.scale.apply(scores);
        chosen.extend(crate::top(scores, DEPTH, crate::Ties::SmallerItem));
    }
    chosen.sort_unstable();
    chosen.dedup();
    let of = |item: &u32| scores.iter().map(|scores| scores.get(*item as usize).copied().unwrap_or(0.0)).collect();
    let said: Vec<Vec<f32>> = chosen.iter().map(of).collect();
    Candidates { items: chosen, scores: said.concat(), targets: question.targets.clone() }
}

fn best(found: &Candidates, weights: &[f32], at: usize) -> Vec<u32> {
    let sum = |said: &[f32]| said.iter().zip(weights).map(|(score, weight)| score * weight).sum::<f32>();
    let sums: Vec<f32> = found.scores.chunks(weights.len().max(1)).map(sum).collect();
    let list = crate::top(&sums, at, crate::Ties::SmallerItem);
    list.into_iter().filter_map(|place| found.items.get(place as usize).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Vec<f32>);

    impl Scorer for Fixed {
        fn score(&self, _: Option<usize>, _: &History, scores: &mut [f32]) {
            scores.copy_from_slice(&self.0);
        }
    }

    #[test]
    #[allow(clippy::float_cmp)] // Exact in binary.
    fn scales_by_hand() {
        let apply = |scale: Scale| {
            let mut scores = [3.0, f32::NEG_INFINITY, -1.0, 1.0];
            scale.apply(&mut scores);
            scores
        };
        assert_eq!(apply(Scale::Plain), [3.0, 0.0, 0.0, 1.0]);
        assert_eq!(apply(Scale::Share), [0.75, 0.0, 0.0, 0.25]);
        assert_eq!(apply(Scale::Highest), [1.0, 0.0, 0.0, 1.0 / 3.0]);
        let mut nothing = [0.0; 2];
        Scale::Share.apply(&mut nothing);
        assert_eq!(nothing, [0.0; 2]);
    }

    #[test]
    fn a_blend_by_hand_and_the_weights_that_find_most() {
        let (one, other) = (Fixed(vec![4.0, 1.0, 0.0, 3.0]), Fixed(vec![0.0, 9.0, 1.0, 0.0]));
        let part = |scorer, weight| Part { scorer, scale: Scale::Share, weight };
        let parts = || vec![part(&one as &dyn Scorer, 1.0), part(&other, 0.5)];
        let mut scores = vec![0.0; 4];
        Blend { parts: parts() }.score(None, &History::default(), &mut scores);
        let expected = [0.5, 0.125 + 0.45, 0.05, 0.375];
        assert!(scores.iter().zip(expected).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6), "{scores:?}");
        // Item 3 is wanted alone and stands above 0 in one method: without the other it is second, behind 0.
        let question = Question { who: None, history: History::default(), targets: vec![1, 2] };
        let recall = |list: &[u32], targets: &[u32]| {
            crate::measure::judge(list, targets, 2, crate::measure::Ideal::Reachable).recall
        };
        let (weights, reached) = choose(&parts(), &[question], 4, 2, 1.0, &recall);
        assert!((reached - 1.0).abs() < 1e-12, "{weights:?} reach {reached}");
    }
}
