#![allow(clippy::indexing_slicing)]
use super::*;
use crate::{Ties, top};

fn options() -> TransformerSettings {
    TransformerSettings { dim: 8, heads: 2, blocks: 2, inner: 12, length: 6, ahead: 2, batch: 4, ..Default::default() }
}

/// Every table has the gradient that finite differences find, with dropout drawn the same way each time.
#[test]
fn every_parameter_has_the_gradient_of_finite_differences() {
    gradients_are_right(None);
}

/// The same where the softmax runs over some items alone: every item that is read or wanted, and item 6 or not.
#[test]
fn drawn_items_have_the_gradient_of_finite_differences() {
    let ids: Vec<u32> = (0..6).collect();
    let correction = vec![0.4, -0.2, 0.9, 0.0, 0.3, 1.5];
    gradients_are_right(Some(&Drawn { ids, correction }));
}

fn gradients_are_right(drawn: Option<&Drawn>) {
    let options = options();
    let attributes = vec![vec![0, 1], vec![1], vec![], vec![2, 0], vec![1, 2], vec![0], vec![2]];
    let mut network = Network::new(7, 3, &options);
    network.bias = SparseTable::new(7, 1, (0..7).map(|at| at as f32 * 0.1 - 0.3).collect());
    let long: Vec<Vec<u32>> =
        vec![vec![0, 3, 2, if drawn.is_some() { 5 } else { 6 }, 1], vec![5, 4], vec![2, 2, 4], vec![1, 0, 5, 3]];
    let batch: Vec<Sequence<'_>> = long.iter().map(|items| Sequence { items }).collect();
    let drop = Some(Drop::new(0.2, 3, 9));
    let (_, ends, body) = network.gradients(&batch, &attributes, &options, drop, drawn);
    let found: Vec<Vec<f32>> = ends.into_iter().chain(body).collect();
    fn tables(network: &mut Network) -> Vec<&mut SparseTable> {
        [&mut network.items, &mut network.attributes, &mut network.bias].into_iter().chain(&mut network.body).collect()
    }
    for (at, gradient) in found.iter().enumerate() {
        let mut is_moved = false;
        for place in 0..gradient.len() {
            let mut loss = |by: f32| {
                let table = &mut *tables(&mut network)[at];
                let (rows, dim, before) = (table.rows(), table.dim(), table.values().to_vec());
                let mut moved = before.clone();
                moved[place] += by;
                *table = SparseTable::new(rows, dim, moved);
                let (loss, _, _) = network.gradients(&batch, &attributes, &options, drop, drawn);
                *tables(&mut network)[at] = SparseTable::new(rows, dim, before);
                loss
            };
            let step = 2e-3;
            let expected = (loss(step) - loss(-step)) / f64::from(2.0 * step);
            let close = 3e-3 + 0.03 * expected.abs();
            assert!(
                (f64::from(gradient[place]) - expected).abs() < close,
                "table {at} at {place}: {} is not {expected}",
                gradient[place]
            );
            is_moved |= gradient[place] != 0.0;
        }
        assert!(is_moved, "table {at} learns nothing");
    }
}

fn chains() -> Histories {
    // After item n comes item n + 1 of a ring of ten.
    let users = (0..60u32).map(|user| crate::History::of_items((0..5).map(|at| (user + at) % 10).collect()));
    Histories { items: 10, users: users.collect() }
}

#[test]
fn learns_what_follows_what_and_threads_change_nothing() {
    learns_chains(TransformerSettings { epochs: 30, ahead: 1, dropout: 0.1, learning_rate: 0.01, ..options() });
}

#[test]
fn learns_with_a_few_drawn_items_too() {
    let few = TransformerSettings { negatives: 4, batch: 1, ..options() };
    learns_chains(TransformerSettings { epochs: 30, ahead: 1, dropout: 0.1, learning_rate: 0.01, ..few });
}

fn learns_chains(options: TransformerSettings) {
    let fit = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Transformer::fit(&chains(), &[], &options, &mut |_, _| ()))
    };
    let (one, two) = (fit(1), fit(3));
    let mut scores = [vec![0.0; 10], vec![0.0; 10]];
    let history = crate::History::of_items(vec![4, 5, 6]);
    one.score(None, &history, &mut scores[0]);
    two.score(None, &history, &mut scores[1]);
    assert_eq!(scores[0], scores[1]);
    assert_eq!(top(&scores[0], 1, Ties::SmallerItem), vec![7]);
    assert!(one.losses[29] < one.losses[0] * 0.5);
}

#[test]
fn nothing_known_is_no_answer() {
    let fitted = Transformer::fit(&chains(), &[], &TransformerSettings { epochs: 1, ..options() }, &mut |_, _| ());
    let mut scores = vec![0.0; 10];
    fitted.score(None, &History::default(), &mut scores);
    assert!(scores.iter().all(|score| *score == f32::NEG_INFINITY));
}
