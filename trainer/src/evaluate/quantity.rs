//! `--task quantity-upsell`: of the order lines of the test that stood at 50 to 99% of a real price break, which did their customer take
//! to the break the next time? Nobody was told to: what is measured is whether the lines that would be picked are those that go up,
//! as lift over the share of all. Breaks, rates and habits are learned from what came before the test.

use std::collections::{BTreeMap, VecDeque};

use endcap_methods::measure::Row;
use endcap_recommender::candidates::Scratch;
use endcap_recommender::fitted::{Model, money_from_i64};
use endcap_recommender::ids::ProductId;
use endcap_recommender::live::{CustomerState, PastOrder, ShelfState};
use endcap_recommender::pipeline::{CompiledPolicy, Facts, Person, recommend};
use endcap_recommender::policy::{Policy, UpsellMode};
use endcap_recommender::request::{CartLine, Placement, RecommendationRequest, WantedKind};
use endcap_recommender::response::Kind;
use endcap_recommender::shelf::Shelf;
use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use super::protocol::Test;
use crate::fit::reach::{Bought, NearMiss, near_misses};
use crate::load::Dataset;
use crate::tune::Comparison;

/// Shares of the lines, highest first, that the lift is told for.
const PICKED: [(f64, &str, &str); 2] = [(0.1, "rate@10%", "lift@10%"), (0.25, "rate@25%", "lift@25%")];
pub(super) const PROTOCOL: &str = "lines at 50 to 99% of a price break found before the test, the first of each customer and product that \
another order of the product in the test followed; right is a next order at the break or above it; visible is only what was ordered before \
the test, and the line; 95% intervals by bootstrap over customers (1,000 resamples)";
const RESAMPLES: usize = 1000;

/// Lines of the test, and what each model makes of them: the higher, the sooner it would be picked.
pub(super) struct Asked {
    lines: Vec<NearMiss>,
    scores: BTreeMap<&'static str, Vec<f64>>,
    /// What is served says anything at all of the line.
    served: Vec<bool>,
}

