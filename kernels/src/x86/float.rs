//! Loops over `f32` that the compiler does not turn into wide vectors by itself: sums across a vector at the end lead it to halves and
//! pairs. Twins: `dot::dot_body`, `dot::dot_rows_body`, `topk::next_at_least_body`.
#![allow(unsafe_code)]
#![cfg(target_arch = "x86_64")]

/// How far ahead of the row at hand memory is asked for: the machine's own prefetch stops at pages (measured: 1.17 -> 1.02 times a
/// plain pass over 100,000 x 64).
const AHEAD_FLOATS: usize = 512;

#[inline]
fn prefetch(line: &[f32]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint, which reads nothing and may name any address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().wrapping_add(AHEAD_FLOATS).cast::<i8>()) }
}

pub(crate) mod avx512 {
    use std::arch::x86_64::{
        __m512, _CMP_GE_OQ, _mm512_add_ps, _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_maskz_loadu_ps,
        _mm512_reduce_add_ps, _mm512_set1_ps, _mm512_setzero_ps,
    };

    use super::prefetch;

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(sixteen: &[f32; 16]) -> __m512 {
        // SAFETY: sixteen readable floats; no alignment is asked of them.
        unsafe { _mm512_loadu_ps(sixteen.as_ptr()) }
    }

    /// Fewer than sixteen, zeros behind them.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load_rest(rest: &[f32]) -> __m512 {
        let mask = ((1u32 << rest.len().min(16)) - 1) as u16;
        // SAFETY: the mask lets only the floats of the slice be read.
        unsafe { _mm512_maskz_loadu_ps(mask, rest.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
        let length = a.len().min(b.len());
        let (whole_a, rest_a) = a.get(..length).unwrap_or_default().as_chunks::<16>();
        let (whole_b, rest_b) = b.get(..length).unwrap_or_default().as_chunks::<16>();
        let (fours_a, left_a) = whole_a.as_chunks::<4>();
        let (fours_b, left_b) = whole_b.as_chunks::<4>();
        let mut sums = [_mm512_setzero_ps(); 4];
        for (a, b) in fours_a.iter().zip(fours_b) {
            for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                *sum = _mm512_fmadd_ps(load(a), load(b), *sum);
            }
        }
        for (sum, (a, b)) in sums.iter_mut().zip(left_a.iter().zip(left_b)) {
            *sum = _mm512_fmadd_ps(load(a), load(b), *sum);
        }
        let [first, second, third, fourth] = sums;
        let fourth = _mm512_fmadd_ps(load_rest(rest_a), load_rest(rest_b), fourth);
        _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(first, second), _mm512_add_ps(third, fourth)))
    }

    /// Each with the bits of [`dot`].
    #[target_feature(enable = "avx512f")]
    pub(crate) fn dot_rows(query: &[f32], rows: &[f32], out: &mut [f32]) {
        for (row, out) in rows.chunks_exact(query.len().max(1)).zip(out) {
            row.chunks(16).for_each(prefetch);
            *out = dot(query, row);
        }
    }

    #[target_feature(enable = "avx512f")]
    pub(crate) fn next_at_least(scores: &[f32], floor: f32) -> usize {
        let floors = _mm512_set1_ps(floor);
        let (whole, rest) = scores.as_chunks::<16>();
        for (passed, sixteen) in (0..).step_by(16).zip(whole) {
            let mask = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(load(sixteen), floors);
            if mask != 0 {
                return passed + mask.trailing_zeros() as usize;
            }
        }
        scores.len() - rest.len() + rest.iter().position(|score| *score >= floor).unwrap_or(rest.len())
    }
}

pub(crate) mod avx2 {
    use std::arch::x86_64::{
        __m256, _CMP_GE_OQ, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps, _mm256_add_ps,
        _mm256_castps256_ps128, _mm256_cmp_ps, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
        _mm256_movemask_ps, _mm256_set1_ps, _mm256_setzero_ps,
    };

    use super::prefetch;

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load(eight: &[f32; 8]) -> __m256 {
        // SAFETY: eight readable floats; no alignment is asked of them.
        unsafe { _mm256_loadu_ps(eight.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn across(lanes: __m256) -> f32 {
        let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
        let length = a.len().min(b.len());
        let (whole_a, rest_a) = a.get(..length).unwrap_or_default().as_chunks::<8>();
        let (whole_b, rest_b) = b.get(..length).unwrap_or_default().as_chunks::<8>();
        let (fours_a, left_a) = whole_a.as_chunks::<4>();
        let (fours_b, left_b) = whole_b.as_chunks::<4>();
        let mut sums = [_mm256_setzero_ps(); 4];
        for (a, b) in fours_a.iter().zip(fours_b) {
            for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                *sum = _mm256_fmadd_ps(load(a), load(b), *sum);
            }
        }
        for (sum, (a, b)) in sums.iter_mut().zip(left_a.iter().zip(left_b)) {
            *sum = _mm256_fmadd_ps(load(a), load(b), *sum);
        }
        let [first, second, third, fourth] = sums;
        let sum = across(_mm256_add_ps(_mm256_add_ps(first, second), _mm256_add_ps(third, fourth)));
        rest_a.iter().zip(rest_b).fold(sum, |sum, (a, b)| a.mul_add(*b, sum))
    }

    /// Each with the bits of [`dot`].
    #[target_feature(enable = "avx2,fma")]
    pub(crate) fn dot_rows(query: &[f32], rows: &[f32], out: &mut [f32]) {
        for (row, out) in rows.chunks_exact(query.len().max(1)).zip(out) {
            row.chunks(16).for_each(prefetch);
            *out = dot(query, row);
        }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(crate) fn next_at_least(scores: &[f32], floor: f32) -> usize {
        let floors = _mm256_set1_ps(floor);
        let (whole, rest) = scores.as_chunks::<8>();
        for (passed, eight) in (0..).step_by(8).zip(whole) {
            let mask = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(load(eight), floors));
            if mask != 0 {
                return passed + mask.trailing_zeros() as usize;
            }
        }
        scores.len() - rest.len() + rest.iter().position(|score| *score >= floor).unwrap_or(rest.len())
    }
}
