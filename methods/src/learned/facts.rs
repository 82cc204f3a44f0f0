//! What a ranker knows of a candidate beside what the methods say of it.

use std::collections::HashMap;

use crate::popularity::distinct;
use crate::{Histories, History};

/// Numbers of candidates.
pub trait Facts: Send + Sync {
    /// Numbers of each candidate.
    fn width(&self) -> usize;

    /// The numbers of each candidate, one candidate after the other.
    fn of(&self, history: &History, candidates: &[u32]) -> Vec<f32>;
}

/// How items are had again, by item, and how a user has them again.
#[derive(Clone, Debug, Default)]
pub struct Repeats {
    /// Of the baskets that followed one with the item, the share that held it again, drawn to that of all items.
    rate: Vec<f32>,
}

/// Baskets that the rate of all items counts as.
const SHRINKAGE: f32 = 20.0;
/// How long ago, in baskets or clicks, what a user never had counts as.
const NEVER: f32 = 1000.0;

impl Repeats {
    pub fn fit(histories: &Histories) -> Self {
        let mut had = vec![0.0f32; histories.items];
        let mut again = vec![0.0f32; histories.items];
        for user in &histories.users {
            let baskets: Vec<Vec<u32>> = user.baskets.iter().map(|basket| distinct(&basket.items)).collect();
            for pair in baskets.windows(2) {
                let [one, next] = pair else { continue };
                for item in one {
                    if let (Some(had), Some(again)) = (had.get_mut(*item as usize), again.get_mut(*item as usize)) {
                        *had += 1.0;
                        *again += f32::from(u8::from(next.binary_search(item).is_ok()));
                    }
                }
            }
        }
        let overall = again.iter().sum::<f32>() / had.iter().sum::<f32>().max(1.0);
        let rate = |(again, had): (&f32, &f32)| (again + SHRINKAGE * overall) / (had + SHRINKAGE);
        Self { rate: again.iter().zip(&had).map(rate).collect() }
    }
}

impl Facts for Repeats {
    fn width(&self) -> usize {
        9
    }

    fn of(&self, history: &History, candidates: &[u32]) -> Vec<f32> {
        let baskets = history.baskets.len() as f32;
        let size = history.items().count() as f32 / baskets.max(1.0);
        // How often the user had an item, and how many baskets ago at last and at first.
        let mut had: HashMap<u32, (f32, f32, f32)> = HashMap::new();
        let mut all = 0.0f32;
        for (ago, basket) in history.baskets.iter().rev().enumerate() {
            for item in distinct(&basket.items) {
                let had = had.entry(item).or_insert((0.0, ago as f32, 0.0));
                had.0 += 1.0;
                had.2 = ago as f32;
                all += 1.0;
            }
        }
        let kinds = had.len() as f32;
        let repeats = 1.0 - kinds / all.max(1.0);
        let row = |item: &u32| {
            let (times, ago, first) = had.get(item).copied().unwrap_or((0.0, NEVER, NEVER));
            let again = self.rate.get(*item as usize).copied().unwrap_or(0.0);
            // Baskets since the last time over the usual ones between two times; 0 where there was no second time.
            let due = if times > 1.0 { (ago + 1.0) * (times - 1.0) / (first - ago).max(1.0) } else { 0.0 };
            let share = times / baskets.max(1.0);
            [times, ago, share, due, again, baskets, size, kinds, repeats]
        };
        candidates.iter().flat_map(row).collect()
    }
}

/// How many users have an item, and how many items a user, both against the mean: what is held out to learn from takes from all alike.
#[derive(Clone, Debug, Default)]
pub struct Degrees {
    items: Vec<f32>,
    /// Items that a user has in the mean.
    usual: f32,
}

/// The logarithm of a number against the mean; both with one more, since there may be none.
fn against(number: f32, mean: f32) -> f32 {
    ((number + 1.0) / (mean + 1.0)).ln()
}

