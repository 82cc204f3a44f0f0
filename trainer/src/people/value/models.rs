//! How often a customer comes back, and for how much.
//!
//! * BG/NBD (Fader, Hardie and Lee, "Counting Your Customers" the Easy Way, Marketing Science 24(2), 2005): purchases are Poisson with
//!   gamma-distributed rates, and after each a customer may be gone with a beta-distributed chance.
//! * Gamma-Gamma (Fader and Hardie, The Gamma-Gamma Model of Monetary Value, 2013): what a purchase is worth is gamma-distributed
//!   around a customer's own mean, whose scale is gamma-distributed over customers.

use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

use super::simplex::minimum;

/// What the models see of a customer. Times in weeks since the first purchase.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Past {
    /// Days with a purchase after the first one.
    pub repeats: f64,
    /// Of the last purchase.
    pub last: f64,
    /// Of the end of what is seen.
    pub seen: f64,
    /// Mean worth of the days counted in `repeats`.
    pub worth: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BgNbd {
    pub r: f64,
    pub alpha: f64,
    pub a: f64,
    pub b: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GammaGamma {
    pub p: f64,
    pub q: f64,
    pub gamma: f64,
}

/// Parameters are searched as logarithms within these, so that a likelihood that rises for ever ends somewhere.
const LARGEST_LOG: f64 = 12.0;
/// Newton's binomial series of the hypergeometric function ends where a term adds less than this.
const TINY: f64 = 1e-14;
const TERMS: u32 = 5000;

fn within(logs: &[f64]) -> bool {
    logs.iter().all(|log| log.abs() <= LARGEST_LOG)
}

/// ln(e^a + e^b)
fn add_logs(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    high + (low - high).exp().ln_1p()
}

/// Gauss's 2F1(a, b; c; z) by its series, for 0 <= z < 1.
fn hypergeometric(a: f64, b: f64, c: f64, z: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for step in 0..TERMS {
        let step = f64::from(step);
        term *= (a + step) * (b + step) / ((c + step) * (step + 1.0)) * z;
        sum += term;
        if term.abs() <= TINY * f64::abs(sum) {
            break;
        }
    }
    sum
}

impl BgNbd {
    /// The mean log-likelihood's maximum; none where nobody came back.
    pub fn fit(pasts: &[Past]) -> Option<Self> {
        if pasts.iter().all(|past| past.repeats <= 0.0) {
            return None;
        }
        let of = |logs: &[f64]| match logs {
            [r, alpha, a, b] => Self { r: r.exp(), alpha: alpha.exp(), a: a.exp(), b: b.exp() },
            _ => Self::default(),
        };
        let cost = |logs: &[f64]| {
            if !within(logs) {
                return f64::INFINITY;
            }
            let model = of(logs);
            let constant = model.constant();
            -pasts.iter().map(|past| model.log_likelihood_less(past, constant)).sum::<f64>() / pasts.len() as f64
        };
        let (logs, lowest) = minimum(&[0.0, 1.0, 0.0, 1.0], 0.5, cost);
        (lowest < f64::MAX).then(|| of(&logs))
    }

    /// What the log-likelihood of all customers has in common.
    fn constant(&self) -> f64 {
        let Self { r, alpha, a, b } = *self;
        r * alpha.ln() - ln_gamma(r) + ln_gamma(a + b) - ln_gamma(b)
    }

    fn log_likelihood_less(&self, past: &Past, constant: f64) -> f64 {
        let Self { r, alpha, a, b } = *self;
        let x = past.repeats;
        let common = constant + ln_gamma(r + x) + ln_gamma(b + x) - ln_gamma(a + b + x);
        let still_here = -(r + x) * (alpha + past.seen).ln();
        if x <= 0.0 {
            return common + still_here;
        }
        let gone = a.ln() - (b + x - 1.0).ln() - (r + x) * (alpha + past.last).ln();
        common + add_logs(still_here, gone)
    }

    /// Of one customer (equation 6 of the paper, without the factorials of its timing).
    pub fn log_likelihood(&self, past: &Past) -> f64 {
        self.log_likelihood_less(past, self.constant())
    }

    /// The chance that the customer has not gone for good.
    pub fn alive(&self, past: &Past) -> f64 {
        let Self { r, alpha, a, b } = *self;
        if past.repeats <= 0.0 {
            return 1.0;
        }
        let odds = (r + past.repeats) * ((alpha + past.seen) / (alpha + past.last)).ln();
        1.0 / (1.0 + a / (b + past.repeats - 1.0) * odds.exp())
    }

    /// Purchase days expected in the next `weeks` (equation 10). Euler's transformation of 2F1 keeps it finite for customers who come
    /// hundreds of times.
    pub fn expected(&self, past: &Past, weeks: f64) -> f64 {
        let Self { r, alpha, b, .. } = *self;
        // At a = 1 the formula is 0 over 0; nearby it is as good.
        let a = if (self.a - 1.0).abs() < 1e-6 { 1.0 + 1e-6 } else { self.a };
        let x = past.repeats;
        let z = weeks / (alpha + past.seen + weeks);
        let series = hypergeometric(a + b - 1.0 - r, a - 1.0, a + b + x - 1.0, z);
        let stays = (a + b + x - 1.0) / (a - 1.0) * (1.0 - (1.0 - z).powf(a - 1.0) * series);
        (stays * self.alive(past)).max(0.0)
    }
}

impl GammaGamma {
    /// By customers who came back and paid something; none where there are none.
    pub fn fit(pasts: &[Past]) -> Option<Self> {
        let paid: Vec<&Past> = pasts.iter().filter(|past| past.repeats > 0.0 && past.worth > 0.0).collect();
        let middle = paid.iter().map(|past| past.worth).sum::<f64>() / paid.len().max(1) as f64;
        if paid.is_empty() {
            return None;
        }
        // The mean over customers exists for q above 1 only.
        let of = |logs: &[f64]| match logs {
            [p, q, gamma] => Self { p: p.exp(), q: 1.0 + q.exp(), gamma: gamma.exp() * middle },
            _ => Self::default(),
        };
        let cost = |logs: &[f64]| {
            if !within(logs) {
                return f64::INFINITY;
            }
            let model = of(logs);
            -paid.iter().map(|past| model.log_likelihood(past)).sum::<f64>() / paid.len() as f64
        };
        let (logs, lowest) = minimum(&[0.7, 0.7, 0.0], 0.5, cost);
        (lowest < f64::MAX).then(|| of(&logs))
    }

    /// Of the mean worth of one customer's purchases (equation 1a).
    pub fn log_likelihood(&self, past: &Past) -> f64 {
        let Self { p, q, gamma } = *self;
        let (x, worth) = (past.repeats, past.worth);
        ln_gamma(p * x + q) - ln_gamma(p * x) - ln_gamma(q)
            + q * gamma.ln()
            + (p * x - 1.0) * worth.ln()
            + p * x * x.ln()
            - (p * x + q) * (gamma + x * worth).ln()
    }

    /// What a purchase of this customer is worth (equation 5): between the own mean and that of all.
    pub fn expected(&self, past: &Past) -> f64 {
        let Self { p, q, gamma } = *self;
        p * (gamma + past.repeats * past.worth) / (p * past.repeats + q - 1.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Beta, Distribution, Exp, Gamma};

    use super::*;

    fn past(repeats: f64, last: f64, seen: f64) -> Past {
        Past { repeats, last, seen, worth: 0.0 }
    }

    /// With r = b = 1 and a = 1 the gamma functions go away: L = alpha * Gamma(1 + x) * [1 / (1 + x)] *
    /// [(alpha + T)^-(1 + x) + (1 / x) (alpha + t_x)^-(1 + x)], the second part for x > 0 only.
    #[test]
    fn the_likelihood_by_hand() {
        let model = BgNbd { r: 1.0, alpha: 2.0, a: 1.0, b: 1.0 };
        let by_hand = 2.0 * 2.0 / 3.0 * (10f64.powi(-3) + 0.5 * 6f64.powi(-3));
        assert!((model.log_likelihood(&past(2.0, 4.0, 8.0)) - f64::ln(by_hand)).abs() < 1e-12);
        assert!((model.log_likelihood(&past(0.0, 0.0, 8.0)) - f64::ln(2.0 / 10.0)).abs() < 1e-12);
        let alive = 1.0 / (1.0 + 0.5 * (10.0f64 / 6.0).powi(3));
        assert!((model.alive(&past(2.0, 4.0, 8.0)) - alive).abs() < 1e-12);
    }

    /// The series as the paper has it, without Euler's transformation.
    #[test]
    fn the_expectation_is_that_of_the_paper() {
        let BgNbd { r, alpha, a, b } = BgNbd { r: 0.243, alpha: 4.414, a: 0.793, b: 2.426 };
        let model = BgNbd { r, alpha, a, b };
        let (x, last, seen, weeks) = (2.0, 30.43, 38.86, 39.0);
        let z = weeks / (alpha + seen + weeks);
        let series = hypergeometric(r + x, b + x, a + b + x - 1.0, z);
        let inside = 1.0 - ((alpha + seen) / (alpha + seen + weeks)).powf(r + x) * series;
        let gone = a / (b + x - 1.0) * ((alpha + seen) / (alpha + last)).powf(r + x);
        let expected = (a + b + x - 1.0) / (a - 1.0) * inside / (1.0 + gone);
        let found = model.expected(&past(x, last, seen), weeks);
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        // The paper's example of a customer: 1.226 purchases.
        assert!((found - 1.226).abs() < 1e-3, "{found}");
        assert!(model.expected(&past(3000.0, 51.0, 52.0), 13.0).is_finite());
    }

    /// p = q = 2, gamma = 3, one purchase of 1: Gamma(4) / (Gamma(2) Gamma(2)) * 9 * 1 / 4^4.
    #[test]
    fn the_worth_by_hand() {
        let model = GammaGamma { p: 2.0, q: 2.0, gamma: 3.0 };
        let one = Past { worth: 1.0, ..past(1.0, 1.0, 2.0) };
        assert!((model.log_likelihood(&one) - f64::ln(6.0 * 9.0 / 256.0)).abs() < 1e-12);
        assert!((model.expected(&one) - 2.0 * 4.0 / 3.0).abs() < 1e-12);
        assert!((model.expected(&past(0.0, 0.0, 2.0)) - 6.0).abs() < 1e-12);
    }

    #[test]
    fn parameters_that_made_the_data_are_found_again() {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let (rates, chances) = (Gamma::new(0.8, 1.0 / 6.0).unwrap(), Beta::new(0.9, 2.5).unwrap());
        // q = 4 and gamma = 20: scales are gamma with shape 4 and rate 20, purchases gamma with shape p = 5.
        let scales = Gamma::new(4.0, 1.0 / 20.0).unwrap();
        let pasts: Vec<Past> = (0..6000)
            .map(|_| {
                let (rate, chance): (f64, f64) = (rates.sample(&mut random), chances.sample(&mut random));
                let scale: f64 = scales.sample(&mut random);
                let seen = random.random_range(20.0..60.0);
                let (mut now, mut repeats, mut last, mut sum) = (0.0, 0.0, 0.0, 0.0);
                loop {
                    let wait: f64 = Exp::new(rate.max(1e-9)).unwrap().sample(&mut random);
                    now += wait;
                    if now > seen {
                        break;
                    }
                    (repeats, last) = (repeats + 1.0, now);
                    sum += Gamma::new(5.0, 1.0 / scale).unwrap().sample(&mut random);
                    if random.random::<f64>() < chance {
                        break;
                    }
                }
                Past { repeats, last, seen, worth: if repeats > 0.0 { sum / repeats } else { 0.0 } }
            })
            .collect();
        let money = GammaGamma::fit(&pasts).unwrap();
        let mean = |model: &GammaGamma| model.p * model.gamma / (model.q - 1.0);
        assert!((mean(&money) / (5.0 * 20.0 / 3.0) - 1.0).abs() < 0.05, "{money:?}");
        assert!((money.q - 4.0).abs() < 0.6 && (money.p - 5.0).abs() < 0.6, "{money:?}");
        let model = BgNbd::fit(&pasts).unwrap();
        assert!((model.r - 0.8).abs() < 0.12 && (model.alpha - 6.0).abs() < 1.0, "{model:?}");
        assert!((model.a / (model.a + model.b) - 0.9 / 3.4).abs() < 0.03, "{model:?}");
    }
}
