//! Two arms: difference, lift, p-value; all arms: did each get its share.

use statrs::distribution::{ChiSquared, ContinuousCDF, Normal, StudentsT};

use super::moments::{Estimate, Moments};

/// An arm against the control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Relative: 0.02 is two percent more than the control. None when the control's figure is zero.
    pub lift: Option<Estimate>,
    /// Two-sided.
    pub p_value: f64,
}

/// The quantile of the standard normal distribution.
pub fn quantile_of_normal(probability: f64) -> f64 {
    Normal::standard().inverse_cdf(probability.clamp(1e-300, 1.0 - 1e-16))
}

/// Welch's test of the difference (Welch, *The generalization of Student's problem*, 1947), on figures by unit; the lift's error is the
/// delta method's for a ratio of two independent figures.
pub fn compare(arm: &Moments, control: &Moments) -> Option<Comparison> {
    let (a, c) = (arm.ratio()?, control.ratio()?);
    if a.se.is_nan() || c.se.is_nan() {
        return None;
    }
    let (va, vc) = (a.se * a.se, c.se * c.se);
    let difference = a.value - c.value;
    let p_value = if va + vc > 0.0 {
        let freedom = (va + vc).powi(2)
            / (va * va / (arm.n as f64 - 1.0) + vc * vc / (control.n as f64 - 1.0)).max(f64::MIN_POSITIVE);
        let statistic = (difference / (va + vc).sqrt()).abs();
        match StudentsT::new(0.0, 1.0, freedom.clamp(1.0, 1e7)) {
            Ok(distribution) => 2.0 * distribution.sf(statistic),
            Err(_) => return None,
        }
    } else if difference == 0.0 {
        1.0
    } else {
        // Two figures without any spread that differ: nothing can be said of chance.
        return None;
    };
    let lift = (c.value > 0.0).then(|| {
        let ratio = a.value / c.value;
        Estimate { value: ratio - 1.0, se: (va + ratio * ratio * vc).sqrt() / c.value }
    });
    Some(Comparison { lift, p_value: p_value.clamp(0.0, 1.0) })
}

/// Units that each arm needs so that a relative effect of `mde` is found with probability `power` at level `alpha`, two-sided, with the
/// control's figure and spread (Kohavi, Tang and Xu, *Trustworthy Online Controlled Experiments*, 2020, chapter 17).
pub fn required_sample(control: &Moments, mde: f64, alpha: f64, power: f64) -> Option<u64> {
    let figure = control.ratio()?;
    if control.n < 2 || figure.value <= 0.0 || mde <= 0.0 {
        return None;
    }
    let z = quantile_of_normal(1.0 - alpha / 2.0) + quantile_of_normal(power);
    let effect = figure.value * mde;
    let units = 2.0 * z * z * control.unit_variance() / (effect * effect);
    units.is_finite().then(|| units.ceil() as u64)
}

/// Probability of numbers of units as uneven as these when each arm had its share: chi-square (Fabijan et al., *Diagnosing sample ratio
/// mismatch*, KDD 2019). None when fewer than two arms have a share or nobody was there; zero when an arm without a share has units.
pub fn sample_ratio_p(units: &[u64], shares: &[f64]) -> Option<f64> {
    let (total, whole): (u64, f64) = (units.iter().sum(), shares.iter().sum());
    let arms = shares.iter().filter(|share| **share > 0.0).count();
    if arms < 2 || total == 0 || units.len() != shares.len() {
        return None;
    }
    let mut statistic = 0.0;
    for (found, share) in units.iter().zip(shares) {
        let expected = total as f64 * share / whole;
        if expected > 0.0 {
            statistic += (*found as f64 - expected).powi(2) / expected;
        } else if *found > 0 {
            return Some(0.0);
        }
    }
    ChiSquared::new(arms as f64 - 1.0).ok().map(|distribution| distribution.sf(statistic))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn units(values: &[f64]) -> Moments {
        let mut moments = Moments::default();
        for value in values {
            moments.add(*value, 1.0);
        }
        moments
    }

    #[test]
    fn welch_as_in_the_textbook() {
        // Means 3 and 4, variances 2.5 and 10 over 5 and 5 units: t = 1 / sqrt(2.5), 5.882 degrees of freedom.
        let (control, arm) = (units(&[1.0, 2.0, 3.0, 4.0, 5.0]), units(&[0.0, 2.0, 4.0, 6.0, 8.0]));
        let comparison = compare(&arm, &control).unwrap();
        assert!((comparison.p_value - 0.5512).abs() < 5e-4, "{}", comparison.p_value);
        let lift = comparison.lift.unwrap();
        assert!((lift.value - 1.0 / 3.0).abs() < 1e-12);
        assert!((lift.se - (2.0_f64 + 16.0 / 9.0 * 0.5).sqrt() / 3.0).abs() < 1e-12);
    }

    #[test]
    fn equal_arms_without_spread_do_not_differ() {
        let same = units(&[1.0, 1.0, 1.0]);
        assert!((compare(&same, &same).unwrap().p_value - 1.0).abs() < 1e-12);
        assert_eq!(compare(&units(&[1.0]), &same), None);
    }

    #[test]
    fn shares_as_in_the_textbook() {
        // 50/50 of 1,000 found as 530/470: chi-square 3.6, one degree of freedom.
        assert!((sample_ratio_p(&[530, 470], &[0.5, 0.5]).unwrap() - 0.057_78).abs() < 1e-4);
        assert!((sample_ratio_p(&[100, 300], &[1.0, 3.0]).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(sample_ratio_p(&[5, 0], &[0.0, 1.0]), None);
        assert_eq!(sample_ratio_p(&[5, 5, 1], &[0.5, 0.5, 0.0]), Some(0.0));
        // A 2 % loss on one arm at 100,000 users an arm.
        assert!(sample_ratio_p(&[98_000, 100_000], &[1.0, 1.0]).unwrap() < 1e-5);
    }

    #[test]
    fn the_sample_that_is_asked_for() {
        // A rate of 10 %, 2 % relative, alpha 0.05, power 0.8: 2 * 2.8016^2 * 0.09 / 0.002^2.
        let mut control = Moments::default();
        (0..100_000).for_each(|unit| control.add(f64::from(u8::from(unit % 10 == 0)), 1.0));
        let needed = required_sample(&control, 0.02, 0.05, 0.8).unwrap();
        assert!((needed as f64 / 353_200.0 - 1.0).abs() < 1e-3, "{needed}");
    }
}
