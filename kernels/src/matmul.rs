//! Matrix products over strided slices: the `gemm` crate behind bounds that are checked. One thread, the caller's: who calls has
//! split the work already.
#![allow(unsafe_code)]

use gemm::Parallelism;

/// Element (i, j) lies at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strided<'a> {
    pub data: &'a [f32],
    pub row_stride: usize,
    pub column_stride: usize,
}

/// Rows, columns and inner length of a product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

fn needed(rows: usize, columns: usize, row_stride: usize, column_stride: usize) -> Option<usize> {
    match (rows.checked_sub(1), columns.checked_sub(1)) {
        (Some(last_row), Some(last_column)) => {
            last_row.checked_mul(row_stride)?.checked_add(last_column.checked_mul(column_stride)?)?.checked_add(1)
        }
        _ => Some(0),
    }
}

/// `out` (m x n, element (i, j) at `i + j * column_stride`: rows lie side by side) becomes `left` (m x k) times `right` (k x n), or
/// grows by it if `accumulate`. A slice that is too short is an error of the caller in this crate and stops the program.
pub(crate) fn multiply(
    size: Size,
    out: &mut [f32],
    column_stride: usize,
    accumulate: bool,
    left: Strided<'_>,
    right: Strided<'_>,
) {
    let Size { m, n, k } = size;
    let fits =
        |length: usize, need: Option<usize>| need.is_some_and(|need| need <= length && isize::try_from(need).is_ok());
    assert!(
        column_stride >= m
            && fits(out.len(), needed(m, n, 1, column_stride))
            && fits(left.data.len(), needed(m, k, left.row_stride, left.column_stride))
            && fits(right.data.len(), needed(k, n, right.row_stride, right.column_stride)),
        "a matrix reaches over the end of its slice"
    );
    if m == 0 || n == 0 {
        return;
    }
    // SAFETY: every element of the three matrices lies inside its slice (checked above); columns of `out` do not overlap (its stride
    // is at least m) and `out` is borrowed mutably, so it overlaps neither input.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            column_stride as isize,
            1,
            accumulate,
            left.data.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_cmp)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_three_loops(m in 0usize..40, n in 0usize..9, k in 0usize..20, accumulate: bool, left_transposed: bool) {
            let left: Vec<f32> = (0..m * k).map(|at| (at % 7) as f32 - 3.0).collect();
            let right: Vec<f32> = (0..k * n).map(|at| (at % 5) as f32 - 2.0).collect();
            let mut out = vec![1.0; m * n];
            let (row_stride, column_stride) = if left_transposed { (1, m) } else { (k, 1) };
            let left = Strided { data: &left, row_stride, column_stride };
            let right = Strided { data: &right, row_stride: n, column_stride: 1 };
            multiply(Size { m, n, k }, &mut out, m, accumulate, left, right);
            for i in 0..m {
                for j in 0..n {
                    let sum: f32 = (0..k).map(|at| left.data[i * row_stride + at * column_stride] * right.data[at * n + j]).sum();
                    prop_assert_eq!(out[i + j * m], sum + f32::from(u8::from(accumulate)));
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "over the end")]
    fn a_short_slice_is_refused() {
        let short = Strided { data: &[1.0; 5], row_stride: 1, column_stride: 2 };
        multiply(Size { m: 2, n: 1, k: 3 }, &mut [0.0; 2], 2, false, short, short);
    }
}
