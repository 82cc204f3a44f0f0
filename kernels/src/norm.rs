//! Layer normalisation (Ba, Kiros and Hinton 2016) and its gradient.
#![allow(clippy::inline_always)] // bodies must be compiled inside their callers, with the callers' instructions

use rayon::prelude::*;

use crate::dot::axpy;
use crate::level::{Level, mul_add};
use crate::x86;

/// The gradients of gain and bias are summed in at most this many parts of rows, then in order: a constant, so that the number of
/// threads changes no bit.
const PARTS: usize = 8;
/// Smaller parts are not worth handing over.
const PART_ROWS: usize = 64;
const LANES: usize = 16;

/// `out = gain * (x - mean) * inverse_sd + bias` over each row of `dim` numbers, with `inverse_sd = 1 / sqrt(variance + epsilon)` and
/// the variance divided by `dim`.
///
/// Returns `out` (rows x dim), the means and the inverse standard deviations (one a row each), which the gradient wants. Where `gain`
/// or `bias` is shorter than `dim`, or a last row is not whole, the numbers of `out` that this concerns stay zero.
pub fn layer_norm(x: &[f32], dim: usize, gain: &[f32], bias: &[f32], epsilon: f32) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    forward(Level::best(), x, dim, gain, bias, epsilon)
}

fn forward(
    level: Level,
    x: &[f32],
    dim: usize,
    gain: &[f32],
    bias: &[f32],
    epsilon: f32,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let rows = x.len().checked_div(dim).unwrap_or(0);
    let mut out = vec![0.0; x.len()];
    let (mut mean, mut inverse_sd) = (vec![0.0; rows], vec![0.0; rows]);
    let dim = dim.max(1);
    out.par_chunks_mut(PART_ROWS * dim)
        .zip(x.par_chunks(PART_ROWS * dim))
        .zip(mean.par_chunks_mut(PART_ROWS))
        .zip(inverse_sd.par_chunks_mut(PART_ROWS))
        .for_each(|(((out, x), mean), inverse_sd)| {
            let rows = out.chunks_exact_mut(dim).zip(x.chunks_exact(dim)).zip(mean).zip(inverse_sd);
            for (((out, x), mean), inverse_sd) in rows {
                (*mean, *inverse_sd) = x86::norm_forward_row(level, x, gain, bias, epsilon, out);
            }
        });
    (out, mean, inverse_sd)
}

/// The gradients of [`layer_norm`] at `d_out` (rows x dim): `(dx, d_gain, d_bias)` of rows x dim, dim and dim numbers. `mean` and
/// `inverse_sd` are what the forward pass returned. The same bits for any number of threads.
pub fn layer_norm_backward(
    d_out: &[f32],
    x: &[f32],
    dim: usize,
    gain: &[f32],
    mean: &[f32],
    inverse_sd: &[f32],
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    backward(Level::best(), d_out, x, dim, gain, mean, inverse_sd)
}

fn backward(
    level: Level,
    d_out: &[f32],
    x: &[f32],
    dim: usize,
    gain: &[f32],
    mean: &[f32],
    inverse_sd: &[f32],
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let mut dx = vec![0.0; x.len()];
    if dim == 0 || x.is_empty() {
        return (dx, vec![0.0; dim], vec![0.0; dim]);
    }
    let rows = x.len().div_ceil(dim);
    let part_rows = rows.div_ceil(PARTS).max(PART_ROWS);
    let sums: Vec<(Vec<f32>, Vec<f32>)> = dx
        .par_chunks_mut(part_rows * dim)
        .zip(d_out.par_chunks(part_rows * dim))
        .zip(x.par_chunks(part_rows * dim))
        .zip(mean.par_chunks(part_rows))
        .zip(inverse_sd.par_chunks(part_rows))
        .map(|((((dx, d_out), x), mean), inverse_sd)| {
            let (mut d_gain, mut d_bias) = (vec![0.0; dim], vec![0.0; dim]);
            let rows = dx.chunks_exact_mut(dim).zip(d_out.chunks_exact(dim)).zip(x.chunks_exact(dim));
            for (((dx, d_out), x), (mean, inverse_sd)) in rows.zip(mean.iter().zip(inverse_sd)) {
                x86::norm_backward_row(level, d_out, x, gain, *mean, *inverse_sd, dx, &mut d_gain, &mut d_bias);
            }
            (d_gain, d_bias)
        })
        .collect();
    let (mut d_gain, mut d_bias) = (vec![0.0; dim], vec![0.0; dim]);
    for (gain, bias) in &sums {
        axpy(1.0, gain, &mut d_gain);
        axpy(1.0, bias, &mut d_bias);
    }
    (dx, d_gain, d_bias)
}

