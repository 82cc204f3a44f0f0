//! The k rows of a table with the highest inner product with a query, by looking at every row: exact in `f32`, or over a quarter of the
//! bytes in int8 with the best rescored in `f32`.

use crate::dot::dot;
use crate::level::Level;
use crate::topk::TopK;
use crate::x86;
use crate::x86::int8::Line;

#[cfg(test)]
mod tests;

/// Rows of a block of the int8 table: one vector of 32-bit sums.
const BLOCK: usize = 16;
/// Scores made at a time, before they are offered: stays in the first-level cache.
const STRETCH: usize = 1024;

/// Vectors of one length, with an int8 copy of them for scanning. About 5 bytes a number in all.
#[derive(Clone, Debug, Default)]
pub struct Vectors {
    dim: usize,
    values: Vec<f32>,
    table: Int8Table,
}

/// Rows as bytes `round(value / scale) + 128`, with a scale for each row.
#[derive(Clone, Debug, Default)]
struct Int8Table {
    /// For each [`BLOCK`] of rows `dim / 4` lines (rounded up), each with four dimensions of the sixteen rows.
    lines: Vec<Line>,
    /// Padded to whole blocks with zeros.
    scales: Vec<f32>,
    /// Rows with an infinity or not-a-number: bytes cannot say what they score, so they are always rescored.
    odd: Vec<u32>,
}

impl Vectors {
    /// `values` is rows x `dim`; a last row that is not whole is cut off. Rows are numbered from zero.
    pub fn new(dim: usize, mut values: Vec<f32>) -> Self {
        let rows = values.len().checked_div(dim).unwrap_or(0);
        values.truncate(rows * dim);
        let table = Int8Table::of(dim, &values);
        Self { dim, values, table }
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Empty beyond the last row.
    pub fn row(&self, i: usize) -> &[f32] {
        let start = i.saturating_mul(self.dim);
        self.values.get(start..start.saturating_add(self.dim)).unwrap_or_default()
    }

    /// rows x dim
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The `k` rows with the highest inner product, best first, ties by the smaller row; rows that score not-a-number are left out. A
    /// query of another length than `dim` finds nothing.
    pub fn top_f32(&self, query: &[f32], k: usize) -> Vec<(u32, f32)> {
        self.top_f32_at(Level::best(), query, k)
    }

    fn top_f32_at(&self, level: Level, query: &[f32], k: usize) -> Vec<(u32, f32)> {
        if query.len() != self.dim || self.dim == 0 || k == 0 {
            return Vec::new();
        }
        let mut best = TopK::new(k);
        let mut scores = [0.0; STRETCH];
        let mut first = 0u32;
        for rows in self.values.chunks(STRETCH * self.dim) {
            let count = rows.len() / self.dim;
            let scores = scores.get_mut(..count).unwrap_or_default();
            x86::dot_rows(level, query, rows, scores);
            best.offer(first, scores);
            first = first.wrapping_add(count as u32);
        }
        best.into_sorted()
    }

    /// As [`Vectors::top_f32`], from `max(3k, k + 40)` candidates that the int8 table finds: scores are exact, but a row may be missed
    /// where rows score closer to each other than the rounding to bytes can tell.
    pub fn top(&self, query: &[f32], k: usize) -> Vec<(u32, f32)> {
        self.top_at(Level::best(), query, k)
    }

    fn top_at(&self, level: Level, query: &[f32], k: usize) -> Vec<(u32, f32)> {
        let wanted = k.saturating_mul(3).max(k.saturating_add(40));
        if query.len() != self.dim || self.dim == 0 || k == 0 {
            return Vec::new();
        }
        let (Some(bytes), true) = (QueryBytes::of(query), wanted < self.rows()) else {
            return self.top_f32_at(level, query, k);
        };
        let mut candidates = TopK::new(wanted);
        self.table.scan(level, &bytes, self.rows(), &mut candidates);
        let mut best = TopK::new(k);
        let found = candidates.into_sorted();
        for id in found.iter().map(|(id, _)| *id).filter(|id| self.table.odd.binary_search(id).is_err()) {
            best.push(id, x86::dot(level, query, self.row(id as usize)));
        }
        for id in &self.table.odd {
            best.push(*id, dot(query, self.row(*id as usize)));
        }
        best.into_sorted()
    }
}

/// A query as `round(value / scale)`; its scale is the same for all rows and so is left out.
struct QueryBytes {
    fours: Vec<[i8; 4]>,
    /// -128 times the sum of the bytes: takes away the offset of the table's.
    correction: i32,
}

impl QueryBytes {
    /// Nothing if a number of the query is not finite.
    fn of(query: &[f32]) -> Option<Self> {
        let inverse = inverse_scale(query)?;
        let bytes: Vec<i8> = query.iter().map(|x| (x * inverse).round_ties_even() as i8).collect();
        let correction = -128 * bytes.iter().map(|x| i32::from(*x)).sum::<i32>();
        let fours = bytes.chunks(4).map(|part| std::array::from_fn(|at| part.get(at).copied().unwrap_or(0))).collect();
        Some(Self { fours, correction })
    }
}

/// 127 divided by the largest magnitude; zero for a row of zeros (or of numbers too small to divide by), nothing where a number is not
/// finite.
fn inverse_scale(row: &[f32]) -> Option<f32> {
    let finite = row.iter().all(|x| x.is_finite());
    let highest = row.iter().fold(0.0f32, |highest, x| highest.max(x.abs()));
    finite.then(|| if highest > 1e-36 { 127.0 / highest } else { 0.0 })
}

impl Int8Table {
    fn of(dim: usize, values: &[f32]) -> Self {
        if dim == 0 {
            return Self::default();
        }
        let groups = dim.div_ceil(4);
        let blocks = (values.len() / dim).div_ceil(BLOCK);
        let mut table =
            Self { lines: vec![Line([128; 64]); blocks * groups], scales: vec![0.0; blocks * BLOCK], odd: Vec::new() };
        let by_block = values.chunks(dim * BLOCK).zip(table.lines.chunks_exact_mut(groups));
        let mut scales = table.scales.iter_mut();
        let mut id = 0;
        for (rows, lines) in by_block {
            for (lane, row) in rows.chunks_exact(dim).enumerate() {
                let inverse = inverse_scale(row).unwrap_or_else(|| {
                    table.odd.push(id);
                    0.0
                });
                if let Some(scale) = scales.next() {
                    *scale = if inverse > 0.0 { 1.0 / inverse } else { 0.0 };
                }
                if inverse > 0.0 {
                    for (part, line) in row.chunks(4).zip(lines.iter_mut()) {
                        for (x, byte) in part.iter().zip(line.0.iter_mut().skip(lane * 4)) {
                            *byte = ((x * inverse).round_ties_even() + 128.0) as u8;
                        }
                    }
                }
                id += 1;
            }
        }
        table
    }

