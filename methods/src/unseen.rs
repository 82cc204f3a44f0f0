//! A method that never names what a user had.

use crate::{History, Scorer};

/// The scores of a method, with what stands in the history left out.
pub struct Unseen<'a>(pub &'a dyn Scorer);

/// What was had is never named.
pub(crate) fn leave_out(history: &History, scores: &mut [f32]) {
    for item in history.items() {
        if let Some(score) = scores.get_mut(item as usize) {
            *score = f32::NEG_INFINITY;
        }
    }
}

impl Scorer for Unseen<'_> {
    fn score(&self, who: Option<usize>, history: &History, scores: &mut [f32]) {
        self.0.score(who, history, scores);
        leave_out(history, scores);
    }

    fn score_all(&self, users: &[(Option<usize>, &History)], scores: &mut [f32]) {
        self.0.score_all(users, scores);
        let items = scores.len() / users.len().max(1);
        for ((_, history), scores) in users.iter().zip(scores.chunks_exact_mut(items.max(1))) {
            leave_out(history, scores);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Same;

    impl Scorer for Same {
        fn score(&self, _: Option<usize>, _: &History, scores: &mut [f32]) {
            scores.fill(0.5);
        }
    }

    #[test]
    fn what_was_had_is_never_named() {
        let mut scores = vec![0.0; 3];
        Unseen(&Same).score(None, &History::of_items(vec![2, 0, 9]), &mut scores);
        assert_eq!(crate::top(&scores, 3, crate::Ties::SmallerItem), vec![1]);
        let (one, other) = (History::of_items(vec![2, 0]), History::of_items(vec![1]));
        let mut scores = vec![0.0; 6];
        Unseen(&Same).score_all(&[(None, &one), (None, &other)], &mut scores);
        let never = f32::NEG_INFINITY;
        assert_eq!(scores, [never, 0.5, never, 0.5, never, 0.5]);
    }
}
