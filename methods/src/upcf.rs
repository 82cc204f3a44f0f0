//! Users' popularities, shared with users alike.

use rayon::prelude::*;

use crate::popularity::distinct;
use crate::rows::{Counter, Rows, strongest};
use crate::{Histories, History, Scorer};

/// Settings of [`UpCf`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpCfSettings {
    /// Newest baskets that count as what a user has.
    pub recency: usize,
    /// 0.5 is the cosine; above it the asked user's number of items counts more than the neighbour's.
    pub asymmetry: f32,
    /// Power of the similarity: the higher, the more the nearest users decide.
    pub locality: f32,
    pub neighbours: usize,
}

impl Default for UpCfSettings {
    /// The plain cosine, squared: what was best of a few on held-out baskets.
    fn default() -> Self {
        Self { recency: 5, asymmetry: 0.5, locality: 2.0, neighbours: 1000 }
    }
}

/// UP-CF@r (Faggioli, Polato and Aiolli, "Recency Aware Collaborative Filtering for Next Basket Recommendation", UMAP 2020): the share
/// of the newest baskets that hold an item, summed over users by their asymmetric cosine over all that they ever had. A user is wholly
/// like oneself.
#[derive(Clone, Debug)]
pub struct UpCf {
    settings: UpCfSettings,
    /// Users of each item.
    items: Rows<(u32, f32)>,
    /// Distinct items of each user.
    sizes: Vec<u32>,
    popularity: Rows<(u32, f32)>,
}

impl UpCf {
    pub fn fit(histories: &Histories, settings: UpCfSettings) -> Self {
        let had: Vec<Vec<(u32, f32)>> = histories.users.par_iter().map(had).collect();
        let sizes = had.iter().map(|items| items.len() as u32).collect();
        let had: Rows<(u32, f32)> = had.into_iter().collect();
        let of_user = |user| popularity(user, settings.recency);
        let popularity: Vec<_> = histories.users.par_iter().map(of_user).collect();
        Self { settings, items: had.transposed(histories.items), sizes, popularity: popularity.into_iter().collect() }
    }
}

fn had(history: &History) -> Vec<(u32, f32)> {
    distinct(&history.items().collect::<Vec<_>>()).into_iter().map(|item| (item, 1.0)).collect()
}

/// Share of the newest baskets with each item.
fn popularity(history: &History, recency: usize) -> Vec<(u32, f32)> {
    let from = history.baskets.len().saturating_sub(recency.max(1));
    let newest = history.baskets.get(from..).unwrap_or_default();
    let mut items: Vec<u32> = newest.iter().flat_map(|basket| distinct(&basket.items)).collect();
    items.sort_unstable();
    let share = 1.0 / newest.len().max(1) as f32;
    items.chunk_by(|a, b| a == b).filter_map(|run| run.first().map(|item| (*item, share * run.len() as f32))).collect()
}

impl Scorer for UpCf {
    fn score(&self, who: Option<usize>, history: &History, scores: &mut [f32]) {
        scores.fill(0.0);
        let own = had(history);
        let mut common = Counter::new(self.sizes.len());
        for (item, _) in &own {
            for (user, _) in self.items.row(*item as usize) {
                common.add(*user, 1.0);
            }
        }
        let alike = |user: u32, both: f32| {
            let size = self.sizes.get(user as usize).copied().unwrap_or(0) as f32;
            let asymmetry = self.settings.asymmetry;
            both / ((own.len() as f32).powf(asymmetry) * size.powf(1.0 - asymmetry)).max(f32::MIN_POSITIVE)
        };
        let others = common.take().into_iter().filter(|(user, _)| who != Some(*user as usize));
        let all = others.map(|(user, both)| (user, alike(user, both))).collect();
        let mut add = |popularity: &[(u32, f32)], weight: f32| {
            for (item, share) in popularity {
                if let Some(score) = scores.get_mut(*item as usize) {
                    *score += weight * share;
                }
            }
        };
        for (user, alike) in strongest(all, self.settings.neighbours) {
            add(self.popularity.row(user as usize), alike.powf(self.settings.locality));
        }
        add(&popularity(history, self.settings.recency), 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_users_by_hand() {
        let users = vec![
            History::of_baskets([vec![0, 1], vec![0]]),
            History::of_baskets([vec![3], vec![0, 2], vec![2]]),
            History::of_baskets([vec![4]]),
        ];
        let histories = Histories { items: 5, users };
        let settings = UpCfSettings { recency: 2, asymmetry: 0.5, locality: 2.0, neighbours: 10 };
        let fitted = UpCf::fit(&histories, settings);
        let mut scores = vec![0.0; 5];
        fitted.score(Some(0), &histories.users[0], &mut scores);
        // One item in common of two and three: cosine 1 / sqrt(6), squared 1/6; of the last two baskets item 0 is in one, 2 in both.
        let alike = 1.0 / 6.0;
        let expected = [1.0 + alike / 2.0, 0.5, alike, 0.0, 0.0];
        assert!(scores.iter().zip(expected).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6), "{scores:?}");
    }
}
