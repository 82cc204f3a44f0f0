//! How many different things there were: the k smallest hashes (Bar-Yossef et al., *Counting distinct elements in a data stream*, 2002;
//! Beyer et al., *On synopses for distinct-value estimation*, 2007). Exact up to [`K`], then with a relative standard error of about
//! `1 / sqrt(K)`, 3 %. Two of them merge into that of all; order and repetition do not matter.

use serde::{Deserialize, Serialize};

pub const K: usize = 1_024;

/// Sorted, without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Distinct {
    smallest: Vec<u32>,
}

impl Distinct {
    pub fn add(&mut self, hash: u32) {
        if let Err(place) = self.smallest.binary_search(&hash)
            && place < K
        {
            self.smallest.insert(place, hash);
            self.smallest.truncate(K);
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.smallest.extend_from_slice(&other.smallest);
        self.smallest.sort_unstable();
        self.smallest.dedup();
        self.smallest.truncate(K);
    }

    pub fn count(&self) -> f64 {
        match self.smallest.last() {
            Some(largest) if self.smallest.len() == K => {
                (K - 1) as f64 * (f64::from(u32::MAX) + 1.0) / (f64::from(*largest) + 1.0)
            }
            _ => self.smallest.len() as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::key::key;

    #[test]
    fn few_are_counted_exactly_and_many_within_three_standard_errors() {
        for n in [0_u32, 1, 10, 1_000, 1_023, 5_000, 100_000] {
            let mut distinct = Distinct::default();
            for number in 0..n {
                let hash = key("test", &number.to_string()) as u32;
                distinct.add(hash);
                distinct.add(hash);
            }
            let error = (distinct.count() / f64::from(n.max(1)) - f64::from(n.min(1))).abs();
            let bound = if n < K as u32 { 1e-9 } else { 3.0 / (K as f64).sqrt() };
            assert!(error <= bound, "{n}: {}", distinct.count());
        }
    }

    #[test]
    fn merging_is_the_same_as_counting_together() {
        let (mut a, mut b, mut all) = (Distinct::default(), Distinct::default(), Distinct::default());
        for number in 0..9_000 {
            let hash = key("test", &number.to_string()) as u32;
            if number % 3 == 0 { &mut a } else { &mut b }.add(hash);
            all.add(hash);
        }
        a.merge(&b);
        assert_eq!(a, all);
    }
}
