//! Users that are like a user.

use std::sync::Arc;

use rayon::prelude::*;

use crate::rows::{Counter, Rows, strongest};
use crate::taste::Recency;
use crate::{Histories, History, Scorer};

/// By what users are near.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Nearness {
    /// The angle between their vectors.
    Cosine,
    /// The distance of their vectors, as published.
    #[default]
    Euclidean,
}

/// Settings of [`TifuKnn`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TifuSettings {
    pub recency: Recency,
    pub neighbours: usize,
    pub nearness: Nearness,
    /// Share of the user's own vector; the neighbours' mean has the rest.
    pub own: f32,
}

impl Default for TifuSettings {
    /// As published for Ta-Feng by Hu et al.
    fn default() -> Self {
        Self { recency: Recency::default(), neighbours: 300, nearness: Nearness::Euclidean, own: 0.7 }
    }
}

/// The users' vectors, both ways round.
#[derive(Debug)]
struct Vectors {
    users: Rows<(u32, f32)>,
    items: Rows<(u32, f32)>,
    /// Squared lengths.
    squares: Vec<f32>,
}

impl Vectors {
    fn of(histories: &Histories, recency: Recency) -> Self {
        let vectors: Vec<_> = histories.users.par_iter().map(|user| recency.vector(user)).collect();
        let users: Rows<(u32, f32)> = vectors.into_iter().collect();
        let squares = users.iter().map(square).collect();
        Self { items: users.transposed(histories.items), users, squares }
    }
}

fn square(vector: &[(u32, f32)]) -> f32 {
    vector.iter().map(|(_, value)| value * value).sum()
}

/// TIFU-kNN (Hu, He, Gao and Zhang, SIGIR 2020): the user's temporal item frequency and the mean of that of the nearest users. Users
/// without a common item are no neighbours.
#[derive(Clone, Debug)]
pub struct TifuKnn {
    vectors: Arc<Vectors>,
    settings: TifuSettings,
}

impl TifuKnn {
    pub fn fit(histories: &Histories, settings: TifuSettings) -> Self {
        Self { vectors: Arc::new(Vectors::of(histories, settings.recency)), settings }
    }

    /// The same users, asked in another way. The recency of what was fitted stays.
    pub fn with(&self, settings: TifuSettings) -> Self {
        Self { vectors: self.vectors.clone(), settings: TifuSettings { recency: self.settings.recency, ..settings } }
    }

    /// The nearest users by number, each with 1 over how many they are.
    fn nearest(&self, who: Option<usize>, own: &[(u32, f32)]) -> Vec<u32> {
        let mut products = Counter::new(self.vectors.users.len());
        for (item, value) in own {
            for (user, other) in self.vectors.items.row(*item as usize) {
                products.add(*user, value * other);
            }
        }
        let length = square(own).sqrt();
        let near = |user: u32, product: f32| {
            let square = self.vectors.squares.get(user as usize).copied().unwrap_or(0.0);
            match self.settings.nearness {
                Nearness::Cosine => product / (length * square.sqrt()).max(f32::MIN_POSITIVE),
                Nearness::Euclidean => 2.0 * product - square,
            }
        };
        let others = products.take().into_iter().filter(|(user, _)| who != Some(*user as usize));
        let all = others.map(|(user, product)| (user, near(user, product))).collect();
        strongest(all, self.settings.neighbours).into_iter().map(|(user, _)| user).collect()
    }
}

impl Scorer for TifuKnn {
    fn score(&self, who: Option<usize>, history: &History, scores: &mut [f32]) {
        scores.fill(0.0);
        let own = self.settings.recency.vector(history);
        let mut add = |item: u32, value: f32| {
            if let Some(score) = scores.get_mut(item as usize) {
                *score += value;
            }
        };
        for (item, value) in &own {
            add(*item, self.settings.own * value);
        }
        let nearest = self.nearest(who, &own);
        let share = (1.0 - self.settings.own) / nearest.len().max(1) as f32;
        for user in nearest {
            for (item, value) in self.vectors.users.row(user as usize) {
                add(*item, share * value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histories() -> Histories {
        let users = vec![
            History::of_baskets([vec![0], vec![0, 1]]),
            History::of_baskets([vec![1, 2]]),
            History::of_baskets([vec![0, 3]]),
            History::of_baskets([vec![4]]),
        ];
        Histories { items: 5, users }
    }

    #[test]
    fn a_user_and_the_nearest_one_by_hand() {
        let recency = Recency { groups: 2, within_decay: 1.0, group_decay: 0.5 };
        let settings = TifuSettings { recency, neighbours: 1, nearness: Nearness::Cosine, own: 0.8 };
        let histories = histories();
        let fitted = TifuKnn::fit(&histories, settings);
        let mut scores = vec![0.0; 5];
        // The vector is 0: .75, 1: .5. User 2's cosine to it is the greater one: .75 against .5, both over the same lengths.
        fitted.score(Some(0), &histories.users[0], &mut scores);
        let expected = [0.8 * 0.75 + 0.2, 0.8 * 0.5, 0.0, 0.2, 0.0];
        assert!(scores.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{scores:?}");
        // With two neighbours each counts half, and a user without a common item is none.
        fitted.with(TifuSettings { neighbours: 3, ..settings }).score(Some(0), &histories.users[0], &mut scores);
        let expected = [0.8 * 0.75 + 0.1, 0.8 * 0.5 + 0.1, 0.1, 0.1, 0.0];
        assert!(scores.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{scores:?}");
    }

    #[test]
    fn the_shorter_vector_is_nearer_by_distance() {
        let recency = Recency { groups: 1, within_decay: 1.0, group_decay: 1.0 };
        let settings = TifuSettings { recency, neighbours: 1, nearness: Nearness::Euclidean, own: 0.0 };
        let users = vec![History::of_items(vec![0, 1, 2, 3]), History::of_items(vec![0])];
        let fitted = TifuKnn::fit(&Histories { items: 4, users }, settings);
        let mut scores = vec![0.0; 4];
        fitted.score(None, &History::of_items(vec![0, 1]), &mut scores);
        assert_eq!(scores, vec![1.0, 0.0, 0.0, 0.0]);
    }
}
