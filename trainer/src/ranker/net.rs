//! The ranker's network in candle: a linear part and two hidden layers over standardised inputs, one logit a candidate, learned by the
//! softmax over each list (ListNet with binary gains: Cao et al., ICML 2007).

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp2, Device, Error, Layout, Result, Shape, Storage, Tensor, Var};
use candle_nn::ops::log_softmax;
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use endcap_kernels::dense::{input_gradient, linear, weight_gradient};
use endcap_kernels::dot::{axpy, dot};
use endcap_recommender::fitted::Ranker;
use endcap_recommender::ranking::INPUTS;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::deep::ops::values;

/// A question's list as it is learned from.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Rows x [`INPUTS`], as [`endcap_recommender::ranking::inputs`] gives them.
    pub inputs: Vec<f32>,
    pub rows: usize,
    /// Rows that are right.
    pub right: Vec<u32>,
    /// Which part of a cross-validation it belongs to.
    pub fold: u8,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NetOptions {
    pub hidden: [usize; 2],
    pub epochs: u32,
    /// Lists a step.
    pub batch: usize,
    pub learning_rate: f64,
    pub weight_decay: f64,
    pub dropout: f32,
    pub seed: i64,
}

impl Default for NetOptions {
    fn default() -> Self {
        Self { hidden: [32, 16], epochs: 8, batch: 32, learning_rate: 4e-3, weight_decay: 0.01, dropout: 0.1, seed: 42 }
    }
}

/// All trainable parameters in one vector: `skip, first, first_bias, second, second_bias, out`.
#[derive(Debug)]
pub struct Net {
    pub theta: Var,
    hidden: [usize; 2],
}

pub const PARAMETERS: [&str; 6] = ["skip", "first", "first_bias", "second", "second_bias", "out"];

/// Where each parameter lies in the vector.
pub fn places([one, two]: [usize; 2]) -> [Range<usize>; 6] {
    let mut from = 0;
    [INPUTS, one * INPUTS, one, two * one, two, two].map(|len| {
        let place = from..from + len;
        from += len;
        place
    })
}

impl Net {
    pub fn new(hidden: [usize; 2], seed: i64) -> Result<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
        let [one, two] = hidden;
        let scale = |inputs: usize| (3.0 / inputs.max(1) as f32).sqrt();
        let scales = [0.01, scale(INPUTS), 0.0, scale(one), 0.0, 0.1 * scale(two)];
        let values: Vec<f32> = places(hidden)
            .into_iter()
            .zip(scales)
            .flat_map(|(place, scale)| place.map(move |_| scale))
            .map(|scale| scale * (2.0 * random.random::<f32>() - 1.0))
            .collect();
        let len = values.len();
        Ok(Self { theta: Var::from_tensor(&Tensor::from_vec(values, len, &Device::Cpu)?)?, hidden })
    }

    /// Logits (lists x depth) of inputs (lists * depth x [`INPUTS`]).
    fn logits(&self, batch: &Padded, dropout: &mut Dropout) -> Result<Tensor> {
        let seed = dropout.random.random();
        let layers = NetOp { hidden: self.hidden, rate: dropout.rate, seed, kept: Mutex::default() };
        self.theta.apply_op2(&batch.inputs, layers)?.reshape(batch.shape)
    }

    /// Mean over lists of the cross-entropy of the softmax over a list with its right rows.
    pub fn loss(&self, batch: &Padded, dropout: &mut Dropout) -> Result<Tensor> {
        let lists = batch.shape.0;
        let logits = (self.logits(batch, dropout)? + &batch.mask)?;
        let log_shares = log_softmax(&logits, 1)?;
        (&batch.wanted * log_shares)?.sum_all()?.affine(-1.0 / lists.max(1) as f64, 0.0)
    }

    /// Takes the parameters over into what is served.
    pub fn write(&self, ranker: &mut Ranker) -> Result<()> {
        let theta: Vec<f32> = self.theta.to_vec1()?;
        let [skip, first, first_bias, second, second_bias, out] =
            places(self.hidden).map(|place| theta.get(place).map_or_else(Vec::new, <[f32]>::to_vec));
        (ranker.skip, ranker.first, ranker.first_bias) = (skip, first, first_bias);
        (ranker.second, ranker.second_bias, ranker.out) = (second, second_bias, out);
        Ok(())
    }
}

/// Which hidden units a step leaves out (Srivastava et al., JMLR 2014).
#[derive(Debug)]
pub struct Dropout {
    pub rate: f32,
    pub random: ChaCha8Rng,
}

