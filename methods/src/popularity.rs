//! What everybody has.

use crate::{Histories, History, Scorer};

/// How often items were had.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PopularitySettings {
    /// What a basket counts, by how many baskets of the same user came after it: 1, this, its square, ... 1 counts all alike. Where a
    /// source has no times, this is as near as one comes to what is popular of late.
    pub decay: f32,
}

impl Default for PopularitySettings {
    fn default() -> Self {
        Self { decay: 1.0 }
    }
}

/// Baskets with each item, newer ones counted more.
#[derive(Clone, Debug, PartialEq)]
pub struct Popularity {
    shares: Vec<f32>,
}

impl Popularity {
    pub fn fit(histories: &Histories, settings: PopularitySettings) -> Self {
        let mut counts = vec![0.0f64; histories.items];
        for user in &histories.users {
            let mut weight = 1.0f64;
            for basket in user.baskets.iter().rev() {
                for item in distinct(&basket.items) {
                    if let Some(count) = counts.get_mut(item as usize) {
                        *count += weight;
                    }
                }
                weight *= f64::from(settings.decay);
            }
        }
        let all: f64 = counts.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        Self { shares: counts.into_iter().map(|count| (count / all) as f32).collect() }
    }

    /// Share of everything that was had, by item.
    pub fn shares(&self) -> &[f32] {
        &self.shares
    }
}

impl Scorer for Popularity {
    fn score(&self, _: Option<usize>, _: &History, scores: &mut [f32]) {
        for (score, share) in scores.iter_mut().zip(&self.shares) {
            *score = *share;
        }
    }
}

/// Distinct items, ascending.
pub(crate) fn distinct(items: &[u32]) -> Vec<u32> {
    let mut items = items.to_vec();
    items.sort_unstable();
    items.dedup();
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baskets_are_counted_and_newer_ones_more() {
        let users = vec![History::of_baskets([vec![0, 0, 1], vec![1]]), History::of_baskets([vec![2]])];
        let histories = Histories { items: 4, users };
        let mut scores = vec![9.0; 4];
        Popularity::fit(&histories, PopularitySettings::default()).score(None, &History::default(), &mut scores);
        assert_eq!(scores, vec![0.25, 0.5, 0.25, 0.0]);
        let fitted = Popularity::fit(&histories, PopularitySettings { decay: 0.5 });
        assert_eq!(fitted.shares(), &[0.5 / 3.0, 1.5 / 3.0, 1.0 / 3.0, 0.0].map(|share: f64| share as f32));
    }
}
