//! The few numbers that steer the pipeline: chosen on the validation window by the trainer, readable in the artifact.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::candidates::Signal;

/// What is known when a question is asked; each has weights of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Situation {
    /// Something is in the cart and the customer has a history.
    CartKnown,
    CartUnknown,
    EmptyKnown,
    EmptyUnknown,
}

impl Situation {
    pub const ALL: [Self; 4] = [Self::CartKnown, Self::CartUnknown, Self::EmptyKnown, Self::EmptyUnknown];

    pub fn of(cart_is_empty: bool, has_history: bool) -> Self {
        match (cart_is_empty, has_history) {
            (false, true) => Self::CartKnown,
            (false, false) => Self::CartUnknown,
            (true, true) => Self::EmptyKnown,
            (true, false) => Self::EmptyUnknown,
        }
    }
}

/// Weight by signal; a signal that is not named weighs nothing.
pub type SignalWeights = BTreeMap<Signal, f32>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// ISO 4217 of all prices, where known.
    pub currency: Option<String>,
    /// End of the data: what `recent` and intervals are counted to.
    pub trained_until: Option<Timestamp>,
    pub trend_half_life_days: f32,
    /// Days after which an order of a customer's history counts half.
    pub history_half_life_days: f32,
    /// Orders added to a product's count before its confidence is believed.
    pub confidence_shrinkage: f32,
    pub weights: BTreeMap<Situation, SignalWeights>,
    /// Weights for counts alone, where `weights` rest on learned tables too: those of a router's pack.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pack_weights: BTreeMap<Situation, SignalWeights>,
}

impl Default for Settings {
    fn default() -> Self {
        // Where a validation window is too small to choose by.
        let weights = |list: &[(Signal, f32)]| list.iter().copied().collect::<SignalWeights>();
        use Signal::{Confidence, Excess, Personal, Recent, Segment, Viewed};
        Self {
            currency: None,
            trained_until: None,
            trend_half_life_days: 30.0,
            history_half_life_days: 60.0,
            confidence_shrinkage: 10.0,
            weights: BTreeMap::from([
                (
                    Situation::CartKnown,
                    weights(&[
                        (Confidence, 1.0),
                        (Excess, 0.5),
                        (Personal, 0.5),
                        (Recent, 0.3),
                        (Segment, 0.1),
                        (Viewed, 0.3),
                    ]),
                ),
                (
                    Situation::CartUnknown,
                    weights(&[(Confidence, 1.0), (Excess, 0.5), (Recent, 0.3), (Segment, 0.2), (Viewed, 0.3)]),
                ),
                (Situation::EmptyKnown, weights(&[(Personal, 1.0), (Recent, 0.3), (Segment, 0.2), (Viewed, 0.5)])),
                (Situation::EmptyUnknown, weights(&[(Recent, 1.0), (Segment, 0.7), (Viewed, 1.0)])),
            ]),
            pack_weights: BTreeMap::new(),
        }
    }
}
