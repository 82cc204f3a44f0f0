//! Where the network's arithmetic is done, and by which operations.

use candle_core::{Device, Result, Tensor};
use endcap_recommender::fitted::NORM_EPSILON;

use super::ops::{LinearCrossEntropy, Norm, TargetRows};
use super::stock;

/// A device and the operations that have gradients there. Tables, their optimizer and the bags that sum their rows stay on the processor
/// whatever the device: a step takes what its batch touches there and brings the gradients back.
#[derive(Clone, Debug)]
pub struct Place {
    device: Device,
    is_fused: bool,
}

impl Place {
    /// The processor, with the operations of [`super::ops`].
    pub fn processor() -> Self {
        Self { device: Device::Cpu, is_fused: true }
    }

    /// Any device, with the operations of [`super::stock`]. On the processor they are what those of [`super::ops`] are held against.
    pub fn stock(device: Device) -> Self {
        Self { device, is_fused: false }
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// As `spec.training.device` says it.
    pub fn name(&self) -> &'static str {
        if self.device.is_cpu() { "Cpu" } else { "Gpu" }
    }

    pub(super) fn norm(&self, x: &Tensor, gain: &Tensor, shift: &Tensor) -> Result<Tensor> {
        if self.is_fused {
            return x.apply_op3(gain, shift, Norm { epsilon: NORM_EPSILON });
        }
        stock::norm(x, gain, shift, NORM_EPSILON)
    }

    pub(super) fn linear_cross_entropy(
        &self,
        hidden: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        targets: &TargetRows,
    ) -> Result<Tensor> {
        if self.is_fused {
            return LinearCrossEntropy::apply(hidden, weight, bias, targets);
        }
        stock::linear_cross_entropy(hidden, weight, bias, targets)
    }
}