    fn scan(&self, level: Level, query: &QueryBytes, rows: usize, best: &mut TopK) {
        let mut scores = [0.0; STRETCH];
        let mut first = 0;
        let stretches =
            self.lines.chunks(query.fours.len().max(1) * (STRETCH / BLOCK)).zip(self.scales.chunks(STRETCH));
        for (lines, scales) in stretches {
            let scores = scores.get_mut(..scales.len()).unwrap_or_default();
            x86::int8_scores(level, lines, &query.fours, query.correction, scales, scores);
            best.offer(first as u32, scores.get(..rows - first).unwrap_or(scores));
            first += scales.len();
        }
    }
}

/// The portable twin of the int8 loops: whole blocks of sixteen rows, `out = (bytes . query + correction) * scale`.
pub(crate) fn int8_scores_body(blocks: &[Line], query: &[[i8; 4]], correction: i32, scales: &[f32], out: &mut [f32]) {
    let scales = scales.as_chunks::<BLOCK>().0;
    let outs = out.as_chunks_mut::<BLOCK>().0;
    for ((block, scales), out) in blocks.chunks_exact(query.len().max(1)).zip(scales).zip(outs) {
        let mut sums = [correction; BLOCK];
        for (line, q) in block.iter().zip(query) {
            for (sum, bytes) in sums.iter_mut().zip(line.0.as_chunks::<4>().0) {
                let product = |at: usize| i32::from(bytes[at]) * i32::from(q[at]);
                *sum = sum.wrapping_add(product(0) + product(1) + product(2) + product(3));
            }
        }
        for ((out, sum), scale) in out.iter_mut().zip(sums).zip(scales) {
            *out = sum as f32 * scale;
        }
    }
}
