//! A policy in the model's own terms. Compile it again when the policy or the model changes.

use std::collections::{HashMap, HashSet};

use crate::candidates::{SIGNALS, Signal};
use crate::fitted::Model;
use crate::policy::{PlacementPolicy, Policy};
use crate::request::Placement;

#[derive(Clone, Debug, Default)]
pub struct CompiledPolicy {
    pub policy: Policy,
    products: HashSet<u32>,
    categories: HashSet<u32>,
    brands: HashSet<u32>,
    /// Both ways.
    pairs: HashMap<u32, Vec<u32>>,
    factors: HashMap<Placement, [f32; SIGNALS]>,
}

impl CompiledPolicy {
    /// What the model does not know cannot be recommended, so names that it does not know are left out here.
    pub fn new(policy: Policy, model: &Model) -> Self {
        let catalogue = &model.catalogue;
        let blocklist = &policy.blocklist;
        let mut pairs: HashMap<u32, Vec<u32>> = HashMap::new();
        for pair in &blocklist.pairs {
            if let (Some(a), Some(b)) = (catalogue.find(&pair.a), catalogue.find(&pair.b)) {
                pairs.entry(a).or_default().push(b);
                pairs.entry(b).or_default().push(a);
            }
        }
        let factors = policy.placements.iter().map(|placement| (placement.name, factors(placement))).collect();
        Self {
            products: blocklist.products.iter().filter_map(|id| catalogue.find(id)).collect(),
            categories: blocklist.categories.iter().filter_map(|id| catalogue.find_category(id)).collect(),
            brands: blocklist.brands.iter().filter_map(|id| catalogue.find_brand(id)).collect(),
            pairs,
            factors,
            policy,
        }
    }

    pub fn blocks(&self, model: &Model, product: u32) -> bool {
        let catalogue = &model.catalogue;
        self.products.contains(&product)
            || self.categories.contains(&catalogue.category(product))
            || self.categories.contains(&catalogue.subcategory(product))
            || self.brands.contains(&catalogue.brand(product))
    }

    /// Products that must not be recommended to an order that holds `product`.
    pub fn forbidden_with(&self, product: u32) -> &[u32] {
        self.pairs.get(&product).map_or(&[], Vec::as_slice)
    }

    pub fn placement(&self, name: Placement) -> Option<&PlacementPolicy> {
        self.policy.placements.iter().find(|placement| placement.name == name)
    }

    pub(crate) fn factors(&self, placement: Placement) -> [f32; SIGNALS] {
        self.factors.get(&placement).copied().unwrap_or([1.0; SIGNALS])
    }
}

/// A weight that is no number counts as 1: the custom resource's schema refuses it before it comes here.
fn factors(placement: &PlacementPolicy) -> [f32; SIGNALS] {
    Signal::ALL.map(|signal| {
        let factor = placement.weights.get(signal.name()).and_then(|text| text.parse::<f32>().ok());
        factor.filter(|factor| factor.is_finite()).unwrap_or(1.0)
    })
}
