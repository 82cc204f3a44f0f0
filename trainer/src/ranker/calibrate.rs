//! Logits to probabilities: a logistic regression with two parameters (Platt, 1999), by situation.

const ROUNDS: usize = 50;
/// A weak prior on the slope, so that a few questions cannot make a certainty.
const RIDGE: f64 = 1e-3;

/// Slope and offset that make `sigmoid(slope * logit + offset)` fit what was right, by Newton's method. (1, 0) where there is nothing
/// to fit.
pub fn platt(seen: &[(f32, bool)]) -> (f32, f32) {
    let right = seen.iter().filter(|(_, right)| *right).count();
    if right == 0 || right == seen.len() {
        return (1.0, 0.0);
    }
    let rate = right as f64 / seen.len() as f64;
    let (mut slope, mut offset) = (1.0f64, (rate / (1.0 - rate)).ln());
    for _ in 0..ROUNDS {
        let (mut g0, mut g1, mut h00, mut h01, mut h11) = (RIDGE * (slope - 1.0), 0.0, RIDGE, 0.0, RIDGE);
        for (logit, right) in seen {
            let x = f64::from(*logit);
            let p = 1.0 / (1.0 + (-(slope * x + offset)).exp());
            let error = p - f64::from(u8::from(*right));
            let spread = p * (1.0 - p);
            g0 += error * x;
            g1 += error;
            h00 += spread * x * x;
            h01 += spread * x;
            h11 += spread;
        }
        let determinant = h00 * h11 - h01 * h01;
        if determinant.abs() < 1e-12 {
            break;
        }
        let (d0, d1) = ((h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant);
        slope -= d0;
        offset -= d1;
        if d0.abs() + d1.abs() < 1e-9 {
            break;
        }
    }
    // A slope that is not positive would turn the list around.
    if slope.is_finite() && offset.is_finite() && slope > 0.0 { (slope as f32, offset as f32) } else { (1.0, 0.0) }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn finds_the_slope_that_made_the_data() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let seen: Vec<(f32, bool)> = (0..40_000)
            .map(|_| {
                let logit: f32 = random.random_range(-4.0..4.0);
                (logit, random.random::<f32>() < 1.0 / (1.0 + (-(0.7 * logit - 1.5)).exp()))
            })
            .collect();
        let (slope, offset) = platt(&seen);
        assert!((slope - 0.7).abs() < 0.05 && (offset + 1.5).abs() < 0.05, "{slope} {offset}");
    }

    #[test]
    fn says_nothing_where_nothing_was_seen() {
        assert_eq!(platt(&[]), (1.0, 0.0));
        assert_eq!(platt(&[(1.0, false), (2.0, false)]), (1.0, 0.0));
    }
}
