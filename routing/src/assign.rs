//! Which arm a unit belongs to: a pure function of salt, unit and routing table, the same on every replica and after every restart.
//!
//! `bucket = SipHash-2-4(key = SHA-256(salt)[0..16], unit) mod 10000` (Aumasson and Bernstein, 2012). `tests/vectors.json` and
//! `docs/api.md` hold vectors to check another implementation against.

use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;

use crate::table::Range;

/// How many buckets there are: one is 0.01% of the units.
pub const BUCKETS: u16 = 10_000;

/// A salt, ready to hash with.
#[derive(Clone, Debug)]
pub struct Salt {
    hasher: SipHasher24,
}

impl Salt {
    pub fn new(salt: &str) -> Self {
        let digest = Sha256::digest(salt.as_bytes());
        let mut key = [0_u8; 16];
        for (to, from) in key.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        Self { hasher: SipHasher24::new_with_key(&key) }
    }

    /// The bucket of a unit, below [`BUCKETS`]. The unit's bytes are hashed as they are (UTF-8, no normalisation).
    pub fn bucket(&self, unit: &str) -> u16 {
        (self.hasher.hash(unit.as_bytes()) % u64::from(BUCKETS)) as u16
    }
}

/// The buckets `[o, o + count)` modulo [`BUCKETS`], where `o` is the bucket of the candidate's own name: other customers are first for
/// every candidate, and a rising count only adds buckets, so that a unit moves at most once.
pub fn candidate_ranges(salt: &str, candidate: &str, count: u16) -> Vec<Range> {
    let count = count.min(BUCKETS);
    let from = Salt::new(salt).bucket(candidate);
    if count == 0 {
        return Vec::new();
    }
    if count == BUCKETS {
        return vec![Range { from: 0, to: BUCKETS }];
    }
    let end = from + count;
    if end <= BUCKETS {
        return vec![Range { from, to: end }];
    }
    vec![Range { from: 0, to: end - BUCKETS }, Range { from, to: BUCKETS }]
}

/// What is left of all buckets beside some ranges: the active version's share.
pub fn complement(ranges: &[Range]) -> Vec<Range> {
    let mut taken: Vec<Range> = ranges.to_vec();
    taken.sort_by_key(|range| range.from);
    let mut free = Vec::new();
    let mut from = 0;
    for range in taken {
        if range.from > from {
            free.push(Range { from, to: range.from });
        }
        from = from.max(range.to);
    }
    if from < BUCKETS {
        free.push(Range { from, to: BUCKETS });
    }
    free
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn owns(ranges: &[Range], bucket: u16) -> bool {
        ranges.iter().any(|range| range.contains(bucket))
    }

    proptest! {
        /// A candidate's range only grows, has exactly the asked size, and the rest is the active version's.
        #[test]
        fn a_candidates_range_only_grows(name in "[a-z]{1,12}-v[0-9]{1,3}", small in 0_u16..=10_000, more in 0_u16..=10_000) {
            let big = small.saturating_add(more).min(BUCKETS);
            let (before, after) = (candidate_ranges("shop/m", &name, small), candidate_ranges("shop/m", &name, big));
            let rest = complement(&after);
            let mut size = 0;
            for bucket in 0..BUCKETS {
                prop_assert!(!owns(&before, bucket) || owns(&after, bucket));
                prop_assert_ne!(owns(&after, bucket), owns(&rest, bucket));
                size += u16::from(owns(&after, bucket));
            }
            prop_assert_eq!(size, big);
        }
    }

    #[test]
    fn units_spread_evenly_and_salts_are_independent() {
        let (one, other) = (Salt::new("shop/a"), Salt::new("shop/b"));
        let half = |salt: &Salt, unit: &str| salt.bucket(unit) < 5_000;
        let units: Vec<String> = (0..40_000).map(|n| format!("customer-{n}")).collect();
        let in_one = units.iter().filter(|unit| half(&one, unit)).count();
        let in_both = units.iter().filter(|unit| half(&one, unit) && half(&other, unit)).count();
        // Five standard deviations of a binomial.
        assert!((19_500..=20_500).contains(&in_one), "{in_one}");
        assert!((9_560..=10_440).contains(&in_both), "{in_both}");
    }

    #[test]
    fn a_hundred_thousand_units_get_their_shares_and_move_only_forward() {
        let salt = Salt::new("shop/model");
        let buckets: Vec<u16> = (0..100_000).map(|n| salt.bucket(&format!("customer-{n}"))).collect();
        let mut before = vec![false; buckets.len()];
        for percent in [1_u16, 5, 10, 25, 50, 90, 100] {
            let ranges = candidate_ranges("shop/model", "model-v2", percent * 100);
            let now: Vec<bool> = buckets.iter().map(|bucket| owns(&ranges, *bucket)).collect();
            let share = now.iter().filter(|is_in| **is_in).count() as f64 / buckets.len() as f64;
            assert!((share - f64::from(percent) / 100.0).abs() <= 0.005, "{percent}%: {share}");
            assert!(before.iter().zip(&now).all(|(was, is)| !was || *is), "somebody went back at {percent}%");
            before = now;
        }
    }
}
