//! What comes after what.

use rayon::prelude::*;

use crate::popularity::distinct;
use crate::rows::{Counter, Rows, strongest};
use crate::{Histories, History, Scorer};

/// What a step of a history is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Steps {
    /// A basket, whose items have no order among them.
    #[default]
    Baskets,
    /// An item, in the order in which they came.
    Items,
}

/// Settings of [`Follows`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowsSettings {
    pub steps: Steps,
    /// How many steps later an item still counts as following.
    pub reach: usize,
    /// What following counts for each step between: 1, this, its square, ...
    pub gap_decay: f32,
    /// Newest steps of the asked history that speak.
    pub last: usize,
    /// What a step of the asked history says for each one after it.
    pub last_decay: f32,
    /// Added to how often an item was had: the larger, the less is believed of what was seen seldom.
    pub shrinkage: f32,
    /// Power of a followed item's own frequency that its count is divided by: 0 is a probability, above it what is frequent
    /// everywhere says less.
    pub discount: f32,
    /// Followers kept of each item.
    pub keep: usize,
}

impl Default for FollowsSettings {
    fn default() -> Self {
        Self {
            steps: Steps::Baskets,
            reach: 1,
            gap_decay: 0.5,
            last: 1,
            last_decay: 0.5,
            shrinkage: 10.0,
            discount: 0.0,
            keep: 1000,
        }
    }
}

/// Sequence rules: how likely an item follows another one, counted over all histories, farther apart less (the rules "SR" of Ludewig
/// and Jannach, "Evaluation of session-based recommendation algorithms", UMUAI 28, 2018; with baskets as steps and a reach of 1 the
/// unfactored Markov chain that Rendle, Freudenthaler and Schmidt-Thieme factor, WWW 2010).
#[derive(Clone, Debug)]
pub struct Follows {
    settings: FollowsSettings,
    /// Followers of each item, ascending.
    followers: Rows<(u32, f32)>,
}

fn steps(history: &History, steps: Steps) -> Vec<Vec<u32>> {
    match steps {
        Steps::Baskets => history.baskets.iter().map(|basket| distinct(&basket.items)).collect(),
        Steps::Items => history.items().map(|item| vec![item]).collect(),
    }
}

impl Follows {
    pub fn fit(histories: &Histories, settings: FollowsSettings) -> Self {
        let all: Vec<Vec<Vec<u32>>> = histories.users.par_iter().map(|user| steps(user, settings.steps)).collect();
        let mut places: Vec<Vec<(u32, u32)>> = vec![Vec::new(); histories.items];
        for (user, steps) in all.iter().enumerate() {
            for (at, step) in steps.iter().enumerate() {
                for item in step {
                    if let Some(places) = places.get_mut(*item as usize) {
                        places.push((user as u32, at as u32));
                    }
                }
            }
        }
        let frequency: Vec<f32> = places.iter().map(|places| (places.len() as f32).max(1.0)).collect();
        let of_item = |counter: &mut Counter, places: &Vec<(u32, u32)>| {
            for (user, at) in places {
                let later = all.get(*user as usize).and_then(|steps| steps.get(*at as usize + 1..)).unwrap_or_default();
                let mut weight = 1.0;
                for step in later.iter().take(settings.reach) {
                    for item in step {
                        counter.add(*item, weight);
                    }
                    weight *= settings.gap_decay;
                }
            }
            let sure = places.len() as f32 + settings.shrinkage;
            let weigh = |(item, count): (u32, f32)| {
                let own = frequency.get(item as usize).copied().unwrap_or(1.0);
                (item, count / sure / own.powf(settings.discount))
            };
            strongest(counter.take().into_iter().map(weigh).collect(), settings.keep)
        };
        let followers: Vec<Vec<(u32, f32)>> =
            places.par_iter().map_init(|| Counter::new(histories.items), of_item).collect();
        Self { settings, followers: followers.into_iter().collect() }
    }

    /// What follows an item, ascending by item.
    pub fn after(&self, item: u32) -> &[(u32, f32)] {
        self.followers.row(item as usize)
    }
}

impl Scorer for Follows {
    fn score(&self, _: Option<usize>, history: &History, scores: &mut [f32]) {
        scores.fill(0.0);
        let mut weight = 1.0;
        for step in steps(history, self.settings.steps).iter().rev().take(self.settings.last.max(1)) {
            for (item, follows) in step.iter().flat_map(|item| self.after(*item)) {
                if let Some(score) = scores.get_mut(*item as usize) {
                    *score += weight * follows;
                }
            }
            weight *= self.settings.last_decay;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn followers_by_hand() {
        let users = vec![History::of_baskets([vec![0], vec![1, 2], vec![2]]), History::of_baskets([vec![0], vec![2]])];
        let histories = Histories { items: 3, users };
        let settings = FollowsSettings { reach: 2, shrinkage: 0.0, last: 2, ..FollowsSettings::default() };
        let fitted = Follows::fit(&histories, settings);
        // After 0: 1 once; 2 twice at once and once a step later. After 1 and 2: 2 once, out of one and of three.
        assert_eq!(fitted.after(0), &[(1, 0.5), (2, 1.25)]);
        assert_eq!(fitted.after(1), &[(2, 1.0)]);
        assert_eq!(fitted.after(2), &[(2, 1.0 / 3.0)]);
        let mut scores = vec![0.0; 3];
        fitted.score(None, &History::of_baskets([vec![0], vec![1]]), &mut scores);
        assert_eq!(scores, vec![0.0, 0.25, 1.0 + 0.625]);
    }

    #[test]
    fn clicks_follow_in_their_order_and_frequency_is_discounted() {
        let histories = Histories { items: 3, users: vec![History::of_items(vec![0, 1, 0, 2])] };
        let settings = FollowsSettings { steps: Steps::Items, shrinkage: 0.0, discount: 1.0, ..Default::default() };
        let fitted = Follows::fit(&histories, settings);
        assert_eq!(fitted.after(0), &[(1, 0.5), (2, 0.5)]);
        assert_eq!(fitted.after(1), &[(0, 0.5)]);
    }
}
