//! Which event ids were accepted lately.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use sha2::{Digest, Sha256};

/// An event id as the log knows it: the first 128 bits of its SHA-256. Two ids that share them are not to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey(pub u128);

/// The key of an event id.
pub fn event_key(event_id: &str) -> EventKey {
    let digest = Sha256::digest(event_id.as_bytes());
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    EventKey(u128::from_le_bytes(key))
}

/// Keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

type Keys = HashSet<EventKey, BuildHasherDefault<KeyHasher>>;

struct Generation {
    /// When its last id came.
    newest_ms: i64,
    started_ms: i64,
    keys: Keys,
}

/// The horizon is cut into so many generations; the oldest goes as a whole.
const GENERATIONS: usize = 16;

/// Ids within the horizon. About 20 to 40 bytes of memory an id.
pub(super) struct Dedup {
    age_ms: i64,
    ids_per_generation: usize,
    generations: VecDeque<Generation>,
}

impl Dedup {
    pub(super) fn new(age: std::time::Duration, ids: usize) -> Self {
        Self {
            age_ms: i64::try_from(age.as_millis()).unwrap_or(i64::MAX),
            // One generation is always only partly full.
            ids_per_generation: ids.div_ceil(GENERATIONS - 1).max(1),
            generations: VecDeque::new(),
        }
    }

    pub(super) fn contains(&self, key: EventKey) -> bool {
        self.generations.iter().rev().any(|generation| generation.keys.contains(&key))
    }

    /// Notes an id that is on disk.
    pub(super) fn insert(&mut self, key: EventKey, at_ms: i64) {
        let slice_ms = self.age_ms / (GENERATIONS as i64 - 1);
        let full = self.generations.back().is_none_or(|newest| {
            newest.keys.len() >= self.ids_per_generation || at_ms.saturating_sub(newest.started_ms) > slice_ms
        });
        if full {
            self.generations.push_back(Generation { newest_ms: at_ms, started_ms: at_ms, keys: Keys::default() });
            let oldest_ms = at_ms.saturating_sub(self.age_ms);
            while self.generations.len() > GENERATIONS
                || self.generations.front().is_some_and(|oldest| oldest.newest_ms < oldest_ms)
            {
                self.generations.pop_front();
            }
        }
        if let Some(newest) = self.generations.back_mut() {
            newest.newest_ms = at_ms;
            newest.keys.insert(key);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.generations.iter().map(|generation| generation.keys.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::time::Duration;

    use super::*;

    #[test]
    fn ids_are_known_for_the_horizon_and_forgotten_after_it() {
        let mut dedup = Dedup::new(Duration::from_secs(150), 1_000);
        for second in 0..=400_i64 {
            dedup.insert(event_key(&format!("e{second}")), second * 1_000);
            for back in 0..=150.min(second) {
                assert!(dedup.contains(event_key(&format!("e{}", second - back))), "at {second}: {back} back");
            }
        }
        assert!(!dedup.contains(event_key("e0")));
        assert!(dedup.len() < 200, "{} ids are kept of 400", dedup.len());
    }

    #[test]
    fn no_more_ids_are_kept_than_the_bound_and_the_newest_are() {
        let mut dedup = Dedup::new(Duration::from_secs(1_000_000), 1_500);
        for number in 0..10_000_i64 {
            dedup.insert(event_key(&format!("e{number}")), number);
        }
        assert!(dedup.len() <= 1_600 && dedup.len() >= 1_500, "{}", dedup.len());
        for number in 8_500..10_000 {
            assert!(dedup.contains(event_key(&format!("e{number}"))), "{number}");
        }
    }
}
