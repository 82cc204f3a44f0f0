//! The k best of a stream of scores, ties broken by the smaller id, so that the same input gives the same list everywhere.

/// Keeps the `k` highest scores. Not-a-number is never kept.
#[derive(Clone, Debug)]
pub struct TopK {
    k: usize,
    /// Unsorted until it overflows; then pruned to the best `k` and `threshold` is the worst kept.
    kept: Vec<(f32, u32)>,
    threshold: Option<(f32, u32)>,
}

/// Descending by score, then ascending by id.
#[allow(clippy::trivially_copy_pass_by_ref)] // what sort_unstable_by wants
fn order(a: &(f32, u32), b: &(f32, u32)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

impl TopK {
    pub fn new(k: usize) -> Self {
        Self { k, kept: Vec::with_capacity(k.saturating_mul(2).clamp(1, 1 << 16)), threshold: None }
    }

    #[inline]
    pub fn push(&mut self, id: u32, score: f32) {
        let entry = (score, id);
        if score.is_nan() || self.threshold.is_some_and(|worst| order(&entry, &worst).is_ge()) {
            return;
        }
        self.kept.push(entry);
        if self.kept.len() >= self.k.saturating_mul(2).max(32) {
            self.prune();
        }
    }

    fn prune(&mut self) {
        if self.k == 0 {
            self.kept.clear();
        } else if self.kept.len() > self.k {
            let (_, worst, _) = self.kept.select_nth_unstable_by(self.k - 1, order);
            self.threshold = Some(*worst);
            self.kept.truncate(self.k);
        }
    }

    /// Best first.
    pub fn into_sorted(mut self) -> Vec<(u32, f32)> {
        self.prune();
        self.kept.sort_unstable_by(order);
        self.kept.into_iter().map(|(score, id)| (id, score)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_a_full_sort(scores in proptest::collection::vec(prop_oneof![Just(f32::NAN), -3.0f32..3.0, Just(1.0)], 0..400), k in 0usize..40) {
            let mut best = TopK::new(k);
            let mut all = Vec::new();
            for (id, score) in scores.iter().enumerate() {
                best.push(id as u32, *score);
                if !score.is_nan() {
                    all.push((id as u32, *score));
                }
            }
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            all.truncate(k);
            prop_assert_eq!(best.into_sorted(), all);
        }
    }
}
