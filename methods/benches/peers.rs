//! One job that other programs can do as well, on data that both read from one file: `scripts/peers/peers.py` runs the two sides in turns.
//! Prints one JSON line.
//!
//! `JOB`: `data` writes `FILE` (`USERS`, `ITEMS`, `PAIRS`, `SEED`); `knn`, `als` and `ease` read it; `transformer` draws its own sequences
//! (with `NEGATIVES` its softmax runs over so many drawn items).
//! `FILE`: three u32 (users, items, pairs), then the pairs of user and item, all little-endian. With `OUT` a result is written for the
//! comparison, as f32 or u32. `REPEATS` says how often the work is done after one round that is not counted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::time::Instant;

use endcap_methods::als::{Als, AlsSettings};
use endcap_methods::ease::weights_of;
use endcap_methods::graph::Graph;
use endcap_methods::item_knn::{ItemKnn, ItemKnnSettings};
use endcap_methods::transformer::{Transformer, TransformerSettings};
use endcap_methods::{Histories, History};
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// As the trainer has it: pages are kept between steps.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn number(name: &str, default: usize) -> usize {
    text(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Highest resident memory so far, in MB; zero where the system does not say.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    (line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0).round()
}

fn write<T: Copy>(values: &[T], bytes: impl Fn(T) -> [u8; 4]) {
    if let Some(path) = text("OUT") {
        std::fs::write(path, values.iter().flat_map(|value| bytes(*value)).collect::<Vec<u8>>()).unwrap();
    }
}

/// Pairs of users, drawn evenly, and items, of which few are popular.
fn draw() -> Value {
    let (users, items, pairs) = (number("USERS", 100_000), number("ITEMS", 20_000), number("PAIRS", 10_000_000));
    let mut random = ChaCha8Rng::seed_from_u64(number("SEED", 7) as u64);
    let mut words = vec![users as u32, items as u32, pairs as u32];
    for _ in 0..pairs {
        words.push(random.random_range(0..users as u32));
        words.push((random.random_range(0.0f64..1.0).powi(2) * items as f64) as u32);
    }
    let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    std::fs::write(text("FILE").expect("FILE"), bytes).unwrap();
    json!({"users": users, "items": items, "pairs": pairs})
}

fn read() -> Histories {
    let bytes = std::fs::read(text("FILE").expect("FILE names what JOB=data wrote")).unwrap();
    let (words, _) = bytes.as_chunks::<4>();
    let word = |at: usize| u32::from_le_bytes(words[at]);
    let mut users = vec![Vec::new(); word(0) as usize];
    for pair in 0..word(2) as usize {
        users[word(3 + 2 * pair) as usize].push(word(4 + 2 * pair));
    }
    Histories { items: word(1) as usize, users: users.into_iter().map(History::of_items).collect() }
}

/// Milliseconds that this process has had on all cores together, user and system; zero where the system does not say.
fn cpu_ms() -> f64 {
    // Fields 14 and 15, in hundredths of a second; the second field may hold spaces and ends with a bracket.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().unwrap_or(0.0) * 10.0).sum()
}

/// Milliseconds of each round but the first: on the clock and on the cores.
#[derive(Default)]
struct Rounds {
    clock: Vec<f64>,
    cores: Vec<f64>,
    is_warm: bool,
}

impl Rounds {
    fn begin() -> (Instant, f64) {
        (Instant::now(), cpu_ms())
    }

    /// A round that was begun then holds so many steps.
    fn end(&mut self, (started, cores): (Instant, f64), steps: usize) {
        if std::mem::replace(&mut self.is_warm, true) {
            self.clock.push(started.elapsed().as_secs_f64() * 1e3 / steps as f64);
            self.cores.push((cpu_ms() - cores) / steps as f64);
        }
    }

    fn json(&self) -> Value {
        json!({"ms": self.clock, "cpu_ms": self.cores})
    }
}

