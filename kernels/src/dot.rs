//! Dot products and scaled additions over `f32` slices.
#![allow(clippy::inline_always)] // bodies must be compiled inside their callers, with the callers' instructions

use crate::level::{Level, mul_add};
use crate::x86;

/// What this machine runs: "avx512", "avx2" or "portable".
pub fn cpu_level() -> &'static str {
    Level::best().name()
}

/// Sum of products over the shorter of the two. Levels differ in the order of additions: equal to about 1e-6 relative to the sum of
/// the absolute products, and always the same bits on one machine.
#[inline]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    x86::dot(Level::best(), a, b)
}

/// `y += alpha * x` over the shorter of the two.
#[inline]
pub fn axpy(alpha: f32, x: &[f32], y: &mut [f32]) {
    x86::axpy(Level::best(), alpha, x, y);
}

const LANES: usize = 16;

/// The portable twin of the loops in `x86/float.rs`.
pub(crate) fn dot_body(a: &[f32], b: &[f32]) -> f32 {
    let length = a.len().min(b.len());
    let (whole_a, rest_a) = a.get(..length).unwrap_or_default().as_chunks::<LANES>();
    let (whole_b, rest_b) = b.get(..length).unwrap_or_default().as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for (a, b) in whole_a.iter().zip(whole_b) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    rest_a.iter().zip(rest_b).fold(lanes[0], |sum, (a, b)| sum + a * b)
}

#[inline(always)]
pub(crate) fn axpy_body<const FMA: bool>(alpha: f32, x: &[f32], y: &mut [f32]) {
    for (x, y) in x.iter().zip(y) {
        *y = mul_add::<FMA>(alpha, *x, *y);
    }
}

/// `out[i]` = dot of `query` with row i of `rows` (rows of the query's length, one after the other).
pub(crate) fn dot_rows_body(query: &[f32], rows: &[f32], out: &mut [f32]) {
    for (row, out) in rows.chunks_exact(query.len().max(1)).zip(out) {
        *out = dot_body(query, row);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_cmp)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_level_agrees_with_f64(pairs in proptest::collection::vec((-2.0f32..2.0, -2.0f32..2.0), 0..300), alpha in -2.0f32..2.0) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let exact: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let size: f64 = a.iter().zip(&b).map(|(a, b)| (f64::from(*a) * f64::from(*b)).abs()).sum();
            for level in Level::available() {
                prop_assert!((f64::from(x86::dot(level, &a, &b)) - exact).abs() <= 1e-5 * size + 1e-12);
                let mut y = b.clone();
                x86::axpy(level, alpha, &a, &mut y);
                for ((y, a), b) in y.iter().zip(&a).zip(&b) {
                    let exact = f64::from(alpha) * f64::from(*a) + f64::from(*b);
                    prop_assert!((f64::from(*y) - exact).abs() <= 1e-6 * (1.0 + exact.abs()));
                }
            }
        }
    }

    #[test]
    fn the_shorter_side_decides() {
        assert_eq!(dot(&[1.0, 2.0, 3.0], &[4.0, 5.0]), 14.0);
        let mut y = [1.0, 1.0];
        axpy(2.0, &[1.0, 2.0, 3.0], &mut y);
        assert_eq!(y, [3.0, 5.0]);
        assert_eq!(dot(&[], &[1.0]), 0.0);
        assert!(["portable", "avx2", "avx512"].contains(&cpu_level()));
    }
}
