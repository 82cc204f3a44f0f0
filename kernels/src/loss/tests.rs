#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_cmp)]
use proptest::prelude::*;

use super::*;

/// Numbers in -1..1 that look random.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

struct Case {
    dim: usize,
    hidden: Vec<f32>,
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    starts: Vec<u32>,
    ids: Vec<u32>,
    weights: Vec<f32>,
}

impl Case {
    fn new(seed: u64, rows: usize, items: usize, dim: usize, biased: bool) -> Self {
        let draws = numbers(seed + 1, rows * 8);
        let mut starts = vec![0];
        let (mut ids, mut weights) = (Vec::new(), Vec::new());
        for row in 0..rows {
            for target in 0..(row + seed as usize) % 4 {
                let draw = draws[row * 8 + target];
                ids.push(((draw.abs() * 1e6) as usize % items) as u32);
                weights.push(draws[row * 8 + target + 4] * 0.5 + 0.75);
            }
            starts.push(ids.len() as u32);
        }
        Self {
            dim,
            hidden: numbers(seed + 2, rows * dim),
            weight: numbers(seed + 3, items * dim),
            bias: biased.then(|| numbers(seed + 4, items)),
            starts,
            ids,
            weights,
        }
    }

    /// Weight of all targets.
    fn summed(&self) -> f64 {
        self.weights.iter().map(|weight| f64::from(*weight)).sum()
    }

    fn run(&self) -> LinearLoss {
        self.run_at(Level::best())
    }

    fn run_at(&self, level: Level) -> LinearLoss {
        let targets = Targets { starts: &self.starts, ids: &self.ids, weights: &self.weights };
        at_level(level, &self.hidden, &self.weight, self.bias.as_deref(), self.dim, &targets)
    }

    /// The definition, in f64: loss, d_hidden, d_weight, d_bias.
    fn plain(&self) -> (f64, Vec<f64>, Vec<f64>, Vec<f64>) {
        let items = self.weight.len() / self.dim;
        let mut out = (0.0, vec![0.0; self.hidden.len()], vec![0.0; self.weight.len()], vec![0.0; items]);
        for (row, hidden) in self.hidden.chunks(self.dim).enumerate() {
            let logits: Vec<f64> = (0..items)
                .map(|item| {
                    let weight = &self.weight[item * self.dim..][..self.dim];
                    let product: f64 = hidden.iter().zip(weight).map(|(h, w)| f64::from(*h) * f64::from(*w)).sum();
                    product + self.bias.as_ref().map_or(0.0, |bias| f64::from(bias[item]))
                })
                .collect();
            let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logits.iter().map(|logit| (logit - highest).exp()).sum();
            let log_sum = highest + sum.ln();
            let mut d_logits = vec![0.0; items];
            for at in self.starts[row] as usize..self.starts[row + 1] as usize {
                let (id, weight) = (self.ids[at] as usize, f64::from(self.weights[at]));
                out.0 += weight * (log_sum - logits[id]);
                for (d, logit) in d_logits.iter_mut().zip(&logits) {
                    *d += weight * (logit - log_sum).exp();
                }
                d_logits[id] -= weight;
            }
            for (item, d) in d_logits.iter().enumerate() {
                out.3[item] += d;
                for (at, x) in hidden.iter().enumerate() {
                    out.1[row * self.dim + at] += d * f64::from(self.weight[item * self.dim + at]);
                    out.2[item * self.dim + at] += d * f64::from(*x);
                }
            }
        }
        out
    }
}