fn knn() -> Value {
    let graph = Graph::of(&read());
    let settings = ItemKnnSettings { neighbours: number("KEEP", 100), shrinkage: 0.0 };
    let mut fitted = None;
    let mut rounds = Rounds::default();
    for _ in 0..=number("REPEATS", 1) {
        let begun = Rounds::begin();
        fitted = Some(ItemKnn::of(&graph, &settings));
        rounds.end(begun, 1);
    }
    let fitted = fitted.unwrap();
    let cosines: Vec<f32> = (0..graph.items() as u32)
        .flat_map(|item| {
            let mut own: Vec<f32> = fitted.neighbours(item).iter().map(|near| near.1).collect();
            own.resize(settings.neighbours, 0.0);
            own
        })
        .collect();
    write(&cosines, f32::to_le_bytes);
    rounds.json()
}

/// Milliseconds an iteration, and the factors for the comparison of what was minimised.
fn als() -> Value {
    let graph = Graph::of(&read());
    let iterations = number("ITERATIONS", 6) as u32;
    let settings = AlsSettings { dim: 64, confidence: 40.0, ridge: 0.1, iterations, seed: 1 };
    let (mut rounds, mut begun, mut factors) = (Rounds::default(), Rounds::begin(), Vec::new());
    Als::of(&graph, &settings, &mut |iteration, users, items| {
        rounds.end(begun, 1);
        if iteration + 1 == iterations {
            factors = [users, items].concat();
        }
        begun = Rounds::begin();
    })
    .unwrap();
    write(&factors, f32::to_le_bytes);
    rounds.json()
}

/// From the counts to the weights, without the counting.
fn ease() -> Value {
    let graph = Graph::of(&read());
    let size = graph.items();
    let mut counts = vec![0.0f32; size * size];
    for (item, row) in counts.chunks_exact_mut(size).enumerate() {
        for user in graph.users_of(item as u32) {
            graph.items_of(*user).iter().for_each(|other| row[*other as usize] += 1.0);
        }
        row[item] += 500.0;
    }
    let mut weights = Vec::new();
    let mut rounds = Rounds::default();
    for _ in 0..=number("REPEATS", 1) {
        let mut counts = counts.clone();
        let begun = Rounds::begin();
        weights = weights_of(&mut counts, size).unwrap();
        rounds.end(begun, 1);
    }
    write(&weights, f32::to_le_bytes);
    rounds.json()
}

/// Milliseconds a step of 128 whole sequences, softmax over all items.
fn transformer() -> Value {
    let (items, batch, length, steps) = (number("ITEMS", 3417), 128, 50, number("STEPS", 4));
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut sequence =
        || (0..=length).map(|_| (random.random_range(0.0f64..1.0).powi(2) * items as f64) as u32).collect();
    let histories = Histories { items, users: (0..batch * steps).map(|_| History::of_items(sequence())).collect() };
    let settings = TransformerSettings {
        dim: 64,
        heads: 2,
        blocks: 2,
        inner: 256,
        length,
        dropout: 0.2,
        negatives: number("NEGATIVES", 0),
        epochs: number("REPEATS", 1) as u32 + 1,
        batch,
        ..TransformerSettings::default()
    };
    let (mut rounds, mut begun) = (Rounds::default(), Rounds::begin());
    let fitted = Transformer::fit(&histories, &[], &settings, &mut |_, _| {
        rounds.end(begun, steps);
        begun = Rounds::begin();
    });
    let mut found = rounds.json();
    found["loss"] = json!(fitted.losses.last());
    found
}

fn main() {
    let job = text("JOB").expect("JOB is one of data, knn, als, ease, transformer, transformer-sampled");
    let mut found = match job.as_str() {
        "data" => draw(),
        "knn" => knn(),
        "als" => als(),
        "ease" => ease(),
        "transformer" | "transformer-sampled" => transformer(),
        other => panic!("JOB={other} is not one of data, knn, als, ease, transformer, transformer-sampled"),
    };
    found["job"] = json!(job);
    found["side"] = json!("endcap");
    found["cpu"] = json!(endcap_kernels::dot::cpu_level());
    found["threads"] = json!(rayon::current_num_threads());
    found["peak_mb"] = json!(peak_mb());
    println!("{found}");
}
