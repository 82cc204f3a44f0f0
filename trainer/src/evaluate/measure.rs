//! What is measured of lists.

use std::collections::{BTreeMap, HashSet};

pub use endcap_methods::measure::Row;
use endcap_recommender::fitted::{Model, NONE};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::protocol::Asked;
use crate::tune::{Interval, bootstrap, mean, ndcg};

/// Rank at which lists are judged.
pub const AT: usize = 10;
/// A product of at most so many orders is cold.
const COLD_ORDERS: u32 = 5;

/// NDCG, recall and hit of one list.
pub fn judge(list: &[u32], targets: &[u32]) -> [f64; 3] {
    let hits: Vec<bool> = list.iter().take(AT).map(|product| targets.contains(product)).collect();
    let found = hits.iter().filter(|hit| **hit).count() as f64;
    [ndcg(&hits, targets.len(), AT), found / targets.len().max(1) as f64, f64::from(u8::from(found > 0.0))]
}

/// All metrics of a model's lists. `lists` and `asked` go together.
pub fn rows(name: &str, model: &Model, asked: &[Asked], lists: &[Vec<u32>], seed: i64) -> Vec<Row> {
    let mut values: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for (asked, list) in asked.iter().zip(lists) {
        for (metric, value) in of_list(model, asked, list) {
            values.entry(metric).or_default().push(value);
        }
    }
    let row = |metric: &str, value: f64, interval: Interval, n: usize| Row {
        model: name.to_owned(),
        metric: metric.to_owned(),
        value,
        low: interval.low,
        high: interval.high,
        n: n as u64,
    };
    let mut rows: Vec<Row> = METRICS
        .iter()
        .filter_map(|metric| {
            let values = values.get(metric)?;
            Some(row(metric, mean(values), bootstrap(values, seed), values.len()))
        })
        .collect();
    let sold = (0..model.catalogue.len() as u32).filter(|product| model.associations.item_orders(*product) > 0).count();
    let (value, interval) = coverage(lists, sold, seed);
    rows.push(row("coverage@10", value, interval, lists.len()));
    rows
}

const METRICS: [&str; 10] = [
    "ndcg@10",
    "recall@10",
    "hr@10",
    "diversity@10",
    "novelty@10",
    "repeat_share@10",
    "repeat_recall@10",
    "explore_recall@10",
    "cross_category@10",
    "cold_recall@10",
];

fn of_list(model: &Model, asked: &Asked, list: &[u32]) -> Vec<(&'static str, f64)> {
    let list = list.get(..list.len().min(AT)).unwrap_or(list);
    let [ndcg, recall, hit] = judge(list, &asked.targets);
    let mut found = vec![("ndcg@10", ndcg), ("recall@10", recall), ("hr@10", hit)];
    let size = list.len().max(1) as f64;
    let subcategory = |product: u32| model.catalogue.subcategory(product);
    let kinds: HashSet<u32> = list.iter().map(|product| subcategory(*product)).collect();
    found.push(("diversity@10", kinds.len() as f64 / size));
    let surprise = |product: &u32| -f64::from(model.popularity.share(*product).max(1e-6)).log2();
    found.push(("novelty@10", list.iter().map(surprise).sum::<f64>() / size));
    let bought: HashSet<u32> =
        asked.question.history.iter().flat_map(|order| order.lines.iter().map(|(product, _)| *product)).collect();
    let share = |of: &mut dyn Iterator<Item = bool>| of.filter(|is| *is).count() as f64 / size;
    found.push(("repeat_share@10", share(&mut list.iter().map(|product| bought.contains(product)))));
    let cart: HashSet<u32> = asked.question.anchors.iter().map(|anchor| subcategory(*anchor)).collect();
    if !cart.is_empty() {
        let crosses = |product: &u32| subcategory(*product) == NONE || !cart.contains(&subcategory(*product));
        found.push(("cross_category@10", share(&mut list.iter().map(crosses))));
    }
    let mut part = |name: &'static str, is_part: &dyn Fn(&u32) -> bool| {
        let targets: Vec<&u32> = asked.targets.iter().filter(|target| is_part(target)).collect();
        if !targets.is_empty() {
            let hits = targets.iter().filter(|target| list.contains(target)).count();
            found.push((name, hits as f64 / targets.len() as f64));
        }
    };
    part("repeat_recall@10", &|target| bought.contains(target));
    part("explore_recall@10", &|target| !bought.contains(target));
    part("cold_recall@10", &|target| model.associations.item_orders(*target) <= COLD_ORDERS);
    found
}