impl Asked {
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// Finds the lines and scores them.
pub(super) fn ask(data: &Dataset, model: &Model) -> (Asked, Test) {
    let held = data.held.view();
    let lines = near_misses(held, &model.habits.breaks);
    let mut bought = Bought::default();
    bought.add_all(data.sales.view(), &model.habits.breaks);
    let near: Vec<_> = lines.iter().map(|line| bought.near(line)).collect();
    let share = |line: &NearMiss| f64::from(line.quantity) / f64::from(line.step.min_quantity);
    let answers = answers(data, model, &lines);
    let mut scores = BTreeMap::from([
        ("nearness", lines.iter().map(share).collect::<Vec<f64>>()),
        ("product_rate", lines.iter().map(|line| f64::from(line.step.reached)).collect()),
        ("bulk_buyer", near.iter().map(|near| near.features()[5]).collect()),
        ("hybrid", answers.iter().map(|answer| answer.unwrap_or(0.0)).collect()),
    ]);
    if let Some(weights) = &model.habits.reach {
        scores.insert("reach", near.iter().map(|near| near.chance(weights)).collect());
    }
    let served = answers.iter().map(Option::is_some).collect();
    let test = Test { orders: held.len() as u64, ..Test::default() };
    (Asked { lines, scores, served }, test)
}

/// What the pipeline says to each line alone in the cart: the score of its suggestion to go to the break or beyond.
fn answers(data: &Dataset, model: &Model, lines: &[NearMiss]) -> Vec<Option<f64>> {
    let shelf = Shelf::new(&model.catalogue, &ShelfState::default());
    let policy = CompiledPolicy::new(Policy { upsell_mode: UpsellMode::Behaviour, ..Policy::default() }, model);
    let orders = data.sales.view().by_customer(data.customers.len());
    let held = data.held.view();
    let mut scratch = Scratch::default();
    lines
        .iter()
        .map(|line| {
            let head = held.heads.get(line.order)?;
            let own = orders.get(line.customer as usize)?;
            let customer = CustomerState { orders: history(data, own), ..CustomerState::default() };
            let request = RecommendationRequest {
                placement: Placement::Cart,
                customer_id: data.customers.get(line.customer).map(Into::into),
                session_id: None,
                cart: vec![CartLine {
                    product_id: model.catalogue.id(line.product).into(),
                    quantity: Decimal::from_f32(line.quantity)?,
                    unit_price: money_from_i64(line.unit_price),
                }],
                product_id: None,
                context: endcap_recommender::request::Context {
                    at: Timestamp::from_second(head.at_s).ok(),
                    ..Default::default()
                },
                occasion: None,
                kinds: vec![WantedKind::UpsellQuantity],
                limit: Some(5),
            };
            let facts = Facts {
                model,
                shelf: &shelf,
                policy: &policy,
                person: Person { customer: Some(&customer), session: None },
                now: Timestamp::from_second(head.at_s).ok()?,
            };
            let least = Decimal::from(line.step.min_quantity);
            let items = recommend(&facts, &request, &mut scratch);
            let item = items.iter().find(|item| {
                item.kind == Kind::UpsellQuantity
                    && model.catalogue.find(item.product_id.as_str()) == Some(line.product)
                    && item.suggested_quantity >= least
            });
            item.map(|item| item.score)
        })
        .collect()
}

/// What a predictor would know of a customer when the test begins.
fn history(data: &Dataset, own: &[u32]) -> VecDeque<PastOrder> {
    let view = data.sales.view();
    let newest = own.len().saturating_sub(Policy::default().history_orders as usize);
    let of = |order: &u32| {
        let head = view.heads.get(*order as usize)?;
        let lines = view.lines(*order as usize).iter();
        let lines = lines.map(|line| (ProductId::from(data.catalogue.id(line.product)), line.quantity));
        Some(PastOrder { at_s: head.at_s, lines: lines.collect() })
    };
    own.iter().skip(newest).filter_map(of).collect()
}

/// Rows of every model and how far the served one leads, with 95% bootstrap intervals over customers.
pub(super) fn measure(asked: &Asked, seed: i64) -> (Vec<Row>, Vec<Comparison>) {
    let mut of_customer: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, line) in asked.lines.iter().enumerate() {
        of_customer.entry(line.customer).or_default().push(at);
    }
    let clusters: Vec<Vec<usize>> = of_customer.into_values().collect();
    let reached = |at: &usize| asked.lines.get(*at).is_some_and(|line| line.reached);
    let interval = |statistic: &dyn Fn(&[usize]) -> Option<f64>| -> Option<(f64, f64, f64)> {
        let all: Vec<usize> = (0..asked.lines.len()).collect();
        let value = statistic(&all)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed.cast_unsigned());
        let mut drawn: Vec<f64> = (0..RESAMPLES)
            .filter_map(|_| {
                let lines = (0..clusters.len()).filter_map(|_| clusters.get(rng.random_range(0..clusters.len())));
                statistic(&lines.flatten().copied().collect::<Vec<usize>>())
            })
            .collect();
        drawn.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| drawn.get((drawn.len() as f64 * share) as usize).copied().unwrap_or(value);
        Some((value, at(0.025), at(0.975)))
    };
    let rate = |lines: &[usize]| -> Option<f64> {
        (!lines.is_empty()).then(|| lines.iter().filter(|at| reached(at)).count() as f64 / lines.len() as f64)
    };
    let (mut rows, mut leads) = (Vec::new(), Vec::new());
    let mut add = |model: &str, metric: &str, found: Option<(f64, f64, f64)>, n: usize| {
        if let Some((value, low, high)) = found {
            let (model, metric) = (model.to_owned(), metric.to_owned());
            rows.push(Row { model, metric, value, low, high, n: n as u64 });
        }
    };
    let n = asked.lines.len();
    add("everything", "rate", interval(&rate), n);
    for (name, scores) in &asked.scores {
        add(name, "auc", interval(&|lines| auc(lines, scores, &reached)), n);
        for (share, rate_name, lift_name) in PICKED {
            let top = |lines: &[usize]| rate(&highest(lines, scores, share));
            add(name, rate_name, interval(&top), (n as f64 * share).ceil() as usize);
            add(name, lift_name, interval(&|lines| Some(top(lines)? / rate(lines).filter(|rate| *rate > 0.0)?)), n);
        }
    }
    let said = |lines: &[usize], is_said: bool| -> Vec<usize> {
        let is = |at: &usize| asked.served.get(*at).copied() == Some(is_said);
        lines.iter().copied().filter(is).collect()
    };
    let count = asked.served.iter().filter(|served| **served).count();
    let said_of = |lines: &[usize]| Some(said(lines, true).len() as f64 / lines.len().max(1) as f64);
    add("hybrid", "said", interval(&said_of), n);
    add("hybrid", "rate_said", interval(&|lines| rate(&said(lines, true))), count);
    let lift = |lines: &[usize]| Some(rate(&said(lines, true))? / rate(lines).filter(|rate| *rate > 0.0)?);
    add("hybrid", "lift_said", interval(&lift), count);
    let served = asked.scores.get("hybrid");
    for (name, scores) in asked.scores.iter().filter(|(name, _)| **name != "hybrid") {
        let lead = |lines: &[usize]| Some(auc(lines, served?, &reached)? - auc(lines, scores, &reached)?);
        if let Some((difference, low, high)) = interval(&lead) {
            leads.push(Comparison {
                against: (*name).to_owned(),
                situation: None,
                metric: "auc".to_owned(),
                difference,
                low,
                high,
                n: n as u64,
            });
        }
    }
    (rows, leads)
}

/// The share of the lines with the highest scores; the earlier line first among equals.
fn highest(lines: &[usize], scores: &[f64], share: f64) -> Vec<usize> {
    let score = |at: usize| scores.get(at).copied().unwrap_or(0.0);
    let mut sorted = lines.to_vec();
    sorted.sort_by(|a, b| score(*b).total_cmp(&score(*a)).then(a.cmp(b)));
    sorted.truncate((lines.len() as f64 * share).ceil() as usize);
    sorted
}

/// Chance that a line that was taken to the break has a higher score than one that was not; half for equals.
fn auc(lines: &[usize], scores: &[f64], reached: &dyn Fn(&usize) -> bool) -> Option<f64> {
    let mut sorted: Vec<(f64, bool)> =
        lines.iter().map(|at| (scores.get(*at).copied().unwrap_or(0.0), reached(at))).collect();
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut wins, mut ups) = (0.0, 0.0, 0.0);
    for equal in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let up = equal.iter().filter(|(_, reached)| *reached).count() as f64;
        let down = equal.len() as f64 - up;
        wins += up * (below + down / 2.0);
        below += down;
        ups += up;
    }
    (ups > 0.0 && below > 0.0).then(|| wins / (ups * below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_by_hand() {
        let scores = [0.9, 0.1, 0.5, 0.5, 0.2];
        let up = |at: &usize| [0, 3].contains(at);
        let lines: Vec<usize> = (0..5).collect();
        // Of the six pairs, line 0 wins three, line 3 wins two and ties one.
        assert!((auc(&lines, &scores, &up).unwrap_or(0.0) - 5.5 / 6.0).abs() < 1e-12);
        assert_eq!(auc(&[1, 2], &scores, &up), None, "nothing was reached");
        assert_eq!(highest(&lines, &scores, 0.5), [0, 2, 3], "the earlier line first among equals");
    }
}