/// The sum of `term` over two rows, in lanes and then in order.
#[inline(always)]
fn sum_of(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (whole_a, rest_a) = a.as_chunks::<LANES>();
    let (whole_b, rest_b) = b.as_chunks::<LANES>();
    for (a, b) in whole_a.iter().zip(whole_b) {
        for lane in 0..LANES {
            lanes[lane] += term(a[lane], b[lane]);
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    rest_a.iter().zip(rest_b).fold(lanes[0], |sum, (a, b)| sum + term(*a, *b))
}

#[inline(always)]
pub(crate) fn forward_row_body<const FMA: bool>(
    x: &[f32],
    gain: &[f32],
    bias: &[f32],
    epsilon: f32,
    out: &mut [f32],
) -> (f32, f32) {
    let share = 1.0 / x.len() as f32;
    let mean = sum_of(x, x, |x, _| x) * share;
    let variance = sum_of(x, x, |x, _| (x - mean) * (x - mean)) * share;
    let inverse_sd = 1.0 / (variance + epsilon).sqrt();
    for (((out, x), gain), bias) in out.iter_mut().zip(x).zip(gain).zip(bias) {
        *out = mul_add::<FMA>((x - mean) * inverse_sd, *gain, *bias);
    }
    (mean, inverse_sd)
}

/// With `y = (x - mean) * inverse_sd` and `g = d_out * gain`: `dx = inverse_sd * (g - mean(g) - y * mean(g * y))`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(crate) fn backward_row_body<const FMA: bool>(
    d_out: &[f32],
    x: &[f32],
    gain: &[f32],
    mean: f32,
    inverse_sd: f32,
    dx: &mut [f32],
    d_gain: &mut [f32],
    d_bias: &mut [f32],
) {
    let share = 1.0 / x.len() as f32;
    for ((dx, d_out), gain) in dx.iter_mut().zip(d_out).zip(gain) {
        *dx = d_out * gain;
    }
    let mean_g = sum_of(dx, x, |g, _| g) * share;
    let mean_gy = sum_of(dx, x, |g, x| g * ((x - mean) * inverse_sd)) * share;
    for ((((dx, x), d_out), d_gain), d_bias) in dx.iter_mut().zip(x).zip(d_out).zip(d_gain).zip(d_bias) {
        let y = (x - mean) * inverse_sd;
        *dx = inverse_sd * mul_add::<FMA>(-y, mean_gy, *dx - mean_g);
        *d_gain = mul_add::<FMA>(*d_out, y, *d_gain);
        *d_bias += d_out;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_cmp)]
    use super::*;

    fn numbers(seed: usize, count: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
    }

    fn plain(x: &[f32], dim: usize, gain: &[f32], bias: &[f32], epsilon: f64) -> Vec<f64> {
        let mut out = Vec::new();
        for row in x.chunks(dim) {
            let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / dim as f64;
            let variance = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / dim as f64;
            for ((x, gain), bias) in row.iter().zip(gain).zip(bias) {
                out.push((f64::from(*x) - mean) / (variance + epsilon).sqrt() * f64::from(*gain) + f64::from(*bias));
            }
        }
        out
    }

    #[test]
    fn forward_equals_the_definition_at_every_level() {
        for dim in [1, 3, 16, 64, 77] {
            let (x, gain, bias) = (numbers(1, 150 * dim), numbers(2, dim), numbers(3, dim));
            let want = plain(&x, dim, &gain, &bias, 1e-5);
            for level in Level::available() {
                let (out, mean, inverse_sd) = forward(level, &x, dim, &gain, &bias, 1e-5);
                assert_eq!((mean.len(), inverse_sd.len()), (150, 150));
                for (got, want) in out.iter().zip(&want) {
                    assert!((f64::from(*got) - want).abs() < 2e-5, "{} {dim}: {got} is not {want}", level.name());
                }
            }
        }
    }

    #[test]
    fn backward_equals_finite_differences_at_every_level() {
        let (rows, dim) = (5, 19);
        let (x, gain, bias, d_out) = (numbers(4, rows * dim), numbers(5, dim), numbers(6, dim), numbers(7, rows * dim));
        let value = |x: &[f32], gain: &[f32], bias: &[f32]| -> f64 {
            plain(x, dim, gain, bias, 1e-5).iter().zip(&d_out).map(|(out, d)| out * f64::from(*d)).sum()
        };
        let slope = |which: usize, at: usize| {
            let by = |by: f32| {
                let mut all = [x.clone(), gain.clone(), bias.clone()];
                all[which][at] += by;
                value(&all[0], &all[1], &all[2])
            };
            (by(2e-3) - by(-2e-3)) / 4e-3
        };
        for level in Level::available() {
            let (_, mean, inverse_sd) = forward(level, &x, dim, &gain, &bias, 1e-5);
            let (dx, d_gain, d_bias) = backward(level, &d_out, &x, dim, &gain, &mean, &inverse_sd);
            for (which, gradient) in [dx, d_gain, d_bias].iter().enumerate() {
                for (at, got) in gradient.iter().enumerate() {
                    let want = slope(which, at);
                    assert!(
                        (f64::from(*got) - want).abs() < 1e-3,
                        "{} {which} {at}: {got} is not {want}",
                        level.name()
                    );
                }
            }
        }
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads() {
        let dim = 24;
        let (x, gain, bias, d_out) =
            (numbers(8, 3000 * dim), numbers(9, dim), numbers(10, dim), numbers(11, 3000 * dim));
        let runs: Vec<_> = [1, 2, 3]
            .into_iter()
            .map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let (out, mean, inverse_sd) = layer_norm(&x, dim, &gain, &bias, 1e-5);
                    (out, layer_norm_backward(&d_out, &x, dim, &gain, &mean, &inverse_sd))
                })
            })
            .collect();
        assert!(runs.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn nothing_in_nothing_out() {
        assert_eq!(layer_norm(&[], 4, &[1.0; 4], &[0.0; 4], 1e-5), (vec![], vec![], vec![]));
        assert_eq!(layer_norm_backward(&[], &[], 2, &[1.0; 2], &[], &[]), (vec![], vec![0.0; 2], vec![0.0; 2]));
        assert_eq!(layer_norm(&[], 0, &[], &[], 1e-5), (vec![], vec![], vec![]));
    }
}
