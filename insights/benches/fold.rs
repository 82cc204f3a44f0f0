//! How fast events are folded, and how fast and large the kept state is.

#![allow(clippy::unwrap_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use endcap_eventlog::live::LiveUpdate;
use endcap_insights::fold::{Limits, State};
use endcap_insights::keep::Keeper;
use serde_json::{Value, json};

const EVENTS: u64 = 20_000;

/// Seven lists of eight products, two clicks and an order, again and again, ten lists a second.
fn updates() -> Vec<LiveUpdate> {
    let start = 1_772_409_600_000_i64;
    let event = |number: u64| -> Value {
        let customer = format!("c{}", number * 7_919 % 3_000);
        let product = |at: u64| format!("P{}", (number * 31 + at * at * 17) % 1_200);
        match number % 10 {
            0..=6 => {
                let item = |at: u64| json!({"product_id": product(at), "rank": at, "kind": "popular", "score": 0.3, "propensity": 1.0});
                json!({"event_id": format!("r{number}"), "type": "recommendation_shown", "request_id": format!("r{number}"),
                    "customer_id": customer, "placement": "cart", "exposure": {"model": "m", "version": "m-v1", "arm": "active",
                    "items": (0..8).map(item).collect::<Value>()}})
            }
            7 | 8 => json!({"event_id": format!("k{number}"), "type": "select_item", "customer_id": customer,
                "request_id": format!("r{}", number - 2), "product_id": product(1)}),
            _ => json!({"event_id": format!("o{number}"), "type": "purchase", "customer_id": customer,
                "lines": [{"product_id": product(2), "quantity": 2, "unit_price": "1.25"}]}),
        }
    };
    (0..EVENTS)
        .map(|offset| LiveUpdate {
            offset,
            accepted_ms: start + offset as i64 * 70,
            event: serde_json::from_value(event(offset)).unwrap(),
        })
        .collect()
}

fn fold(updates: &[LiveUpdate]) -> State {
    let mut state = State::new(Limits::default());
    for update in updates {
        state.apply(update);
    }
    state
}

fn bench(criterion: &mut Criterion) {
    let updates = updates();
    let state = fold(&updates);
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(folder.path()).unwrap();
    let bytes = keeper.write(&state, "log").unwrap();
    println!("{EVENTS} events, {} lists, {} cells: kept in {bytes} bytes", state.counts.lists, state.cells.len());
    let mut group = criterion.benchmark_group("insights");
    group.sample_size(10);
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("fold", |bencher| bencher.iter(|| fold(&updates)));
    group.bench_function("keep", |bencher| bencher.iter(|| keeper.write(&state, "log").unwrap()));
    group.bench_function("read", |bencher| bencher.iter(|| keeper.read(&Limits::default()).unwrap()));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
