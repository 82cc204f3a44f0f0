//! What is drawn: first values, and what dropout keeps.

use endcap_kernels::sparse::SparseTable;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A table of numbers evenly spread with the given standard deviation.
pub(super) fn drawn(rows: usize, dim: usize, deviation: f32, random: &mut ChaCha8Rng) -> SparseTable {
    let half = deviation * 3f32.sqrt();
    SparseTable::new(rows, dim, (0..rows * dim).map(|_| half * (2.0 * random.random::<f32>() - 1.0)).collect())
}

/// A mixing of the bits of a counter (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
pub(super) fn mixed(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Dropout (Srivastava et al., JMLR 2014): each number is dropped with the probability `rate`, and what stays grows by what is missing.
/// What is dropped follows from the key, the row and the column alone.
pub(super) fn dropped(values: &mut [f32], dim: usize, rate: f32, key: u64, first_row: usize) {
    let limit = (f64::from(rate) * 65536.0) as u64;
    let scale = 1.0 / (1.0 - rate);
    for (at, row) in values.chunks_exact_mut(dim.max(1)).enumerate() {
        let row_key = mixed(key ^ mixed((first_row + at) as u64));
        for (group, numbers) in row.chunks_mut(4).enumerate() {
            let mut bits = mixed(row_key.wrapping_add(group as u64));
            for number in numbers {
                *number *= if bits & 0xffff < limit { 0.0 } else { scale };
                bits >>= 16;
            }
        }
    }
}
