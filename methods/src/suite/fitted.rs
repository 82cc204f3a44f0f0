//! Methods that never name what a user had, and their blend.

use std::collections::BTreeMap;

use endcap_kernels::dot::axpy;
use rayon::prelude::*;

use crate::blend::{Part, Question, Scale, Worth, choose};
use crate::boost::{BoostSettings, Boosted};
use crate::learned::facts::Degrees;
use crate::learned::{Features, GROUP, Said, Views, learn, ranked};
use crate::unseen::leave_out;
use crate::{Histories, History, Scorer, Ties, Unseen, top};

/// A method could not be fitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to fit {method}: {why}; {remedy}")]
pub struct FitError {
    pub method: &'static str,
    pub why: String,
    pub remedy: &'static str,
}

/// Fitted methods by name.
#[derive(Default)]
pub struct Fitted {
    methods: Vec<(String, Box<dyn Scorer>)>,
}

/// Trees over what methods say.
pub struct Ranker {
    features: Features,
    trees: Boosted,
}

impl Ranker {
    pub fn trees(&self) -> usize {
        self.trees.trees()
    }

    /// The same trees for methods that were fitted on these.
    pub fn on(self, histories: &Histories) -> Self {
        Self { features: features(histories), trees: self.trees }
    }
}

/// Methods of the graph say much by how far they stand above 0, and all of them by how near to their first choice.
fn features(histories: &Histories) -> Features {
    Features { scales: vec![Scale::Plain, Scale::Highest], facts: Box::new(Degrees::fit(histories)), named_only: true }
}

/// What the best lists of a method are, by question.
pub type Lists = Vec<Vec<u32>>;

impl Fitted {
    pub(super) fn push(&mut self, kind: &str, at: usize, scorer: impl Scorer + 'static) {
        let name = if at == 0 { kind.to_owned() } else { format!("{kind}_{}", at + 1) };
        self.methods.push((name, Box::new(scorer)));
    }

    /// Every method that is usable alone.
    pub fn all(&self) -> Vec<(&str, Unseen<'_>)> {
        self.methods.iter().map(|(name, scorer)| (name.as_str(), Unseen(scorer.as_ref()))).collect()
    }

    /// The lists of each method alone, of the blend by these weights and, where there is one, of the ranker. Each method is asked once.
    pub fn lists(
        &self,
        weights: &BTreeMap<String, f32>,
        ranker: Option<&Ranker>,
        questions: &[Question],
        items: usize,
        at: usize,
    ) -> Vec<(String, Lists)> {
        let all = self.all();
        let weight = |name: &str| weights.get(name).copied().unwrap_or(0.0);
        let best = |scores: &[f32]| top(scores, at, Ties::SmallerItem);
        // By group of questions, then by method and the blend, then by question.
        let groups: Vec<Vec<Lists>> = questions
            .par_chunks(GROUP)
            .map(|group| {
                let users: Vec<(Option<usize>, &History)> =
                    group.iter().map(|question| (question.who, &question.history)).collect();
                let mut blend = vec![0.0; group.len() * items];
                let mut found: Vec<Lists> = Vec::with_capacity(all.len() + 2);
                let mut scores: Vec<Vec<f32>> = Vec::with_capacity(all.len());
                for (_, scorer) in &all {
                    let mut own = vec![0.0; group.len() * items];
                    scorer.score_all(&users, &mut own);
                    found.push(own.chunks_exact(items.max(1)).map(best).collect());
                    scores.push(own);
                }
                let mut parts: Vec<_> = scores.iter_mut().map(|own| own.chunks_exact_mut(items.max(1))).collect();
                let mut by_ranker: Lists = Vec::new();
                for (question, blend) in group.iter().zip(blend.chunks_exact_mut(items.max(1))) {
                    let said: Vec<Said<'_>> = parts.iter_mut().filter_map(Iterator::next).map(Said::of).collect();
                    for (said, (name, _)) in said.iter().zip(&all) {
                        axpy(weight(name), said.shares, blend);
                    }
                    if let Some(Ranker { features, trees }) = ranker {
                        let (candidates, numbers) = features.of(&said, &question.history);
                        by_ranker.push(ranked(trees, &candidates, &numbers, at));
                    }
                }
                for (question, scores) in group.iter().zip(blend.chunks_exact_mut(items.max(1))) {
                    leave_out(&question.history, scores);
                }
                found.push(blend.chunks_exact(items.max(1)).map(best).collect());
                if ranker.is_some() {
                    found.push(by_ranker);
                }
                found
            })
            .collect();
        let after = ["blend"].into_iter().chain(ranker.map(|_| "ranker"));
        let names = all.iter().map(|(name, _)| *name).chain(after).map(str::to_owned);
        let of = |place: usize| groups.iter().filter_map(|group| group.get(place)).flatten().cloned().collect();
        names.enumerate().map(|(place, name)| (name, of(place))).collect()
    }

