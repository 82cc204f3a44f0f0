//! The k best of a stream of scores, ties broken by the smaller id, so that the same input gives the same list everywhere.

use crate::level::Level;
use crate::x86;

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

    /// Scores below this are not kept any more (minus infinity: all are).
    #[inline]
    pub fn floor(&self) -> f32 {
        self.threshold.map_or(f32::NEG_INFINITY, |(score, _)| score)
    }

    /// Scores of the ids `first`, `first + 1`, ...: those below the floor are passed over a vector at a time.
    #[inline]
    pub fn offer(&mut self, first: u32, scores: &[f32]) {
        let level = Level::best();
        let (mut left, mut id) = (scores, first);
        loop {
            let below = x86::next_at_least(level, left, self.floor());
            let Some((score, rest)) = left.get(below..).and_then(<[f32]>::split_first) else { return };
            id = id.wrapping_add(below as u32);
            self.push(id, *score);
            (left, id) = (rest, id.wrapping_add(1));
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

/// The place of the first score that is `floor` or more; the length if there is none. Not-a-number is less than anything.
pub(crate) fn next_at_least_body(scores: &[f32], floor: f32) -> usize {
    scores.iter().position(|score| *score >= floor).unwrap_or(scores.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_next_is_found_at_every_level(scores in proptest::collection::vec(prop_oneof![9 => -3.0f32..0.5, 1 => Just(f32::NAN), 1 => 0.0f32..2.0], 0..200), floor in prop_oneof![Just(f32::NEG_INFINITY), 0.0f32..2.0]) {
            let want = scores.iter().position(|score| *score >= floor).unwrap_or(scores.len());
            for level in Level::available() {
                prop_assert_eq!(x86::next_at_least(level, &scores, floor), want, "{}", level.name());
            }
        }

        #[test]
        fn equals_a_full_sort(scores in proptest::collection::vec(prop_oneof![Just(f32::NAN), -3.0f32..3.0, Just(1.0)], 0..400), k in 0usize..40) {
            let mut best = TopK::new(k);
            let mut offered = TopK::new(k);
            offered.offer(0, &scores);
            let mut all = Vec::new();
            for (id, score) in scores.iter().enumerate() {
                best.push(id as u32, *score);
                if !score.is_nan() {
                    all.push((id as u32, *score));
                }
            }
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            all.truncate(k);
            prop_assert_eq!(offered.into_sorted(), all.clone());
            prop_assert_eq!(best.into_sorted(), all);
        }
    }
}
