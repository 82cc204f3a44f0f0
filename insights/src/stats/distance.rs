//! How far two distributions lie apart.

use statrs::distribution::{ChiSquared, ContinuousCDF};

/// An empty bin counts as half an observation, so that one value that the other side never saw makes a distance, not infinity.
const EMPTY: f64 = 0.5;

/// Population stability index over the same bins: the sum of `(p - q) ln(p / q)` (the symmetrised divergence of Jeffreys, *An invariant form
/// for the prior probability*, 1946; as an index Lewis, *An Introduction to Credit Scoring*, 1992). None when a side is empty.
pub fn psi(reference: &[u64], current: &[u64]) -> Option<f64> {
    let (n, m) = (reference.iter().sum::<u64>() as f64, current.iter().sum::<u64>() as f64);
    if n <= 0.0 || m <= 0.0 || reference.len() != current.len() {
        return None;
    }
    let share = |count: u64, total: f64| (count as f64).max(EMPTY) / total;
    let parts = reference.iter().zip(current).filter(|(r, c)| **r + **c > 0);
    Some(parts.map(|(r, c)| (share(*c, m) - share(*r, n)) * (share(*c, m) / share(*r, n)).ln()).sum())
}

/// Probability of a PSI this large between samples of one distribution: `PSI / (1/n + 1/m)` is about chi-square with one degree of
/// freedom less than there are bins (Yurdakul and Naranjo, *Statistical properties of the population stability index*, 2020).
pub fn psi_p(psi: f64, bins: usize, n_ref: u64, n_cur: u64) -> Option<f64> {
    if bins < 2 || n_ref == 0 || n_cur == 0 {
        return None;
    }
    let distribution = ChiSquared::new(bins as f64 - 1.0).ok()?;
    Some(distribution.sf(psi / (1.0 / n_ref as f64 + 1.0 / n_cur as f64)))
}

/// The largest distance of the two cumulative distributions over the same bins (Kolmogorov and Smirnov). Bins are coarser than values, so
/// that it is at most the distance of the values. None when a side is empty.
pub fn ks(reference: &[u64], current: &[u64]) -> Option<f64> {
    let (n, m) = (reference.iter().sum::<u64>() as f64, current.iter().sum::<u64>() as f64);
    if n <= 0.0 || m <= 0.0 || reference.len() != current.len() {
        return None;
    }
    let (mut below, mut largest) = ((0, 0), 0.0_f64);
    for (r, c) in reference.iter().zip(current) {
        below = (below.0 + r, below.1 + c);
        largest = largest.max((below.0 as f64 / n - below.1 as f64 / m).abs());
    }
    Some(largest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn psi_by_hand() {
        // (0.6 - 0.5) ln 1.2 + (0.4 - 0.5) ln 0.8
        let by_hand = 0.1 * 1.2_f64.ln() - 0.1 * 0.8_f64.ln();
        assert!((psi(&[50, 50], &[60, 40]).unwrap() - by_hand).abs() < 1e-12);
        assert!(psi(&[10, 20, 30], &[100, 200, 300]).unwrap().abs() < 1e-12);
        // An empty bin is half an observation: (0.5/10 - 0.5) ln(0.05 / 0.5) + (1 - 0.5) ln 2.
        let by_hand = -0.45 * 0.1_f64.ln() + 0.5 * 2.0_f64.ln();
        assert!((psi(&[5, 5], &[0, 10]).unwrap() - by_hand).abs() < 1e-12);
        // A bin that neither side has says nothing.
        assert!((psi(&[5, 0, 5], &[0, 0, 10]).unwrap() - by_hand).abs() < 1e-12);
        assert_eq!(psi(&[0, 0], &[1, 2]), None);
    }

    #[test]
    fn ks_by_hand() {
        assert!((ks(&[1, 1, 1, 1], &[2, 2, 0, 0]).unwrap() - 0.5).abs() < 1e-12);
        assert!(ks(&[3, 4], &[30, 40]).unwrap().abs() < 1e-12);
        assert!((ks(&[1, 0], &[0, 1]).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(ks(&[], &[]), None);
    }
}
