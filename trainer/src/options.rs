//! What a training is told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::{DeviceChoice, TrainError};

/// Everything a training depends on. What is in [`TrainOptions::identity`] decides the artifact's digest; the rest does not.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainOptions {
    /// Folder of a canonical dataset (with `dataset.json`).
    pub data: PathBuf,
    /// The export of an event log, merged into the dataset before anything is learned.
    pub events: Option<String>,
    /// Only events before this offset.
    pub events_until: Option<u64>,
    /// Where the artifact goes: `file:///folder`, a folder or `s3://bucket/prefix`.
    pub out: String,
    pub model: String,
    pub model_uid: Option<String>,
    /// Number N of `<model>-v<N>`.
    pub version: u64,
    pub architecture: Architecture,
    pub seed: i64,
    /// Worker threads; the artifact does not depend on it.
    pub threads: usize,
    /// What the two-tower network learns on.
    pub device: DeviceChoice,
    pub hyperparameters: BTreeMap<String, String>,
    /// Folder for checkpoints.
    pub work: PathBuf,
    /// With a store of many versions: the prefix below which `<model>-v<N>` lie, to look whether the number is free.
    pub versions_at: Option<String>,
    /// The artifact of the version that serves now, to compare with in the model card.
    pub active: Option<String>,
}

/// Which components are learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Architecture {
    /// Association rules, popularity and personal repeat.
    Rules,
    /// And learned item-to-item weights from orders, customers, sequence and content.
    Collaborative,
    /// And the two-tower network and the ranker.
    #[default]
    Hybrid,
}

impl Architecture {
    pub const ALL: [Self; 3] = [Self::Rules, Self::Collaborative, Self::Hybrid];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "Rules",
            Self::Collaborative => "Collaborative",
            Self::Hybrid => "Hybrid",
        }
    }

    pub fn parse(text: &str) -> Result<Self, TrainError> {
        Self::ALL.into_iter().find(|known| text.eq_ignore_ascii_case(known.as_str())).ok_or_else(|| {
            TrainError::Option {
                what: "--architecture".to_owned(),
                value: text.to_owned(),
                remedy: "write Rules, Collaborative or Hybrid".to_owned(),
            }
        })
    }
}

/// The hyperparameters that may be set, with their ranges. One that is set is not tuned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyper {
    pub trend_half_life_days: Option<f32>,
    pub history_half_life_days: Option<f32>,
    pub confidence_shrinkage: Option<f32>,
    /// Partners kept by product.
    pub neighbours: usize,
    /// Length of the validation window; 0 switches tuning off.
    pub validation_days: Option<u32>,
    /// Orders with more distinct products are cut to this many before pairs are counted.
    pub max_order_products: usize,
    /// Ridge of EASE on orders and on customers.
    pub basket_ridge: f32,
    pub customer_ridge: f32,
    /// Products with orders up to which EASE is solved; item kNN above.
    pub ease_products: usize,
    /// Length of the two-tower network's vectors, and passes over the orders; 0 passes leave it out.
    pub deep_dimensions: usize,
    pub deep_epochs: u32,
    /// Orders that the network sees in all, repeated or not: the more orders, the fewer passes, but one.
    pub deep_orders: u64,
    /// How many of the blend's best candidates the ranker ranks, and passes over the questions; 0 passes leave it out.
    pub ranker_depth: usize,
    pub ranker_epochs: u32,
}

impl Default for Hyper {
    fn default() -> Self {
        Self {
            trend_half_life_days: None,
            history_half_life_days: None,
            confidence_shrinkage: None,
            neighbours: 100,
            validation_days: None,
            max_order_products: 200,
            basket_ridge: 300.0,
            customer_ridge: 100.0,
            ease_products: 8000,
            deep_dimensions: 64,
            deep_epochs: 10,
            deep_orders: 3_000_000,
            ranker_depth: 300,
            ranker_epochs: 8,
        }
    }
}

const KNOWN: &str = "trend_half_life_days, history_half_life_days, confidence_shrinkage, neighbours, validation_days, max_order_products, \
     basket_ridge, customer_ridge, ease_products, deep_dimensions, deep_epochs, deep_orders, ranker_depth, ranker_epochs";

impl Hyper {
    /// Passes of the two-tower network over so many orders.
    pub fn deep_passes(&self, orders: usize) -> u32 {
        let enough = self.deep_orders.div_ceil((orders as u64).max(1)).max(1);
        self.deep_epochs.min(u32::try_from(enough).unwrap_or(u32::MAX))
    }

    pub fn parse(given: &BTreeMap<String, String>) -> Result<Self, TrainError> {
        let mut hyper = Self::default();
        for (key, value) in given {
            let number = |low: f64, high: f64| {
                value.parse::<f64>().ok().filter(|number| (low..=high).contains(number)).ok_or_else(|| {
                    TrainError::Option {
                        what: format!("hyperparameter {key}"),
                        value: value.clone(),
                        remedy: format!("write a number from {low} to {high}"),
                    }
                })
            };
            match key.as_str() {
                "trend_half_life_days" => hyper.trend_half_life_days = Some(number(1.0, 3650.0)? as f32),
                "history_half_life_days" => hyper.history_half_life_days = Some(number(1.0, 3650.0)? as f32),
                "confidence_shrinkage" => hyper.confidence_shrinkage = Some(number(0.0, 10_000.0)? as f32),
                "neighbours" => hyper.neighbours = number(1.0, 1000.0)? as usize,
                "validation_days" => hyper.validation_days = Some(number(0.0, 3650.0)? as u32),
                "max_order_products" => hyper.max_order_products = number(2.0, 10_000.0)? as usize,
                "basket_ridge" => hyper.basket_ridge = number(0.1, 1e6)? as f32,
                "customer_ridge" => hyper.customer_ridge = number(0.1, 1e6)? as f32,
                "ease_products" => hyper.ease_products = number(0.0, 20_000.0)? as usize,
                "deep_dimensions" => hyper.deep_dimensions = number(4.0, 512.0)? as usize,
                "deep_epochs" => hyper.deep_epochs = number(0.0, 1000.0)? as u32,
                "deep_orders" => hyper.deep_orders = number(1.0, 1e12)? as u64,
                "ranker_depth" => hyper.ranker_depth = number(20.0, 2000.0)? as usize,
                "ranker_epochs" => hyper.ranker_epochs = number(0.0, 1000.0)? as u32,
                _ => {
                    return Err(TrainError::Option {
                        what: "--hyperparameter".to_owned(),
                        value: key.clone(),
                        remedy: format!("use one of {KNOWN}"),
                    });
                }
            }
        }
        Ok(hyper)
    }
}

impl TrainOptions {
    /// `<model>-v<N>`
    pub fn version_name(&self) -> String {
        format!("{}-v{}", self.model, self.version)
    }

    /// Model names are DNS labels, as Kubernetes wants them and as folders bear them.
    pub fn validate(&self) -> Result<(), TrainError> {
        let label = |text: &str| {
            (1..=63).contains(&text.len())
                && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                && !text.starts_with('-')
                && !text.ends_with('-')
        };
        if !label(&self.model) {
            return Err(TrainError::Option {
                what: "--model".to_owned(),
                value: self.model.clone(),
                remedy: "write up to 63 lower-case letters, digits and dashes, such as giftshop".to_owned(),
            });
        }
        if self.version == 0 {
            return Err(TrainError::Option {
                what: "--version".to_owned(),
                value: "0".to_owned(),
                remedy: "versions count from 1".to_owned(),
            });
        }
        Hyper::parse(&self.hyperparameters).map(|_| ())
    }
}
