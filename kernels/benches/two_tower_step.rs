//! One training step of two embedding tables with in-batch softmax: draw, gather, loss with gradients, lazy Adam on both tables. Prints
//! one JSON line. `USERS`, `ITEMS`, `DIM`, `BATCH`, `STEPS` (a round), `ROUNDS` choose another shape; `RAYON_NUM_THREADS` the threads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::time::Instant;

use endcap_kernels::dot::cpu_level;
use endcap_kernels::loss::{Targets, linear_cross_entropy};
use endcap_kernels::sparse::{Adam, Distinct, SparseTable};
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;

/// As the trainer has it: pages are kept between steps.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn median(mut took: Vec<f64>) -> f64 {
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}

/// Highest resident memory so far, in MB; zero where the system does not say.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
}

fn main() {
    let (users, items, dim) = (number("USERS", 100_000), number("ITEMS", 20_000), number("DIM", 64));
    let (batch, steps, rounds) = (number("BATCH", 4096), number("STEPS", 10), number("ROUNDS", 5));
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut table =
        |rows: usize| SparseTable::new(rows, dim, (0..rows * dim).map(|_| rng.random_range(-0.1f32..0.1)).collect());
    let (mut user_table, mut item_table) = (table(users), table(items));
    let adam = Adam { learning_rate: 1e-3, ..Adam::default() };
    let starts: Vec<u32> = (0..=batch as u32).collect();
    let ids: Vec<u32> = (0..batch as u32).collect();
    let weights = vec![1.0f32; batch];
    let targets = Targets { starts: &starts, ids: &ids, weights: &weights };

    let mut step = |parts: &mut [f64; 3]| {
        let drawn: Vec<u32> = (0..batch).map(|_| rng.random_range(0..users as u32)).collect();
        // few items are popular, as in a shop
        let bought: Vec<u32> =
            (0..batch).map(|_| (rng.random_range(0.0f64..1.0).powi(3) * items as f64) as u32).collect();
        let started = Instant::now();
        let (drawn, bought_at) = (Distinct::of(&drawn), Distinct::of(&bought));
        let expand = |table: &SparseTable, distinct: &Distinct| {
            let ids: Vec<u32> = distinct.places.iter().map(|place| distinct.ids[*place as usize]).collect();
            table.gather(&ids)
        };
        let (hidden, weight) = (expand(&user_table, &drawn), expand(&item_table, &bought_at));
        let gathered = started.elapsed().as_secs_f64();
        let mut loss = linear_cross_entropy(&hidden, &weight, None, dim, &targets);
        let lost = started.elapsed().as_secs_f64();
        let share = 1.0 / batch as f32;
        loss.d_hidden.iter_mut().chain(&mut loss.d_weight).for_each(|x| *x *= share);
        user_table.step(&drawn.ids, &drawn.sum(&loss.d_hidden, dim), &adam);
        item_table.step(&bought_at.ids, &bought_at.sum(&loss.d_weight, dim), &adam);
        let took = started.elapsed().as_secs_f64();
        for (part, seconds) in parts.iter_mut().zip([gathered, lost - gathered, took - lost]) {
            *part += seconds * 1e3;
        }
        (took * 1e3, loss.loss / batch as f64)
    };

    (0..3).for_each(|_| {
        step(&mut [0.0; 3]);
    });
    let mut parts = [0.0; 3];
    let (mut took, mut loss) = (Vec::new(), 0.0);
    for _ in 0..steps * rounds {
        let (ms, mean) = step(&mut parts);
        took.push(ms);
        loss = mean;
    }
    let ms = median(took);
    let [gather, product, update] = parts.map(|ms| ms / (steps * rounds) as f64);
    println!(
        "{{\"program\":\"endcap\",\"variant\":\"rows\",\"cpu\":\"{}\",\"threads\":{},\"users\":{users},\"items\":{items},\"dim\":{dim},\
         \"batch\":{batch},\"ms_per_step\":{ms:.2},\"steps_per_second\":{:.2},\"gather_ms\":{gather:.2},\"loss_ms\":{product:.2},\
         \"update_ms\":{update:.2},\"loss\":{loss:.4},\"peak_mb\":{:.0}}}",
        cpu_level(),
        rayon::current_num_threads(),
        1e3 / ms,
        peak_mb()
    );
}
