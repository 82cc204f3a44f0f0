#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_cmp)]
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const ADAM: Adam = Adam { learning_rate: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1 };

fn table(rows: usize, dim: usize) -> SparseTable {
    SparseTable::new(rows, dim, (0..rows * dim).map(|at| ((at * 7919) % 1000) as f32 / 500.0 - 1.0).collect())
}

fn gradient(step: usize, count: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 31 + step * 977) % 101) as f32 / 50.0 - 1.0).collect()
}

/// The paper's formulas in f64, row by row.
struct Plain {
    dim: usize,
    values: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
    steps: Vec<i32>,
}

impl Plain {
    fn new(table: &SparseTable) -> Self {
        let count = table.values.len();
        let values = table.values.iter().map(|x| f64::from(*x)).collect();
        Self { dim: table.dim, values, first: vec![0.0; count], second: vec![0.0; count], steps: vec![0; table.rows()] }
    }

    fn step(&mut self, ids: &[u32], gradients: &[f32], adam: &Adam) {
        let [rate, beta1, beta2, epsilon, decay] =
            [adam.learning_rate, adam.beta1, adam.beta2, adam.epsilon, adam.weight_decay].map(f64::from);
        for (id, gradient) in ids.iter().zip(gradients.chunks(self.dim)) {
            let row = *id as usize;
            self.steps[row] += 1;
            for (at, g) in gradient.iter().enumerate() {
                let place = row * self.dim + at;
                let g = f64::from(*g);
                self.first[place] = beta1 * self.first[place] + (1.0 - beta1) * g;
                self.second[place] = beta2 * self.second[place] + (1.0 - beta2) * g * g;
                let first = self.first[place] / (1.0 - beta1.powi(self.steps[row]));
                let second = self.second[place] / (1.0 - beta2.powi(self.steps[row]));
                self.values[place] -= rate * (first / (second.sqrt() + epsilon) + decay * self.values[place]);
            }
        }
    }
}

#[test]
fn steps_follow_the_paper_at_every_level() {
    for level in Level::available() {
        for dim in [1, 5, 16, 37, 64] {
            let mut table = table(50, dim);
            let mut plain = Plain::new(&table);
            for step in 0..30 {
                let ids: Vec<u32> = (0..50).filter(|id| (id + step) % 3 != 0).collect();
                let gradients = gradient(step as usize, ids.len() * dim);
                table.step_at(level, &ids, &gradients, &ADAM);
                plain.step(&ids, &gradients, &ADAM);
            }
            for (got, want) in table.values.iter().zip(&plain.values) {
                assert!((f64::from(*got) - want).abs() < 1e-5, "{} {dim}: {got} is not {want}", level.name());
            }
        }
    }
}

#[test]
fn what_is_not_in_the_step_keeps_its_bits() {
    let mut table = table(300, 8);
    let before = table.clone();
    table.step(&[3, 299, 1000], &gradient(0, 24), &ADAM);
    for row in 0..300 {
        let same = table.values[row * 8..][..8] == before.values[row * 8..][..8];
        assert_eq!(same, row != 3 && row != 299, "{row}");
        assert_eq!(table.steps[row], u32::from(!same));
    }
}

#[test]
fn order_of_ids_changes_nothing_and_repeats_are_steps() {
    let mut ascending = table(200, 4);
    let mut descending = ascending.clone();
    let ids: Vec<u32> = (0..150).collect();
    let gradients = gradient(1, 150 * 4);
    ascending.step(&ids, &gradients, &ADAM);
    let turned: Vec<f32> = gradients.chunks(4).rev().flatten().copied().collect();
    descending.step(&ids.iter().rev().copied().collect::<Vec<_>>(), &turned, &ADAM);
    assert_eq!(ascending, descending);

    let mut at_once = table(10, 4);
    let mut one_by_one = at_once.clone();
    let gradients = gradient(2, 100 * 4);
    at_once.step(&[7; 100], &gradients, &ADAM);
    for gradient in gradients.chunks(4) {
        one_by_one.step(&[7], gradient, &ADAM);
    }
    assert_eq!(at_once, one_by_one);
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let ids: Vec<u32> = (0..5000).filter(|id| id % 7 != 0).collect();
    let runs: Vec<_> = [1, 2, 3]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut table = table(5000, 12);
            pool.install(|| (0..5).for_each(|step| table.step(&ids, &gradient(step, ids.len() * 12), &ADAM)));
            (table.state_bytes(), pool.install(|| table.gather(&ids)))
        })
        .collect();
    assert!(runs.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn short_and_strange_input_is_passed_over() {
    let mut table = table(4, 2);
    let before = table.clone();
    table.step(&[0, 1, 2], &[1.0], &ADAM);
    table.step(&[u32::MAX, 4], &[1.0; 4], &ADAM);
    table.step(&[], &[], &ADAM);
    assert_eq!(table, before);
    assert_eq!(table.gather(&[1, 4, u32::MAX])[2..], [0.0; 4]);
    let mut empty = SparseTable::new(3, 0, vec![]);
    empty.step(&[1], &[], &ADAM);
    assert!(empty.gather(&[1]).is_empty());
    assert_eq!(SparseTable::new(2, 2, vec![1.0; 9]).into_values(), [1.0; 4]);
}

#[test]
fn training_goes_on_from_a_checkpoint_with_the_same_bits() {
    let mut table = table(40, 3);
    let ids: Vec<u32> = (0..40).step_by(2).collect();
    table.step(&ids, &gradient(0, ids.len() * 3), &ADAM);
    let bytes = table.state_bytes();
    let mut again = SparseTable::from_state_bytes(&bytes).unwrap();
    assert_eq!(again, table);
    again.step(&ids, &gradient(1, ids.len() * 3), &ADAM);
    table.step(&ids, &gradient(1, ids.len() * 3), &ADAM);
    assert_eq!(again.state_bytes(), table.state_bytes());

    assert!(SparseTable::from_state_bytes(&bytes[..bytes.len() - 1]).is_none());
    assert!(SparseTable::from_state_bytes(&[bytes.clone(), vec![0]].concat()).is_none());
    assert!(SparseTable::from_state_bytes(&bytes[1..]).is_none());
    let mut huge = bytes.clone();
    huge[8..24].fill(0xff);
    assert!(SparseTable::from_state_bytes(&huge).is_none());
    let empty = SparseTable::default();
    assert_eq!(SparseTable::from_state_bytes(&empty.state_bytes()), Some(empty));
}

proptest! {
    #[test]
    fn distinct_ids_are_found_and_placed(list in proptest::collection::vec(prop_oneof![0u32..60, 0u32..100_000, Just(u32::MAX)], 0..200)) {
        let distinct = Distinct::of(&list);
        prop_assert_eq!(&distinct.ids, &list.iter().copied().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
        prop_assert_eq!(distinct.places.len(), list.len());
        for (id, place) in list.iter().zip(&distinct.places) {
            prop_assert_eq!(distinct.ids[*place as usize], *id);
        }
        prop_assert_eq!(&Distinct::by_sorting(&list), &distinct);
        let sums = distinct.sum(&vec![1.0; list.len() * 3], 3);
        for (id, sum) in distinct.ids.iter().zip(sums.chunks(3)) {
            prop_assert_eq!(sum, [list.iter().filter(|other| *other == id).count() as f32; 3]);
        }
    }
}
