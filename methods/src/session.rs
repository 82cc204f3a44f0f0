//! Sessions like the one that goes on.

use std::collections::{BTreeSet, HashMap};

use crate::popularity::distinct;
use crate::rows::Rows;
use crate::{Histories, History, Scorer};

/// Settings of [`SessionKnn`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionKnnSettings {
    /// Newest sessions with an item of the asked one that are compared with it.
    pub newest: usize,
    /// Nearest of them that speak.
    pub neighbours: usize,
    /// Newest items of the asked session that count.
    pub last: usize,
    /// What an item's rareness counts for: 0 nothing, 1 its inverse document frequency.
    pub idf: f32,
    /// What a neighbour loses for each step back to its newest item in common, out of 1.
    pub match_decay: f32,
    /// Share of the sessions, the shortest ones, that are learned from: the longest are machines' or say little.
    pub length_quantile: f64,
}

impl Default for SessionKnnSettings {
    /// As the configuration that Serenade's example ships with.
    fn default() -> Self {
        Self { newest: 500, neighbours: 50, last: 2, idf: 1.0, match_decay: 0.1, length_quantile: 0.995 }
    }
}

/// VMIS-kNN (Kersbergen, Sprangers and Schelter, "Serenade: Low-latency session-based recommendation in e-commerce at scale", SIGMOD
/// 2022), the indexed form of vector multiplication session kNN (Ludewig and Jannach, UMUAI 28, 2018). Among sessions of the same time
/// and among equally near ones the one with the higher number is taken for the newer.
#[derive(Clone, Debug)]
pub struct SessionKnn {
    settings: SessionKnnSettings,
    /// Distinct items of each session, ascending.
    sessions: Rows<u32>,
    /// When each session was last active.
    times: Vec<i64>,
    /// Sessions of each item, newest first.
    of_item: Rows<u32>,
    idf: Vec<f32>,
}

impl SessionKnn {
    /// Each history is a session.
    pub fn fit(histories: &Histories, settings: SessionKnnSettings) -> Self {
        let items: Vec<Vec<u32>> =
            histories.users.iter().map(|session| distinct(&session.items().collect::<Vec<_>>())).collect();
        let times: Vec<i64> = histories
            .users
            .iter()
            .map(|session| session.baskets.iter().filter_map(|basket| basket.at).max().unwrap_or(0))
            .collect();
        let mut lengths: Vec<usize> = items.iter().map(Vec::len).collect();
        lengths.sort_unstable();
        let place = (lengths.len().saturating_sub(1) as f64 * settings.length_quantile.clamp(0.0, 1.0)).round();
        let longest = lengths.get(place as usize).copied().unwrap_or(0);
        let mut of_item: Vec<Vec<u32>> = vec![Vec::new(); histories.items];
        let mut all = 0usize;
        for (session, items) in items.iter().enumerate().filter(|(_, items)| items.len() <= longest) {
            all += items.len();
            for item in items {
                if let Some(sessions) = of_item.get_mut(*item as usize) {
                    sessions.push(session as u32);
                }
            }
        }
        let idf =
            of_item.iter().map(|sessions| (all.max(1) as f64 / sessions.len().max(1) as f64).ln() as f32).collect();
        for sessions in &mut of_item {
            sessions.sort_by_key(|session| std::cmp::Reverse((times.get(*session as usize).copied(), *session)));
            sessions.truncate(settings.newest);
        }
        Self { settings, sessions: items.into_iter().collect(), times, of_item: of_item.into_iter().collect(), idf }
    }

    /// The nearest sessions with their similarity, by number.
    fn nearest(&self, asked: &[u32]) -> Vec<(u32, f64)> {
        let time = |session: u32| self.times.get(session as usize).copied().unwrap_or(0);
        let unique = distinct(asked).len().max(1) as f64;
        let mut alike: HashMap<u32, f64> = HashMap::new();
        let mut newest: BTreeSet<(i64, u32)> = BTreeSet::new();
        let mut seen: Vec<u32> = Vec::new();
        for (back, item) in asked.iter().rev().enumerate() {
            if seen.contains(item) {
                continue;
            }
            seen.push(*item);
            let weight = (asked.len() - back) as f64 / unique;
            for session in self.of_item.row(*item as usize) {
                if let Some(alike) = alike.get_mut(session) {
                    *alike += weight;
                    continue;
                }
                let at = time(*session);
                if newest.len() >= self.settings.newest {
                    match newest.first().copied() {
                        Some((oldest, evicted)) if at > oldest => {
                            newest.remove(&(oldest, evicted));
                            alike.remove(&evicted);
                        }
                        // The item's other sessions are older still.
                        _ => break,
                    }
                }
                newest.insert((at, *session));
                alike.insert(*session, weight);
            }
        }
        let mut nearest: Vec<(u32, f64)> = alike.into_iter().collect();
        nearest.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then((time(b.0), b.0).cmp(&(time(a.0), a.0))));
        nearest.truncate(self.settings.neighbours);
        nearest.sort_unstable_by_key(|(session, _)| *session);
        nearest
    }
}

