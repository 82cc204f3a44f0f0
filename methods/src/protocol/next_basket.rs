//! The next basket of each user (Li, Jullien, Ariannezhad and de Rijke, "A Next Basket Recommendation Reality Check", ACM TOIS 41(4),
//! 2023): nothing that was had is left out, recall over all targets, the ideal of NDCG over all targets.

use std::collections::HashSet;

use super::{coverage, row};
use crate::blend::Question;
use crate::measure::{Ideal, Judged, Row, judge};
use crate::{Histories, History};

/// Rank at which lists are judged.
pub const AT: usize = 10;

/// Asks for the given next basket of each user that has one and a past.
pub fn questions(histories: &Histories, next: &[Vec<u32>]) -> Vec<Question> {
    let users = histories.users.iter().zip(next).enumerate();
    users
        .filter(|(_, (user, next))| !user.is_empty() && !next.is_empty())
        .map(|(who, (user, next))| Question { who: Some(who), history: user.clone(), targets: next.clone() })
        .collect()
}

/// Holds each user's last basket out, to choose by: what is left, and the questions. Users of one basket are left as they are.
pub fn hold_out(histories: &Histories) -> (Histories, Vec<Question>) {
    let mut left = histories.clone();
    let mut held: Vec<Vec<u32>> = Vec::with_capacity(left.users.len());
    for user in &mut left.users {
        let last = if user.baskets.len() > 1 { user.baskets.pop() } else { None };
        held.push(last.map(|basket| crate::popularity::distinct(&basket.items)).unwrap_or_default());
    }
    let asked = questions(&left, &held);
    (left, asked)
}

/// What weights are chosen by: recall and NDCG alike.
pub fn worth(list: &[u32], targets: &[u32]) -> f64 {
    let judged = judge(list, targets, AT, Ideal::AllTargets);
    (judged.recall + judged.ndcg) / 2.0
}

/// All metrics of a method's lists. `lists` and `questions` go together.
pub fn rows(model: &str, questions: &[Question], lists: &[Vec<u32>], items: usize, seed: i64) -> Vec<Row> {
    let judged: Vec<Judged> = questions
        .iter()
        .zip(lists)
        .map(|(question, list)| judge(list, &question.targets, AT, Ideal::AllTargets))
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
    for (name, repeats) in [("repeat_recall", true), ("explore_recall", false)] {
        let values: Vec<f64> =
            questions.iter().zip(lists).filter_map(|(question, list)| part(question, list, repeats)).collect();
        rows.push(row(model, format!("{name}@{AT}"), &values, seed));
    }
    rows.push(coverage(model, AT, lists, items));
    rows
}

/// Recall over the targets that the user had before, or had not; none where there are none.
fn part(question: &Question, list: &[u32], repeats: bool) -> Option<f64> {
    let had: HashSet<u32> = History::items(&question.history).collect();
    let targets: Vec<u32> = question.targets.iter().copied().filter(|target| had.contains(target) == repeats).collect();
    (!targets.is_empty()).then(|| judge(list, &targets, AT, Ideal::AllTargets).recall)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histories() -> Histories {
        let users = vec![History::of_baskets([vec![0], vec![1, 2, 2]]), History::of_baskets([vec![3]])];
        Histories { items: 5, users }
    }

    #[test]
    fn the_last_basket_is_held_out_where_there_is_another() {
        let (left, asked) = hold_out(&histories());
        assert_eq!(left.users, vec![History::of_baskets([vec![0]]), History::of_baskets([vec![3]])]);
        let history = History::of_baskets([vec![0]]);
        assert_eq!(asked, vec![Question { who: Some(0), history, targets: vec![1, 2] }]);
    }

    #[test]
    fn every_metric_by_hand() {
        let asked = questions(&histories(), &[vec![1, 4], vec![0]]);
        let rows = rows("m", &asked, &[vec![4, 3, 2], vec![3, 1]], 5, 1);
        let near = |metric: &str, expected: f64, n: u64| {
            let row = rows.iter().find(|row| row.metric == metric).unwrap();
            assert!((row.value - expected).abs() < 1e-12 && row.n == n, "{row:?}, not {expected} of {n}");
        };
        near("recall@10", 0.25, 2);
        near("hr@10", 0.5, 2);
        near("precision@10", 0.05, 2);
        near("ndcg@10", 0.5 / (1.0 + 1.0 / 3f64.log2()), 2);
        near("repeat_recall@10", 0.0, 1);
        near("explore_recall@10", 0.5, 2);
        near("coverage@10", 0.8, 2);
    }
}
