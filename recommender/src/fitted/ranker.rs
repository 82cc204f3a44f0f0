//! The hybrid ranker as it is served: a small network over what all generators say of a candidate, and the context.

use endcap_kernels::dense::linear;
use serde::{Deserialize, Serialize};

use super::Situation;
use crate::artifact::{ArtifactError, Columns, ColumnsBuilder};
use crate::ranking::{INPUTS, TRAITS};

/// Learned by the trainer on the validation window. `logit = x.skip + relu(relu(x A' + a) B' + b).out`, with
/// `x = clamp((input - mean) * inverse_sd)`; probability = `sigmoid(slope * logit + offset)` by situation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ranker {
    /// How many of the blend's best candidates it ranks.
    pub depth: usize,
    pub hidden: [usize; 2],
    pub mean: Vec<f32>,
    /// 0 for an input that never varied or that was not worth its place.
    pub inverse_sd: Vec<f32>,
    pub skip: Vec<f32>,
    pub first: Vec<f32>,
    pub first_bias: Vec<f32>,
    pub second: Vec<f32>,
    pub second_bias: Vec<f32>,
    pub out: Vec<f32>,
    /// Slope and offset by situation.
    pub calibration: Vec<f32>,
    /// 1 by situation where it was better than the blend; the blend ranks the others.
    pub serves: Vec<u32>,
    /// Products x [`TRAITS`]: what does not depend on the question.
    pub traits: Vec<f32>,
    /// By product what its customers' ratings add to its logit; empty where ratings are not worth it.
    pub liking: Vec<f32>,
}

/// Standardised inputs are cut here, so that one strange value cannot carry a product to the top.
pub const INPUT_RANGE: (f32, f32) = (-5.0, 8.0);

/// Work space of [`Ranker::logits`].
#[derive(Clone, Debug, Default)]
pub struct Layers {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Ranker {
    pub fn traits_of(&self, product: u32) -> &[f32] {
        let at = product as usize * TRAITS;
        self.traits.get(at..at + TRAITS).unwrap_or(&[0.0; TRAITS])
    }

    /// What ratings add to a product's logit.
    pub fn liking_of(&self, product: u32) -> f32 {
        self.liking.get(product as usize).copied().unwrap_or(0.0)
    }

    /// Centres and scales rows of [`INPUTS`] in place.
    pub fn standardise(&self, inputs: &mut [f32]) {
        let (low, high) = INPUT_RANGE;
        for row in inputs.chunks_exact_mut(INPUTS) {
            for ((value, mean), inverse_sd) in row.iter_mut().zip(&self.mean).zip(&self.inverse_sd) {
                *value = ((*value - mean) * inverse_sd).clamp(low, high);
            }
        }
    }

    /// One logit a row of standardised inputs.
    pub fn logits(&self, inputs: &[f32], layers: &mut Layers) -> Vec<f32> {
        let rows = inputs.len() / INPUTS;
        let [one, two] = self.hidden;
        linear(inputs, &self.first, &self.first_bias, rows, INPUTS, one, true, &mut layers.first);
        linear(&layers.first, &self.second, &self.second_bias, rows, one, two, true, &mut layers.second);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let rows = inputs.chunks_exact(INPUTS).zip(layers.second.chunks_exact(two.max(1)));
        rows.map(|(row, hidden)| dot(row, &self.skip) + dot(hidden, &self.out)).collect()
    }

    pub fn serves(&self, situation: Situation) -> bool {
        self.serves.get(situation as usize).is_some_and(|serves| *serves != 0)
    }

    /// How likely a product of this logit is wanted.
    pub fn probability(&self, situation: Situation, logit: f32) -> f32 {
        let at = situation as usize * 2;
        let (slope, offset) = match self.calibration.get(at..at + 2) {
            Some([slope, offset]) => (*slope, *offset),
            _ => (1.0, 0.0),
        };
        1.0 / (1.0 + (-(slope * logit + offset)).exp())
    }

    pub(crate) fn encode(&self, object: &'static str) -> Result<Vec<u8>, ArtifactError> {
        let [one, two] = self.hidden;
        let mut columns = ColumnsBuilder::default();
        columns.numbers("shape", &[self.depth as u32, one as u32, two as u32]);
        for (name, values) in [
            ("mean", &self.mean),
            ("inverse_sd", &self.inverse_sd),
            ("skip", &self.skip),
            ("first", &self.first),
            ("first_bias", &self.first_bias),
            ("second", &self.second),
            ("second_bias", &self.second_bias),
            ("out", &self.out),
            ("calibration", &self.calibration),
            ("traits", &self.traits),
            ("liking", &self.liking),
        ] {
            columns.numbers(name, values);
        }
        columns.numbers("serves", &self.serves);
        columns.finish(object)
    }

    pub(crate) fn decode(object: &'static str, bytes: &[u8], products: usize) -> Result<Self, ArtifactError> {
        let columns = Columns::open(object, bytes)?;
        let shape: Vec<u32> = columns.exactly("shape", 3)?;
        let size = |at: usize| shape.get(at).copied().unwrap_or(0).min(1 << 16) as usize;
        let (one, two) = (size(1), size(2));
        let rated = columns.numbers::<f32>("liking")?.len();
        Ok(Self {
            depth: size(0),
            hidden: [one, two],
            mean: columns.exactly("mean", INPUTS)?,
            inverse_sd: columns.exactly("inverse_sd", INPUTS)?,
            skip: columns.exactly("skip", INPUTS)?,
            first: columns.exactly("first", one * INPUTS)?,
            first_bias: columns.exactly("first_bias", one)?,
            second: columns.exactly("second", two * one)?,
            second_bias: columns.exactly("second_bias", two)?,
            out: columns.exactly("out", two)?,
            calibration: columns.exactly("calibration", 2 * Situation::ALL.len())?,
            serves: columns.exactly("serves", Situation::ALL.len())?,
            traits: columns.exactly("traits", products * TRAITS)?,
            liking: columns.exactly("liking", if rated == 0 { 0 } else { products })?,
        })
    }
}
