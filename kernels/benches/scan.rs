//! The 20 best of N x 64 for one query, on one thread: exact `f32`, int8 with rescoring, and a plain pass over the `f32` numbers as the
//! bound that memory sets. The three take turns on each query, so each finds the caches as the others left them; int8 runs once more
//! alone, as in serving. `ROWS=20000,100000,1000000` chooses sizes, `QUERIES=100` how many.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::hint::black_box;
use std::time::Instant;

use endcap_kernels::dot::{cpu_level, dot};
use endcap_kernels::scan::Vectors;
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;

const DIM: usize = 64;
const K: usize = 20;

/// Unit vectors around 200 centres, dimensions of falling weight.
fn clustered(rng: &mut ChaCha8Rng, centres: &[f32], rows: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(rows * DIM);
    for _ in 0..rows {
        let centre = &centres[rng.random_range(0..centres.len() / DIM) * DIM..][..DIM];
        let vector: Vec<f32> =
            (0..DIM).map(|at| (centre[at] + rng.random_range(-1.0f32..1.0)) / (1.0 + at as f32 / 16.0)).collect();
        let length = dot(&vector, &vector).sqrt();
        values.extend(vector.iter().map(|x| x / length));
    }
    values
}

fn median(mut took: Vec<f64>) -> f64 {
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}

fn us<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let started = Instant::now();
    let result = black_box(work());
    (started.elapsed().as_secs_f64() * 1e6, result)
}

fn main() {
    let number = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let sizes: Vec<usize> = number("ROWS", "20000,100000").split(',').map(|rows| rows.parse().unwrap()).collect();
    let count: usize = number("QUERIES", "200").parse().unwrap();
    println!("scan, {K} best of rows x {DIM}, one thread, {}; median us of {count} queries", cpu_level());
    println!(
        "{:>10} {:>10} {:>10} {:>10} {:>10} {:>8} {:>8} {:>10}",
        "rows", "read", "f32", "int8", "alone", "f32/read", "f32/int8", "recall@20"
    );
    for rows in sizes {
        let mut rng = ChaCha8Rng::seed_from_u64(64);
        let centres: Vec<f32> = (0..200 * DIM).map(|_| rng.random_range(-1.0f32..1.0)).collect();
        let vectors = Vectors::new(DIM, clustered(&mut rng, &centres, rows));
        let queries = clustered(&mut rng, &centres, count);
        let ones = vec![1.0f32; 1 << 12];
        let (mut read, mut exact, mut quick) = (Vec::new(), Vec::new(), Vec::new());
        let mut found = 0;
        for query in queries.chunks(DIM) {
            read.push(us(|| vectors.values().chunks(1 << 12).map(|part| dot(part, &ones)).sum::<f32>()).0);
            let (took, best) = us(|| vectors.top_f32(query, K));
            exact.push(took);
            let (took, candidates) = us(|| vectors.top(query, K));
            quick.push(took);
            found += best.iter().filter(|hit| candidates.contains(hit)).count();
        }
        let alone = median(queries.chunks(DIM).map(|query| us(|| vectors.top(query, K)).0).collect());
        let (read, exact, quick) = (median(read), median(exact), median(quick));
        println!(
            "{rows:>10} {read:>10.1} {exact:>10.1} {quick:>10.1} {alone:>10.1} {:>8.2} {:>8.2} {:>10.4}",
            exact / read,
            exact / quick,
            found as f64 / (count * K) as f64
        );
    }
}
