//! Sums of outer products, a tile of 16 columns in registers. Twin: `normal::add_outer_body`.
#![allow(unsafe_code)]
#![cfg(target_arch = "x86_64")]

pub(crate) mod avx512 {
    use std::arch::x86_64::{
        __m512, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use crate::normal::TILE;

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(sixteen: &[f32; 16]) -> __m512 {
        // SAFETY: sixteen readable floats; no alignment is asked of them.
        unsafe { _mm512_loadu_ps(sixteen.as_ptr()) }
    }

    #[target_feature(enable = "avx512f")]
    pub(crate) fn add_outer(rows: &[f32], stride: usize, first: usize, sign: f32, sum: &mut [f32]) {
        let tiles = stride / TILE;
        for column in first..tiles {
            for below in column..tiles {
                let mut sums = [_mm512_setzero_ps(); TILE];
                for row in rows.chunks_exact(stride.max(1)) {
                    let (row, _) = row.as_chunks::<TILE>();
                    let (Some(value), Some(factors)) = (row.get(below), row.get(column)) else { continue };
                    let value = load(value);
                    for (sum, factor) in sums.iter_mut().zip(factors) {
                        *sum = _mm512_fmadd_ps(value, _mm512_set1_ps(*factor), *sum);
                    }
                }
                let columns = sum.chunks_exact_mut(stride.max(1)).skip((column - first) * TILE);
                for (out, sum) in columns.zip(sums) {
                    let (out, _) = out.as_chunks_mut::<TILE>();
                    let Some(out) = out.get_mut(below) else { continue };
                    let sum = _mm512_fmadd_ps(_mm512_set1_ps(sign), sum, load(out));
                    // SAFETY: sixteen writable floats; no alignment is asked of them.
                    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) }
                }
            }
        }
    }
}

pub(crate) mod avx2 {
    use std::arch::x86_64::{
        __m256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
    };

    use crate::normal::TILE;

    /// Half a tile: sixteen registers hold no more beside what is read.
    const WIDE: usize = 8;

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load(eight: &[f32; 8]) -> __m256 {
        // SAFETY: eight readable floats; no alignment is asked of them.
        unsafe { _mm256_loadu_ps(eight.as_ptr()) }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(crate) fn add_outer(rows: &[f32], stride: usize, first: usize, sign: f32, sum: &mut [f32]) {
        let tiles = stride / WIDE;
        for column in first * (TILE / WIDE)..tiles {
            // From the tile of 16 on, as the twin has it.
            for below in column * WIDE / TILE * (TILE / WIDE)..tiles {
                let mut sums = [_mm256_setzero_ps(); WIDE];
                for row in rows.chunks_exact(stride.max(1)) {
                    let (row, _) = row.as_chunks::<WIDE>();
                    let (Some(value), Some(factors)) = (row.get(below), row.get(column)) else { continue };
                    let value = load(value);
                    for (sum, factor) in sums.iter_mut().zip(factors) {
                        *sum = _mm256_fmadd_ps(value, _mm256_set1_ps(*factor), *sum);
                    }
                }
                let columns = sum.chunks_exact_mut(stride.max(1)).skip(column * WIDE - first * TILE);
                for (out, sum) in columns.zip(sums) {
                    let (out, _) = out.as_chunks_mut::<WIDE>();
                    let Some(out) = out.get_mut(below) else { continue };
                    let sum = _mm256_fmadd_ps(_mm256_set1_ps(sign), sum, load(out));
                    // SAFETY: eight writable floats; no alignment is asked of them.
                    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sum) }
                }
            }
        }
    }
}