impl Dropout {
    pub fn none() -> Self {
        Self { rate: 0.0, random: ChaCha8Rng::seed_from_u64(0) }
    }
}

/// The whole network as one operation with a gradient of its own: candle's layers, biases, rectifiers and dropout would each be
/// passes over memory that is larger than the caches.
struct NetOp {
    hidden: [usize; 2],
    rate: f32,
    seed: u32,
    /// The hidden layers' values, which the backward pass needs again.
    kept: Mutex<(Vec<f32>, Vec<f32>)>,
}

/// Leaves values out by a hash of their place, and scales the others up; what is left out is exactly 0.
fn leave_out(values: &mut [f32], rate: f32, seed: u32) {
    if rate <= 0.0 {
        return;
    }
    let threshold = (f64::from(rate) * f64::from(u32::MAX)) as u32;
    let scale = 1.0 / (1.0 - rate);
    for (at, value) in (0u32..).zip(values) {
        let mut hash = at.wrapping_mul(0x9E37_79B9) ^ seed;
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x85EB_CA6B);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0xC2B2_AE35);
        hash ^= hash >> 16;
        *value *= if hash < threshold { 0.0 } else { scale };
    }
}

/// Takes gradients back through dropout and rectifier, and adds them up by column.
fn back_through(gradient: &mut [f32], values: &[f32], rate: f32, bias: &mut [f32]) {
    let scale = 1.0 / (1.0 - rate);
    let width = bias.len().max(1);
    for (gradient, values) in gradient.chunks_exact_mut(width).zip(values.chunks_exact(width)) {
        for ((gradient, value), sum) in gradient.iter_mut().zip(values).zip(bias.iter_mut()) {
            *gradient *= if *value > 0.0 { scale } else { 0.0 };
            *sum += *gradient;
        }
    }
}

impl CustomOp2 for NetOp {
    fn name(&self) -> &'static str {
        "ranker"
    }

    fn cpu_fwd(
        &self,
        theta: &CpuStorage,
        theta_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, [one, two]) = (x_layout.shape().dims2()?.0, self.hidden);
        let (theta, x) = (values(theta, theta_layout)?, values(x, x_layout)?);
        let [skip, first, first_bias, second, second_bias, out] =
            places(self.hidden).map(|place| theta.get(place).unwrap_or(&[]));
        let (mut inner, mut outer) = (Vec::new(), Vec::new());
        linear(x, first, first_bias, rows, INPUTS, one, true, &mut inner);
        leave_out(&mut inner, self.rate, self.seed);
        linear(&inner, second, second_bias, rows, one, two, true, &mut outer);
        leave_out(&mut outer, self.rate, self.seed ^ 0x5bd1_e995);
        let rows_of = x.chunks_exact(INPUTS).zip(outer.chunks_exact(two.max(1)));
        let logits: Vec<f32> = rows_of.map(|(row, hidden)| dot(row, skip) + dot(hidden, out)).collect();
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = (inner, outer);
        Ok((CpuStorage::F32(logits), Shape::from(rows)))
    }

    fn bwd(
        &self,
        theta: &Tensor,
        x: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [one, two] = self.hidden;
        let (inner, outer) = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        let gradient: Vec<f32> = gradient.to_vec1()?;
        let rows = gradient.len();
        let parameters: Vec<f32> = theta.to_vec1()?;
        let [_, _, _, second, _, out] = places(self.hidden).map(|place| parameters.get(place).unwrap_or(&[]));
        let (storage, layout) = x.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else {
            return Err(Error::Msg("the ranker learns on the CPU".to_owned()).bt());
        };
        let x = values(storage, layout)?;

        let (mut d_skip, mut d_out) = (vec![0.0; INPUTS], vec![0.0; two]);
        let mut d_outer = vec![0.0; rows * two];
        for (((gradient, row), hidden), d_hidden) in gradient
            .iter()
            .zip(x.chunks_exact(INPUTS))
            .zip(outer.chunks_exact(two.max(1)))
            .zip(d_outer.chunks_exact_mut(two.max(1)))
        {
            axpy(*gradient, row, &mut d_skip);
            axpy(*gradient, hidden, &mut d_out);
            axpy(*gradient, out, d_hidden);
        }
        let (mut d_second_bias, mut d_first_bias) = (vec![0.0; two], vec![0.0; one]);
        back_through(&mut d_outer, &outer, self.rate, &mut d_second_bias);
        let (mut d_second, mut d_inner, mut d_first) = (Vec::new(), Vec::new(), Vec::new());
        weight_gradient(&d_outer, &inner, rows, one, two, &mut d_second);
        input_gradient(&d_outer, second, rows, one, two, &mut d_inner);
        back_through(&mut d_inner, &inner, self.rate, &mut d_first_bias);
        weight_gradient(&d_inner, x, rows, INPUTS, one, &mut d_first);
        let all = [d_skip, d_first, d_first_bias, d_second, d_second_bias, d_out].concat();
        Ok((Some(Tensor::from_vec(all, theta.shape(), &Device::Cpu)?), None))
    }
}

