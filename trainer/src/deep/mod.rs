//! The two-tower network: a customer's history, the cart and the moment on one side, products with their words on the other
//! (Covington et al., RecSys 2016; Yi et al., RecSys 2019 for the sampled softmax and its correction).

mod examples;
#[cfg(test)]
mod gradients;
pub mod ops;
mod place;
pub mod stock;
pub mod tower;
#[cfg(test)]
mod twins;

use candle_core::{Device, Tensor};
use endcap_kernels::scan::Vectors;
use endcap_kernels::sparse::{Adam, SparseTable};
use endcap_methods::negatives::{Drawn, Negatives};
use endcap_recommender::fitted::{Catalogue, Deep, Rows};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use examples::{Batch, Examples};
pub use place::Place;
pub use tower::{Candidates, Tower};

use crate::TrainError;
use crate::fit::Words;
use crate::load::View;

/// How the network is built and learned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeepOptions {
    pub dim: usize,
    pub hidden: usize,
    pub epochs: u32,
    pub batch: usize,
    pub learning_rate: f32,
    pub dropout: f32,
    pub weight_decay: f32,
    /// Products up to which the softmax runs over all of them.
    pub full_softmax: usize,
    /// Products that are drawn for a step's softmax above that.
    pub negatives: usize,
}

impl Default for DeepOptions {
    fn default() -> Self {
        Self {
            dim: 64,
            hidden: 128,
            epochs: 10,
            batch: 256,
            learning_rate: 0.003,
            dropout: 0.2,
            weight_decay: 0.0,
            full_softmax: 20_000,
            negatives: 4096,
        }
    }
}

/// A training after some epochs, as a checkpoint keeps it.
struct State {
    epochs: u32,
    losses: Vec<f32>,
    tables: Vec<Vec<u8>>,
}

/// Where a training keeps its state between epochs.
pub trait Keep {
    fn read(&self) -> Option<Vec<u8>>;
    fn write(&self, state: &[u8]) -> Result<(), TrainError>;
}

/// What a fit depends on beside the data.
#[derive(Clone, Debug)]
pub struct How {
    pub options: DeepOptions,
    pub seed: i64,
    pub place: Place,
}

/// Learns from a view of sales. `done` is called once an epoch and may stop the training by an error. Returns the network and the mean
/// loss of each epoch.
pub fn fit(
    catalogue: &Catalogue,
    sales: View<'_>,
    customers: usize,
    how: &How,
    keep: &dyn Keep,
    done: &dyn Fn() -> Result<(), TrainError>,
) -> Result<(Deep, Vec<f32>), TrainError> {
    let How { options, seed, place } = how;
    let seed = *seed;
    let words = Words::new(catalogue);
    let examples = Examples::new(sales, customers);
    let drawer = Drawer::new(sales, catalogue.len(), options);
    let mut tower = Tower::new(catalogue.len(), words.len(), options.dim, options.hidden, seed).at(place.clone());
    let mut state = State { epochs: 0, losses: Vec::new(), tables: Vec::new() };
    if let Some(found) = keep.read().and_then(|bytes| read_state(&bytes)) {
        let tables: Option<Vec<SparseTable>> =
            found.tables.iter().map(|bytes| SparseTable::from_state_bytes(bytes)).collect();
        if let Some(tables) = tables.filter(|tables| tables.len() == tower.tables.len()) {
            tower.tables = tables;
            state = State { tables: Vec::new(), ..found };
        }
    }
    for _ in 0..state.epochs {
        done()?;
    }
    while state.epochs < options.epochs {
        let loss = epoch(&mut tower, &examples, &drawer, &words, options, seed, state.epochs)?;
        state.epochs += 1;
        state.losses.push(loss);
        state.tables = tower.tables.iter().map(SparseTable::state_bytes).collect();
        keep.write(&write_state(&state))?;
        state.tables = Vec::new();
        done()?;
    }
    Ok((serve_words(&tower, &words.of_product), state.losses))
}

fn failed(source: candle_core::Error) -> TrainError {
    TrainError::Tensor { what: "the two-tower network", source: Box::new(source) }
}

fn epoch(
    tower: &mut Tower,
    examples: &Examples<'_>,
    drawer: &Drawer,
    words: &Words,
    options: &DeepOptions,
    seed: i64,
    epoch: u32,
) -> Result<f32, TrainError> {
    // A rate that falls along a half cosine to a twentieth (Loshchilov and Hutter, 2017).
    let part = f64::from(epoch) / f64::from(options.epochs.max(1));
    let factor = 0.05 + 0.95 * 0.5 * (1.0 + (std::f64::consts::PI * part).cos());
    let adam = Adam {
        learning_rate: options.learning_rate * factor as f32,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-8,
        weight_decay: options.weight_decay,
    };
    let (mut sum, mut steps) = (0.0f64, 0u32);
    for (step, orders) in (0u32..).zip(examples.epoch(seed, epoch).chunks(options.batch.max(1))) {
        let mut random = ChaCha8Rng::seed_from_u64(seed as u64 ^ 0x5eed);
        random.set_stream((u64::from(epoch) << 32) | u64::from(step));
        let mut batch = examples.batch(orders, seed, epoch);
        if batch.is_empty() {
            continue;
        }
        let candidates = drawer.draw(&mut batch, words, &mut random);
        let mask = mask(batch.len(), options, &mut random).map_err(failed)?;
        sum += f64::from(tower.step(&batch, &candidates, mask, &adam).map_err(failed)?);
        steps += 1;
    }
    Ok((sum / f64::from(steps.max(1))) as f32)
}

