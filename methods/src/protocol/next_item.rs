//! The next item of each user, leave last out (Kang and McAuley, ICDM 2018; ranked among all items as Krichene and Rendle, "On sampled metrics
//! for item recommendation", KDD 2020, ask): the last item is the test, the one before it is what everything is chosen by, and items that
//! a user had are not asked for again.

use super::{coverage, row};
use crate::blend::Question;
use crate::measure::{Ideal, Judged, Row, judge};
use crate::{Basket, Histories, History};

/// Rank at which lists are judged.
pub const AT: usize = 10;

/// Holds each user's last item out: what is left, and the questions. Users of fewer than three items are left as they are, and nothing
/// is asked of them.
pub fn hold_out(histories: &Histories) -> (Histories, Vec<Question>) {
    let mut left = Histories { items: histories.items, users: Vec::with_capacity(histories.users.len()) };
    let mut asked = Vec::new();
    for (who, user) in histories.users.iter().enumerate() {
        let mut items: Vec<u32> = user.items().collect();
        let last = if items.len() > 2 { items.pop() } else { None };
        let history = History { baskets: vec![Basket { items, at: None }] };
        if let Some(last) = last {
            asked.push(Question { who: Some(who), history: history.clone(), targets: vec![last] });
        }
        left.users.push(history);
    }
    (left, asked)
}

/// What weights are chosen by.
pub fn worth(list: &[u32], targets: &[u32]) -> f64 {
    judge(list, targets, AT, Ideal::Reachable).ndcg
}

/// All metrics of a method's lists. `lists` and `questions` go together.
pub fn rows(model: &str, questions: &[Question], lists: &[Vec<u32>], items: usize, seed: i64) -> Vec<Row> {
    let judge = |at: usize| -> Vec<Judged> {
        questions
            .iter()
            .zip(lists)
            .map(|(question, list)| judge(list, &question.targets, at, Ideal::Reachable))
            .collect()
    };
    let mut rows = Vec::new();
    for at in [AT, 5] {
        let judged = judge(at);
        let of = |part: fn(&Judged) -> f64| judged.iter().map(part).collect::<Vec<f64>>();
        rows.push(row(model, format!("ndcg@{at}"), &of(|judged| judged.ndcg), seed));
        rows.push(row(model, format!("hr@{at}"), &of(|judged| judged.hit), seed));
        rows.push(row(model, format!("mrr@{at}"), &of(|judged| judged.reciprocal_rank), seed));
    }
    rows.push(coverage(model, AT, lists, items));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_item_is_held_out_where_two_are_left() {
        let users = vec![History::of_items(vec![4, 1, 2]), History::of_items(vec![3, 0])];
        let (left, asked) = hold_out(&Histories { items: 5, users });
        assert_eq!(left.users, vec![History::of_items(vec![4, 1]), History::of_items(vec![3, 0])]);
        assert_eq!(asked, vec![Question { who: Some(0), history: left.users[0].clone(), targets: vec![2] }]);
    }

    #[test]
    fn every_metric_by_hand() {
        let question = |target| Question { who: None, history: History::of_items(vec![0]), targets: vec![target] };
        let rows = rows("m", &[question(7), question(8)], &[vec![1, 2, 7], vec![1, 2, 3, 4, 5, 8]], 10, 1);
        let near = |metric: &str, expected: f64| {
            let row = rows.iter().find(|row| row.metric == metric).unwrap();
            assert!((row.value - expected).abs() < 1e-12, "{row:?}, not {expected}");
        };
        near("ndcg@10", (0.5 + 1.0 / 7f64.log2()) / 2.0);
        near("ndcg@5", 0.25);
        near("hr@10", 1.0);
        near("hr@5", 0.5);
        near("mrr@10", (1.0 / 3.0 + 1.0 / 6.0) / 2.0);
        near("coverage@10", 0.7);
    }
}
