//! Every trainable parameter of the two-tower network has a gradient, and it is the one that finite differences find.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use candle_core::Device;
use endcap_kernels::sparse::SparseTable;
use endcap_recommender::candidates::{HistoryOrder, Question};
use endcap_recommender::fitted::{Rows, Situation};

use super::examples::Batch;
use super::place::Place;
use super::tower::{Candidates, DOWN, Gradient, TABLES, Tower};

const PRODUCTS: usize = 12;
const DIM: usize = 6;
const HIDDEN: usize = 5;

fn tower() -> Tower {
    let mut tower = Tower::new(PRODUCTS, 4, DIM, HIDDEN, 7);
    // What starts at nothing would hide what lies before it.
    let rows = tower.tables[DOWN].rows();
    let values = (0..rows * HIDDEN).map(|at| ((at * 7 % 11) as f32 - 5.0) / 20.0).collect();
    tower.tables[DOWN] = SparseTable::new(rows, HIDDEN, values);
    tower
}

fn batch() -> (Batch, Candidates) {
    let batch = Batch {
        history: Rows::from_rows([vec![(0, 0.6), (3, 0.4)], vec![], vec![(5, 1.0)]]),
        cart: Rows::from_rows([vec![(1, 1.0)], vec![(2, 0.7), (3, 0.3)], vec![]]),
        context: Rows::from_rows([vec![(3, 1.0), (12, 1.0)], vec![(4, 1.0), (13, 1.0)], vec![(11, 1.0), (14, 1.0)]]),
        targets: Rows::from_rows([vec![(4, 0.5), (6, 0.5)], vec![(7, 1.0)], vec![(0, 0.2), (9, 0.3)]]),
    };
    let products: Vec<u32> = (0..PRODUCTS as u32).collect();
    let words = Rows::from_rows(products.iter().map(|product| vec![(product % 4, 0.8), ((product + 1) % 4, 0.6)]));
    (batch, Candidates { correction: (0..PRODUCTS).map(|at| at as f32 * 0.05).collect(), products, words })
}

#[test]
fn every_parameter_has_the_gradient_of_finite_differences() {
    for place in [Place::processor(), Place::stock(Device::Cpu)] {
        every_gradient_is_that_of_finite_differences(&tower().at(place));
    }
}

fn every_gradient_is_that_of_finite_differences(tower: &Tower) {
    let (batch, candidates) = batch();
    let (_, gradients) = tower.gradients(&batch, &candidates, None).unwrap();
    let mut seen = vec![false; TABLES.len()];
    for Gradient { table, ids, values: gradient } in gradients {
        let dim = gradient.len() / ids.len();
        let mut is_moved = false;
        for (at, found) in gradient.iter().enumerate() {
            let place = ids[at / dim] as usize * dim + at % dim;
            let loss = |by: f32| {
                let mut moved = tower.clone();
                let mut values = moved.tables[table].values().to_vec();
                values[place] += by;
                let rows = moved.tables[table].rows();
                moved.tables[table] = SparseTable::new(rows, values.len() / rows, values);
                f64::from(moved.loss(&batch, &candidates).unwrap())
            };
            let step = 4e-3;
            let expected = (loss(step) - loss(-step)) / f64::from(2.0 * step);
            assert!(
                (f64::from(*found) - expected).abs() < 2e-3 + 0.02 * expected.abs(),
                "{} row {} column {}: {found} is not {expected}",
                TABLES[table],
                ids[at / dim],
                at % dim
            );
            is_moved |= *found != 0.0;
        }
        assert!(is_moved, "{} learns nothing", TABLES[table]);
        seen[table] = true;
    }
    for (table, seen) in TABLES.iter().zip(seen) {
        assert!(seen, "{table} has no gradient");
    }
}

/// What is served is the same network: the loss of one question follows from its scores.
#[test]
fn what_is_served_scores_as_what_is_learned() {
    let tower = tower();
    let catalogue_words = {
        let (_, candidates) = batch();
        candidates.words
    };
    let question = Question {
        anchors: vec![2, 8],
        history: vec![HistoryOrder { age_days: 12.0, lines: vec![(1, 2.0), (4, 1.0)] }],
        month: 5,
        ..Question::default()
    };
    let orders = question.history.iter().map(|order| (order.age_days, order.lines.as_slice()));
    let one = |target: u32| {
        let batch = Batch {
            history: Rows::from_rows([endcap_recommender::fitted::history_bag(orders.clone())]),
            cart: Rows::from_rows([endcap_recommender::fitted::cart_bag(&question.anchors)]),
            context: Rows::from_rows([vec![(4, 1.0), (12 + Situation::CartKnown as u32, 1.0)]]),
            targets: Rows::from_rows([vec![(target, 1.0)]]),
        };
        let products: Vec<u32> = (0..PRODUCTS as u32).collect();
        let candidates = Candidates { correction: vec![0.0; PRODUCTS], products, words: catalogue_words.clone() };
        tower.loss(&batch, &candidates).unwrap()
    };
    let served = super::serve_words(&tower, &catalogue_words);
    let query = served.query(&question);
    let scores: Vec<f32> = (0..PRODUCTS as u32).map(|product| served.score(&query, product)).collect();
    let all = scores.iter().map(|score| score.exp()).sum::<f32>().ln();
    for target in 0..PRODUCTS as u32 {
        assert!((one(target) - (all - scores[target as usize])).abs() < 1e-4, "product {target}");
    }
    let best = served.items.top(&query, 3);
    let mut order: Vec<u32> = (0..PRODUCTS as u32).collect();
    order.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
    assert_eq!(best.iter().map(|(product, _)| *product).collect::<Vec<_>>(), order[..3]);
}
