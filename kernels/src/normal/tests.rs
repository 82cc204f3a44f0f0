#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;

fn numbers(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
}

/// The system of some terms in double precision, and its right side.
fn plain(dim: usize, base: &Lower, table: &[f32], terms: &[Term]) -> (Vec<f64>, Vec<f64>) {
    let mut system: Vec<f64> = (0..dim * dim).map(|at| f64::from(base.at(at / dim, at % dim))).collect();
    let mut right = vec![0.0; dim];
    for term in terms {
        let row = &table[term.row as usize * dim..(term.row as usize + 1) * dim];
        for i in 0..dim {
            right[i] += f64::from(term.target) * f64::from(row[i]);
            for j in 0..dim {
                system[i * dim + j] += f64::from(term.weight) * f64::from(row[i]) * f64::from(row[j]);
            }
        }
    }
    (system, right)
}

#[test]
fn solutions_satisfy_their_systems_at_every_level() {
    for (dim, many) in [(1, 3), (5, 0), (16, 40), (19, 300), (64, 700), (80, 9)] {
        let rows = 50;
        let table = numbers(1, rows * dim);
        let terms: Vec<Term> = (0..many)
            .map(|at| Term {
                row: (at * 31 % rows) as u32,
                weight: (at % 7) as f32 * 0.5,
                target: 1.0 + (at % 3) as f32,
            })
            .collect();
        let mut base = Lower::gram(&table, dim);
        base.add_to_diagonal(3.0);
        let (system, right) = plain(dim, &base, &table, &terms);
        for level in Level::available() {
            let mut equations = NormalEquations::at_level(level, dim);
            let mut x = vec![9.0; dim];
            // Twice, since memory is kept.
            for _ in 0..2 {
                assert!(equations.solve(&base, &table, terms.iter().copied(), &mut x));
            }
            let size = right.iter().fold(1.0f64, |most, value| most.max(value.abs()));
            for i in 0..dim {
                let left: f64 = (0..dim).map(|j| system[i * dim + j] * f64::from(x[j])).sum();
                assert!((left - right[i]).abs() < 2e-4 * size, "{} {dim}: {left} is not {}", level.name(), right[i]);
            }
        }
    }
}

#[test]
fn a_gram_is_the_sum_of_outer_products_for_any_number_of_threads() {
    let (rows, dim) = (5_000, 20);
    let table = numbers(2, rows * dim);
    let of = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| Lower::gram(&table, dim))
    };
    let found = of(1);
    assert!(found == of(2) && found == of(3));
    for (i, j) in [(0, 0), (3, 17), (19, 19), (12, 4)] {
        let sum: f64 = table.chunks(dim).map(|row| f64::from(row[i]) * f64::from(row[j])).sum();
        assert!((f64::from(found.at(i, j)) - sum).abs() < 1e-2, "{i} {j}");
    }
    assert!(found.at(20, 0).abs() < 1e-9);
}

#[test]
fn what_cannot_be_solved_is_said() {
    let mut equations = NormalEquations::new(2);
    let mut x = [1.0, 1.0];
    assert!(!equations.solve(&Lower::zero(2), &[1.0, 0.0], [Term { row: 0, weight: 1.0, target: 1.0 }], &mut x));
    assert!(x.iter().all(|value| value.abs() < 1e-9));
    assert!(!equations.solve(&Lower::zero(3), &[], [], &mut x));
    // A row that is not there adds nothing.
    let mut base = Lower::zero(2);
    base.add_to_diagonal(2.0);
    let terms = [Term { row: 9, weight: 1.0, target: 1.0 }, Term { row: 0, weight: 2.0, target: 4.0 }];
    assert!(equations.solve(&base, &[1.0, 0.0], terms, &mut x));
    assert!((x[0] - 1.0).abs() < 1e-6 && x[1].abs() < 1e-6);
}
