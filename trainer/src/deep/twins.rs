//! The stock operations are those of the fused kernels: the same loss and gradients for any batch, and a training by either end learns the
//! same. On candle's processor here; on a GPU where there is one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use candle_core::{Device, Tensor, Var};
use endcap_kernels::sparse::SparseTable;
use endcap_recommender::candidates::Question;
use endcap_recommender::fitted::{Catalogue, CatalogueRow, Deep, NONE, Rows};
use proptest::prelude::*;

use super::examples::Batch;
use super::place::Place;
use super::tower::{Candidates, DOWN, TABLES, Tower};
use super::{DeepOptions, How, Keep, fit, stock};
use crate::load::{Line, OrderHead, Sales};
use crate::{DeviceChoice, TrainError};

const PRODUCTS: usize = 9;
const WORDS: u32 = 5;
const DIM: usize = 8;
const HIDDEN: usize = 6;
/// Of a loss, and of a gradient as a part of its table's largest: sums of `f32` in another order.
const LOSS: f32 = 1e-5;
const GRADIENT: f32 = 1e-4;
/// Of gradients that are nothing (one candidate of all): what is left when numbers of about 10 cancel out.
const ROUNDING: f32 = 1e-5;

fn tower(seed: i64) -> Tower {
    let mut tower = Tower::new(PRODUCTS, WORDS as usize, DIM, HIDDEN, seed);
    // What starts at nothing would hide what lies before it.
    let rows = tower.tables[DOWN].rows();
    let values = (0..rows * HIDDEN).map(|at| ((at * 7 % 11) as f32 - 5.0) / 20.0).collect();
    tower.tables[DOWN] = SparseTable::new(rows, HIDDEN, values);
    tower
}

/// The loss and every gradient, by either place.
fn assert_twins(tower: &Tower, other: &Place, batch: &Batch, candidates: &Candidates, keep: Option<&Tensor>) {
    let (loss, gradients) = tower.gradients(batch, candidates, keep.cloned()).unwrap();
    let twin = tower.clone().at(other.clone());
    let (twin_loss, twin_gradients) = twin.gradients(batch, candidates, keep.cloned()).unwrap();
    assert!((loss - twin_loss).abs() <= LOSS * (1.0 + loss.abs()), "{loss} and {twin_loss}");
    assert_eq!((gradients.len(), twin_gradients.len()), (TABLES.len(), TABLES.len()), "a table has no gradient");
    for (one, two) in gradients.iter().zip(&twin_gradients) {
        assert_eq!((one.table, &one.ids, one.values.len()), (two.table, &two.ids, two.values.len()));
        let largest = one.values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        for (at, (a, b)) in one.values.iter().zip(&two.values).enumerate() {
            let near = (a - b).abs() <= GRADIENT * largest + ROUNDING;
            assert!(near, "{} at {at}: {a} and {b}, the largest is {largest}", TABLES[one.table]);
        }
    }
}

type Bag = Vec<(u32, f32)>;

/// Bags of up to `most` ids, none and the same one twice among them.
fn bag(ids: u32, most: usize) -> impl Strategy<Value = Bag> {
    prop::collection::vec((0..ids, 0.05f32..1.5), 0..=most)
}

