#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_cmp)]
use proptest::prelude::*;
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;

use super::*;

/// Vectors around a few centres, with dimensions of falling weight, as learned embeddings are.
fn clustered(rng: &mut ChaCha8Rng, rows: usize, dim: usize) -> Vec<f32> {
    let mut normal = |sd: f32| -> f32 {
        let sum: f32 = (0..12).map(|_| rng.random_range(0.0f32..1.0)).sum();
        (sum - 6.0) * sd
    };
    let centres: Vec<f32> = (0..50 * dim).map(|_| normal(1.0)).collect();
    let mut values = Vec::with_capacity(rows * dim);
    for row in 0..rows {
        let centre = &centres[(row * 31) % 50 * dim..][..dim];
        let vector: Vec<f32> =
            centre.iter().enumerate().map(|(at, x)| (x + normal(0.5)) / (1.0 + at as f32 / 8.0)).collect();
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        let factor = (0.8 + 0.4 * (row % 7) as f32 / 7.0) / length;
        values.extend(vector.iter().map(|x| x * factor));
    }
    values
}

#[test]
fn int8_and_rescore_finds_what_f32_finds() {
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    for (rows, dim) in [(20_000, 64), (5_000, 50)] {
        let vectors = Vectors::new(dim, clustered(&mut rng, rows, dim));
        let queries = clustered(&mut rng, 200, dim);
        let (mut found, mut wanted) = (0, 0);
        for query in queries.chunks(dim) {
            let exact = vectors.top_f32(query, 20);
            let quick = vectors.top(query, 20);
            assert_eq!((exact.len(), quick.len()), (20, 20));
            wanted += exact.len();
            found += exact.iter().filter(|hit| quick.contains(hit)).count();
        }
        let recall = f64::from(found as u32) / f64::from(wanted as u32);
        assert!(recall >= 0.999, "{rows} x {dim}: recall@20 {recall}");
    }
}

#[test]
fn f32_scores_of_all_levels_agree() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for dim in [1, 7, 32, 64, 100] {
        let vectors = Vectors::new(dim, clustered(&mut rng, 3000, dim));
        let query = &clustered(&mut rng, 1, dim);
        let plain = vectors.top_f32_at(Level::PORTABLE, query, 3000);
        let scores: std::collections::BTreeMap<u32, f32> = plain.iter().copied().collect();
        let size: f32 = query.iter().map(|x| x * x).sum::<f32>().sqrt();
        for level in Level::available() {
            let all = vectors.top_f32_at(level, query, 3000);
            assert_eq!(all.len(), 3000);
            assert!(all.iter().all(|(id, score)| (score - scores[id]).abs() <= 1e-5 * size), "{}", level.name());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn int8_scores_are_the_same_bits_at_every_level(seed in 0u64..1000, rows in 1usize..300, dim in 1usize..90) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let values: Vec<f32> = (0..rows * dim).map(|_| rng.random_range(-1.0f32..1.0)).collect();
        let query: Vec<f32> = (0..dim).map(|_| rng.random_range(-1.0f32..1.0)).collect();
        let table = Int8Table::of(dim, &values);
        let bytes = QueryBytes::of(&query).unwrap();
        let scores = |level| {
            let mut out = vec![f32::NAN; table.scales.len()];
            x86::int8_scores(level, &table.lines, &bytes.fours, bytes.correction, &table.scales, &mut out);
            out.truncate(rows);
            out
        };
        let plain = scores(Level::PORTABLE);
        for level in Level::available() {
            prop_assert_eq!(&scores(level), &plain, "{}", level.name());
        }
        // and they are near the true ones: half a step of rounding on either side
        let highest = query.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        for (row, score) in values.chunks(dim).zip(&plain) {
            let near = score * highest / 127.0;
            prop_assert!((near - dot(row, &query)).abs() <= dim as f32 * 0.0085, "{} is not near {}", near, dot(row, &query));
        }
    }

    #[test]
    fn small_tables_and_ties(rows in 0usize..130, k in 0usize..30, dim in 1usize..6, seed in 0u64..100) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let values: Vec<f32> = (0..rows * dim).map(|_| rng.random_range(-2i32..3) as f32).collect();
        let vectors = Vectors::new(dim, values.clone());
        let query: Vec<f32> = (0..dim).map(|_| rng.random_range(-2i32..3) as f32).collect();
        let mut all: Vec<(u32, f32)> = values
            .chunks(dim)
            .zip(0u32..)
            .map(|(row, id)| (id, row.iter().zip(&query).map(|(a, b)| a * b).sum::<f32>() + 0.0))
            .collect();
        all.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap().then(a.0.cmp(&b.0)));
        all.truncate(k);
        let plus_zero = |hits: Vec<(u32, f32)>| hits.into_iter().map(|(id, score)| (id, score + 0.0)).collect::<Vec<_>>();
        prop_assert_eq!(plus_zero(vectors.top_f32(&query, k)), all);
        prop_assert_eq!(vectors.top(&query, k).len(), k.min(rows));
    }
}

#[test]
fn numbers_that_are_not_finite() {
    let mut values: Vec<f32> = (0..2000).map(|at| ((at * 37) % 101) as f32 / 50.0 - 1.0).collect();
    values[40] = f32::NAN; // row 10
    values[80] = f32::INFINITY; // row 20
    values[120] = f32::NEG_INFINITY; // row 30
    let vectors = Vectors::new(4, values);
    let query = [1.0, 0.5, -0.5, 0.25];
    for level in Level::available() {
        let exact = vectors.top_f32_at(level, &query, 500);
        assert_eq!(exact.len(), 499);
        assert!(exact.iter().all(|(id, score)| *id != 10 && !score.is_nan()));
        assert_eq!((exact[0], exact[498]), ((20, f32::INFINITY), (30, f32::NEG_INFINITY)));
        assert_eq!(vectors.top_at(level, &query, 20), exact[..20]);
        // a query that is not finite is answered by the exact scan
        assert!(vectors.top_at(level, &[f32::NAN; 4], 20).is_empty());
        let steep = [f32::INFINITY, 0.5, 0.5, 0.5];
        assert_eq!(vectors.top_at(level, &steep, 20), vectors.top_f32_at(level, &steep, 20));
    }
}

#[test]
fn shapes() {
    let vectors = Vectors::new(3, vec![1.0; 8]);
    assert_eq!((vectors.rows(), vectors.dim(), vectors.values().len()), (2, 3, 6));
    assert_eq!((vectors.row(1), vectors.row(2), vectors.row(usize::MAX)), (&[1.0; 3][..], &[][..], &[][..]));
    assert!(vectors.top(&[1.0; 2], 5).is_empty() && vectors.top_f32(&[1.0; 4], 5).is_empty());
    assert_eq!(vectors.top(&[1.0; 3], 5), [(0, 3.0), (1, 3.0)]);
    for empty in [Vectors::default(), Vectors::new(0, vec![1.0]), Vectors::new(4, vec![])] {
        assert_eq!(empty.rows(), 0);
        assert!(empty.top(&[], 3).is_empty() && empty.top(&[0.0; 4], 3).is_empty());
    }
    let zeros = Vectors::new(2, vec![0.0; 400]);
    assert_eq!(zeros.top(&[0.0, 0.0], 3), [(0, 0.0), (1, 0.0), (2, 0.0)]);
    assert_eq!(zeros.top(&[1.0, 2.0], 2), [(0, 0.0), (1, 0.0)]);
}
