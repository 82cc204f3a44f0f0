//! The best of many scores.

use std::cmp::Ordering;

/// Which of two items with the same score comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ties {
    #[default]
    SmallerItem,
    LargerItem,
}

/// The `k` best items, best first. An item that scores [`f32::NEG_INFINITY`] or is not a number is never among them.
pub fn top(scores: &[f32], k: usize, ties: Ties) -> Vec<u32> {
    let score = |item: u32| scores.get(item as usize).copied().unwrap_or(f32::NEG_INFINITY);
    let better = |a: &u32, b: &u32| -> Ordering {
        let by_item = match ties {
            Ties::SmallerItem => a.cmp(b),
            Ties::LargerItem => b.cmp(a),
        };
        // 0 is added, so that a negative zero ties with a plain one.
        (score(*b) + 0.0).total_cmp(&(score(*a) + 0.0)).then(by_item)
    };
    let mut items: Vec<u32> = (0..scores.len() as u32).filter(|item| score(*item) > f32::NEG_INFINITY).collect();
    if k == 0 {
        return Vec::new();
    }
    if items.len() > k {
        items.select_nth_unstable_by(k - 1, better);
        items.truncate(k);
        // Else every list would hold room for all items.
        items.shrink_to_fit();
    }
    items.sort_unstable_by(better);
    items
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ties_go_where_the_rule_says_and_never_means_never() {
        let scores = [0.5, 1.0, 0.5, f32::NEG_INFINITY, f32::NAN, -0.0, 0.0];
        assert_eq!(top(&scores, 3, Ties::SmallerItem), vec![1, 0, 2]);
        assert_eq!(top(&scores, 2, Ties::LargerItem), vec![1, 2]);
        assert_eq!(top(&scores, 10, Ties::SmallerItem), vec![1, 0, 2, 5, 6]);
        assert!(top(&scores, 0, Ties::SmallerItem).is_empty());
        assert!(top(&vec![1.0; 10_000], 10, Ties::SmallerItem).capacity() < 100, "a list has no room for every item");
    }

    proptest! {
        #[test]
        fn the_top_is_the_head_of_all(scores in proptest::collection::vec(0u8..6, 0..60), k in 0usize..70) {
            let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
            let mut all = top(&scores, scores.len().max(1), Ties::SmallerItem);
            all.truncate(k);
            prop_assert_eq!(top(&scores, k, Ties::SmallerItem), all);
        }
    }
}
