//! How good a list is, and how sure that is.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A 95% interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// One number of a report.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Row {
    pub model: String,
    pub metric: String,
    pub value: f64,
    /// 95% interval, by bootstrap over the questions.
    pub low: f64,
    pub high: f64,
    /// Questions that the number is a mean of.
    pub n: u64,
}

const RESAMPLES: usize = 1000;

/// What the best list there could be is taken to hold, when a list is compared with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ideal {
    /// Hits at all of the first min(K, targets) ranks: a list of K can reach 1.
    #[default]
    Reachable,
    /// Hits at as many ranks as there are targets, be they more than K: what some published evaluators divide by.
    AllTargets,
}

/// NDCG at the list's length `at`, binary gains, ideal over min(at, targets). `hits` says for each rank whether it is a target.
pub fn ndcg(hits: &[bool], targets: usize, at: usize) -> f64 {
    ndcg_to(hits, targets, at, Ideal::Reachable)
}

/// NDCG against an ideal of choice (Jarvelin and Kekalainen, ACM TOIS 20(4), 2002; discount log2(rank + 1)).
pub fn ndcg_to(hits: &[bool], targets: usize, at: usize, ideal: Ideal) -> f64 {
    let gain = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
    let found: f64 = hits.iter().take(at).enumerate().filter(|(_, hit)| **hit).map(|(rank, _)| gain(rank)).sum();
    let best = match ideal {
        Ideal::Reachable => at.min(targets),
        Ideal::AllTargets => targets,
    };
    let ideal: f64 = (0..best).map(gain).sum();
    if ideal > 0.0 { found / ideal } else { 0.0 }
}

/// What one list of at most K items is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Judged {
    /// Hits over all targets.
    pub recall: f64,
    /// Hits over K.
    pub precision: f64,
    pub ndcg: f64,
    /// 1 if there is a hit.
    pub hit: f64,
    /// 1 over the rank of the first hit, 0 without one.
    pub reciprocal_rank: f64,
}

/// Judges the first `at` items of a list against distinct targets.
pub fn judge(list: &[u32], targets: &[u32], at: usize, ideal: Ideal) -> Judged {
    let hits: Vec<bool> = list.iter().take(at).map(|item| targets.contains(item)).collect();
    let found = hits.iter().filter(|hit| **hit).count() as f64;
    let first = hits.iter().position(|hit| *hit);
    Judged {
        recall: found / targets.len().max(1) as f64,
        precision: found / at.max(1) as f64,
        ndcg: ndcg_to(&hits, targets.len(), at, ideal),
        hit: f64::from(u8::from(found > 0.0)),
        reciprocal_rank: first.map_or(0.0, |rank| 1.0 / (rank + 1) as f64),
    }
}

/// The mean; 0 of nothing. Summed in order, so that the number of threads does not show; a negative zero becomes a plain one.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64 + 0.0
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
    (mean(&differences), bootstrap(&differences, seed))
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
    fn a_list_by_hand() {
        let found = judge(&[7, 1, 9, 2], &[1, 2, 3], 3, Ideal::Reachable);
        let gain = |rank: f64| 1.0 / (rank + 1.0).log2();
        assert!((found.recall - 1.0 / 3.0).abs() < 1e-12 && (found.precision - 1.0 / 3.0).abs() < 1e-12);
        assert!((found.ndcg - gain(2.0) / (gain(1.0) + gain(2.0) + gain(3.0))).abs() < 1e-12);
        assert!((found.hit - 1.0).abs() < 1e-12 && (found.reciprocal_rank - 0.5).abs() < 1e-12);
        let all = judge(&[1, 5], &[1, 2, 3], 2, Ideal::AllTargets);
        assert!((all.ndcg - 1.0 / (gain(1.0) + gain(2.0) + gain(3.0))).abs() < 1e-12);
        assert_eq!(judge(&[], &[], 10, Ideal::AllTargets), Judged::default());
    }

    #[test]
    fn the_interval_covers_the_mean_and_is_the_seeds() {
        let values: Vec<f64> = (0..200).map(|at| f64::from(at % 10) / 10.0).collect();
        let interval = bootstrap(&values, 7);
        assert!(interval.low < 0.45 && 0.45 < interval.high && interval.high - interval.low < 0.1);
        assert_eq!(interval, bootstrap(&values, 7));
    }
}
