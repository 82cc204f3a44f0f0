//! What a hybrid has beyond counts, drawn at random.

use endcap_kernels::scan::Vectors;
use endcap_recommender::fitted::{CONTEXTS, Deep, Model, Ranker, Rows, Similar, Situation, Weighted};
use endcap_recommender::ranking::{INPUTS, TRAITS};
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;

fn numbers(rng: &mut ChaCha8Rng, len: usize, scale: f32) -> Vec<f32> {
    (0..len).map(|_| scale * rng.random_range(-1.0f32..1.0)).collect()
}

fn rows(rng: &mut ChaCha8Rng, products: usize, each: usize) -> Rows<Weighted> {
    Rows::from_rows((0..products).map(|at| {
        let mut row: Vec<u32> = (0..each).map(|_| rng.random_range(0..products as u32)).collect();
        row.retain(|product| *product as usize != at);
        row.sort_unstable();
        row.dedup();
        row.into_iter().map(|product| Weighted { product, weight: rng.random_range(-0.1..0.3) }).collect()
    }))
}

/// Turns a model of counts into a hybrid with `each` entries by product and vectors of `dim` numbers.
pub fn learn(rng: &mut ChaCha8Rng, model: &mut Model, each: usize, dim: usize, depth: usize) {
    let products = model.catalogue.len();
    let [baskets, customers, follows, content] = [(); 4].map(|()| rows(rng, products, each));
    model.similar = Similar { baskets, customers, follows, content };
    let hidden = dim * 2;
    model.deep = Some(Deep {
        dim,
        hidden,
        inputs: numbers(rng, products * dim, 0.3),
        items: Vectors::new(dim + 1, numbers(rng, products * (dim + 1), 0.3)),
        history: numbers(rng, dim * dim, 0.3),
        cart: numbers(rng, dim * dim, 0.3),
        context: numbers(rng, CONTEXTS * dim, 0.3),
        gain: vec![1.0; dim],
        shift: vec![0.0; dim],
        up: numbers(rng, hidden * dim, 0.3),
        up_bias: vec![0.0; hidden],
        down: numbers(rng, hidden * dim, 0.3),
        down_bias: vec![0.0; dim],
    });
    model.ranker = Some(Ranker {
        depth,
        hidden: [32, 16],
        mean: vec![0.0; INPUTS],
        inverse_sd: vec![1.0; INPUTS],
        skip: numbers(rng, INPUTS, 0.3),
        first: numbers(rng, 32 * INPUTS, 0.3),
        first_bias: vec![0.0; 32],
        second: numbers(rng, 16 * 32, 0.3),
        second_bias: vec![0.0; 16],
        out: numbers(rng, 16, 0.3),
        calibration: [1.0, -3.0].repeat(Situation::ALL.len()),
        serves: vec![1; Situation::ALL.len()],
        traits: numbers(rng, products * TRAITS, 1.0),
        liking: numbers(rng, products, 0.5),
    });
}
