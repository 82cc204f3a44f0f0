//! What else each user had (Wang et al., "Neural graph collaborative filtering", SIGIR 2019; He et al., "LightGCN", SIGIR 2020): the items that
//! are known are not asked for again, recall over all targets, the ideal of NDCG over min(20, targets).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{coverage, row};
use crate::blend::Question;
use crate::measure::{Ideal, Judged, Row, judge};
use crate::{Histories, History};

/// Rank at which lists are judged.
pub const AT: usize = 20;

/// Asks for the wanted items of each user that has some.
pub fn questions(histories: &Histories, wanted: &[Vec<u32>]) -> Vec<Question> {
    let users = histories.users.iter().zip(wanted).enumerate();
    users
        .filter(|(_, (_, wanted))| !wanted.is_empty())
        .map(|(who, (user, wanted))| Question { who: Some(who), history: user.clone(), targets: wanted.clone() })
        .collect()
}

/// Holds a share of each user's items out at random, to choose by: what is left, and the questions.
pub fn hold_out(histories: &Histories, share: f64, seed: i64) -> (Histories, Vec<Question>) {
    let mut left = Histories { items: histories.items, users: Vec::with_capacity(histories.users.len()) };
    let mut wanted = Vec::with_capacity(histories.users.len());
    for (user, history) in (0u64..).zip(&histories.users) {
        let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
        random.set_stream(user);
        let mut items: Vec<u32> = history.items().collect();
        items.sort_unstable();
        items.dedup();
        let held = (items.len() as f64 * share).round() as usize;
        let mut taken: Vec<u32> = (0..held).map(|_| items.swap_remove(random.random_range(0..items.len()))).collect();
        taken.sort_unstable();
        items.sort_unstable();
        left.users.push(History::of_items(items));
        wanted.push(taken);
    }
    let asked = questions(&left, &wanted);
    (left, asked)
}

/// What weights are chosen by: recall and NDCG alike.
pub fn worth(list: &[u32], targets: &[u32]) -> f64 {
    let judged = judge(list, targets, AT, Ideal::Reachable);
    (judged.recall + judged.ndcg) / 2.0
}

/// All metrics of a method's lists. `lists` and `questions` go together.
pub fn rows(model: &str, questions: &[Question], lists: &[Vec<u32>], items: usize, seed: i64) -> Vec<Row> {
    let judged: Vec<Judged> = questions
        .iter()
        .zip(lists)
        .map(|(question, list)| judge(list, &question.targets, AT, Ideal::Reachable))
        .collect();
    type Part = fn(&Judged) -> f64;
    let metrics: [(&str, Part); 4] = [
        ("recall", |judged| judged.recall),
        ("ndcg", |judged| judged.ndcg),
        ("hr", |judged| judged.hit),
        ("precision", |judged| judged.precision),
    ];
    let mut rows: Vec<Row> = metrics
        .into_iter()
        .map(|(name, of)| row(model, format!("{name}@{AT}"), &judged.iter().map(of).collect::<Vec<_>>(), seed))
        .collect();
    rows.push(coverage(model, AT, lists, items));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_held_out_and_the_rest_is_left() {
        let users: Vec<History> = (0..9u32).map(|user| History::of_items((user..user + 10).collect())).collect();
        let all = Histories { items: 20, users };
        let (left, asked) = hold_out(&all, 0.3, 5);
        assert_eq!(asked.len(), 9);
        for (user, question) in all.users.iter().zip(&asked) {
            assert_eq!(question.targets.len(), 3);
            let mut both: Vec<u32> = question.history.items().chain(question.targets.iter().copied()).collect();
            both.sort_unstable();
            assert_eq!(both, user.items().collect::<Vec<u32>>());
        }
        assert_eq!((left, asked), hold_out(&all, 0.3, 5));
        assert_ne!(hold_out(&all, 0.3, 5).1, hold_out(&all, 0.3, 6).1);
    }

    #[test]
    fn every_metric_by_hand() {
        let question = |targets: &[u32]| Question { who: None, history: History::default(), targets: targets.to_vec() };
        let rows = rows("m", &[question(&[1, 2]), question(&[3])], &[vec![2, 5], vec![4]], 8, 1);
        let near = |metric: &str, expected: f64| {
            let row = rows.iter().find(|row| row.metric == metric).unwrap();
            assert!((row.value - expected).abs() < 1e-12, "{row:?}, not {expected}");
        };
        near("recall@20", 0.25);
        near("ndcg@20", 0.5 / (1.0 + 1.0 / 3f64.log2()));
        near("hr@20", 0.5);
        near("precision@20", 0.025);
        near("coverage@20", 3.0 / 8.0);
    }
}
