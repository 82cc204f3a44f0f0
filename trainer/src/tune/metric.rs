//! How good a list is, and how sure that is.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A 95% interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

const RESAMPLES: usize = 1000;

/// NDCG at the list's length `at`, binary gains, ideal over min(at, targets). `hits` says for each rank whether it is a target.
pub fn ndcg(hits: &[bool], targets: usize, at: usize) -> f64 {
    let gain = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
    let found: f64 = hits.iter().take(at).enumerate().filter(|(_, hit)| **hit).map(|(rank, _)| gain(rank)).sum();
    let ideal: f64 = (0..at.min(targets)).map(gain).sum();
    if ideal > 0.0 { found / ideal } else { 0.0 }
}

/// Percentile bootstrap of the mean (Efron, 1979), 1,000 resamples drawn by the seed.
pub fn bootstrap(values: &[f64], seed: i64) -> Interval {
    if values.is_empty() {
        return Interval { low: 0.0, high: 0.0 };
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let sum: f64 = (0..values.len())
                .map(|_| values.get(random.random_range(0..values.len())).copied().unwrap_or(0.0))
                .sum();
            sum / values.len() as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    // Adding 0 makes a negative zero a plain one.
    let at = |place: usize| means.get(place).copied().unwrap_or(0.0) + 0.0;
    Interval { low: at(RESAMPLES / 40), high: at(RESAMPLES - 1 - RESAMPLES / 40) }
}

/// Mean and interval of the differences of two measurements of the same questions.
pub fn paired(one: &[f64], other: &[f64], seed: i64) -> (f64, Interval) {
    let differences: Vec<f64> = one.iter().zip(other).map(|(one, other)| one - other).collect();
    (differences.iter().sum::<f64>() / differences.len().max(1) as f64, bootstrap(&differences, seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ndcg_by_hand() {
        assert!((ndcg(&[true, false, true], 2, 10) - (1.0 + 0.5) / (1.0 + 1.0 / 3f64.log2())).abs() < 1e-12);
        assert!((ndcg(&[true, true], 2, 10) - 1.0).abs() < 1e-12);
        assert!(ndcg(&[false; 10], 3, 10).abs() < 1e-12);
    }

    #[test]
    fn the_interval_covers_the_mean_and_is_the_seeds() {
        let values: Vec<f64> = (0..200).map(|at| f64::from(at % 10) / 10.0).collect();
        let interval = bootstrap(&values, 7);
        assert!(interval.low < 0.45 && 0.45 < interval.high && interval.high - interval.low < 0.1);
        assert_eq!(interval, bootstrap(&values, 7));
    }
}
