//! Runtime dispatch: each loop body is compiled for every [`Level`], and the level given chooses. On machines other than x86-64 only
//! the portable copy exists. The bodies are safe Rust; what is unsafe here is only to call a function that was compiled for
//! instructions which the machine might not have.
#![allow(unsafe_code)]

mod float;
pub(crate) mod int8;
mod outer;

use crate::dense::bias_relu_row_body;
use crate::dot::{axpy_body, dot_body, dot_rows_body};
use crate::exp::{exp_row_body, max_row_body};
use crate::level::{Kind, Level};
use crate::norm::{backward_row_body, forward_row_body};
use crate::normal::{add_outer_body, cholesky_panel_body, substitute_body, take_row_body};
use crate::scan::int8_scores_body;
use crate::sparse::{Rates, adam_row_body};
use crate::topk::next_at_least_body;
use int8::Line;

macro_rules! at_level {
    ($(fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? = $body:ident;)*) => {$(
        #[inline]
        #[allow(clippy::too_many_arguments)]
        pub(crate) fn $name(level: Level, $($arg: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            fn avx512($($arg: $type),*) $(-> $result)? {
                $body::<true>($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) $(-> $result)? {
                $body::<true>($($arg),*)
            }
            match level.kind() {
                Kind::Portable => $body::<false>($($arg),*),
                // SAFETY: a `Level` of this kind is only made after these instructions were detected.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512 => unsafe { avx512($($arg),*) },
            }
        }
    )*};
}

at_level! {
    fn axpy(alpha: f32, x: &[f32], y: &mut [f32]) = axpy_body;
    fn max_row(row: &[f32], bias: &[f32]) -> f32 = max_row_body;
    fn exp_row(row: &mut [f32], bias: &[f32], shift: f32) -> f32 = exp_row_body;
    fn bias_relu_row(row: &mut [f32], bias: &[f32], relu: bool) = bias_relu_row_body;
    fn take_row(row: &[f32], scale: f32, target: f32, slot: &mut [f32], right: &mut [f32]) = take_row_body;
    fn cholesky_panel(columns: usize, stride: usize, tile: usize, panel: &mut [f32], inverse: &mut [f32]) -> bool = cholesky_panel_body;
    fn substitute(dim: usize, stride: usize, factor: &[f32], inverse: &[f32], x: &mut [f32]) = substitute_body;
    fn adam_row(values: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32], rates: Rates) = adam_row_body;
    fn norm_forward_row(x: &[f32], gain: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) -> (f32, f32) = forward_row_body;
    fn norm_backward_row(d_out: &[f32], x: &[f32], gain: &[f32], mean: f32, inverse_sd: f32, dx: &mut [f32], d_gain: &mut [f32], d_bias: &mut [f32]) = backward_row_body;
}

/// As above, where the loops with instructions are written out: their module and name, after the portable twin.
macro_rules! by_hand {
    ($(fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? = $body:ident, $module:ident;)*) => {$(
        #[inline]
        pub(crate) fn $name(level: Level, $($arg: $type),*) $(-> $result)? {
            match level.kind() {
                Kind::Portable => $body($($arg),*),
                // SAFETY: a `Level` of this kind is only made after these instructions were detected.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => unsafe { $module::avx2::$name($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512 => unsafe { $module::avx512::$name($($arg),*) },
            }
        }
    )*};
}

by_hand! {
    fn dot(a: &[f32], b: &[f32]) -> f32 = dot_body, float;
    fn dot_rows(query: &[f32], rows: &[f32], out: &mut [f32]) = dot_rows_body, float;
    fn next_at_least(scores: &[f32], floor: f32) -> usize = next_at_least_body, float;
    fn add_outer(rows: &[f32], stride: usize, first: usize, sign: f32, sum: &mut [f32]) = add_outer_body, outer;
    fn int8_scores(blocks: &[Line], query: &[[i8; 4]], correction: i32, scales: &[f32], out: &mut [f32]) = int8_scores_body, int8;
}
