//! The methods of a task together: their settings, their fit, their blend, and how settings are chosen.

pub mod fitted;
pub mod next_basket;
pub mod next_item;
pub mod session;
pub mod top_n;

use std::collections::BTreeMap;

use crate::Scorer;
use crate::blend::{Blend, Part, Question, Scale};
use crate::protocol::lists;

/// A method and what it is called.
pub type Named<'a> = (&'static str, &'a dyn Scorer);

/// The weighted sum of the methods that have a weight.
pub fn blend<'a>(methods: &[Named<'a>], weights: &BTreeMap<String, f32>, scale: Scale) -> Blend<'a> {
    let part = |(name, scorer): &Named<'a>| Part {
        scorer: *scorer,
        scale,
        weight: weights.get(*name).copied().unwrap_or(0.0),
    };
    Blend { parts: methods.iter().map(part).collect() }
}

/// Mean worth of a method's lists.
fn worth_of(
    scorer: &dyn Scorer,
    questions: &[Question],
    items: usize,
    at: usize,
    worth: crate::blend::Worth<'_>,
) -> f64 {
    let lists = lists(scorer, questions, items, at);
    let values: Vec<f64> = lists.iter().zip(questions).map(|(list, question)| worth(list, &question.targets)).collect();
    crate::measure::mean(&values)
}

/// The first of the settings that are worth most.
fn best<S: Copy>(tried: impl IntoIterator<Item = S>, mut worth: impl FnMut(S) -> f64) -> Option<S> {
    let mut found: Option<(f64, S)> = None;
    for settings in tried {
        let value = worth(settings);
        if found.as_ref().is_none_or(|(best, _)| value > *best) {
            found = Some((value, settings));
        }
    }
    found.map(|(_, settings)| settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_best_is_taken() {
        assert_eq!(best([3, 1, 2, 4], |value| f64::from(value / 3)), Some(3));
        assert_eq!(best([], |_: u8| 0.0), None);
    }
}
