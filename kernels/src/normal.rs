//! Small systems of weighted least squares, as alternating least squares asks for by the thousand: `(base + sum of w f f') x = sum of t f`
//! with the vectors `f` picked from a table. Sums of outer products are made a tile of registers at a time, the solve is a Cholesky
//! factorisation in place (Golub and Van Loan, "Matrix computations", 4.2).
#![allow(clippy::inline_always)] // bodies must be compiled inside their callers, with the callers' instructions

use rayon::prelude::*;

use crate::level::{Level, mul_add};
use crate::x86;

#[cfg(test)]
mod tests;

/// Vectors that are copied side by side before their outer products are summed: with dim 64, 64 KiB in the second-level cache.
const GATHERED: usize = 256;
/// Columns of a tile, and the unit that matrices are padded to.
pub(crate) const TILE: usize = 16;
/// A sum over a whole table is made in this many parts, then in order: a constant, so that the number of threads changes no bit.
const PARTS: usize = 16;

/// Symmetric matrices of `dim` x `dim` whose lower triangle is kept: element (i, j) with i >= j at `j * stride + i`.
#[derive(Clone, Debug, PartialEq)]
pub struct Lower {
    dim: usize,
    stride: usize,
    values: Vec<f32>,
}

impl Lower {
    pub fn zero(dim: usize) -> Self {
        let stride = dim.next_multiple_of(TILE);
        Self { dim, stride, values: vec![0.0; stride * stride] }
    }

    /// `sum over rows of row row'` of a table (rows x `dim`).
    pub fn gram(table: &[f32], dim: usize) -> Self {
        let part_rows = (table.len() / dim.max(1)).div_ceil(PARTS).max(1);
        let parts: Vec<Self> = table
            .par_chunks(part_rows * dim.max(1))
            .map(|rows| {
                let mut sum = Self::zero(dim);
                let (mut gathered, mut unused) = (vec![0.0; GATHERED * sum.stride], vec![0.0; sum.stride]);
                for rows in rows.chunks(GATHERED * dim.max(1)) {
                    let slots = gathered.chunks_exact_mut(sum.stride.max(1));
                    let taken = rows.chunks_exact(dim.max(1)).zip(slots).map(|(row, slot)| {
                        x86::take_row(Level::best(), row, 1.0, 0.0, slot, &mut unused);
                    });
                    let length = taken.count() * sum.stride;
                    x86::add_outer(
                        Level::best(),
                        gathered.get(..length).unwrap_or_default(),
                        sum.stride,
                        0,
                        1.0,
                        &mut sum.values,
                    );
                }
                sum
            })
            .collect();
        let mut total = Self::zero(dim);
        for part in parts {
            x86::axpy(Level::best(), 1.0, &part.values, &mut total.values);
        }
        total
    }

    pub fn add_to_diagonal(&mut self, value: f32) {
        self.values.iter_mut().step_by(self.stride + 1).take(self.dim).for_each(|diagonal| *diagonal += value);
    }

    /// Either triangle; 0 beyond the matrix.
    pub fn at(&self, row: usize, column: usize) -> f32 {
        let (row, column) = (row.max(column), row.min(column));
        if row < self.dim { self.values.get(column * self.stride + row).copied().unwrap_or(0.0) } else { 0.0 }
    }
}

/// Solves one system after the other; keeps its memory between them.
#[derive(Clone, Debug)]
pub struct NormalEquations {
    level: Level,
    system: Lower,
    /// GATHERED x stride
    gathered: Vec<f32>,
    /// The right side, then the solution: stride numbers.
    right: Vec<f32>,
    /// What the factor's diagonal is divided by.
    inverse: Vec<f32>,
}

/// A term of the sums: a row of the table, its weight in the system (not below 0) and its share of the right side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    pub row: u32,
    pub weight: f32,
    pub target: f32,
}

impl NormalEquations {
    pub fn new(dim: usize) -> Self {
        Self::at_level(Level::best(), dim)
    }

    fn at_level(level: Level, dim: usize) -> Self {
        let system = Lower::zero(dim);
        let numbers = |rows: usize| vec![0.0; rows * system.stride];
        let (gathered, right, inverse) = (numbers(GATHERED), numbers(1), numbers(1));
        Self { level, system, gathered, right, inverse }
    }