fn mask(rows: usize, options: &DeepOptions, random: &mut ChaCha8Rng) -> candle_core::Result<Option<Tensor>> {
    if options.dropout <= 0.0 {
        return Ok(None);
    }
    let scale = 1.0 / (1.0 - options.dropout);
    let kept = (0..rows * options.dim).map(|_| if random.random::<f32>() < options.dropout { 0.0 } else { scale });
    Tensor::from_vec(kept.collect::<Vec<f32>>(), (rows, options.dim), &Device::Cpu).map(Some)
}

/// Chooses what a step's softmax runs over.
struct Drawer {
    products: usize,
    /// None where it runs over all products.
    negatives: Option<Negatives>,
}

impl Drawer {
    fn new(sales: View<'_>, products: usize, options: &DeepOptions) -> Self {
        let mut counts = vec![0.0f64; products];
        for (_, lines) in sales.orders() {
            for line in lines {
                if let Some(count) = counts.get_mut(line.product as usize) {
                    *count += 1.0;
                }
            }
        }
        let is_large = products > options.full_softmax;
        Self { products, negatives: is_large.then(|| Negatives::of(counts.into_iter(), options.negatives)) }
    }

    /// The candidates of a batch; its targets become places among them.
    fn draw(&self, batch: &mut Batch, words: &Words, random: &mut ChaCha8Rng) -> Candidates {
        let all = || Drawn { ids: (0..self.products as u32).collect(), correction: vec![0.0; self.products] };
        let drawn = self.negatives.as_ref().map_or_else(all, |negatives| {
            let drawn = negatives.draw(batch.targets.entries.iter().map(|entry| entry.0), random);
            for entry in &mut batch.targets.entries {
                entry.0 = drawn.place(entry.0);
            }
            drawn
        });
        let Drawn { ids: products, correction } = drawn;
        let words = Rows::from_rows(products.iter().map(|product| words.of_product.row(*product).to_vec()));
        Candidates { products, correction, words }
    }
}

/// The network as it is served: items with their words added up and the bias as one more number.
fn serve_words(tower: &Tower, words: &Rows<(u32, f32)>) -> Deep {
    use tower::{BIAS, CART, CONTEXT, DOWN, DOWN_BIAS, GAIN, HISTORY, INPUTS, ITEMS, SHIFT, UP, UP_BIAS, WORDS};
    let dim = tower.dim;
    let (items, of_words, bias) = (tower.values(ITEMS), tower.values(WORDS), tower.values(BIAS));
    let mut rows = Vec::with_capacity(items.len() + bias.len());
    for ((product, item), bias) in (0u32..).zip(items.chunks_exact(dim)).zip(bias) {
        let mut row = item.to_vec();
        for (word, weight) in words.row(product) {
            let at = *word as usize * dim;
            endcap_kernels::dot::axpy(*weight, of_words.get(at..at + dim).unwrap_or(&[]), &mut row);
        }
        rows.extend(row);
        rows.push(*bias);
    }
    let table = |table: usize| tower.values(table).to_vec();
    Deep {
        dim,
        hidden: tower.hidden,
        inputs: table(INPUTS),
        items: Vectors::new(dim + 1, rows),
        history: table(HISTORY),
        cart: table(CART),
        context: table(CONTEXT),
        gain: table(GAIN),
        shift: table(SHIFT),
        up: table(UP),
        up_bias: table(UP_BIAS),
        down: table(DOWN),
        down_bias: table(DOWN_BIAS),
    }
}

/// Lengths before bytes: numbers stay exact.
fn write_state(state: &State) -> Vec<u8> {
    let mut bytes = Vec::new();
    let number = |bytes: &mut Vec<u8>, value: u32| bytes.extend_from_slice(&value.to_le_bytes());
    number(&mut bytes, state.epochs);
    for loss in &state.losses {
        number(&mut bytes, loss.to_bits());
    }
    number(&mut bytes, state.tables.len() as u32);
    for table in &state.tables {
        bytes.extend_from_slice(&(table.len() as u64).to_le_bytes());
        bytes.extend_from_slice(table);
    }
    bytes
}

fn read_state(mut bytes: &[u8]) -> Option<State> {
    fn number(bytes: &mut &[u8]) -> Option<u32> {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        *bytes = rest;
        Some(u32::from_le_bytes(*head))
    }
    let epochs = number(&mut bytes)?;
    let losses = (0..epochs).map(|_| number(&mut bytes).map(f32::from_bits)).collect::<Option<Vec<f32>>>()?;
    let count = number(&mut bytes)?;
    let mut tables = Vec::new();
    for _ in 0..count {
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let len = u64::from_le_bytes(*head) as usize;
        tables.push(rest.get(..len)?.to_vec());
        bytes = rest.get(len..)?;
    }
    Some(State { epochs, losses, tables })
}
