//! Events accepted a second over HTTP, synced, with batches of 1 and 100 and 1 to 64 clients at once.
//! `cargo bench -p endcap-eventlog`; the folder is the system's for temporary files: `TMPDIR` chooses the disk.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use endcap_eventlog::client::EventSender;
use endcap_eventlog::service::{Options, start};
use endcap_eventlog::{Event, LiveState, LiveUpdate};
use serde_json::json;

static NUMBER: AtomicU64 = AtomicU64::new(0);

fn event() -> Event {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    serde_json::from_value(json!({
        "event_id": format!("0197-{number}"), "type": "purchase", "customer_id": format!("c{}", number % 5_000),
        "session_id": format!("s{}", number % 20_000), "order_id": format!("o{number}"),
        "lines": [{"product_id": format!("p{}", number % 4_000), "quantity": 6, "unit_price": "2.55"},
                  {"product_id": format!("p{}", number % 3_001), "quantity": 1, "unit_price": "7.65"}],
    }))
    .unwrap()
}

fn accept(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let running = runtime.block_on(start(Options::on_loopback(folder.path().to_owned()))).unwrap();
    println!("log in {}, {} cores", folder.path().display(), std::thread::available_parallelism().unwrap());
    let mut group = criterion.benchmark_group("accept");
    group.sample_size(10).measurement_time(Duration::from_secs(4));
    for (batch, clients) in [(1_usize, 1_u64), (1, 16), (1, 64), (100, 1), (100, 16)] {
        let rounds = if batch == 1 { 20 } else { 4 };
        group.throughput(Throughput::Elements(clients * rounds * batch as u64));
        group.bench_function(BenchmarkId::new(format!("batch_{batch}"), format!("clients_{clients}")), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut spent = Duration::ZERO;
                for _ in 0..iterations {
                    let work: Vec<Vec<Vec<Event>>> = (0..clients)
                        .map(|_| (0..rounds).map(|_| (0..batch).map(|_| event()).collect()).collect())
                        .collect();
                    let sender = EventSender::new(&running.url(), Duration::from_secs(30)).unwrap();
                    let began = Instant::now();
                    runtime.block_on(async {
                        let tasks: Vec<_> = work
                            .into_iter()
                            .map(|batches| {
                                let sender = sender.clone();
                                tokio::spawn(async move {
                                    for events in batches {
                                        assert_eq!(sender.send(&events).await.unwrap().accepted, events.len());
                                    }
                                })
                            })
                            .collect();
                        for task in tasks {
                            task.await.unwrap();
                        }
                    });
                    spent += began.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
    runtime.block_on(running.stop());
}

fn fold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fold");
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("purchases", |bencher| {
        let mut live = LiveState::default();
        let events: Vec<Event> = (0..1_000).map(|_| event()).collect();
        bencher.iter(|| {
            for event in &events {
                let update = LiveUpdate { offset: live.next_offset(), accepted_ms: 0, event: event.clone() };
                live.apply(black_box(&update));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, accept, fold);
criterion_main!(benches);
