//! What is expected a week, from a product's weeks so far.

use serde::{Deserialize, Serialize};

/// A way to foresee demand. All but the first give a level: the same rate for every week ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// What was sold in as many weeks just before: what every other method must beat. Over one week that is the seasonal naive forecast of
    /// the days of the week.
    SeasonalNaive,
    /// Exponential smoothing (Brown, 1959), slow and fast.
    SmoothedSlow,
    SmoothedFast,
    /// The chance of a sale and its size, each smoothed (Teunter, Syntetos and Babai, Eur. J. Oper. Res. 214(3), 2011), slow and fast.
    TsbSlow,
    TsbFast,
    /// The newer weeks counting more, shrunk towards the mean of all weeks as a gamma prior would (Gelman et al., *Bayesian Data Analysis*).
    Shrunk,
    /// The same, forgetting faster.
    ShrunkFast,
}

impl Method {
    pub const ALL: [Self; 7] = [
        Self::SeasonalNaive,
        Self::SmoothedSlow,
        Self::SmoothedFast,
        Self::TsbSlow,
        Self::TsbFast,
        Self::Shrunk,
        Self::ShrunkFast,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::SeasonalNaive => "seasonal_naive",
            Self::SmoothedSlow => "smoothed_slow",
            Self::SmoothedFast => "smoothed_fast",
            Self::TsbSlow => "tsb_slow",
            Self::TsbFast => "tsb_fast",
            Self::Shrunk => "shrunk",
            Self::ShrunkFast => "shrunk_fast",
        }
    }

    /// Units over the next `horizon` weeks.
    pub fn expected(self, series: &[f32], horizon: usize) -> f64 {
        let weeks = horizon as f64;
        let rate = match self {
            Self::SeasonalNaive => return series.iter().rev().take(horizon).copied().map(f64::from).sum(),
            Self::SmoothedSlow => smoothed(series, 0.1),
            Self::SmoothedFast => smoothed(series, 0.3),
            Self::TsbSlow => tsb(series, 0.1),
            Self::TsbFast => tsb(series, 0.3),
            Self::Shrunk => shrunk(series, 0.92),
            Self::ShrunkFast => shrunk(series, 0.72),
        };
        rate * weeks
    }
}

/// The weight of the newest week is at least `alpha`, and that of a plain mean while there are few.
fn smoothed(series: &[f32], alpha: f64) -> f64 {
    let mut level = 0.0;
    for (at, units) in series.iter().enumerate() {
        let weight = f64::max(alpha, 1.0 / (at + 1) as f64);
        level += weight * (f64::from(*units) - level);
    }
    level
}

fn tsb(series: &[f32], alpha: f64) -> f64 {
    let (mut chance, mut size, mut sales) = (0.0, 0.0, 0);
    for (at, units) in series.iter().enumerate() {
        let is_sale = *units > 0.0;
        chance += f64::max(alpha, 1.0 / (at + 1) as f64) * (f64::from(u8::from(is_sale)) - chance);
        if is_sale {
            sales += 1;
            size += f64::max(alpha, 1.0 / f64::from(sales)) * (f64::from(*units) - size);
        }
    }
    chance * size
}

/// Weeks that the mean of all weeks counts for.
const PRIOR_WEEKS: f64 = 1.0;

fn shrunk(series: &[f32], keep: f64) -> f64 {
    let prior = series.iter().copied().map(f64::from).sum::<f64>() / series.len().max(1) as f64;
    let (mut sum, mut weeks, mut weight) = (PRIOR_WEEKS * prior, PRIOR_WEEKS, 1.0);
    for units in series.iter().rev() {
        sum += weight * f64::from(*units);
        weeks += weight;
        weight *= keep;
    }
    sum / weeks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }

    #[test]
    fn by_hand() {
        let series = [2.0, 0.0, 4.0, 6.0];
        close(Method::SeasonalNaive.expected(&series, 1), 6.0);
        close(Method::SeasonalNaive.expected(&series, 4), 12.0);
        // 2; 2 + (0 - 2) / 2 = 1; 1 + (4 - 1) / 3 = 2; 2 + 0.3 * (6 - 2) = 3.2
        close(Method::SmoothedFast.expected(&series, 1), 3.2);
        // Chances 1, 1/2, 2/3, 2/3 + 0.3 / 3; sizes 2, 3, 4.
        close(Method::TsbFast.expected(&series, 2), 2.0 * (2.0 / 3.0 + 0.3 / 3.0) * 4.0);
        let (sum, weeks) =
            (3.0 + 6.0 + 0.92 * 4.0 + 2.0 * 0.92f64.powi(3), 1.0 + 1.0 + 0.92 + 0.92f64.powi(2) + 0.92f64.powi(3));
        close(Method::Shrunk.expected(&series, 1), sum / weeks);
        close(Method::ShrunkFast.expected(&[], 4), 0.0);
    }
}
