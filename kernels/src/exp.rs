//! The exponential for softmax: `exp(x) = 2^n p(r)`, `n = round(x / ln 2)`, `r = x - n ln 2` in two parts (Cody and Waite 1980), `p` of
//! degree six. The polynomial's coefficients were fitted here by reweighted least squares on `|r| <= ln 2 / 2`, with the first two
//! held at one: relative error 3e-9, so what is left (below 2e-7) is rounding.
#![allow(clippy::inline_always)] // bodies must be compiled inside their callers, with the callers' instructions

use crate::level::mul_add;

/// Below this the true value is under the smallest normal `f32`; it becomes zero, as for minus infinity.
const LOWEST: f32 = -87.33;
/// Above this it stays where it is (1.7e38): softmax asks for nothing above zero.
const HIGHEST: f32 = 88.3;
/// 1.5 * 2^23: adding it rounds to a whole number, which then stands in the low bits.
const ROUNDER: f32 = 12_582_912.0;
/// ln 2 to nine bits (355 / 512), so that its product with `n` is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
const POLYNOMIAL: [f32; 7] = [1.381_459_8e-3, 8.368_717e-3, 4.166_839e-2, 1.666_652_1e-1, 4.999_999_4e-1, 1.0, 1.0];

/// Not-a-number stays not-a-number.
#[inline(always)]
pub(crate) fn exp_of<const FMA: bool>(x: f32) -> f32 {
    let clamped = if x < LOWEST { LOWEST } else { x };
    let clamped = if clamped > HIGHEST { HIGHEST } else { clamped };
    let shifted = mul_add::<FMA>(clamped, std::f32::consts::LOG2_E, ROUNDER);
    let n = shifted - ROUNDER;
    let r = mul_add::<FMA>(n, -LN2_LOW, mul_add::<FMA>(n, -LN2_HIGH, clamped));
    let p = POLYNOMIAL.iter().fold(0.0, |p, coefficient| mul_add::<FMA>(p, r, *coefficient));
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    if x < LOWEST { 0.0 } else { p * scale }
}

const LANES: usize = 16;

/// The highest of `row + bias` (`bias` empty: of `row`). Not-a-number is passed over; the exponentials bring it back.
#[inline(always)]
pub(crate) fn max_row_body<const FMA: bool>(row: &[f32], bias: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let mut highest = f32::NEG_INFINITY;
    let (whole, rest) = row.as_chunks::<LANES>();
    if bias.is_empty() {
        for part in whole {
            for lane in 0..LANES {
                lanes[lane] = if part[lane] > lanes[lane] { part[lane] } else { lanes[lane] };
            }
        }
        for x in rest {
            highest = if *x > highest { *x } else { highest };
        }
    } else {
        let (whole_bias, rest_bias) = bias.as_chunks::<LANES>();
        for (part, add) in whole.iter().zip(whole_bias) {
            for lane in 0..LANES {
                let x = part[lane] + add[lane];
                lanes[lane] = if x > lanes[lane] { x } else { lanes[lane] };
            }
        }
        for (x, add) in rest.iter().zip(rest_bias) {
            highest = if x + add > highest { x + add } else { highest };
        }
    }
    lanes.into_iter().fold(highest, |best, x| if x > best { x } else { best })
}

/// `row` becomes `exp(row + bias - shift)` (`bias` empty: none); returns its sum.
#[inline(always)]
pub(crate) fn exp_row_body<const FMA: bool>(row: &mut [f32], bias: &[f32], shift: f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let mut sum = 0.0;
    let (whole, rest) = row.as_chunks_mut::<LANES>();
    if bias.is_empty() {
        for part in whole {
            for lane in 0..LANES {
                let y = exp_of::<FMA>(part[lane] - shift);
                part[lane] = y;
                lanes[lane] += y;
            }
        }
        for x in rest {
            *x = exp_of::<FMA>(*x - shift);
            sum += *x;
        }
    } else {
        let (whole_bias, rest_bias) = bias.as_chunks::<LANES>();
        for (part, add) in whole.iter_mut().zip(whole_bias) {
            for lane in 0..LANES {
                let y = exp_of::<FMA>(part[lane] + add[lane] - shift);
                part[lane] = y;
                lanes[lane] += y;
            }
        }
        for (x, add) in rest.iter_mut().zip(rest_bias) {
            *x = exp_of::<FMA>(*x + add - shift);
            sum += *x;
        }
    }
    lanes.into_iter().fold(sum, |sum, x| sum + x)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_cmp)]
    use crate::level::Level;
    use crate::x86;

    #[test]
    fn is_exact_to_2e_7_at_every_level() {
        for level in Level::available() {
            let inputs: Vec<f32> = (0..400_003).map(|at| -87.3 + at as f32 * (175.6 / 400_003.0)).collect();
            let mut outputs = inputs.clone();
            x86::exp_row(level, &mut outputs, &[], 0.0);
            let mut worst = 0.0f64;
            for (x, y) in inputs.iter().zip(&outputs) {
                let exact = f64::from(*x).exp();
                worst = worst.max((f64::from(*y) / exact - 1.0).abs());
            }
            assert!(worst <= 2e-7, "{}: {worst:e}", level.name());
        }
    }

    #[test]
    fn the_ends_and_not_a_number() {
        for level in Level::available() {
            let mut row = vec![f32::NEG_INFINITY, -200.0, 0.0, f32::NAN, 88.0, 500.0];
            row.resize(40, -1.0);
            row[33] = f32::NAN;
            row[34] = f32::NEG_INFINITY;
            let sum = x86::exp_row(level, &mut row, &[], 0.0);
            assert!(sum.is_nan());
            assert_eq!(&row[..3], &[0.0, 0.0, 1.0]);
            assert!(row[3].is_nan() && row[33].is_nan() && row[34] == 0.0);
            assert!(row[4] > 1e38 && row[5].is_finite());
        }
    }

    #[test]
    fn rows_with_bias_sum_and_peak() {
        for level in Level::available() {
            for length in [0, 1, 15, 16, 17, 100] {
                let row: Vec<f32> = (0..length).map(|at| ((at * 37) % 11) as f32 * 0.25 - 1.0).collect();
                let bias: Vec<f32> = (0..length).map(|at| ((at * 17) % 7) as f32 * 0.5 - 1.0).collect();
                let highest = row.iter().zip(&bias).map(|(x, b)| x + b).fold(f32::NEG_INFINITY, f32::max);
                if length > 0 {
                    assert_eq!(x86::max_row(level, &row, &bias), highest);
                    assert_eq!(x86::max_row(level, &row, &[]), row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
                }
                let mut exponentials = row.clone();
                let sum = x86::exp_row(level, &mut exponentials, &bias, 0.5);
                let exact: f64 = row.iter().zip(&bias).map(|(x, b)| f64::from(x + b - 0.5).exp()).sum();
                assert!((f64::from(sum) - exact).abs() <= 1e-6 * exact.max(1e-9), "{length}");
            }
        }
    }
}
