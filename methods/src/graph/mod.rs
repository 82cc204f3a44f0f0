//! Who had what as a graph of users and items, and what its filters say.

pub mod links;
pub mod spectrum;

use rayon::prelude::*;

use crate::Histories;

/// Distinct pairs of user and item, from both sides.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    by_user: Lists,
    by_item: Lists,
}

/// Ascending lists one after the other.
#[derive(Clone, Debug, Default)]
struct Lists {
    starts: Vec<usize>,
    entries: Vec<u32>,
}

impl Lists {
    fn of(lists: impl Iterator<Item = Vec<u32>>) -> Self {
        let mut all = Self { starts: vec![0], entries: Vec::new() };
        for list in lists {
            all.entries.extend(list);
            all.starts.push(all.entries.len());
        }
        all
    }

    fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    fn get(&self, at: u32) -> &[u32] {
        let bound = |at: usize| self.starts.get(at).copied().unwrap_or(0);
        self.entries.get(bound(at as usize)..bound(at as usize + 1)).unwrap_or_default()
    }
}

impl Graph {
    pub fn of(histories: &Histories) -> Self {
        let items = histories.items;
        let lists: Vec<Vec<u32>> = histories
            .users
            .par_iter()
            .map(|history| {
                let mut own: Vec<u32> = history.items().filter(|item| (*item as usize) < items).collect();
                own.sort_unstable();
                own.dedup();
                own
            })
            .collect();
        let mut users: Vec<Vec<u32>> = vec![Vec::new(); items];
        for (user, own) in (0u32..).zip(&lists) {
            for item in own {
                if let Some(users) = users.get_mut(*item as usize) {
                    users.push(user);
                }
            }
        }
        Self { by_user: Lists::of(lists.into_iter()), by_item: Lists::of(users.into_iter()) }
    }

    pub fn users(&self) -> usize {
        self.by_user.len()
    }

    pub fn items(&self) -> usize {
        self.by_item.len()
    }

    /// Ascending.
    pub fn items_of(&self, user: u32) -> &[u32] {
        self.by_user.get(user)
    }

    /// Ascending.
    pub fn users_of(&self, item: u32) -> &[u32] {
        self.by_item.get(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::History;

    #[test]
    fn both_sides_say_the_same() {
        let users = [vec![2, 0, 2], vec![], vec![1, 2, 9]];
        let graph = Graph::of(&Histories { items: 3, users: users.into_iter().map(History::of_items).collect() });
        assert_eq!((graph.users(), graph.items()), (3, 3));
        assert_eq!(graph.items_of(0), [0, 2]);
        assert_eq!(graph.items_of(2), [1, 2]);
        assert_eq!(graph.users_of(2), [0, 2]);
        assert!(graph.items_of(1).is_empty() && graph.users_of(7).is_empty());
    }
}
