//! The two-tower network in candle. Parameters live in tables of our own, of which each step takes the rows that it needs as leaves
//! of the graph and steps them by a row-sparse Adam: a step costs what its batch touches, not what the catalogue holds. On a GPU that is so
//! too: rows are summed into bags beside their table, what comes of it and the other leaves go there, and their gradients come back.

use candle_core::{Device, Result, Shape, Tensor, Var};
use endcap_kernels::sparse::{Adam, Distinct, SparseTable};
use endcap_recommender::fitted::{CONTEXTS, Rows};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::examples::Batch;
use super::ops::Bag;
use super::place::Place;

/// All trainable tables, in the order of [`TABLES`].
#[derive(Clone, Debug)]
pub struct Tower {
    pub dim: usize,
    pub hidden: usize,
    pub tables: Vec<SparseTable>,
    /// Where a step is computed; the tables stay on the processor.
    pub place: Place,
}

pub const INPUTS: usize = 0;
pub const ITEMS: usize = 1;
pub const WORDS: usize = 2;
pub const BIAS: usize = 3;
pub const HISTORY: usize = 4;
pub const CART: usize = 5;
pub const CONTEXT: usize = 6;
pub const GAIN: usize = 7;
pub const SHIFT: usize = 8;
pub const UP: usize = 9;
pub const UP_BIAS: usize = 10;
pub const DOWN: usize = 11;
pub const DOWN_BIAS: usize = 12;
pub const TABLES: [&str; 13] = [
    "inputs",
    "items",
    "words",
    "bias",
    "history",
    "cart",
    "context",
    "gain",
    "shift",
    "up",
    "up_bias",
    "down",
    "down_bias",
];

/// The items that a step's softmax runs over.
#[derive(Clone, Debug)]
pub struct Candidates {
    /// Distinct, ascending.
    pub products: Vec<u32>,
    /// Added to the logits: 0 for a full softmax, minus the log of the expected count for sampled ones.
    pub correction: Vec<f32>,
    /// Words of each candidate.
    pub words: Rows<(u32, f32)>,
}

/// Products (or words) and weights, by example.
type Bags = Rows<(u32, f32)>;

/// The gradients of some rows of a table.
#[derive(Debug)]
pub struct Gradient {
    pub table: usize,
    pub ids: Vec<u32>,
    /// rows x dim
    pub values: Vec<f32>,
}

/// A step's leaves: which rows of which table.
struct Leaf {
    table: usize,
    ids: Vec<u32>,
    var: Var,
}

impl Tower {
    /// Small random embeddings; items start at what their words say, the residual block at nothing.
    pub fn new(products: usize, words: usize, dim: usize, hidden: usize, seed: i64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
        let mut drawn = |rows: usize, dim: usize, scale: f32| {
            let values = (0..rows * dim).map(|_| scale * Distribution::<f32>::sample(&StandardNormal, &mut random));
            SparseTable::new(rows, dim, values.collect())
        };
        let unit = 1.0 / (dim as f32).sqrt();
        let filled = |rows: usize, dim: usize, value: f32| SparseTable::new(rows, dim, vec![value; rows * dim]);
        let tables = vec![
            drawn(products, dim, unit),
            drawn(products, dim, 0.1 * unit),
            drawn(words, dim, 0.5 * unit),
            filled(products, 1, 0.0),
            drawn(dim, dim, unit),
            drawn(dim, dim, unit),
            drawn(CONTEXTS, dim, 0.1 * unit),
            filled(1, dim, 1.0),
            filled(1, dim, 0.0),
            drawn(hidden, dim, unit),
            filled(1, hidden, 0.0),
            filled(dim, hidden, 0.0),
            filled(1, dim, 0.0),
        ];
        Self { dim, hidden, tables, place: Place::processor() }
    }

    /// The same network, computed elsewhere.
    pub fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    pub fn values(&self, table: usize) -> &[f32] {
        self.tables.get(table).map_or(&[], SparseTable::values)
    }

    fn leaf_on(&self, device: &Device, table: usize, ids: Vec<u32>, shape: impl Into<Shape>) -> Result<Leaf> {
        let values = self.tables.get(table).map_or_else(Vec::new, |table| table.gather(&ids));
        let var = Var::from_tensor(&Tensor::from_vec(values, shape, device)?)?;
        Ok(Leaf { table, ids, var })
    }

    fn leaf(&self, table: usize, ids: Vec<u32>, shape: impl Into<Shape>) -> Result<Leaf> {
        self.leaf_on(self.place.device(), table, ids, shape)
    }

    /// The whole of a small table.
    fn whole_on(&self, device: &Device, table: usize) -> Result<Leaf> {
        let rows = self.tables.get(table).map_or(0, SparseTable::rows);
        let dim = self.values(table).len() / rows.max(1);
        self.leaf_on(device, table, (0..rows as u32).collect(), (rows, dim))
    }

    /// Sums of a leaf's rows, which lie on the processor, brought to where the step is computed: candle's own sum by ids would be walked
    /// by one thread a column there.
    fn summed(&self, leaf: &Leaf, bags: Bags) -> Result<Tensor> {
        Bag::apply(leaf.var.as_tensor(), bags)?.to_device(self.place.device())
    }

