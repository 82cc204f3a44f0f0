//! A uniform sample of the lists that were shown: those whose request has one of the smallest hashes (bottom-k sampling; Cohen and Kaplan,
//! *Summarizing data using bottom-k sketches*, 2007). Samples merge, order does not matter, and cutting two samples to the same number of
//! lists makes figures comparable that depend on how much was shown, such as coverage (rarefaction; Hurlbert, *The nonconcept of
//! species diversity*, 1971).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListShown {
    /// Hash of who it was shown to; 0 for nobody known.
    #[serde(rename = "u")]
    pub unit: u64,
    #[serde(rename = "p")]
    pub products: Vec<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// By hash of the request.
    lists: BTreeMap<u64, ListShown>,
    /// Only hashes up to this one are sampled, once something did not fit.
    limit: Option<u64>,
}

impl Sample {
    pub fn add(&mut self, request: u64, list: ListShown, room: usize) {
        if self.limit.is_some_and(|limit| request > limit) {
            return;
        }
        self.lists.insert(request, list);
        self.shrink(room);
    }

    fn shrink(&mut self, room: usize) {
        while self.lists.len() > room.max(1) {
            self.lists.pop_last();
            self.limit = self.lists.keys().next_back().copied();
        }
    }

    /// A sample of both: what is above either one's limit is left out.
    pub fn merge(&mut self, other: &Self) {
        self.limit = match (self.limit, other.limit) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.lists.extend(other.lists.iter().map(|(request, list)| (*request, list.clone())));
        if let Some(limit) = self.limit {
            self.lists.retain(|request, _| *request <= limit);
        }
    }

    pub fn len(&self) -> usize {
        self.lists.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// The first so many lists: a uniform sample of any size up to [`Self::len`].
    pub fn first(&self, lists: usize) -> Vec<&ListShown> {
        self.lists.values().take(lists).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::fold::key::key;

    fn list(number: u32) -> (u64, ListShown) {
        (key("r", &number.to_string()), ListShown { unit: u64::from(number), products: vec![number] })
    }

    #[test]
    fn a_merged_sample_is_a_sample_of_all() {
        let (mut a, mut b, mut all) = (Sample::default(), Sample::default(), Sample::default());
        for number in 0..1_000 {
            let (request, shown) = list(number);
            if number % 4 == 0 { &mut a } else { &mut b }.add(request, shown.clone(), 50);
            all.add(request, shown, 50);
        }
        a.merge(&b);
        // The smallest hashes of all, as far as both parts had them.
        assert!(a.len() >= 50 && a.len() < 100);
        assert_eq!(a.first(50), all.first(50));
    }
}