    /// Writes the `x` of `(base + sum of weight f f') x = sum of target f` to `out` (dim numbers), where `f` are rows of `table` (rows x
    /// dim). False, with zeros in `out`, where the system is not positive definite or a shape does not fit; terms beyond the table are
    /// passed over.
    pub fn solve(
        &mut self,
        base: &Lower,
        table: &[f32],
        terms: impl IntoIterator<Item = Term>,
        out: &mut [f32],
    ) -> bool {
        let Self { level, system, gathered, right, inverse } = self;
        let (level, dim, stride) = (*level, system.dim, system.stride);
        out.fill(0.0);
        if out.len() != dim || base.dim != dim {
            return false;
        }
        system.values.copy_from_slice(&base.values);
        right.fill(0.0);
        let mut taken = 0;
        for Term { row, weight, target } in terms {
            let Some(vector) = table.get(row as usize * dim..(row as usize + 1) * dim) else { continue };
            let Some(slot) = gathered.get_mut(taken..taken + stride) else { continue };
            x86::take_row(level, vector, weight.max(0.0).sqrt(), target, slot, right);
            taken += stride;
            if taken == gathered.len() {
                x86::add_outer(level, gathered, stride, 0, 1.0, &mut system.values);
                taken = 0;
            }
        }
        x86::add_outer(level, gathered.get(..taken).unwrap_or_default(), stride, 0, 1.0, &mut system.values);
        let is_solved = cholesky(level, dim, stride, &mut system.values, inverse);
        if is_solved {
            x86::substitute(level, dim, stride, &system.values, inverse, right);
            out.copy_from_slice(right.get(..dim).unwrap_or_default());
        }
        is_solved
    }
}

/// `slot = scale * row` with zeros behind it, `right += target * row`.
#[inline(always)]
pub(crate) fn take_row_body<const FMA: bool>(
    row: &[f32],
    scale: f32,
    target: f32,
    slot: &mut [f32],
    right: &mut [f32],
) {
    let (tiles, rest) = row.as_chunks::<TILE>();
    let (slots, _) = slot.as_chunks_mut::<TILE>();
    let (rights, _) = right.as_chunks_mut::<TILE>();
    let mut places = slots.iter_mut().zip(rights);
    for (tile, (slot, right)) in tiles.iter().zip(&mut places) {
        for lane in 0..TILE {
            slot[lane] = scale * tile[lane];
            right[lane] = mul_add::<FMA>(target, tile[lane], right[lane]);
        }
    }
    if let Some((slot, right)) = places.next() {
        *slot = [0.0; TILE];
        for ((slot, right), value) in slot.iter_mut().zip(right).zip(rest) {
            *slot = scale * value;
            *right = mul_add::<FMA>(target, *value, *right);
        }
    }
}

/// Adds `sign * row row'` of every row (`stride` numbers each, a whole number of tiles) to the lower triangle of `sum`, which holds the
/// columns from that of the tile `first` on, and to whatever of the upper triangle lies in the same tiles. The portable twin of the loops in
/// `x86/outer.rs`.
pub(crate) fn add_outer_body(rows: &[f32], stride: usize, first: usize, sign: f32, sum: &mut [f32]) {
    for row in rows.chunks_exact(stride.max(1)) {
        let factors = row.get(first * TILE..).unwrap_or_default();
        for (column, (out, factor)) in sum.chunks_exact_mut(stride.max(1)).zip(factors).enumerate() {
            let from = first * TILE + column / TILE * TILE;
            for (out, value) in out.iter_mut().zip(row).skip(from) {
                *out += sign * value * factor;
            }
        }
    }
}

/// Cholesky factorisation of the lower triangle in place, a tile of columns at a time: these first, then what they take off the others. The
/// factor's diagonal goes to `inverse`, as one over it; in its place, and above it in the same tile, zeros are left. False where a pivot is
/// not above 0.
fn cholesky(level: Level, dim: usize, stride: usize, values: &mut [f32], inverse: &mut [f32]) -> bool {
    inverse.fill(0.0);
    for tile in 0..stride / TILE {
        let (panel, rest) = values.split_at_mut((tile + 1) * TILE * stride);
        let Some(panel) = panel.get_mut(tile * TILE * stride..) else { return false };
        let Some(inverse) = inverse.get_mut(tile * TILE..(tile + 1) * TILE) else { return false };
        if !x86::cholesky_panel(level, (dim - tile * TILE).min(TILE), stride, tile, panel, inverse) {
            return false;
        }
        x86::add_outer(level, panel, stride, tile + 1, -1.0, rest);
    }
    true
}