    /// The rows that some bags name, on the processor, and the bags by place among them.
    fn bagged(&self, table: usize, dim: usize, bags: &[&Bags]) -> Result<(Leaf, Vec<Bags>)> {
        let ids: Vec<u32> = bags.iter().flat_map(|bag| bag.entries.iter().map(|entry| entry.0)).collect();
        let distinct = Distinct::of(&ids);
        let mut places = distinct.places.iter();
        let renamed = bags.iter().map(|bag| Rows {
            starts: bag.starts.clone(),
            entries: bag.entries.iter().zip(places.by_ref()).map(|(entry, place)| (*place, entry.1)).collect(),
        });
        let renamed = renamed.collect();
        // An empty tensor has no storage to point at: one row of nothing stands in.
        let ids = if distinct.ids.is_empty() { vec![0] } else { distinct.ids };
        let rows = ids.len();
        Ok((self.leaf_on(&Device::Cpu, table, ids, (rows, dim))?, renamed))
    }

    /// The mean loss of a batch, and the leaves that it depends on. `keep` is a dropout mask on the query's input (batch x dim),
    /// already scaled; none at evaluation.
    fn forward(&self, batch: &Batch, candidates: &Candidates, keep: Option<Tensor>) -> Result<(Tensor, Vec<Leaf>)> {
        let dim = self.dim;
        let (inputs, bags) = self.bagged(INPUTS, dim, &[&batch.history, &batch.cart])?;
        let (words, word_bags) = self.bagged(WORDS, dim, &[&candidates.words])?;
        let rows = candidates.products.len();
        let items = self.leaf(ITEMS, candidates.products.clone(), (rows, dim))?;
        let bias = self.leaf(BIAS, candidates.products.clone(), rows)?;
        let device = self.place.device();
        let context = self.whole_on(&Device::Cpu, CONTEXT)?;
        let [history, cart, up, down] = [HISTORY, CART, UP, DOWN].map(|table| self.whole_on(device, table));
        let (history, cart, up, down) = (history?, cart?, up?, down?);
        let flat = |table: usize, len: usize| self.leaf(table, vec![0], len);
        let (gain, shift) = (flat(GAIN, dim)?, flat(SHIFT, dim)?);
        let (up_bias, down_bias) = (flat(UP_BIAS, self.hidden)?, flat(DOWN_BIAS, dim)?);

        let bag = |at: usize| bags.get(at).cloned().unwrap_or_default();
        let of_history = self.summed(&inputs, bag(0))?.matmul(&history.var.t()?)?;
        let of_cart = self.summed(&inputs, bag(1))?.matmul(&cart.var.t()?)?;
        let of_context = self.summed(&context, batch.context.clone())?;
        let mut x = ((of_history + of_cart)? + of_context)?;
        if let Some(keep) = keep {
            x = (x * keep.to_device(device)?)?;
        }
        let normed = self.place.norm(&x, gain.var.as_tensor(), shift.var.as_tensor())?;
        let inner = normed.matmul(&up.var.t()?)?.broadcast_add(up_bias.var.as_tensor())?.relu()?;
        let query = (x + inner.matmul(&down.var.t()?)?.broadcast_add(down_bias.var.as_tensor())?)?;

        let content = self.summed(&words, word_bags.into_iter().next().unwrap_or_default())?;
        let item = (items.var.as_tensor() + content)?;
        let correction = Tensor::from_slice(&candidates.correction, rows, device)?;
        let logit_bias = (bias.var.as_tensor() + correction)?;
        let loss = self.place.linear_cross_entropy(&query, &item, &logit_bias, &batch.targets)?;
        let leaves =
            vec![inputs, words, items, bias, history, cart, context, gain, shift, up, up_bias, down, down_bias];
        Ok((loss, leaves))
    }

    /// The mean loss of a batch whose targets are places among the candidates.
    pub fn loss(&self, batch: &Batch, candidates: &Candidates) -> Result<f32> {
        self.forward(batch, candidates, None)?.0.to_scalar()
    }

    /// The mean loss and the gradients by table.
    pub fn gradients(
        &self,
        batch: &Batch,
        candidates: &Candidates,
        keep: Option<Tensor>,
    ) -> Result<(f32, Vec<Gradient>)> {
        let (loss, leaves) = self.forward(batch, candidates, keep)?;
        let found = loss.backward()?;
        let value = loss.to_scalar()?;
        drop(loss);
        let mut gradients = Vec::with_capacity(leaves.len());
        for Leaf { table, ids, var } in leaves {
            let Some(gradient) = found.get(&var) else { continue };
            gradients.push(Gradient { table, ids, values: gradient.flatten_all()?.to_vec1()? });
        }
        Ok((value, gradients))
    }

    /// One step of the optimizer; returns the mean loss before it.
    pub fn step(&mut self, batch: &Batch, candidates: &Candidates, keep: Option<Tensor>, adam: &Adam) -> Result<f32> {
        let (loss, gradients) = self.gradients(batch, candidates, keep)?;
        for Gradient { table, ids, values } in gradients {
            if let Some(table) = self.tables.get_mut(table) {
                table.step(&ids, &values, adam);
            }
        }
        Ok(loss)
    }
}