    /// Learns a ranker over these methods from questions that they were fitted without. `histories` is what they were fitted on.
    pub(super) fn learn_ranker(
        &self,
        histories: &Histories,
        questions: &[Question],
        settings: BoostSettings,
    ) -> Ranker {
        let all = self.all();
        let features = features(histories);
        let parts = all.iter().map(|(_, scorer)| scorer as &dyn Scorer).collect();
        let trees = learn(&Views::new(parts, &features), questions, histories.items, settings);
        Ranker { features, trees }
    }

    /// The weights that find most, from `start` on.
    pub(super) fn weights(
        &self,
        start: &[(&str, f32)],
        questions: &[Question],
        items: usize,
        at: usize,
        worth: Worth<'_>,
    ) -> BTreeMap<String, f32> {
        let all = self.all();
        let of = |name: &str| start.iter().find(|(own, _)| *own == name).map_or(0.0, |(_, weight)| *weight);
        let (weights, _) = choose(&parts(&all, of), questions, items, at, 0.3, worth);
        let named = all.iter().zip(weights).filter(|(_, weight)| *weight > 0.0);
        named.map(|((name, _), weight)| ((*name).to_owned(), weight)).collect()
    }
}

fn parts<'a>(all: &'a [(&str, Unseen<'a>)], weight: impl Fn(&str) -> f32) -> Vec<Part<'a>> {
    all.iter().map(|(name, scorer)| Part { scorer, scale: Scale::Share, weight: weight(name) }).collect()
}

/// Every so many of the questions, so that about `most` are left.
pub(super) fn thinned(questions: Vec<Question>, most: usize) -> Vec<Question> {
    let step = questions.len().div_ceil(most.max(1)).max(1);
    questions.into_iter().step_by(step).collect()
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
    fn what_was_had_takes_no_share() {
        let mut fitted = Fitted::default();
        fitted.push("one", 0, Fixed(vec![9.0, 1.0, 0.0, 0.0]));
        fitted.push("one", 1, Fixed(vec![0.0, 1.0, 3.0, 1.0]));
        let question = Question { who: None, history: History::of_items(vec![0]), targets: vec![1] };
        let weights = BTreeMap::from([("one".to_owned(), 0.8), ("one_2".to_owned(), 1.0)]);
        let found = fitted.lists(&weights, None, std::slice::from_ref(&question), 4, 3);
        // Of what was not had, item 1 has all of the first method and a fifth of the second: 0.8 + 0.2 against 0.6 of item 2.
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["one", "one_2", "blend"]);
        assert_eq!((found[1].1[0].clone(), found[2].1[0].clone()), (vec![2, 1, 3], vec![1, 2, 3]));
        let worth = |list: &[u32], targets: &[u32]| f64::from(u8::from(list.first() == targets.first()));
        let weights = fitted.weights(&[("one_2", 1.0)], &[question], 4, 3, &worth);
        assert!(weights["one"] > 0.4 * weights["one_2"], "{weights:?}");
    }

    #[test]
    fn thinning_keeps_about_so_many() {
        let question = Question { who: None, history: History::default(), targets: Vec::new() };
        assert_eq!(thinned(vec![question.clone(); 10], 4).len(), 4);
        assert_eq!(thinned(vec![question; 3], 4).len(), 3);
    }
}
