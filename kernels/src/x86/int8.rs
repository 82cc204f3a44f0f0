//! int8 dot products of sixteen rows at a time. The table holds unsigned bytes (value + 128) because the instruction wants one
//! unsigned side; `correction` = -128 * sum(query) takes the offset away again.
#![allow(unsafe_code)]
#![allow(clippy::cast_ptr_alignment)] // only with instructions that ask for no alignment

/// Four dimensions of sixteen rows: byte `row * 4 + dimension`.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Line(pub [u8; 64]);

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512 {
    use std::arch::x86_64::{
        __m512i, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_load_si512, _mm512_loadu_ps, _mm512_mul_ps,
        _mm512_set1_epi32, _mm512_storeu_ps,
    };

    use super::Line;

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn load(line: &Line) -> __m512i {
        // SAFETY: a line is 64 readable bytes at an address that is a multiple of 64.
        unsafe { _mm512_load_si512(std::ptr::from_ref(line).cast::<__m512i>()) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn finish(sum: __m512i, scales: &[f32; 16], out: &mut [f32; 16]) {
        // SAFETY: sixteen readable floats, sixteen writable floats; no alignment is asked of them.
        unsafe {
            let scores = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(scales.as_ptr()));
            _mm512_storeu_ps(out.as_mut_ptr(), scores);
        }
    }

    /// Four blocks (64 rows) share each load of the query.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    pub(crate) fn int8_scores(blocks: &[Line], query: &[[i8; 4]], correction: i32, scales: &[f32], out: &mut [f32]) {
        let groups = query.len().max(1);
        let start = _mm512_set1_epi32(correction);
        let (scales, _) = scales.as_chunks::<16>();
        let (out, _) = out.as_chunks_mut::<16>();
        let count = (blocks.len() / groups).min(scales.len()).min(out.len());
        let whole = count / 4 * 4;
        let fours = blocks.chunks_exact(groups * 4).zip(scales.as_chunks::<4>().0).zip(out.as_chunks_mut::<4>().0);
        for ((four, scales), out) in fours {
            let (left, right) = four.split_at(groups * 2);
            let (first, second) = left.split_at(groups);
            let (third, fourth) = right.split_at(groups);
            let mut sums = [start; 4];
            for ((((first, second), third), fourth), q) in first.iter().zip(second).zip(third).zip(fourth).zip(query) {
                let q = _mm512_set1_epi32(word(*q));
                sums[0] = _mm512_dpbusd_epi32(sums[0], load(first), q);
                sums[1] = _mm512_dpbusd_epi32(sums[1], load(second), q);
                sums[2] = _mm512_dpbusd_epi32(sums[2], load(third), q);
                sums[3] = _mm512_dpbusd_epi32(sums[3], load(fourth), q);
            }
            for ((sum, scales), out) in sums.into_iter().zip(scales).zip(out) {
                finish(sum, scales, out);
            }
        }
        let rest = blocks.chunks_exact(groups).zip(scales).zip(out).take(count).skip(whole);
        for ((block, scales), out) in rest {
            let sum = block
                .iter()
                .zip(query)
                .fold(start, |sum, (line, q)| _mm512_dpbusd_epi32(sum, load(line), _mm512_set1_epi32(word(*q))));
            finish(sum, scales, out);
        }
    }

    fn word(four: [i8; 4]) -> i32 {
        i32::from_le_bytes(four.map(i8::cast_unsigned))
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_cvtepi32_ps, _mm256_loadu_ps, _mm256_loadu_si256,
        _mm256_madd_epi16, _mm256_mul_ps, _mm256_set1_epi32, _mm256_srli_epi16, _mm256_storeu_ps,
    };

    use super::Line;

    /// Even and odd bytes are widened to 16 bits apart, because the instruction that multiplies bytes saturates.
    #[target_feature(enable = "avx2,fma")]
    pub(crate) fn int8_scores(blocks: &[Line], query: &[[i8; 4]], correction: i32, scales: &[f32], out: &mut [f32]) {
        let low_byte = _mm256_set1_epi32(0x00ff_00ff);
        let start = _mm256_set1_epi32(correction);
        let (scales, _) = scales.as_chunks::<16>();
        let (out, _) = out.as_chunks_mut::<16>();
        for ((block, scales), out) in blocks.chunks_exact(query.len().max(1)).zip(scales).zip(out) {
            let mut sums = [start; 2];
            for (line, q) in block.iter().zip(query) {
                let even = _mm256_set1_epi32(pair(q[0], q[2]));
                let odd = _mm256_set1_epi32(pair(q[1], q[3]));
                let (halves, _) = line.0.as_chunks::<32>();
                for (sum, half) in sums.iter_mut().zip(halves) {
                    // SAFETY: 32 readable bytes; no alignment is asked of them.
                    let bytes = unsafe { _mm256_loadu_si256(half.as_ptr().cast::<__m256i>()) };
                    let evens = _mm256_madd_epi16(_mm256_and_si256(bytes, low_byte), even);
                    let odds = _mm256_madd_epi16(_mm256_srli_epi16::<8>(bytes), odd);
                    *sum = _mm256_add_epi32(*sum, _mm256_add_epi32(evens, odds));
                }
            }
            let (scales, _) = scales.as_chunks::<8>();
            let (out, _) = out.as_chunks_mut::<8>();
            for ((sum, scales), out) in sums.into_iter().zip(scales).zip(out) {
                // SAFETY: eight readable floats, eight writable floats; no alignment is asked of them.
                unsafe {
                    let scores = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(scales.as_ptr()));
                    _mm256_storeu_ps(out.as_mut_ptr(), scores);
                }
            }
        }
    }

    /// Two 16-bit numbers in one word, the first in the low half.
    fn pair(low: i8, high: i8) -> i32 {
        (i32::from(high) << 16) | i32::from(i16::from(low).cast_unsigned())
    }
}
