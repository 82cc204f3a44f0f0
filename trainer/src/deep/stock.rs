//! The network's layer norm and loss composed of candle's own operations, of which only those are used whose gradients are right on every
//! device. Slower than `ops` on a processor and the logits are held; on a GPU they are all there is. Each is tested against its twin in
//! `ops`, and the whole network against finite differences.

use candle_core::{D, Error, Result, Tensor};

use super::ops::TargetRows;

/// Layer normalisation over the last dimension of `x` (rows x dim) with gain and shift (dim each): the twin of [`super::ops::Norm`].
pub fn norm(x: &Tensor, gain: &Tensor, shift: &Tensor, epsilon: f32) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let inverse_sd = (variance + f64::from(epsilon))?.sqrt()?.recip()?;
    centred.broadcast_mul(&inverse_sd)?.broadcast_mul(gain)?.broadcast_add(shift)
}

/// Mean over rows of the softmax cross-entropy of `hidden . weight' + bias`: the twin of [`super::ops::LinearCrossEntropy`]. Targets that
/// do not fit the logits are an error.
pub fn linear_cross_entropy(hidden: &Tensor, weight: &Tensor, bias: &Tensor, targets: &TargetRows) -> Result<Tensor> {
    let (rows, items) = (hidden.dim(0)?, weight.dim(0)?);
    let fits = targets.len() == rows && targets.entries.iter().all(|entry| (entry.0 as usize) < items);
    if !fits {
        return Err(Error::Msg(format!("the targets do not fit {rows} rows of {items} items")).bt());
    }
    // Rows of one width, filled up with an id that candle reads as nothing: a row of the logits is then one thread's work, where a flat
    // list of places would be walked by a single one.
    let width = (0..rows as u32).map(|row| targets.row(row).len()).max().unwrap_or(0).max(1);
    let (mut ids, mut weights) = (Vec::with_capacity(rows * width), Vec::with_capacity(rows * width));
    for row in 0..rows as u32 {
        let filled = targets.row(row).iter().copied().chain(std::iter::repeat((u32::MAX, 0.0)));
        for (id, weight) in filled.take(width) {
            ids.push(id);
            weights.push(weight);
        }
    }
    let ids = Tensor::from_vec(ids, (rows, width), hidden.device())?;
    let weights = Tensor::from_vec(weights, (rows, width), hidden.device())?;

    let logits = hidden.matmul(&weight.t()?)?.broadcast_add(bias)?;
    // The highest logit only keeps the exponentials in range: no gradient goes through it.
    let highest = logits.max_keepdim(D::Minus1)?.detach();
    let all = (logits.broadcast_sub(&highest)?.exp()?.sum_keepdim(D::Minus1)?.log()? + highest)?;
    let of_targets = logits.gather(&ids, D::Minus1)?;
    let losses = (all.broadcast_sub(&of_targets)? * weights)?;
    losses.sum_all()? / rows.max(1) as f64
}
