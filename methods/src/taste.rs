//! What a user had, as one vector in which newer baskets weigh more.

use std::collections::BTreeMap;

use crate::popularity::distinct;
use crate::{History, Scorer};

/// Two decays in one another: of baskets within a group, and of groups (temporal item frequency: Hu, He, Gao and Zhang, "Modeling
/// Personalized Item Frequency Information for Next-basket Recommendation", SIGIR 2020, section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recency {
    /// Groups that a history is cut into. A history of fewer baskets has one basket a group.
    pub groups: usize,
    /// What a basket weighs for each one after it in its group.
    pub within_decay: f32,
    /// What a group weighs for each one after it.
    pub group_decay: f32,
}

impl Default for Recency {
    /// As published for Ta-Feng by Hu et al.
    fn default() -> Self {
        Self { groups: 7, within_decay: 0.9, group_decay: 0.7 }
    }
}

impl Recency {
    /// The weight of each of `baskets` baskets, oldest first. They sum to at most 1.
    pub fn weights(&self, baskets: usize) -> Vec<f32> {
        let groups = self.groups.max(1).min(baskets);
        let mut weights = Vec::with_capacity(baskets);
        for group in 0..groups {
            // Where groups cannot be equal, the newer ones are the larger ones.
            let size = (baskets + group) / groups;
            let of_group = self.group_decay.powi((groups - 1 - group) as i32) / (groups * size.max(1)) as f32;
            weights.extend((0..size).map(|at| of_group * self.within_decay.powi((size - 1 - at) as i32)));
        }
        weights
    }

    /// The vector of a history, by ascending item.
    pub fn vector(&self, history: &History) -> Vec<(u32, f32)> {
        let mut sums: BTreeMap<u32, f32> = BTreeMap::new();
        for (basket, weight) in history.baskets.iter().zip(self.weights(history.baskets.len())) {
            for item in distinct(&basket.items) {
                *sums.entry(item).or_default() += weight;
            }
        }
        sums.into_iter().collect()
    }
}

/// Personal frequency: what this user had, newer baskets counted more. Nothing else is ever found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Personal {
    pub recency: Recency,
}

impl Scorer for Personal {
    fn score(&self, _: Option<usize>, history: &History, scores: &mut [f32]) {
        scores.fill(0.0);
        for (item, value) in self.recency.vector(history) {
            if let Some(score) = scores.get_mut(item as usize) {
                *score = value;
            }
        }
    }
}

/// What was clicked in this session before, the newest first: shoppers go back to what they looked at.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clicked {
    /// What a click counts for each one after it.
    pub decay: f32,
    /// Whether the newest click counts, too.
    pub newest: bool,
}

impl Default for Clicked {
    fn default() -> Self {
        Self { decay: 0.8, newest: false }
    }
}

impl Scorer for Clicked {
    fn score(&self, _: Option<usize>, history: &History, scores: &mut [f32]) {
        scores.fill(0.0);
        let clicks: Vec<u32> = history.items().collect();
        let mut weight = 1.0;
        for item in clicks.iter().rev() {
            if let Some(score) = scores.get_mut(*item as usize).filter(|_| self.newest || clicks.last() != Some(item)) {
                *score += weight;
            }
            weight *= self.decay;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: &[f32], expected: &[f32]) {
        let close = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(found.len() == expected.len() && close, "{found:?}, not {expected:?}");
    }

    #[test]
    fn groups_and_decays_by_hand() {
        let recency = Recency { groups: 2, within_decay: 0.5, group_decay: 0.1 };
        near(&recency.weights(1), &[1.0]);
        near(&recency.weights(2), &[0.05, 0.5]);
        // Two groups of one and two.
        near(&recency.weights(3), &[0.05, 0.125, 0.25]);
        near(&recency.weights(0), &[]);
    }

    #[test]
    fn what_was_had_often_and_lately_is_first() {
        let personal = Personal { recency: Recency { groups: 3, within_decay: 1.0, group_decay: 0.5 } };
        let history = History::of_baskets([vec![1, 2], vec![1], vec![3, 3]]);
        let mut scores = vec![7.0; 5];
        personal.score(None, &history, &mut scores);
        near(&scores, &[0.0, 0.25, 1.0 / 12.0, 1.0 / 3.0, 0.0].map(|value: f32| value));
    }

    #[test]
    fn older_clicks_count_less_and_the_newest_item_only_if_it_may() {
        let session = History::of_items(vec![1, 2, 1, 0]);
        let mut scores = vec![7.0; 3];
        Clicked { decay: 0.5, newest: false }.score(None, &session, &mut scores);
        assert_eq!(scores, vec![0.0, 0.5 + 0.125, 0.25]);
        Clicked { decay: 0.5, newest: true }.score(None, &session, &mut scores);
        assert_eq!(scores, vec![1.0, 0.5 + 0.125, 0.25]);
    }
}
