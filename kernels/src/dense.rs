//! One dense layer over a few hundred rows, for serving.

use crate::level::Level;
use crate::matmul::{Size, Strided, multiply};
use crate::x86;

/// `out[r][o] = x[r] . weight[o] + bias[o]`, below zero cut to zero if `relu`.
///
/// `x` is `rows` x `inputs`, `weight` `outputs` x `inputs`, `bias` `outputs` numbers (empty: none). `out` is resized to `rows` x
/// `outputs`; beside it, gemm may take a little memory of its own. Runs on the caller's thread. Slices
/// too short for these numbers leave `out` empty.
#[allow(clippy::too_many_arguments)] // shapes are said, not guessed
pub fn linear(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    rows: usize,
    inputs: usize,
    outputs: usize,
    relu: bool,
    out: &mut Vec<f32>,
) {
    out.clear();
    let holds = |slice: &[f32], m: usize, n: usize| m.checked_mul(n).is_some_and(|need| slice.len() >= need);
    if !holds(x, rows, inputs) || !holds(weight, outputs, inputs) || !(bias.is_empty() || bias.len() >= outputs) {
        return;
    }
    out.resize(rows * outputs, 0.0);
    if outputs == 0 {
        return;
    }
    let by_output = Strided { data: weight, row_stride: inputs, column_stride: 1 };
    let by_row = Strided { data: x, row_stride: 1, column_stride: inputs };
    multiply(Size { m: outputs, n: rows, k: inputs }, out, outputs, false, by_output, by_row);
    if relu || !bias.is_empty() {
        let level = Level::best();
        out.chunks_exact_mut(outputs).for_each(|row| x86::bias_relu_row(level, row, bias, relu));
    }
}

#[allow(clippy::inline_always)] // must be compiled inside its caller, with the caller's instructions
#[inline(always)]
pub(crate) fn bias_relu_row_body<const FMA: bool>(row: &mut [f32], bias: &[f32], relu: bool) {
    for (x, bias) in row.iter_mut().zip(bias) {
        *x += bias;
    }
    if relu {
        for x in row {
            *x = if *x < 0.0 { 0.0 } else { *x };
        }
    }
}

/// The gradient of a layer's weight (outputs x inputs) from that of its output (`d_out`, rows x outputs) and its input `x` (rows x
/// inputs). One thread. Slices that are too short leave `out` empty.
pub fn weight_gradient(d_out: &[f32], x: &[f32], rows: usize, inputs: usize, outputs: usize, out: &mut Vec<f32>) {
    out.clear();
    if d_out.len() < rows * outputs || x.len() < rows * inputs {
        return;
    }
    out.resize(outputs * inputs, 0.0);
    let left = Strided { data: x, row_stride: 1, column_stride: inputs };
    let right = Strided { data: d_out, row_stride: outputs, column_stride: 1 };
    multiply(Size { m: inputs, n: outputs, k: rows }, out, inputs, false, left, right);
}

/// The gradient of a layer's input (rows x inputs) from that of its output (`d_out`, rows x outputs) and its weight (outputs x
/// inputs). One thread. Slices that are too short leave `out` empty.
pub fn input_gradient(d_out: &[f32], weight: &[f32], rows: usize, inputs: usize, outputs: usize, out: &mut Vec<f32>) {
    out.clear();
    if d_out.len() < rows * outputs || weight.len() < outputs * inputs {
        return;
    }
    out.resize(rows * inputs, 0.0);
    let left = Strided { data: weight, row_stride: 1, column_stride: inputs };
    let right = Strided { data: d_out, row_stride: 1, column_stride: outputs };
    multiply(Size { m: inputs, n: rows, k: outputs }, out, inputs, false, left, right);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_cmp)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_three_loops(rows in 0usize..30, inputs in 0usize..50, outputs in 0usize..40, relu: bool, biased: bool) {
            let number = |at: usize| ((at * 7919) % 2003) as f32 / 1001.0 - 1.0;
            let x: Vec<f32> = (0..rows * inputs).map(number).collect();
            let weight: Vec<f32> = (0..outputs * inputs).map(|at| number(at + 77)).collect();
            let bias: Vec<f32> = (0..if biased { outputs } else { 0 }).map(|at| number(at + 5)).collect();
            let mut out = vec![7.0; 3];
            linear(&x, &weight, &bias, rows, inputs, outputs, relu, &mut out);
            prop_assert_eq!(out.len(), rows * outputs);
            for row in 0..rows {
                for output in 0..outputs {
                    let mut sum: f64 = (0..inputs)
                        .map(|at| f64::from(x[row * inputs + at]) * f64::from(weight[output * inputs + at]))
                        .sum();
                    sum += bias.get(output).map_or(0.0, |bias| f64::from(*bias));
                    let want = if relu { sum.max(0.0) } else { sum };
                    prop_assert!((f64::from(out[row * outputs + output]) - want).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn short_slices_give_nothing_and_not_a_number_stays() {
        let mut out = vec![1.0];
        linear(&[1.0; 3], &[1.0; 4], &[], 2, 2, 2, false, &mut out);
        assert!(out.is_empty());
        linear(&[1.0; 4], &[1.0; 4], &[0.0], 2, 2, 2, false, &mut out);
        assert!(out.is_empty());
        linear(&[f32::NAN, 1.0], &[1.0; 4], &[0.0; 2], 1, 2, 2, true, &mut out);
        assert!(out.iter().all(|x| x.is_nan()) && out.len() == 2);
    }

    #[test]
    fn gradients_equal_plain_sums() {
        let (rows, inputs, outputs) = (7, 5, 3);
        let number = |at: usize| ((at * 37 % 23) as f32 - 11.0) / 7.0;
        let x: Vec<f32> = (0..rows * inputs).map(number).collect();
        let weight: Vec<f32> = (0..outputs * inputs).map(|at| number(at + 5)).collect();
        let d_out: Vec<f32> = (0..rows * outputs).map(|at| number(at + 11)).collect();
        let (mut d_weight, mut d_x) = (Vec::new(), Vec::new());
        weight_gradient(&d_out, &x, rows, inputs, outputs, &mut d_weight);
        input_gradient(&d_out, &weight, rows, inputs, outputs, &mut d_x);
        for input in 0..inputs {
            for output in 0..outputs {
                let sum: f32 = (0..rows).map(|row| d_out[row * outputs + output] * x[row * inputs + input]).sum();
                assert!((d_weight[output * inputs + input] - sum).abs() < 1e-4);
            }
            for row in 0..rows {
                let sum: f32 =
                    (0..outputs).map(|output| d_out[row * outputs + output] * weight[output * inputs + input]).sum();
                assert!((d_x[row * inputs + input] - sum).abs() < 1e-4);
            }
        }
        weight_gradient(&d_out, &x, rows + 1, inputs, outputs, &mut d_weight);
        assert!(d_weight.is_empty());
    }
}
