//! Items that the same users had: nearest neighbours by the cosine of the sets of users (Sarwar et al., "Item-based collaborative filtering
//! recommendation algorithms", WWW 2001), shrunk where few had an item (Deshpande and Karypis, ACM TOIS 22(1), 2004).

use endcap_kernels::{TopK, prefetch};
use rayon::prelude::*;

use crate::graph::Graph;
use crate::rows::Rows;
use crate::{Histories, History, Scorer};

#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemKnnSettings {
    /// Neighbours kept of each item.
    pub neighbours: usize,
    /// Users added to each item's number: an item that few had is not everybody's nearest.
    pub shrinkage: f32,
}

impl Default for ItemKnnSettings {
    fn default() -> Self {
        Self { neighbours: 100, shrinkage: 10.0 }
    }
}

/// Fitted neighbours.
#[derive(Clone, Debug)]
pub struct ItemKnn {
    neighbours: Rows<(u32, f32)>,
}

/// How many had both items, for one item and all others.
trait Count: Copy + Default + Send {
    fn grow(&mut self);
    fn value(self) -> f32;
}

impl Count for u16 {
    fn grow(&mut self) {
        *self = self.wrapping_add(1);
    }

    fn value(self) -> f32 {
        f32::from(self)
    }
}

impl Count for u32 {
    fn grow(&mut self) {
        *self = self.wrapping_add(1);
    }

    fn value(self) -> f32 {
        self as f32
    }
}

impl ItemKnn {
    pub fn fit(histories: &Histories, settings: &ItemKnnSettings) -> Self {
        Self::of(&Graph::of(histories), settings)
    }

    /// Time grows with the sum of the squares of what users had, memory with the items a thread.
    pub fn of(graph: &Graph, settings: &ItemKnnSettings) -> Self {
        let items = 0..graph.items() as u32;
        // Counts are at most the number of users of an item: two bytes for each of them, and for an item, where that fits, since more of
        // both then stays in the nearest caches.
        let most = items.clone().map(|item| graph.users_of(item).len()).max().unwrap_or(0);
        let is_narrow = u16::try_from(most.max(graph.items())).is_ok();
        let neighbours =
            if is_narrow { fitted::<u16, u16>(graph, settings) } else { fitted::<u32, u32>(graph, settings) };
        Self { neighbours: neighbours.into_iter().collect() }
    }

    /// An item's neighbours, nearest first.
    pub fn neighbours(&self, item: u32) -> &[(u32, f32)] {
        self.neighbours.row(item as usize)
    }
}

/// How many users ahead what they had is fetched: they are anywhere in memory.
const AHEAD: usize = 4;

fn fitted<C: Count, I: TryFrom<u32> + Into<u32> + Copy + Sync>(
    graph: &Graph,
    settings: &ItemKnnSettings,
) -> Vec<Vec<(u32, f32)>> {
    let items = graph.items();
    let narrow = |user: u32| graph.items_of(user).iter().filter_map(|item| I::try_from(*item).ok()).collect();
    let had: Rows<I> = (0..graph.users() as u32).map(narrow).collect();
    let inverse: Vec<f32> =
        (0..items as u32).map(|item| 1.0 / (graph.users_of(item).len() as f32 + settings.shrinkage).sqrt()).collect();
    (0..items as u32)
        .into_par_iter()
        .map_init(
            || (vec![C::default(); items], vec![0.0f32; items]),
            |(counts, cosines), item| {
                let users = graph.users_of(item);
                if users.is_empty() {
                    return Vec::new();
                }
                for (at, user) in users.iter().enumerate() {
                    if let Some(later) = users.get(at + AHEAD) {
                        prefetch(had.row(*later as usize));
                    }
                    for other in had.row(*user as usize) {
                        if let Some(count) = counts.get_mut(Into::<u32>::into(*other) as usize) {
                            count.grow();
                        }
                    }
                }
                let own = inverse.get(item as usize).copied().unwrap_or(0.0);
                for ((cosine, count), other) in cosines.iter_mut().zip(counts.iter_mut()).zip(&inverse) {
                    let both = count.value();
                    // What nobody had beside it is never a neighbour.
                    *cosine = if both > 0.0 { both * own * other } else { f32::NEG_INFINITY };
                    *count = C::default();
                }
                if let Some(itself) = cosines.get_mut(item as usize) {
                    *itself = f32::NEG_INFINITY;
                }
                let mut best = TopK::new(settings.neighbours);
                best.offer(0, cosines);
                let mut best = best.into_sorted();
                best.retain(|(_, cosine)| *cosine > 0.0);
                best
            },
        )
        .collect()
}

impl Scorer for ItemKnn {
    fn score(&self, _: Option<usize>, history: &History, scores: &mut [f32]) {
        scores.fill(0.0);
        let mut own: Vec<u32> = history.items().collect();
        own.sort_unstable();
        own.dedup();
        for (other, cosine) in own.iter().flat_map(|item| self.neighbours(*item)) {
            if let Some(score) = scores.get_mut(*other as usize) {
                *score += cosine;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    fn histories() -> Histories {
        let users = [vec![0, 1, 1], vec![0, 1], vec![0, 2], vec![1, 2, 3]];
        Histories { items: 5, users: users.into_iter().map(History::of_items).collect() }
    }

    #[test]
    fn cosines_by_hand_nearest_first() {
        let fitted = ItemKnn::fit(&histories(), &ItemKnnSettings { neighbours: 2, shrinkage: 0.0 });
        // 3 had item 0 and 3 item 1, 2 of them both; 2 had item 2, 1 of them item 0.
        let near = fitted.neighbours(0);
        assert_eq!(near.iter().map(|(item, _)| *item).collect::<Vec<_>>(), vec![1, 2]);
        assert!((near[0].1 - 2.0 / 3.0).abs() < 1e-6 && (near[1].1 - 1.0 / 6f32.sqrt()).abs() < 1e-6);
        assert!(fitted.neighbours(4).is_empty());
        let mut scores = vec![9.0; 5];
        fitted.score(None, &History::of_items(vec![0, 2, 2]), &mut scores);
        assert!(scores[4].abs() < 1e-9 && scores[1] > scores[0]);
        let shrunk = ItemKnn::fit(&histories(), &ItemKnnSettings { neighbours: 2, shrinkage: 10.0 });
        assert!((shrunk.neighbours(0)[0].1 - 2.0 / 13.0).abs() < 1e-6);
    }

    #[test]
    fn wide_and_narrow_counts_say_the_same() {
        let graph = Graph::of(&histories());
        let settings = ItemKnnSettings::default();
        assert_eq!(fitted::<u16, u16>(&graph, &settings), fitted::<u32, u32>(&graph, &settings));
    }
}
