//! A causal transformer over a user's items with a softmax over all of them: self-attentive sequential recommendation (Kang and McAuley,
//! "Self-attentive sequential recommendation", ICDM 2018), with the full cross-entropy instead of one negative (Klenitskiy and Vasilev,
//! "Turning dross into gold loss", RecSys 2023) and layer norms before the branches (Xiong et al., ICML 2020). An item's vector is one of
//! its own plus the mean of its attributes' vectors, in and out alike, so that what an item is helps where few had it. Where items are too
//! many the softmax runs over some of them ([`crate::negatives`]), and a step touches only what it read or drew.
//!
//! Sequences lie one after the other without padding; each step is cut into parts whose number does not depend on the threads, and so
//! nothing that is learned does.

mod attention;
mod body;
mod random;
#[cfg(test)]
mod tests;

use endcap_kernels::dense::linear;
use endcap_kernels::dot::axpy;
use endcap_kernels::loss::{LinearLoss, Targets, linear_cross_entropy};
use endcap_kernels::sparse::{Adam, SparseTable};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::negatives::{Drawn, Negatives};
use crate::{Histories, History, Scorer};
use body::{Body, Drop, Shape, Trace};

/// How the network is built and learned.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerSettings {
    /// Numbers of an item's vector.
    pub dim: usize,
    /// Heads of each attention; `dim` is cut evenly.
    pub heads: usize,
    pub blocks: usize,
    /// Width of the layer inside a block.
    pub inner: usize,
    /// The last so many items of a history are read.
    pub length: usize,
    pub dropout: f32,
    pub epochs: u32,
    /// Histories a step.
    pub batch: usize,
    pub learning_rate: f32,
    pub weight_decay: f32,
    /// So many of the items that follow are targets of a place, the first with weight 1 and each further one with `ahead_decay` times the
    /// weight of the one before; the weights of a place sum to 1.
    pub ahead: usize,
    pub ahead_decay: f32,
    /// Items that are drawn for a step's softmax beside its targets; 0: it runs over all items.
    pub negatives: usize,
    pub seed: u64,
}

impl Default for TransformerSettings {
    fn default() -> Self {
        Self {
            dim: 64,
            heads: 2,
            blocks: 2,
            inner: 128,
            length: 50,
            dropout: 0.4,
            epochs: 20,
            batch: 128,
            learning_rate: 0.001,
            weight_decay: 0.0,
            ahead: 1,
            ahead_decay: 0.5,
            negatives: 0,
            seed: 1,
        }
    }
}

/// Parts of a step.
const PARTS: usize = 8;
/// Places among the tables of the ends.
const ITEMS: usize = 0;
const BIAS: usize = 2;

/// A fitted network.
#[derive(Clone, Debug)]
pub struct Transformer {
    shape: Shape,
    /// Vectors of items (own and attributes' together): items x dim.
    vectors: Vec<f32>,
    bias: Vec<f32>,
    body: Body,
    /// Mean loss of each epoch.
    pub losses: Vec<f64>,
}

/// What the network learns: the tables of the ends and those of the body.
struct Network {
    shape: Shape,
    items: SparseTable,
    attributes: SparseTable,
    bias: SparseTable,
    body: Vec<SparseTable>,
}

/// One history as the network reads it: what is known at each place, and where the places' targets stand.
struct Sequence<'a> {
    items: &'a [u32],
}

impl Network {
    fn new(items: usize, attributes: usize, settings: &TransformerSettings) -> Self {
        let shape = Shape {
            dim: settings.dim.max(1),
            heads: settings.heads.max(1),
            blocks: settings.blocks,
            inner: settings.inner.max(1),
            length: settings.length.max(1),
        };
        let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
        let scale = 1.0 / (shape.dim as f32).sqrt();
        Self {
            shape,
            items: random::drawn(items, shape.dim, scale, &mut random),
            attributes: random::drawn(attributes, shape.dim, 0.5 * scale, &mut random),
            bias: SparseTable::new(items, 1, Vec::new()),
            body: body::drawn(shape, &mut random),
        }
    }

