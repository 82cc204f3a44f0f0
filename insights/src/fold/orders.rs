//! What purchases look like, whoever recommended what: the present side of drift.

use std::collections::BTreeMap;

use endcap_recommender::profile::{OrderFacts, Profile};
use serde::{Deserialize, Serialize};

/// Products of a cell that are counted one by one; lines of further ones are counted together.
const MAX_PRODUCTS: usize = 20_000;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderCell {
    pub profile: Profile,
    /// Lines by product; categories are looked up when they are asked for, in the catalogue of the version that is judged.
    pub products: BTreeMap<u32, u64>,
    pub other_products: u64,
}

impl OrderCell {
    pub fn add(&mut self, facts: &OrderFacts, products: &[u32]) {
        self.profile.add(facts);
        for product in products {
            self.count(*product, 1);
        }
    }

    fn count(&mut self, product: u32, lines: u64) {
        let has_room = self.products.len() < MAX_PRODUCTS;
        match self.products.get_mut(&product) {
            Some(count) => *count += lines,
            None if has_room => {
                self.products.insert(product, lines);
            }
            None => self.other_products += lines,
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.profile.merge(&other.profile);
        for (product, lines) in &other.products {
            self.count(*product, *lines);
        }
        self.other_products += other.other_products;
    }
}
