//! What is clicked next in a session that goes on (Ludewig and Jannach, UMUAI 28, 2018; metrics as Serenade's evaluator has them):
//! after each click but the last, the clicks so far are known and all that follow are targets, the next one first.

use super::{coverage, row};
use crate::History;
use crate::blend::Question;
use crate::measure::Row;

/// Rank at which lists are judged.
pub const AT: usize = 20;

/// A question after each click. Targets are the clicks that follow, in their order, an item as often as it is clicked.
pub fn questions(sessions: &[History]) -> Vec<Question> {
    let mut all = Vec::new();
    for session in sessions {
        let clicks: Vec<u32> = session.items().collect();
        for at in 1..clicks.len() {
            let (before, after) = clicks.split_at(at);
            all.push(Question { who: None, history: History::of_items(before.to_vec()), targets: after.to_vec() });
        }
    }
    all
}

/// 1 over the rank of the next click, 0 below the list.
pub fn reciprocal_rank(list: &[u32], targets: &[u32]) -> f64 {
    let next = targets.first();
    let place = list.iter().take(AT).position(|item| Some(item) == next);
    place.map_or(0.0, |place| 1.0 / (place + 1) as f64)
}

/// Hits over all clicks that follow; a repeated item is found once and counts as often as it is clicked below the line.
fn recall(list: &[u32], targets: &[u32]) -> f64 {
    list.iter().take(AT).filter(|item| targets.contains(item)).count() as f64 / targets.len().max(1) as f64
}

/// NDCG with the discount of Jarvelin and Kekalainen (ACM TOIS 20(4), 2002) at base 2: the first two ranks are not discounted, from
/// there on log2(rank). The ideal has as many hits as clicks follow, at most the list's length.
fn ndcg(list: &[u32], targets: &[u32]) -> f64 {
    let gain = |place: usize| if place < 2 { 1.0 } else { 1.0 / ((place + 1) as f64).log2() };
    let hits = list.iter().take(AT).enumerate().filter(|(_, item)| targets.contains(item));
    let found: f64 = hits.map(|(place, _)| gain(place)).sum();
    let ideal: f64 = (0..targets.len().min(AT)).map(gain).sum();
    if ideal > 0.0 { found / ideal } else { 0.0 }
}

/// All metrics of a method's lists. `lists` and `questions` go together; `items` are those that were learned from.
pub fn rows(model: &str, questions: &[Question], lists: &[Vec<u32>], items: usize, seed: i64) -> Vec<Row> {
    type Part = fn(&[u32], &[u32]) -> f64;
    let metrics: [(&str, Part); 4] = [
        ("mrr", reciprocal_rank),
        ("ndcg", ndcg),
        ("hr", |list, targets| if reciprocal_rank(list, targets) > 0.0 { 1.0 } else { 0.0 }),
        ("recall", recall),
    ];
    let mut rows: Vec<Row> = metrics
        .into_iter()
        .map(|(name, of)| {
            let values: Vec<f64> =
                questions.iter().zip(lists).map(|(question, list)| of(list, &question.targets)).collect();
            row(model, format!("{name}@{AT}"), &values, seed)
        })
        .collect();
    rows.push(coverage(model, AT, lists, items));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_asked_after_each_click() {
        let asked = questions(&[History::of_items(vec![5, 6, 5]), History::of_items(vec![1])]);
        let question = |before: &[u32], after: &[u32]| Question {
            who: None,
            history: History::of_items(before.to_vec()),
            targets: after.to_vec(),
        };
        assert_eq!(asked, vec![question(&[5], &[6, 5]), question(&[5, 6], &[5])]);
    }

    #[test]
    fn every_metric_by_hand() {
        let asked = questions(&[History::of_items(vec![0, 1, 2, 2])]);
        // The next are 1, 2, 2; then 2, 2; then 2.
        let lists = vec![vec![3, 1, 4, 2], vec![2], vec![0]];
        let rows = rows("m", &asked, &lists, 10, 1);
        let near = |metric: &str, expected: f64| {
            let row = rows.iter().find(|row| row.metric == metric).unwrap();
            assert!((row.value - expected).abs() < 1e-12 && row.n == 3, "{row:?}, not {expected}");
        };
        near("mrr@20", (0.5 + 1.0) / 3.0);
        near("hr@20", 2.0 / 3.0);
        near("recall@20", (2.0 / 3.0 + 0.5) / 3.0);
        // Ranks 2 and 4 of three; rank 1 of two.
        near("ndcg@20", ((1.0 + 0.5) / (2.0 + 1.0 / 3f64.log2()) + 0.5) / 3.0);
        near("coverage@20", 0.5);
    }
}