/// `summed`: how much was added up and may cancel, as with a single item, whose gradient is nothing.
fn close(got: &[f32], want: &[f64], tolerance: f64, summed: f64) {
    assert_eq!(got.len(), want.len());
    let size = want.iter().map(|x| x.abs()).fold(1.0 + 0.2 * summed, f64::max);
    for (at, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((f64::from(*got) - want).abs() <= tolerance * size, "{at}: {got} is not {want}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn equals_the_definition_at_every_level(seed in 0u64..1000, rows in 0usize..90, items in 1usize..70, dim in 1usize..40, biased: bool) {
        let case = Case::new(seed, rows, items, dim, biased);
        let (loss, d_hidden, d_weight, d_bias) = case.plain();
        for level in Level::available() {
            let got = case.run_at(level);
            prop_assert!((got.loss - loss).abs() <= 1e-5 * loss.abs().max(1.0), "{} is not {}", got.loss, loss);
            close(&got.d_hidden, &d_hidden, 1e-5, case.summed());
            close(&got.d_weight, &d_weight, 1e-5, case.summed());
            if biased {
                close(&got.d_bias, &d_bias, 1e-5, case.summed());
            } else {
                prop_assert!(got.d_bias.is_empty());
            }
        }
    }
}

#[test]
fn many_blocks_and_parts_equal_the_definition() {
    let case = Case::new(7, 1500, 2100, 24, true);
    let (loss, d_hidden, d_weight, d_bias) = case.plain();
    let got = case.run();
    assert!((got.loss - loss).abs() <= 1e-6 * loss);
    close(&got.d_hidden, &d_hidden, 2e-5, 0.0);
    close(&got.d_weight, &d_weight, 2e-5, 0.0);
    close(&got.d_bias, &d_bias, 2e-5, 0.0);
}

#[test]
fn gradients_equal_finite_differences() {
    let case = Case::new(3, 9, 13, 6, true);
    let got = case.run();
    let step = 1e-2f32;
    // Central difference of the f64 definition at f32 inputs.
    let slope = |change: &dyn Fn(&mut Case, f32)| {
        let at = |by: f32| {
            let mut moved = Case::new(3, 9, 13, 6, true);
            change(&mut moved, by);
            moved.plain().0
        };
        (at(step) - at(-step)) / (2.0 * f64::from(step))
    };
    for at in 0..case.hidden.len() {
        let want = slope(&|case, by| case.hidden[at] += by);
        assert!((f64::from(got.d_hidden[at]) - want).abs() < 1e-3, "hidden {at}");
    }
    for at in 0..case.weight.len() {
        let want = slope(&|case, by| case.weight[at] += by);
        assert!((f64::from(got.d_weight[at]) - want).abs() < 1e-3, "weight {at}");
    }
    for at in 0..13 {
        let want = slope(&|case, by| case.bias.as_mut().unwrap()[at] += by);
        assert!((f64::from(got.d_bias[at]) - want).abs() < 1e-3, "bias {at}");
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let case = Case::new(11, 700, 5000, 20, true);
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let runs: Vec<_> = [1, 2, 3, 7]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let got = pool.install(|| case.run());
            (got.loss.to_bits(), bits(&got.d_hidden), bits(&got.d_weight), bits(&got.d_bias))
        })
        .collect();
    assert!(runs.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn an_item_taken_out_gets_nothing_and_gives_nothing() {
    let mut case = Case::new(5, 40, 30, 8, true);
    case.ids.iter_mut().for_each(|id| *id %= 29);
    case.bias.as_mut().unwrap()[29] = f32::NEG_INFINITY;
    let with = case.run();
    case.weight.truncate(29 * 8);
    case.bias.as_mut().unwrap().truncate(29);
    let without = case.run();
    assert!((with.loss - without.loss).abs() < 1e-6 * without.loss);
    assert!(with.d_weight[29 * 8..].iter().all(|x| *x == 0.0) && with.d_bias[29] == 0.0);
}

#[test]
fn what_does_not_fit_is_not_a_number() {
    let (starts, ids, weights) = ([0, 1], [3], [1.0]);
    let targets = Targets { starts: &starts, ids: &ids, weights: &weights };
    let loss = |hidden: &[f32], items: usize, bias: Option<&[f32]>| {
        linear_cross_entropy(hidden, &vec![0.5; items * 2], bias, 2, &targets).loss
    };
    assert!((loss(&[1.0, 2.0], 4, None) - 4f64.ln()).abs() < 1e-6);
    assert!(loss(&[1.0, 2.0], 3, None).is_nan(), "target beyond the items");
    assert!(loss(&[1.0, 2.0, 3.0], 4, None).is_nan(), "half a row");
    assert!(loss(&[1.0, 2.0, 3.0, 4.0], 4, None).is_nan(), "more rows than targets know");
    assert!(loss(&[1.0, 2.0], 4, Some(&[0.0; 3])).is_nan(), "a short bias");
    assert!(loss(&[1.0, f32::NAN], 4, None).is_nan());
    assert!(linear_cross_entropy(&[], &[], None, 0, &targets).loss.is_nan());
    let none = Targets { starts: &[0], ids: &[], weights: &[] };
    assert_eq!(linear_cross_entropy(&[], &[0.5; 8], None, 2, &none).loss.to_bits(), 0.0f64.to_bits());
}