impl Scorer for SessionKnn {
    /// The newest item of the session is never recommended, nor is what no neighbour holds.
    fn score(&self, _: Option<usize>, history: &History, scores: &mut [f32]) {
        scores.fill(f32::NEG_INFINITY);
        let items: Vec<u32> = history.items().collect();
        let asked = items.get(items.len().saturating_sub(self.settings.last.max(1))..).unwrap_or_default();
        let mut sums: HashMap<u32, f64> = HashMap::new();
        for (session, alike) in self.nearest(asked) {
            let held = self.sessions.row(session as usize);
            let Some(back) = asked.iter().rev().position(|item| held.binary_search(item).is_ok()) else { continue };
            let weight = (1.0 - f64::from(self.settings.match_decay) * (back + 1) as f64).max(0.0) * alike;
            for item in held {
                *sums.entry(*item).or_default() += weight;
            }
        }
        for (item, sum) in sums.into_iter().filter(|(item, _)| Some(item) != asked.last()) {
            let idf = self.idf.get(item as usize).map_or(1.0, |idf| idf.powf(self.settings.idf));
            if let Some(score) = scores.get_mut(item as usize) {
                *score = (sum * f64::from(idf)) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Basket;

    fn session(items: &[u32], at: i64) -> History {
        History { baskets: vec![Basket { items: items.to_vec(), at: Some(at) }] }
    }

    fn fit(settings: SessionKnnSettings) -> SessionKnn {
        let users = vec![session(&[0, 1, 2], 10), session(&[1, 3, 1], 20), session(&[1, 4], 30)];
        SessionKnn::fit(&Histories { items: 6, users }, SessionKnnSettings { length_quantile: 1.0, ..settings })
    }

    #[test]
    fn neighbours_and_scores_by_hand() {
        let fitted = fit(SessionKnnSettings { idf: 0.0, last: 4, ..Default::default() });
        // Item 1 is the newest (weight 2/2), item 0 the one before (1/2): session 0 is 1.5 near, the others 1.
        assert_eq!(fitted.nearest(&[0, 1]), vec![(0, 1.5), (1, 1.0), (2, 1.0)]);
        let mut scores = vec![0.0; 6];
        fitted.score(None, &session(&[5, 0, 1], 40), &mut scores);
        let never = f32::NEG_INFINITY;
        // Weights now: 1 is 3/3, 0 is 2/3; all of the neighbours match at the newest item.
        let near = (1.0 + 2.0 / 3.0) * 0.9;
        let expected = [near as f32, never, near as f32, 0.9, 0.9, never];
        assert!(
            scores
                .iter()
                .zip(expected)
                .all(|(a, b): (&f32, f32)| a.is_infinite() && b.is_infinite() || (a - b).abs() < 1e-6),
            "{scores:?}"
        );
    }

    #[test]
    fn only_the_newest_sessions_and_items_count() {
        let fitted = fit(SessionKnnSettings { newest: 2, ..Default::default() });
        assert_eq!(fitted.nearest(&[1]), vec![(1, 1.0), (2, 1.0)]);
        // Session 0 is older than the two that are held.
        assert_eq!(fitted.nearest(&[0, 1]), vec![(1, 1.0), (2, 1.0)]);
        let fitted = fit(SessionKnnSettings { last: 1, idf: 1.0, ..Default::default() });
        let mut scores = vec![0.0; 6];
        fitted.score(None, &session(&[1, 0], 40), &mut scores);
        // Seven items of sessions in all, item 2 in one of them, item 1 in three.
        assert!((scores[2] - 0.9 * 7f32.ln()).abs() < 1e-6 && (scores[1] - 0.9 * (7f32 / 3.0).ln()).abs() < 1e-6);
    }

    #[test]
    fn the_longest_sessions_are_left_out() {
        let users = vec![session(&[0, 1], 1), session(&[0, 1, 2, 3], 2), session(&[0, 4], 3)];
        let settings = SessionKnnSettings { length_quantile: 0.5, ..Default::default() };
        let fitted = SessionKnn::fit(&Histories { items: 5, users }, settings);
        assert_eq!(fitted.nearest(&[0]).iter().map(|(session, _)| *session).collect::<Vec<_>>(), vec![0, 2]);
    }
}
