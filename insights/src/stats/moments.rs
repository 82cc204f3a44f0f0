//! Means and ratios of units with their standard errors.

use serde::{Deserialize, Serialize};

/// A figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub value: f64,
    /// Standard error; not a number where there is too little to say.
    pub se: f64,
}

/// Sums over units of a numerator `y` and a denominator `x`. The ratio's variance comes from the delta method with the unit, not the
/// request, as what is independent (Deng, Knoblich and Lu, *Applying the delta method in metric analytics*, KDD 2018, section 3). With
/// `x = 1` it is the mean of `y`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    pub n: u64,
    y: f64,
    x: f64,
    yy: f64,
    xy: f64,
    xx: f64,
}

impl Moments {
    pub fn add(&mut self, y: f64, x: f64) {
        self.n += 1;
        self.y += y;
        self.x += x;
        self.yy += y * y;
        self.xy += x * y;
        self.xx += x * x;
    }

    /// Sum of the numerators.
    pub fn sum(&self) -> f64 {
        self.y
    }

    pub fn ratio(&self) -> Option<Estimate> {
        if self.n == 0 || self.x <= 0.0 {
            return None;
        }
        let value = self.y / self.x;
        if self.n < 2 {
            return Some(Estimate { value, se: f64::NAN });
        }
        Some(Estimate { value, se: (self.unit_variance() / self.n as f64).max(0.0).sqrt() })
    }

    /// Variance that one unit contributes: the estimate's is this divided by the number of units.
    pub fn unit_variance(&self) -> f64 {
        let n = self.n as f64;
        let (ratio, mean_x) = (self.y / self.x, self.x / n);
        // Residuals y - ratio * x sum to zero, so their sum of squares needs no centring.
        let residuals = self.yy - 2.0 * ratio * self.xy + ratio * ratio * self.xx;
        residuals / (n - 1.0) / (mean_x * mean_x)
    }
}

/// A ratio from sums by random groups of units: each group counts as one draw (Wolter, *Introduction to Variance Estimation*, 2.4).
/// Groups without anything are left out.
pub fn grouped_ratio(groups: impl IntoIterator<Item = (f64, f64)>) -> Option<Estimate> {
    let groups: Vec<(f64, f64)> = groups.into_iter().filter(|(_, x)| *x > 0.0).collect();
    let (y, x) = groups.iter().fold((0.0, 0.0), |(y, x), group| (y + group.0, x + group.1));
    if x <= 0.0 {
        return None;
    }
    let (value, count) = (y / x, groups.len() as f64);
    let squares: f64 = groups.iter().map(|group| (group.0 - value * group.1).powi(2)).sum();
    let se = if count < 2.0 { f64::NAN } else { (count / (count - 1.0) * squares).sqrt() / x };
    Some(Estimate { value, se })
}

/// A mean by unit where only the number of all units is known, not that of each group. The error takes the groups' sizes as drawn, so that
/// it is a little too large rather than too small.
pub fn grouped_mean(groups: impl IntoIterator<Item = f64>, units: f64) -> Option<Estimate> {
    let groups: Vec<f64> = groups.into_iter().collect();
    if units <= 0.0 || groups.is_empty() {
        return None;
    }
    let count = groups.len() as f64;
    let sum: f64 = groups.iter().sum();
    let squares: f64 = groups.iter().map(|group| (group - sum / count).powi(2)).sum();
    let se = if count < 2.0 { f64::NAN } else { (count / (count - 1.0) * squares).sqrt() / units };
    Some(Estimate { value: sum / units, se })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_mean_is_the_textbooks_mean() {
        let mut moments = Moments::default();
        for y in [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0] {
            moments.add(y, 1.0);
        }
        let mean = moments.ratio().unwrap();
        // Variance with n - 1: 32 / 7.
        assert!((mean.value - 5.0).abs() < 1e-12);
        assert!((mean.se - (32.0_f64 / 7.0 / 8.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_ratio_by_hand() {
        // Units with (clicked, lists): (1, 2), (0, 1), (2, 3); ratio 1/2, residuals 0, -1/2, 1/2, mean of lists 2.
        let mut moments = Moments::default();
        for (y, x) in [(1.0, 2.0), (0.0, 1.0), (2.0, 3.0)] {
            moments.add(y, x);
        }
        let ratio = moments.ratio().unwrap();
        assert!((ratio.value - 0.5).abs() < 1e-12);
        assert!((ratio.se - (0.5_f64 / 2.0 / 4.0 / 3.0).sqrt()).abs() < 1e-12);
        let grouped = grouped_ratio([(1.0, 2.0), (0.0, 1.0), (2.0, 3.0), (0.0, 0.0)]).unwrap();
        assert!((grouped.se - ratio.se).abs() < 1e-12);
    }

    #[test]
    fn too_little_has_no_error_and_nothing_has_no_figure() {
        let mut moments = Moments::default();
        assert_eq!(moments.ratio(), None);
        moments.add(1.0, 2.0);
        assert!(moments.ratio().unwrap().se.is_nan());
        assert_eq!(grouped_ratio([]), None);
        assert_eq!(grouped_mean([], 5.0), None);
        let mean = grouped_mean([10.0, 20.0], 10.0).unwrap();
        assert!((mean.value - 3.0).abs() < 1e-12 && (mean.se - 1.0).abs() < 1e-12);
    }
}