/// Lists of one length, shorter ones filled up and masked.
#[derive(Debug)]
pub struct Padded {
    inputs: Tensor,
    /// 0, or far below every logit where there is no candidate.
    mask: Tensor,
    /// Shares of what is right; each list sums to 1.
    wanted: Tensor,
    shape: (usize, usize),
}

impl Padded {
    pub fn new(lists: &[&List], ranker: &Ranker) -> Result<Self> {
        let depth = lists.iter().map(|list| list.rows).max().unwrap_or(1).max(1);
        let mut inputs = Vec::with_capacity(lists.len() * depth * INPUTS);
        let (mut mask, mut wanted) = (vec![0.0f32; lists.len() * depth], vec![0.0f32; lists.len() * depth]);
        for (at, list) in lists.iter().enumerate() {
            inputs.extend_from_slice(&list.inputs);
            inputs.resize((at + 1) * depth * INPUTS, 0.0);
            if let Some(mask) = mask.get_mut(at * depth + list.rows..(at + 1) * depth) {
                mask.fill(-1e9);
            }
            for right in &list.right {
                if let Some(slot) = wanted.get_mut(at * depth + *right as usize) {
                    *slot = 1.0 / list.right.len() as f32;
                }
            }
        }
        ranker.standardise(&mut inputs);
        let shape = (lists.len(), depth);
        Ok(Self {
            inputs: Tensor::from_vec(inputs, (lists.len() * depth, INPUTS), &Device::Cpu)?,
            mask: Tensor::from_vec(mask, shape, &Device::Cpu)?,
            wanted: Tensor::from_vec(wanted, shape, &Device::Cpu)?,
            shape,
        })
    }
}

/// Learns from lists that hold something right; `ranker` says how inputs are standardised and takes the parameters. Returns the mean
/// loss of the last epoch.
pub fn learn(lists: &[&List], ranker: &mut Ranker, options: &NetOptions) -> Result<f32> {
    let net = Net::new(options.hidden, options.seed)?;
    let parameters = ParamsAdamW {
        lr: options.learning_rate,
        beta2: 0.99,
        weight_decay: options.weight_decay,
        ..ParamsAdamW::default()
    };
    let mut adam = AdamW::new(vec![net.theta.clone()], parameters)?;
    let mut random = ChaCha8Rng::seed_from_u64(options.seed as u64 ^ 0xa5a5);
    let mut dropout =
        Dropout { rate: options.dropout, random: ChaCha8Rng::seed_from_u64(options.seed as u64 ^ 0xd0d0) };
    let mut order: Vec<usize> = (0..lists.len()).collect();
    let steps = (lists.len().div_ceil(options.batch.max(1)) as u32 * options.epochs).max(1);
    let (mut step, mut last) = (0, 0.0);
    for _ in 0..options.epochs {
        order.shuffle(&mut random);
        let (mut sum, mut count) = (0.0, 0);
        for chunk in order.chunks(options.batch.max(1)) {
            let chosen: Vec<&List> = chunk.iter().filter_map(|at| lists.get(*at).copied()).collect();
            adam.set_learning_rate(options.learning_rate * rate(step, steps));
            let loss = net.loss(&Padded::new(&chosen, ranker)?, &mut dropout)?;
            adam.backward_step(&loss)?;
            sum += loss.to_scalar::<f32>()?;
            count += 1;
            step += 1;
        }
        last = sum / count.max(1) as f32;
    }
    ranker.hidden = options.hidden;
    net.write(ranker)?;
    Ok(last)
}

/// Rises over the first tenth, then falls along a half cosine.
fn rate(step: u32, steps: u32) -> f64 {
    let part = f64::from(step) / f64::from(steps);
    if part < 0.1 { 0.1 + 9.0 * part } else { 0.5 * (1.0 + (std::f64::consts::PI * (part - 0.1) / 0.9).cos()) + 0.01 }
}
