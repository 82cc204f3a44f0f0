//! Steps over the graph from a user's items to the users who had them and on to what else they had, each weighed by powers of degrees: link
//! propagation (Fu et al., "Revisiting neighborhood-based link prediction for collaborative filtering", WWW 2022). With all powers at a half
//! it is the linear filter of GF-CF (Shen et al., CIKM 2021). Nothing is trained.

use super::Graph;
use crate::{Histories, History, Scorer};

#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinksSettings {
    /// An item of the history speaks with its users' number to minus this power.
    pub spoken: f32,
    /// A user in between passes on with the number of the user's items to minus this power.
    pub between: f32,
    /// What is reached counts with its users' number to minus this power.
    pub reached: f32,
    /// Reached sums over users are raised to this power first: above 1, users who share much count more than many who share little.
    pub sharpness: f32,
}

impl Default for LinksSettings {
    fn default() -> Self {
        Self { spoken: 0.5, between: 0.6, reached: 0.4, sharpness: 1.0 }
    }
}

/// The graph and its weights.
#[derive(Clone, Debug)]
pub struct Links {
    graph: Graph,
    settings: LinksSettings,
    spoken: Vec<f32>,
    between: Vec<f32>,
    reached: Vec<f32>,
}

/// Degrees to minus a power; 0 for none.
pub(super) fn powers(degrees: impl Iterator<Item = usize>, power: f32) -> Vec<f32> {
    degrees.map(|degree| if degree == 0 { 0.0 } else { (degree as f32).powf(-power) }).collect()
}

impl Links {
    pub fn fit(histories: &Histories, settings: LinksSettings) -> Self {
        Self::of(Graph::of(histories), settings)
    }

    pub fn of(graph: Graph, settings: LinksSettings) -> Self {
        let of_items = |power| powers((0..graph.items() as u32).map(|item| graph.users_of(item).len()), power);
        let (spoken, reached) = (of_items(settings.spoken), of_items(settings.reached));
        let between = powers((0..graph.users() as u32).map(|user| graph.items_of(user).len()), settings.between);
        Self { graph, settings, spoken, between, reached }
    }
}

fn weight(weights: &[f32], at: u32) -> f32 {
    weights.get(at as usize).copied().unwrap_or(0.0)
}

impl Scorer for Links {
    fn score(&self, _: Option<usize>, history: &History, scores: &mut [f32]) {
        let mut own: Vec<u32> = history.items().collect();
        own.sort_unstable();
        own.dedup();
        let mut near = vec![0.0f32; self.graph.users()];
        for item in own {
            let share = weight(&self.spoken, item);
            for user in self.graph.users_of(item) {
                if let Some(sum) = near.get_mut(*user as usize) {
                    *sum += share;
                }
            }
        }
        scores.fill(0.0);
        for ((user, near), between) in (0u32..).zip(&near).zip(&self.between) {
            if *near > 0.0 {
                let passed = (near * between).powf(self.settings.sharpness);
                for item in self.graph.items_of(user) {
                    if let Some(score) = scores.get_mut(*item as usize) {
                        *score += passed;
                    }
                }
            }
        }
        for (score, reached) in scores.iter_mut().zip(&self.reached) {
            *score *= reached;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn two_steps_by_hand() {
        let users = [vec![0, 1], vec![1, 2], vec![0, 1, 2, 3]];
        let histories = Histories { items: 5, users: users.into_iter().map(History::of_items).collect() };
        let settings = LinksSettings { spoken: 1.0, between: 0.5, reached: 1.0, sharpness: 1.0 };
        let mut scores = vec![5.0; 5];
        Links::fit(&histories, settings).score(None, &History::of_items(vec![0, 0]), &mut scores);
        // Item 0 (two users) speaks to users 0 (two items) and 2 (four items) with a half each.
        let (zero, two) = (0.5 / 2f32.sqrt(), 0.25);
        let expected = [(zero + two) / 2.0, (zero + two) / 3.0, two / 2.0, two, 0.0];
        for (score, expected) in scores.iter().zip(expected) {
            assert!((score - expected).abs() < 1e-6);
        }
        let sharp = LinksSettings { sharpness: 2.0, ..settings };
        Links::fit(&histories, sharp).score(None, &History::of_items(vec![0]), &mut scores);
        assert!((scores[1] - (zero * zero + two * two) / 3.0).abs() < 1e-6);
    }
}
