//! What came after what: rules from item to item that count less the further apart they stood (sequential rules of Ludewig and Jannach,
//! "Evaluation of session-based recommendation algorithms", UMUAI 28, 2018), with an optional share for the other direction, which makes
//! an item-to-item nearest-neighbour method of them (Sarwar et al., WWW 2001; shrinkage and exponents as in Deshpande and Karypis, ACM TOIS
//! 22(1), 2004).

use rayon::prelude::*;

use crate::{Histories, History, Scorer};

#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairsSettings {
    /// Pairs up to so many places apart count.
    pub reach: usize,
    /// A pair `d` places apart counts `d^-fall`.
    pub fall: f32,
    /// What a pair counts in the other direction.
    pub back: f32,
    /// A rule's weight is its count over (occurrences of what is had)^from times (occurrences of what is advised)^to.
    pub from: f32,
    pub to: f32,
    /// An item of the history counts this much less for each later one.
    pub decay: f32,
    /// What a second step says, from what the first one reached on by the same rules, as a share of the first: it finds items that never
    /// stood beside those of the history.
    pub second: f32,
    /// Rules kept for each item.
    pub keep: usize,
}

impl Default for PairsSettings {
    fn default() -> Self {
        Self { reach: 10, fall: 0.5, back: 0.5, from: 0.5, to: 0.1, decay: 0.6, second: 0.0, keep: 500 }
    }
}

/// Fitted rules.
#[derive(Clone, Debug)]
pub struct Pairs {
    decay: f32,
    second: f32,
    /// For each item what it advises, heaviest first.
    rules: Vec<Vec<(u32, f32)>>,
}

impl Pairs {
    pub fn fit(histories: &Histories, settings: &PairsSettings) -> Self {
        let mut occurrences = vec![0.0f32; histories.items];
        let mut pairs: Vec<Vec<(u32, f32)>> = vec![Vec::new(); histories.items];
        for history in &histories.users {
            let items: Vec<u32> = history.items().filter(|item| (*item as usize) < histories.items).collect();
            for (at, item) in items.iter().enumerate() {
                if let Some(count) = occurrences.get_mut(*item as usize) {
                    *count += 1.0;
                }
                for (apart, later) in (1u16..).zip(items.iter().skip(at + 1).take(settings.reach)) {
                    let count = f32::from(apart).powf(-settings.fall);
                    for (from, to, count) in [(item, later, count), (later, item, settings.back * count)] {
                        if let Some(row) = pairs.get_mut(*from as usize).filter(|_| from != to && count > 0.0) {
                            row.push((*to, count));
                        }
                    }
                }
            }
        }
        let count = |item: u32| occurrences.get(item as usize).copied().unwrap_or(0.0).max(1.0);
        let rules = pairs
            .into_par_iter()
            .enumerate()
            .map(|(from, mut row)| {
                // Stable, so that sums are made in the order of the histories.
                row.sort_by_key(|(to, _)| *to);
                let mut merged: Vec<(u32, f32)> = Vec::new();
                for (to, count) in row {
                    match merged.last_mut() {
                        Some((last, sum)) if *last == to => *sum += count,
                        _ => merged.push((to, count)),
                    }
                }
                let own = count(from as u32).powf(settings.from);
                for (to, weight) in &mut merged {
                    *weight /= own * count(*to).powf(settings.to);
                }
                merged.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                merged.truncate(settings.keep);
                merged
            })
            .collect();
        Self { decay: settings.decay, second: settings.second, rules }
    }
}

impl Pairs {
    fn step(&self, from: u32, weight: f32, scores: &mut [f32]) {
        for (to, rule) in self.rules.get(from as usize).map_or(&[][..], Vec::as_slice) {
            if let Some(score) = scores.get_mut(*to as usize) {
                *score += weight * rule;
            }
        }
    }
}

impl Scorer for Pairs {
    fn score(&self, _: Option<usize>, history: &History, scores: &mut [f32]) {
        scores.fill(0.0);
        let mut weight = 1.0;
        for item in history.items().rev() {
            self.step(item, weight, scores);
            weight *= self.decay;
        }
        if self.second > 0.0 {
            let first = scores.to_vec();
            for (item, reached) in (0u32..).zip(&first).filter(|(_, reached)| **reached > 0.0) {
                self.step(item, self.second * reached, scores);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn rules_by_hand() {
        let users = [vec![0, 1, 2], vec![0, 2]];
        let histories = Histories { items: 3, users: users.into_iter().map(History::of_items).collect() };
        let options = PairsSettings { fall: 1.0, back: 0.25, from: 1.0, to: 0.5, decay: 0.5, ..Default::default() };
        let fitted = Pairs::fit(&histories, &options);
        let mut scores = vec![7.0; 3];
        // 0 -> 2: half for two apart, one for next; 0 and 2 were had twice.
        fitted.score(None, &History::of_items(vec![0]), &mut scores);
        assert!((scores[2] - 1.5 / (2.0 * 2f32.sqrt())).abs() < 1e-6 && (scores[1] - 0.5).abs() < 1e-6);
        // 2 -> 0 by a quarter of that; 1 -> 0 by a quarter at half the weight of an older item.
        fitted.score(None, &History::of_items(vec![1, 2]), &mut scores);
        let expected = 0.375 / (2.0 * 2f32.sqrt()) + 0.5 * 0.25 / 2f32.sqrt();
        assert!((scores[0] - expected).abs() < 1e-6);
    }

    #[test]
    fn a_second_step_reaches_further() {
        let users = [vec![0, 1], vec![1, 2]];
        let histories = Histories { items: 3, users: users.into_iter().map(History::of_items).collect() };
        let settings = PairsSettings { back: 0.0, from: 1.0, to: 0.0, second: 0.5, ..Default::default() };
        let mut scores = vec![7.0; 3];
        Pairs::fit(&histories, &settings).score(None, &History::of_items(vec![0]), &mut scores);
        // 0 -> 1 is certain, 1 -> 2 every second time.
        for (score, expected) in scores.iter().zip([0.0, 1.0, 0.25]) {
            assert!((score - expected).abs() < 1e-6, "{scores:?}");
        }
    }
}