    fn body(&self) -> Body {
        Body { shape: self.shape, tables: self.body.iter().map(|table| table.values().to_vec()).collect() }
    }

    /// Own vectors and the means of the attributes' together.
    fn vectors(&self, attributes: &[Vec<u32>]) -> Vec<f32> {
        let dim = self.shape.dim;
        let mut vectors = self.items.values().to_vec();
        for (vector, own) in vectors.chunks_exact_mut(dim).zip(attributes) {
            let share = 1.0 / own.len().max(1) as f32;
            for attribute in own {
                axpy(share, row(self.attributes.values(), dim, *attribute), vector);
            }
        }
        vectors
    }

    /// The mean loss of a step and the gradients of items, attributes, bias and body; rows of the first and third that the step does not
    /// touch are 0. The softmax runs over what was drawn, or over all items. Without dropout nothing is left out.
    fn gradients(
        &self,
        batch: &[Sequence<'_>],
        attributes: &[Vec<u32>],
        settings: &TransformerSettings,
        drop: Option<Drop>,
        drawn: Option<&Drawn>,
    ) -> (f64, [Vec<f32>; 3], Vec<Vec<f32>>) {
        let dim = self.shape.dim;
        let vectors = self.vectors(attributes);
        let body = self.body();
        // What is read: all but the last item, which is a target only.
        let read: Vec<&[u32]> =
            batch.iter().map(|sequence| sequence.items.split_last().map_or(&[][..], |(_, before)| before)).collect();
        let parts: Vec<&[&[u32]]> = read.chunks(read.len().div_ceil(PARTS).max(1)).collect();
        let firsts: Vec<usize> = parts
            .iter()
            .scan(0, |first, part| {
                let here = *first;
                *first += part.iter().map(|items| items.len()).sum::<usize>();
                Some(here)
            })
            .collect();
        let traces: Vec<Trace> = parts
            .par_iter()
            .zip(&firsts)
            .map(|(part, first)| body.forward(part, &vectors, drop.map(|drop| drop.at(*first))))
            .collect();

        let hidden: Vec<f32> = traces.iter().flat_map(|trace| trace.out.iter().copied()).collect();
        let (starts, mut ids, weights) = targets(batch, settings);
        let found = match drawn {
            None => {
                let targets = Targets { starts: &starts, ids: &ids, weights: &weights };
                linear_cross_entropy(&hidden, &vectors, Some(self.bias.values()), dim, &targets)
            }
            Some(drawn) => {
                for id in &mut ids {
                    *id = drawn.place(*id);
                }
                let targets = Targets { starts: &starts, ids: &ids, weights: &weights };
                let few: Vec<f32> = drawn.ids.iter().flat_map(|id| row(&vectors, dim, *id)).copied().collect();
                let own = drawn.ids.iter().map(|id| row(self.bias.values(), 1, *id).first().copied().unwrap_or(0.0));
                let bias: Vec<f32> = own.zip(&drawn.correction).map(|(own, correction)| own + correction).collect();
                let found = linear_cross_entropy(&hidden, &few, Some(&bias), dim, &targets);
                let spread = |values: &[f32], width: usize| {
                    let mut all = vec![0.0; self.items.rows() * width];
                    for (id, values) in drawn.ids.iter().zip(values.chunks_exact(width)) {
                        row_mut(&mut all, width, *id).copy_from_slice(values);
                    }
                    all
                };
                LinearLoss { d_weight: spread(&found.d_weight, dim), d_bias: spread(&found.d_bias, 1), ..found }
            }
        };
        let rows = hidden.len() / dim;
        let scale = 1.0 / rows.max(1) as f32;
        let scaled = |mut values: Vec<f32>| {
            for value in &mut values {
                *value *= scale;
            }
            values
        };
        let (d_hidden, mut d_vectors, d_bias) = (scaled(found.d_hidden), scaled(found.d_weight), scaled(found.d_bias));

        let backs: Vec<(Vec<f32>, Vec<Vec<f32>>)> = parts
            .par_iter()
            .zip(&firsts)
            .zip(traces)
            .map(|((part, first), trace)| {
                let from = first * dim;
                let d_out = d_hidden.get(from..from + trace.out.len()).unwrap_or_default();
                body.backward(part, trace, d_out, drop.map(|drop| drop.at(*first)))
            })
            .collect();
        let mut d_body: Vec<Vec<f32>> = body.tables.iter().map(|table| vec![0.0; table.len()]).collect();
        for (part, (d_input, d_part)) in parts.iter().zip(&backs) {
            let tokens = part.iter().flat_map(|items| items.iter());
            for (item, gradient) in tokens.zip(d_input.chunks_exact(dim)) {
                axpy(1.0, gradient, row_mut(&mut d_vectors, dim, *item));
            }
            for (total, part) in d_body.iter_mut().zip(d_part) {
                axpy(1.0, part, total);
            }
        }
        let mut d_attributes = vec![0.0; self.attributes.values().len()];
        for (gradient, own) in d_vectors.chunks_exact(dim).zip(attributes) {
            let share = 1.0 / own.len().max(1) as f32;
            for attribute in own {
                axpy(share, gradient, row_mut(&mut d_attributes, dim, *attribute));
            }
        }
        (found.loss / rows.max(1) as f64, [d_vectors, d_attributes, d_bias], d_body)
    }

    /// Follows the gradients. Of items and their bias only the rows in `touched` have some; all have where none are named.
    fn step(&mut self, ends: &[Vec<f32>; 3], body: &[Vec<f32>], adam: &Adam, touched: Option<&[u32]>) {
        let all = |rows: usize| (0..rows as u32).collect::<Vec<u32>>();
        let tables = [&mut self.items, &mut self.attributes, &mut self.bias].into_iter().chain(&mut self.body);
        for (at, (table, gradient)) in tables.zip(ends.iter().chain(body)).enumerate() {
            match touched.filter(|_| at == ITEMS || at == BIAS) {
                Some(touched) => {
                    let width = table.dim();
                    let own: Vec<f32> = touched.iter().flat_map(|id| row(gradient, width, *id)).copied().collect();
                    table.step(touched, &own, adam);
                }
                None => table.step(&all(table.rows()), gradient, adam),
            }
        }
    }
}

/// The targets of every place, as the loss wants them.
fn targets(batch: &[Sequence<'_>], settings: &TransformerSettings) -> (Vec<u32>, Vec<u32>, Vec<f32>) {
    let (mut starts, mut ids, mut weights) = (vec![0], Vec::new(), Vec::new());
    for sequence in batch {
        for place in 1..sequence.items.len() {
            let ahead: Vec<u32> = sequence.items.iter().skip(place).take(settings.ahead.max(1)).copied().collect();
            let of = |at: usize| settings.ahead_decay.powi(at as i32);
            let total: f32 = (0..ahead.len()).map(of).sum();
            for (at, item) in ahead.into_iter().enumerate() {
                ids.push(item);
                weights.push(of(at) / total);
            }
            starts.push(ids.len() as u32);
        }
    }
    (starts, ids, weights)
}

impl Transformer {
    /// Learns from histories of two items or more. `attributes` names each item's attributes, numbered from zero; it may be shorter than the
    /// items, or empty. `done` is told each epoch's number and mean loss and may look at the network as it then is.
    pub fn fit(
        histories: &Histories,
        attributes: &[Vec<u32>],
        settings: &TransformerSettings,
        done: &mut dyn FnMut(u32, &Self),
    ) -> Self {
        let most = attributes.iter().flatten().max().map_or(0, |most| *most as usize + 1);
        let mut network = Network::new(histories.items, most, settings);
        let known: Vec<Vec<u32>> = histories
            .users
            .iter()
            .map(|history| {
                let items: Vec<u32> = history.items().filter(|item| (*item as usize) < histories.items).collect();
                let from = items.len().saturating_sub(network.shape.length + 1);
                items.get(from..).unwrap_or_default().to_vec()
            })
            .filter(|items| items.len() > 1)
            .collect();
        let mut losses = Vec::new();
        let mut order: Vec<u32> = (0..known.len() as u32).collect();
        let mut random = ChaCha8Rng::seed_from_u64(settings.seed ^ 0x0d0e);
        let mut drawing = ChaCha8Rng::seed_from_u64(settings.seed ^ 0x0d1a);
        let negatives = (settings.negatives > 0 && settings.negatives < histories.items).then(|| {
            let mut counts = vec![0.0; histories.items];
            for item in known.iter().flatten() {
                if let Some(count) = counts.get_mut(*item as usize) {
                    *count += 1.0;
                }
            }
            Negatives::of(counts.into_iter(), settings.negatives)
        });
        let mut step = 0;
        for epoch in 0..settings.epochs {
            order.shuffle(&mut random);
            // A rate that falls along a half cosine to a tenth (Loshchilov and Hutter, 2017).
            let part = f64::from(epoch) / f64::from(settings.epochs.max(1));
            let factor = 0.1 + 0.9 * 0.5 * (1.0 + (std::f64::consts::PI * part).cos());
            let adam = Adam {
                learning_rate: settings.learning_rate * factor as f32,
                beta2: 0.99,
                weight_decay: settings.weight_decay,
                ..Adam::default()
            };
            let (mut sum, mut steps) = (0.0, 0u32);
            for chosen in order.chunks(settings.batch.max(1)) {
                let batch: Vec<Sequence<'_>> =
                    chosen.iter().filter_map(|at| known.get(*at as usize)).map(|items| Sequence { items }).collect();
                let drop = (settings.dropout > 0.0).then(|| Drop::new(settings.dropout, settings.seed, step));
                let read = || batch.iter().flat_map(|sequence| sequence.items.iter().copied());
                let drawn = negatives.as_ref().map(|negatives| negatives.draw(read(), &mut drawing));
                let (loss, ends, body) = network.gradients(&batch, attributes, settings, drop, drawn.as_ref());
                // What is read is drawn as well: it is a target, or the first of its history, which is one more.
                network.step(&ends, &body, &adam, drawn.as_ref().map(|drawn| drawn.ids.as_slice()));
                sum += loss;
                steps += 1;
                step += 1;
            }
            losses.push(sum / f64::from(steps.max(1)));
            done(epoch, &Self::of(&network, attributes, losses.clone()));
        }
        Self::of(&network, attributes, losses)
    }

    fn of(network: &Network, attributes: &[Vec<u32>], losses: Vec<f64>) -> Self {
        Self {
            shape: network.shape,
            vectors: network.vectors(attributes),
            bias: network.bias.values().to_vec(),
            body: network.body(),
            losses,
        }
    }
}

impl Scorer for Transformer {
    /// Probabilities; minus infinity for every item where nothing is known of the user.
    fn score(&self, _: Option<usize>, history: &History, scores: &mut [f32]) {
        let dim = self.shape.dim;
        let items: Vec<u32> = history.items().filter(|item| (*item as usize) < self.bias.len()).collect();
        let items = items.get(items.len().saturating_sub(self.shape.length)..).unwrap_or_default();
        scores.fill(f32::NEG_INFINITY);
        let trace = self.body.forward(&[items], &self.vectors, None);
        let Some(last) = trace.out.rchunks_exact(dim).next() else { return };
        let mut found = Vec::new();
        linear(last, &self.vectors, &self.bias, 1, dim, self.bias.len(), false, &mut found);
        softmax(&mut found);
        for (score, found) in scores.iter_mut().zip(found) {
            *score = found;
        }
    }
}

/// Logits become probabilities.
pub(crate) fn softmax(values: &mut [f32]) {
    let highest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for value in values.iter_mut() {
        *value = (*value - highest).exp();
    }
    let sum: f64 = values.iter().copied().map(f64::from).sum();
    for value in values.iter_mut() {
        *value /= sum as f32;
    }
}

fn row(values: &[f32], dim: usize, at: u32) -> &[f32] {
    values.get(at as usize * dim..(at as usize + 1) * dim).unwrap_or_default()
}

fn row_mut(values: &mut [f32], dim: usize, at: u32) -> &mut [f32] {
    values.get_mut(at as usize * dim..(at as usize + 1) * dim).unwrap_or_default()
}
