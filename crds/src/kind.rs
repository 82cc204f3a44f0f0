//! The four kinds by name.

use std::fmt;
use std::str::FromStr;

/// API group of all kinds.
pub const GROUP: &str = "endcap.dev";
/// Version of all kinds.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of all kinds.
pub const API_VERSION: &str = "endcap.dev/v1alpha1";

/// One of the four kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    RecommenderModel,
    ModelVersion,
    PromotionPolicy,
    Experiment,
}

impl Kind {
    /// All kinds, in the order of the reference.
    pub const ALL: [Self; 4] = [Self::RecommenderModel, Self::ModelVersion, Self::PromotionPolicy, Self::Experiment];

    /// The kind as a manifest writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RecommenderModel => "RecommenderModel",
            Self::ModelVersion => "ModelVersion",
            Self::PromotionPolicy => "PromotionPolicy",
            Self::Experiment => "Experiment",
        }
    }

    /// The resource as a path writes it.
    pub fn plural(self) -> &'static str {
        match self {
            Self::RecommenderModel => "recommendermodels",
            Self::ModelVersion => "modelversions",
            Self::PromotionPolicy => "promotionpolicies",
            Self::Experiment => "experiments",
        }
    }

    /// The short name for the command line.
    pub fn short_name(self) -> &'static str {
        match self {
            Self::RecommenderModel => "recm",
            Self::ModelVersion => "recmv",
            Self::PromotionPolicy => "recpp",
            Self::Experiment => "recexp",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A kind that is none of ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("failed to find kind {0:?}: use RecommenderModel, ModelVersion, PromotionPolicy or Experiment")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    /// Reads the kind, the plural or the short name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| [kind.as_str(), kind.plural(), kind.short_name()].contains(&text))
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}
