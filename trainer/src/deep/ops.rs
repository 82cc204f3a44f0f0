//! The operations whose gradients we give ourselves, as candle's custom operations on `endcap-kernels`. candle's own layer norm and
//! last-dimension softmax give none (docs/decisions/0008); its embedding gradient is dense.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Error, Layout, Result, Shape, Tensor};
use endcap_kernels::dot::axpy;
use endcap_kernels::loss::{LinearLoss, Targets, linear_cross_entropy};
use endcap_kernels::norm::{layer_norm, layer_norm_backward};
use endcap_recommender::fitted::Rows;

/// The numbers of a contiguous f32 tensor.
pub(crate) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (from, to) =
        layout.contiguous_offsets().ok_or_else(|| Error::Msg("expected a contiguous tensor".to_owned()).bt())?;
    storage
        .as_slice::<f32>()?
        .get(from..to)
        .ok_or_else(|| Error::Msg("a tensor's layout lies outside its storage".to_owned()).bt())
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// Weighted sums of a table's rows: output row r = sum of `weight * table[row]` over row r of `entries`.
#[derive(Clone, Debug)]
pub struct Bag {
    pub entries: Arc<Rows<(u32, f32)>>,
    pub dim: usize,
}

impl Bag {
    pub fn apply(table: &Tensor, entries: Rows<(u32, f32)>) -> Result<Tensor> {
        let dim = table.dim(1)?;
        table.apply_op1(Self { entries: Arc::new(entries), dim })
    }
}

impl CustomOp1 for Bag {
    fn name(&self) -> &'static str {
        "bag"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let table = values(storage, layout)?;
        let mut out = vec![0.0f32; self.entries.len() * self.dim];
        for (row, out) in (0u32..).zip(out.chunks_exact_mut(self.dim)) {
            for (id, weight) in self.entries.row(row) {
                let at = *id as usize * self.dim;
                axpy(*weight, table.get(at..at + self.dim).unwrap_or(&[]), out);
            }
        }
        Ok((CpuStorage::F32(out), Shape::from((self.entries.len(), self.dim))))
    }

    fn bwd(&self, table: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = numbers(gradient)?;
        let mut out = vec![0.0f32; table.elem_count()];
        for (row, gradient) in (0u32..).zip(gradient.chunks_exact(self.dim)) {
            for (id, weight) in self.entries.row(row) {
                let at = *id as usize * self.dim;
                if let Some(to) = out.get_mut(at..at + self.dim) {
                    axpy(*weight, gradient, to);
                }
            }
        }
        Tensor::from_vec(out, table.shape(), table.device()).map(Some)
    }
}

/// Layer normalisation over the last dimension (Ba et al., 2016) with gain and shift.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    pub epsilon: f32,
}

impl CustomOp3 for Norm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gain: &CpuStorage,
        gain_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let gain = values(gain, gain_layout)?;
        let (out, _, _) =
            layer_norm(values(x, x_layout)?, gain.len(), gain, values(shift, shift_layout)?, self.epsilon);
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gain: &Tensor,
        shift: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (numbers_x, numbers_gain) = (numbers(x)?, numbers(gain)?);
        let dim = numbers_gain.len();
        // Cheaper to find again than to carry along.
        let (_, mean, inverse_sd) = layer_norm(&numbers_x, dim, &numbers_gain, &numbers(shift)?, self.epsilon);
        let (dx, d_gain, d_shift) =
            layer_norm_backward(&numbers(gradient)?, &numbers_x, dim, &numbers_gain, &mean, &inverse_sd);
        let like = |values: Vec<f32>, tensor: &Tensor| Tensor::from_vec(values, tensor.shape(), tensor.device());
        Ok((Some(like(dx, x)?), Some(like(d_gain, gain)?), Some(like(d_shift, shift)?)))
    }
}

/// What a row of the batch should lead to: (item, weight).
pub type TargetRows = Rows<(u32, f32)>;

/// Mean over rows of the softmax cross-entropy of `hidden . weight' + bias`, without ever holding the logits: the forward pass finds
/// the gradients too.
#[derive(Debug)]
pub struct LinearCrossEntropy {
    starts: Vec<u32>,
    ids: Vec<u32>,
    weights: Vec<f32>,
    /// Found by the forward pass, taken by the backward one.
    gradients: Mutex<Option<LinearLoss>>,
}

impl LinearCrossEntropy {
    pub fn apply(hidden: &Tensor, weight: &Tensor, bias: &Tensor, targets: &TargetRows) -> Result<Tensor> {
        let op = Self {
            starts: targets.starts.clone(),
            ids: targets.entries.iter().map(|entry| entry.0).collect(),
            weights: targets.entries.iter().map(|entry| entry.1).collect(),
            gradients: Mutex::new(None),
        };
        hidden.apply_op3(weight, bias, op)
    }
}

impl CustomOp3 for LinearCrossEntropy {
    fn name(&self) -> &'static str {
        "linear_cross_entropy"
    }

    fn cpu_fwd(
        &self,
        hidden: &CpuStorage,
        hidden_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, dim) = hidden_layout.shape().dims2()?;
        let targets = Targets { starts: &self.starts, ids: &self.ids, weights: &self.weights };
        let found = linear_cross_entropy(
            values(hidden, hidden_layout)?,
            values(weight, weight_layout)?,
            Some(values(bias, bias_layout)?),
            dim,
            &targets,
        );
        let mean = (found.loss / rows.max(1) as f64) as f32;
        *self.gradients.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        Ok((CpuStorage::F32(vec![mean]), Shape::from(())))
    }

    fn bwd(
        &self,
        hidden: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let found = self.gradients.lock().unwrap_or_else(PoisonError::into_inner).take();
        let found = found.ok_or_else(|| Error::Msg("the loss has no forward pass to go back from".to_owned()).bt())?;
        let scale = gradient.to_scalar::<f32>()? / hidden.dim(0)?.max(1) as f32;
        let like = |mut values: Vec<f32>, tensor: &Tensor| {
            for value in &mut values {
                *value *= scale;
            }
            Tensor::from_vec(values, tensor.shape(), tensor.device())
        };
        let LinearLoss { d_hidden, d_weight, d_bias, .. } = found;
        Ok((Some(like(d_hidden, hidden)?), Some(like(d_weight, weight)?), Some(like(d_bias, bias)?)))
    }
}
