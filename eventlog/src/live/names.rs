//! One allocation per product id, however often it is bought.

use std::collections::HashSet;

use endcap_recommender::ids::ProductId;

/// Beyond so many ids none is added: nonsense ids must not fill the memory twice.
const MAX_NAMES: usize = 2_000_000;

#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    known: HashSet<ProductId>,
}

impl Names {
    /// Makes `id` share its text with those that were seen before.
    pub(super) fn share(&mut self, id: &mut ProductId) {
        if let Some(known) = self.known.get(id) {
            *id = known.clone();
        } else if self.known.len() < MAX_NAMES {
            self.known.insert(id.clone());
        }
    }

    pub(super) fn shared(&mut self, id: &ProductId) -> ProductId {
        let mut id = id.clone();
        self.share(&mut id);
        id
    }
}