impl Degrees {
    pub fn fit(histories: &Histories) -> Self {
        let mut users = vec![0.0f32; histories.items];
        let mut links = 0.0;
        for history in &histories.users {
            for item in distinct(&history.items().collect::<Vec<_>>()) {
                if let Some(users) = users.get_mut(item as usize) {
                    *users += 1.0;
                    links += 1.0;
                }
            }
        }
        let mean = links / histories.items.max(1) as f32;
        Self {
            items: users.into_iter().map(|users| against(users, mean)).collect(),
            usual: links / histories.users.len().max(1) as f32,
        }
    }
}

impl Facts for Degrees {
    fn width(&self) -> usize {
        2
    }

    fn of(&self, history: &History, candidates: &[u32]) -> Vec<f32> {
        let own = against(distinct(&history.items().collect::<Vec<_>>()).len() as f32, self.usual);
        candidates.iter().flat_map(|item| [self.items.get(*item as usize).copied().unwrap_or(0.0), own]).collect()
    }
}

/// How often an item is clicked, and what the session did with it so far.
#[derive(Clone, Debug, Default)]
pub struct Clicks {
    degrees: Degrees,
}

impl Clicks {
    pub fn fit(sessions: &Histories) -> Self {
        Self { degrees: Degrees::fit(sessions) }
    }
}

impl Facts for Clicks {
    fn width(&self) -> usize {
        5
    }

    fn of(&self, history: &History, candidates: &[u32]) -> Vec<f32> {
        let clicks: Vec<u32> = history.items().collect();
        let kinds = distinct(&clicks).len() as f32;
        let row = |item: &u32| {
            let popular = self.degrees.items.get(*item as usize).copied().unwrap_or(0.0);
            let ago = clicks.iter().rev().position(|click| click == item).map_or(NEVER, |ago| ago as f32);
            let times = clicks.iter().filter(|click| *click == item).count() as f32;
            [popular, clicks.len() as f32, kinds, ago, times]
        };
        candidates.iter().flat_map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}, not {expected:?}");
    }

    #[test]
    fn repeats_by_hand() {
        let user = History::of_baskets([vec![0, 1], vec![0, 2, 2], vec![3], vec![0]]);
        let facts = Repeats::fit(&Histories { items: 5, users: vec![user.clone()] });
        // Five things were had before another basket, one of them again.
        let overall = 0.2;
        let again = |times: f32, had: f32| (times + 20.0 * overall) / (had + 20.0);
        let [baskets, size, kinds, repeats] = [4.0, 7.0 / 4.0, 4.0, 1.0 - 4.0 / 6.0];
        let row = |times: f32, ago: f32, due: f32, again: f32| {
            [times, ago, times / 4.0, due, again, baskets, size, kinds, repeats]
        };
        let expected = [
            row(3.0, 0.0, 2.0 / 3.0, again(1.0, 2.0)),
            row(1.0, 2.0, 0.0, again(0.0, 1.0)),
            row(0.0, NEVER, 0.0, again(0.0, 0.0)),
        ];
        near(&facts.of(&user, &[0, 2, 4]), &expected.concat());
    }

    #[test]
    fn degrees_and_clicks_by_hand() {
        let users = [vec![0, 1, 0], vec![0], vec![0, 2]].map(History::of_items).to_vec();
        let sessions = Histories { items: 4, users };
        // Five links: 1.25 users an item, 1.67 items a user.
        let [three, one, none] = [4.0f32, 2.0, 1.0].map(|users| (users / 2.25).ln());
        let own = (3.0f32 / (5.0 / 3.0 + 1.0)).ln();
        near(&Degrees::fit(&sessions).of(&sessions.users[0], &[0, 1, 3]), &[three, own, one, own, none, own]);
        let clicks = Clicks::fit(&sessions);
        let expected = [[three, 3.0, 2.0, 0.0, 2.0], [one, 3.0, 2.0, 1.0, 1.0], [one, 3.0, 2.0, NEVER, 0.0]];
        near(&clicks.of(&sessions.users[0], &[0, 1, 2]), &expected.concat());
        assert_eq!((clicks.width(), Degrees::default().width()), (5, 2));
    }
}