fn batches() -> impl Strategy<Value = (Batch, Candidates)> {
    let candidates = prop_oneof![
        Just(vec![4u32]),
        prop::collection::btree_set(0..PRODUCTS as u32, 1..=PRODUCTS)
            .prop_map(|products| products.into_iter().collect())
    ];
    (candidates, 1..6usize).prop_flat_map(|(products, rows)| {
        let items = products.len();
        let row = (bag(PRODUCTS as u32, 7), bag(PRODUCTS as u32, 3), bag(WORDS, 2), bag(items as u32, 5));
        let corrections = prop::collection::vec(-0.5f32..6.0, items);
        let words = prop::collection::vec(bag(WORDS, 3), items);
        (prop::collection::vec(row, rows), corrections, words).prop_map(move |(rows, correction, words)| {
            let batch = Batch {
                history: Rows::from_rows(rows.iter().map(|row| row.0.clone())),
                cart: Rows::from_rows(rows.iter().map(|row| row.1.clone())),
                context: Rows::from_rows(rows.iter().map(|row| row.2.clone())),
                targets: Rows::from_rows(rows.iter().map(|row| row.3.clone())),
            };
            (batch, Candidates { products: products.clone(), correction, words: Rows::from_rows(words) })
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn stock_operations_find_the_loss_and_the_gradients_of_the_kernels(
        (batch, candidates) in batches(), seed in 0i64..1000, with_mask in any::<bool>()
    ) {
        let kept = (0..batch.len() * DIM).map(|at| if at % 5 == 0 { 0.0 } else { 1.25 }).collect::<Vec<f32>>();
        let mask = Tensor::from_vec(kept, (batch.len(), DIM), &Device::Cpu).unwrap();
        assert_twins(&tower(seed), &Place::stock(Device::Cpu), &batch, &candidates, with_mask.then_some(&mask));
    }
}

/// Bags without an entry, a product twice in one, a row that leads to nothing, one candidate of all.
#[test]
fn what_is_empty_or_repeated_is_the_same_by_both() {
    let rows = |rows: [&[(u32, f32)]; 3]| Rows::from_rows(rows.map(<[(u32, f32)]>::to_vec));
    let batch = Batch {
        history: rows([&[], &[], &[]]),
        cart: rows([&[(3, 0.5), (3, 0.5)], &[], &[(3, 1.0), (0, 0.2), (3, 0.1)]]),
        context: rows([&[(0, 1.0)], &[(1, 1.0)], &[(0, 1.0)]]),
        targets: rows([&[(0, 1.0), (0, 0.5)], &[], &[(0, 0.3)]]),
    };
    let words = Rows::from_rows([vec![]]);
    let one = Candidates { products: vec![7], correction: vec![0.3], words };
    assert_twins(&tower(1), &Place::stock(Device::Cpu), &batch, &one, None);
    let nothing = Batch { cart: rows([&[], &[], &[]]), context: rows([&[], &[], &[]]), ..batch };
    assert_twins(&tower(2), &Place::stock(Device::Cpu), &nothing, &one, None);
}

/// Logits that overflow an exponential, and an item that is taken out.
#[test]
fn large_logits_and_minus_infinity_are_the_same_by_both() {
    let vars = [(vec![40.0f32, -30.0, 20.0, 50.0], (2, 2)), (vec![5.0, 1.0, -3.0, 4.0, 2.0, 2.0], (3, 2))]
        .map(|(values, shape)| Var::from_vec(values, shape, &Device::Cpu).unwrap());
    let bias = Var::from_vec(vec![0.0f32, f32::NEG_INFINITY, 1.0], 3, &Device::Cpu).unwrap();
    let targets = Rows::from_rows([vec![(0, 1.0), (2, 0.5)], vec![(2, 2.0)]]);
    let [hidden, weight] = &vars;
    let losses = [Place::processor(), Place::stock(Device::Cpu)].map(|place| {
        let loss = place.linear_cross_entropy(hidden, weight, &bias, &targets).unwrap();
        let found = loss.backward().unwrap();
        let of = |var: &Var| found.get(var).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        (loss.to_scalar::<f32>().unwrap(), [of(hidden), of(weight), of(&bias)].concat())
    });
    let [(one, first), (two, second)] = losses;
    assert!(one.is_finite() && (one - two).abs() <= LOSS * one.abs(), "{one} and {two}");
    for (a, b) in first.iter().zip(&second) {
        assert!((a - b).abs() <= 1e-4, "{first:?} and {second:?}");
    }
}

#[test]
fn targets_that_do_not_fit_are_refused() {
    let number = |rows: usize| Tensor::zeros((rows, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
    let bias = Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu).unwrap();
    for targets in [Rows::from_rows([vec![(3, 1.0)], vec![]]), Rows::from_rows([vec![(0, 1.0)]])] {
        let error = stock::linear_cross_entropy(&number(2), &number(3), &bias, &targets).unwrap_err();
        assert!(error.to_string().contains("do not fit 2 rows of 3 items"), "{error}");
    }
}

/// A shop of 12 products where 2k and 2k + 1 go together, by 40 customers who each keep to two pairs.
fn shop() -> (Catalogue, Sales) {
    let rows = (0..12).map(|at| CatalogueRow {
        id: format!("P{at}"),
        name: format!("thing {}", ["red", "green", "blue"][at % 3]),
        ..CatalogueRow::default()
    });
    let orders = (0..480u32).map(|order| {
        let customer = order % 40;
        let pair = if (order / 40) % 2 == 0 { customer % 6 } else { (customer + 1) % 6 };
        let head = OrderHead {
            at_s: 1_700_000_000 + i64::from(order) * 9_000,
            customer,
            channel: NONE,
            city: NONE,
            area: NONE,
            country: NONE,
            month_number: 24_000,
            hour: 0,
        };
        let line = |product| Line { product, quantity: 1.0, unit_price: 1, offered: false };
        (head, vec![line(2 * pair), line(2 * pair + 1)])
    });
    (Catalogue::build(rows.collect(), |_| None), Sales::from_orders(orders))
}

struct Nowhere;

impl Keep for Nowhere {
    fn read(&self) -> Option<Vec<u8>> {
        None
    }

    fn write(&self, _: &[u8]) -> Result<(), TrainError> {
        Ok(())
    }
}

fn trained(place: Place, full_softmax: usize) -> (Deep, Vec<f32>) {
    let (catalogue, sales) = shop();
    let options = DeepOptions {
        dim: 8,
        hidden: 8,
        epochs: 6,
        batch: 48,
        learning_rate: 0.02,
        full_softmax,
        negatives: 8,
        ..DeepOptions::default()
    };
    fit(&catalogue, sales.view(), 40, &How { options, seed: 5, place }, &Nowhere, &|| Ok(())).unwrap()
}

/// The same losses and, for an order of which the second line is held out, the same scores and the partner first.
fn assert_learn_the_same(other: &Place, full_softmax: usize) {
    let (one, losses) = trained(Place::processor(), full_softmax);
    let (two, twin_losses) = trained(other.clone(), full_softmax);
    assert!(losses[5] < 0.8 * losses[0], "it learns nothing: {losses:?}");
    for (a, b) in losses.iter().zip(&twin_losses) {
        assert!((a - b).abs() <= 1e-3 * a.abs(), "{losses:?} and {twin_losses:?}");
    }
    for anchor in (0..12u32).step_by(2) {
        let question = Question { anchors: vec![anchor], month: 3, ..Question::default() };
        let scores = [&one, &two].map(|deep| {
            let query = deep.query(&question);
            (0..12u32).map(|product| deep.score(&query, product)).collect::<Vec<f32>>()
        });
        let [first, second] = &scores;
        for (at, (a, b)) in first.iter().zip(second).enumerate() {
            assert!((a - b).abs() <= 1e-2, "after {anchor}, product {at}: {a} and {b}");
        }
        let place = |scores: &[f32]| {
            let own = scores[anchor as usize + 1];
            (0..12).filter(|at| *at != anchor as usize && scores[*at] > own).count()
        };
        assert_eq!((place(first), place(second)), (0, 0), "after {anchor}: {scores:?}");
    }
}

#[test]
fn both_ends_learn_the_same() {
    assert_learn_the_same(&Place::stock(Device::Cpu), 20_000);
    assert_learn_the_same(&Place::stock(Device::Cpu), 4);
}

/// Only a build with the feature `cuda` on a machine with a GPU can run it; anywhere else it says why not.
#[test]
fn a_gpu_computes_and_learns_the_same() {
    let place = match DeviceChoice::Gpu.open() {
        Ok(place) => place,
        Err(reason) => return println!("SKIPPED a_gpu_computes_and_learns_the_same: {reason}"),
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    runner
        .run(&(batches(), 0i64..1000), |((batch, candidates), seed)| {
            assert_twins(&tower(seed), &place, &batch, &candidates, None);
            Ok(())
        })
        .unwrap();
    assert_learn_the_same(&place, 20_000);
    assert_learn_the_same(&place, 4);
}
