//! Every trainable parameter of the ranker has a gradient, and it is the one that finite differences find; what is served computes what
//! was learned.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use candle_core::{Device, Tensor};
use endcap_recommender::fitted::{Layers, Ranker};
use endcap_recommender::ranking::INPUTS;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::net::{Dropout, List, Net, PARAMETERS, Padded, places};

fn lists() -> Vec<List> {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut list = |rows: usize, right: &[u32]| List {
        inputs: (0..rows * INPUTS).map(|_| random.random_range(-1.0..1.0)).collect(),
        rows,
        right: right.to_vec(),
        fold: 0,
    };
    vec![list(5, &[1, 3]), list(3, &[0]), list(7, &[6])]
}

fn plain() -> Ranker {
    Ranker { mean: vec![0.0; INPUTS], inverse_sd: vec![1.0; INPUTS], ..Ranker::default() }
}

#[test]
fn every_parameter_has_the_gradient_of_finite_differences() {
    let lists = lists();
    let batch = Padded::new(&lists.iter().collect::<Vec<_>>(), &plain()).unwrap();
    let net = Net::new([6, 4], 11).unwrap();
    // Not at the kink itself: with biases of nothing, a row that excites no inner unit lies exactly there.
    let values: Vec<f32> = net.theta.to_vec1().unwrap();
    let values: Vec<f32> = (0u16..).zip(values).map(|(at, value)| value + 0.02 + 0.01 * f32::from(at % 5)).collect();
    net.theta.set(&Tensor::from_vec(values.clone(), values.len(), &Device::Cpu).unwrap()).unwrap();
    let loss = || f64::from(net.loss(&batch, &mut Dropout::none()).unwrap().to_scalar::<f32>().unwrap());
    let gradients = net.loss(&batch, &mut Dropout::none()).unwrap().backward().unwrap();
    let found: Vec<f32> = gradients.get(&net.theta).unwrap().to_vec1().unwrap();
    for (name, place) in PARAMETERS.iter().zip(places([6, 4])) {
        assert!(found[place.clone()].iter().any(|value| *value != 0.0), "{name} learns nothing");
        for at in place.clone().step_by(1 + place.len() / 60) {
            let moved = |by: f32| {
                let mut moved = values.clone();
                moved[at] += by;
                net.theta.set(&Tensor::from_vec(moved, values.len(), &Device::Cpu).unwrap()).unwrap();
                loss()
            };
            // A step may lie across the kink of a rectifier: a wrong gradient agrees with none of them.
            let expected = [4e-4, 1e-3, 4e-3].map(|step| (moved(step) - moved(-step)) / f64::from(2.0 * step));
            net.theta.set(&Tensor::from_vec(values.clone(), values.len(), &Device::Cpu).unwrap()).unwrap();
            let agrees = |value: &f64| (f64::from(found[at]) - value).abs() < 1e-3 + 0.02 * value.abs();
            assert!(expected.iter().any(agrees), "{name} {at}: {} is not {expected:?}", found[at]);
        }
    }
}

#[test]
fn what_is_served_computes_what_was_learned() {
    let lists = lists();
    let net = Net::new([6, 4], 11).unwrap();
    let mut ranker = Ranker { hidden: [6, 4], ..plain() };
    net.write(&mut ranker).unwrap();
    for list in &lists {
        let batch = Padded::new(&[list], &ranker).unwrap();
        let loss = net.loss(&batch, &mut Dropout::none()).unwrap().to_scalar::<f32>().unwrap();
        let logits = super::logits(&ranker, list, &mut Layers::default());
        let all = logits.iter().map(|logit| logit.exp()).sum::<f32>().ln();
        let mean = list.right.iter().map(|right| all - logits[*right as usize]).sum::<f32>() / list.right.len() as f32;
        assert!((loss - mean).abs() < 1e-4, "{loss} {mean}");
    }
}