/// Share of the products sold before the test that stand in any list. A resample holds fewer distinct lists and so fewer products;
/// the interval is the spread of resamples around their own mean, put around the value.
fn coverage(lists: &[Vec<u32>], sold: usize, seed: i64) -> (f64, Interval) {
    let share = |lists: &mut dyn Iterator<Item = &Vec<u32>>| {
        let seen: HashSet<u32> = lists.flat_map(|list| list.iter().take(AT).copied()).collect();
        seen.len() as f64 / sold.max(1) as f64
    };
    let value = share(&mut lists.iter());
    let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
    let mut drawn: Vec<f64> = (0..200)
        .map(|_| {
            let mut some = (0..lists.len()).filter_map(|_| lists.get(random.random_range(0..lists.len())));
            share(&mut some)
        })
        .collect();
    let middle = mean(&drawn);
    drawn.sort_unstable_by(f64::total_cmp);
    let at = |place: usize| value + drawn.get(place).copied().unwrap_or(middle) - middle;
    (value, Interval { low: at(5).clamp(0.0, value), high: at(194).clamp(value, 1.0) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use endcap_recommender::candidates::{HistoryOrder, Question};
    use endcap_recommender::fitted::{Associations, Catalogue, CatalogueRow, Popularity};

    use super::*;

    /// Six products in three subcategories; product 5 is cold.
    fn model() -> Model {
        let row = |at: usize| CatalogueRow {
            id: format!("P{at}"),
            subcategory: Some(format!("S{}", at / 2)),
            active: true,
            ..CatalogueRow::default()
        };
        Model {
            catalogue: Catalogue::build((0..6).map(row).collect(), |_| None),
            associations: Associations {
                orders: 100,
                item_orders: vec![50, 40, 30, 20, 10, 4],
                ..Associations::default()
            },
            popularity: Popularity { share: vec![0.5, 0.25, 0.125, 0.125, 0.0625, 0.03125], ..Popularity::default() },
            ..Model::default()
        }
    }

    #[test]
    fn every_metric_by_hand() {
        let history = vec![HistoryOrder { age_days: 3.0, lines: vec![(2, 1.0)] }];
        let question = Question { anchors: vec![0], history, ..Question::default() };
        let asked = vec![
            Asked { question: question.clone(), targets: vec![2, 4, 5] },
            Asked { question: Question { anchors: vec![1], ..Question::default() }, targets: vec![3] },
        ];
        let lists = vec![vec![1, 2, 3, 5], vec![4, 3]];
        let rows = rows("m", &model(), &asked, &lists, 1);
        let value = |metric: &str| rows.iter().find(|row| row.metric == metric).map(|row| (row.value, row.n)).unwrap();
        let near = |metric: &str, expected: f64, n: u64| {
            let (found, of) = value(metric);
            assert!((found - expected).abs() < 1e-9 && of == n, "{metric}: {found} of {of}, not {expected} of {n}");
        };
        let gain = |rank: f64| 1.0 / (rank + 1.0).log2();
        // Hits at ranks 2 and 4 of three targets; a hit at rank 2 of one.
        let first = (gain(2.0) + gain(4.0)) / (gain(1.0) + gain(2.0) + gain(3.0));
        near("ndcg@10", (first + gain(2.0)) / 2.0, 2);
        near("recall@10", (2.0 / 3.0 + 1.0) / 2.0, 2);
        near("hr@10", 1.0, 2);
        // Subcategories 0, 1, 1, 2 in four; 2, 1 in two.
        near("diversity@10", (0.75 + 1.0) / 2.0, 2);
        near("novelty@10", ((2.0 + 3.0 + 3.0 + 5.0) / 4.0 + (4.0 + 3.0) / 2.0) / 2.0, 2);
        near("repeat_share@10", (0.25 + 0.0) / 2.0, 2);
        near("repeat_recall@10", 1.0, 1);
        near("explore_recall@10", (0.5 + 1.0) / 2.0, 2);
        near("cross_category@10", (0.75 + 1.0) / 2.0, 2);
        near("cold_recall@10", 1.0, 1);
        near("coverage@10", 5.0 / 6.0, 2);
    }
}
