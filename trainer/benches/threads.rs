//! A whole training of a hybrid with one thread and with two, in turns: seconds by phase, and how much faster two are. The shop is
//! generated unless `DATASET` names a canonical one; `ROUNDS=3` is how often.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use endcap_simulator::{Preset, World, WorldSpec};
use endcap_trainer::progress::Silent;
use endcap_trainer::{Architecture, DeviceChoice, TrainOptions, train};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dataset = std::env::var("DATASET").map_or_else(
        |_| {
            let dataset = folder.path().join("dataset");
            let spec = WorldSpec::new(Preset::GiftShop, 2_000, 1_200, 365, 7);
            World::generate(&spec).unwrap().write(&dataset, &mut |_| {}).unwrap();
            dataset
        },
        std::path::PathBuf::from,
    );
    let rounds: usize = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let mut seconds: BTreeMap<(usize, String), Vec<f64>> = BTreeMap::new();
    let mut digests = Vec::new();
    for round in 0..rounds {
        for threads in [1, 2] {
            let options = TrainOptions {
                events: None,
                events_until: None,
                data: dataset.clone(),
                out: folder.path().join(format!("out-{round}-{threads}")).display().to_string(),
                model: "bench".to_owned(),
                model_uid: None,
                version: 1,
                architecture: Architecture::Hybrid,
                seed: 42,
                threads,
                device: DeviceChoice::Cpu,
                hyperparameters: BTreeMap::new(),
                work: folder.path().join("work"),
                versions_at: None,
                active: None,
            };
            let trained = train(&options, &Silent).expect("the training succeeds");
            for phase in &trained.run.phases {
                seconds.entry((threads, phase.phase.clone())).or_default().push(phase.seconds);
            }
            seconds.entry((threads, "all".to_owned())).or_default().push(trained.run.seconds);
            digests.push(trained.manifest_sha256);
        }
    }
    println!("{:>10} {:>10} {:>11} {:>10}   (medians of {rounds})", "phase", "1 thread s", "2 threads s", "ratio");
    for phase in ["load", "features", "backtest", "tune", "fit", "publish", "all"] {
        let of = |threads: usize| median(seconds.get(&(threads, phase.to_owned())).cloned().unwrap_or_default());
        println!("{phase:>10} {:>10.2} {:>11.2} {:>10.2}", of(1), of(2), of(1) / of(2).max(1e-9));
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "every training must give the same digest");
}