/// `out -= factor * column` over whole tiles.
#[inline(always)]
fn take_off<const FMA: bool>(factor: f32, column: &[[f32; TILE]], out: &mut [[f32; TILE]]) {
    for (out, column) in out.iter_mut().zip(column) {
        for lane in 0..TILE {
            out[lane] = mul_add::<FMA>(-factor, column[lane], out[lane]);
        }
    }
}

/// The first `columns` of the columns of a tile, from which all earlier tiles were taken off.
#[inline(always)]
pub(crate) fn cholesky_panel_body<const FMA: bool>(
    columns: usize,
    stride: usize,
    tile: usize,
    panel: &mut [f32],
    inverse: &mut [f32],
) -> bool {
    for lane in 0..columns.min(TILE) {
        let (before, rest) = panel.split_at_mut(lane * stride);
        let Some(column) = rest.get_mut(tile * TILE..stride) else { return false };
        let (column, _) = column.as_chunks_mut::<TILE>();
        for (place, out) in column.iter_mut().enumerate() {
            // In registers over all earlier columns: a sum that goes through memory would wait for itself each time.
            let mut sum = *out;
            for earlier in before.chunks_exact(stride) {
                let (earlier, _) = earlier.get(tile * TILE..).unwrap_or_default().as_chunks::<TILE>();
                let (Some(first), Some(values)) = (earlier.first(), earlier.get(place)) else { continue };
                let factor = -first[lane];
                for lane in 0..TILE {
                    sum[lane] = mul_add::<FMA>(factor, values[lane], sum[lane]);
                }
            }
            *out = sum;
        }
        let pivot = column.first().map_or(0.0, |first| first[lane]);
        if pivot.is_nan() || pivot <= 0.0 {
            return false;
        }
        let scale = 1.0 / pivot.sqrt();
        for values in column.iter_mut() {
            for value in values {
                *value *= scale;
            }
        }
        if let Some(first) = column.first_mut() {
            first.iter_mut().take(lane + 1).for_each(|value| *value = 0.0);
        }
        if let Some(inverse) = inverse.get_mut(lane) {
            *inverse = scale;
        }
    }
    true
}

/// From what [`cholesky`] left and the right side in `x` (stride numbers) to the solution.
#[inline(always)]
pub(crate) fn substitute_body<const FMA: bool>(
    dim: usize,
    stride: usize,
    factor: &[f32],
    inverse: &[f32],
    x: &mut [f32],
) {
    let columns = || factor.chunks_exact(stride.max(1)).zip(inverse).take(dim).enumerate();
    for (at, (column, inverse)) in columns() {
        let from = at / TILE * TILE;
        let Some(here) = x.get_mut(at) else { return };
        *here *= inverse;
        let here = *here;
        let (column, _) = column.get(from..).unwrap_or_default().as_chunks::<TILE>();
        let (below, _) = x.get_mut(from..).unwrap_or_default().as_chunks_mut::<TILE>();
        take_off::<FMA>(here, column, below);
    }
    for (at, (column, inverse)) in columns().rev() {
        let from = at / TILE * TILE;
        let (column, _) = column.get(from..).unwrap_or_default().as_chunks::<TILE>();
        let (below, _) = x.get(from..).unwrap_or_default().as_chunks::<TILE>();
        let mut lanes = [0.0f32; TILE];
        for (column, below) in column.iter().zip(below) {
            for lane in 0..TILE {
                lanes[lane] = mul_add::<FMA>(column[lane], below[lane], lanes[lane]);
            }
        }
        let mut width = TILE / 2;
        while width > 0 {
            for lane in 0..width {
                lanes[lane] += lanes[lane + width];
            }
            width /= 2;
        }
        if let Some(here) = x.get_mut(at) {
            *here = (*here - lanes[0]) * inverse;
        }
    }
}
