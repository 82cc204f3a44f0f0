//! The same input gives the same digest: with 1 and 2 threads, and however often the training was killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::shop::{Shop, digest, folder, manifest_digest, program, run, seed};

#[test]
fn one_and_two_threads_give_the_same_digest_and_another_seed_another() {
    let folder = folder(&Shop::new(seed()));
    let one = digest(folder.path(), &["--out", "one", "--threads", "1"]);
    let two = digest(folder.path(), &["--out", "two", "--threads", "2"]);
    assert_eq!(one, two);
    assert_eq!(manifest_digest(&folder.path().join("one")).unwrap(), one);
    let state = |out: &str| std::fs::read(folder.path().join(out).join("state/baseline.json.zst")).unwrap();
    assert_eq!(state("one"), state("two"));
    assert_ne!(one, digest(folder.path(), &["--out", "three", "--seed", "43"]));
    assert!(!folder.path().join(".one.work").exists(), "checkpoints are removed once the artifact stands");
}

/// Nothing looks finished that is not: a manifest that is there is the whole one.
fn assert_nothing_half(artifact: &Path, expected: &str) {
    if let Some(found) = manifest_digest(artifact) {
        assert_eq!(found, expected);
    }
}

#[test]
fn killed_at_each_phase_it_goes_on_and_gives_the_same_digest() {
    let folder = folder(&Shop::new(seed()));
    let expected = digest(folder.path(), &["--out", "whole"]);
    let mut killed = 0;
    for phase in ["load", "features", "tune", "fit", "publish"] {
        let mut child = program(folder.path(), &["--out", "torn"]).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let reached = lines.map_while(Result::ok).any(|line| line.contains(&format!("\"phase\":\"{phase}\"")));
        assert!(reached, "the training never came to {phase}");
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        assert_nothing_half(&folder.path().join("torn"), &expected);
    }
    assert!(killed >= 3, "only {killed} of 5 trainings were killed before their end");
    let output = run(folder.path(), &["--out", "torn"]);
    assert_eq!(crate::shop::outcome(&output)["manifest_sha256"], expected.as_str());
}

#[test]
fn killed_at_random_moments_it_goes_on_and_gives_the_same_digest() {
    let seed = seed();
    let folder = folder(&Shop::new(seed));
    let started = Instant::now();
    let expected = digest(folder.path(), &["--out", "whole"]);
    let whole = started.elapsed();
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..4 {
        let out = format!("torn{round}");
        for _ in 0..3 {
            let mut child = program(folder.path(), &["--out", &out]).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(random.random_range(0..=whole.as_micros() as u64)));
            child.kill().unwrap();
            child.wait().unwrap();
            assert_nothing_half(&folder.path().join(&out), &expected);
        }
        assert_eq!(digest(folder.path(), &["--out", &out]), expected);
    }
}

#[test]
fn a_phase_that_was_done_is_not_done_again() {
    let folder = folder(&Shop::new(seed()));
    let mut child = program(folder.path(), &["--out", "torn"]).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("\"phase\":\"fit\"")));
    child.kill().unwrap();
    if child.wait().unwrap().success() {
        println!("skipped: the training was over before it could be killed");
        return;
    }
    if folder.path().join("torn/manifest.json").exists() {
        println!("skipped: the artifact was committed before the kill");
        return;
    }
    assert!(run(folder.path(), &["--out", "torn"]).status.success());
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("torn/run.json")).unwrap()).unwrap();
    let tune = record["phases"].as_array().unwrap().iter().find(|phase| phase["phase"] == "tune").unwrap();
    assert_eq!(tune["resumed"], true);
}

/// What makes a small hybrid quick to learn.
const HYBRID: [&str; 8] = [
    "--architecture",
    "Hybrid",
    "--hyperparameter",
    "deep_epochs=4",
    "--hyperparameter",
    "deep_dimensions=16",
    "--hyperparameter",
    "ranker_epochs=2",
];

fn hybrid<'a>(more: &[&'a str]) -> Vec<&'a str> {
    HYBRID.iter().copied().chain(more.iter().copied()).collect()
}

#[test]
fn a_hybrid_has_the_same_digest_with_one_thread_with_two_and_killed_on_its_way() {
    let seed = seed();
    let folder = folder(&Shop::new(seed));
    let one = digest(folder.path(), &hybrid(&["--out", "one", "--threads", "1"]));
    let started = Instant::now();
    assert_eq!(digest(folder.path(), &hybrid(&["--out", "two", "--threads", "2"])), one);
    let whole = started.elapsed();
    let (_, objects) = crate::learned::objects(&folder.path().join("one"));
    assert!(objects.contains_key("similar"), "a hybrid learns item-to-item weights");

    // Killed within the network's passes, at their end, while tuning, and at random moments.
    let mut random = StdRng::seed_from_u64(seed);
    for phase in ["backtest", "tune", "fit"] {
        let mut child = program(folder.path(), &hybrid(&["--out", "torn"])).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        lines.map_while(Result::ok).any(|line| line.contains(&format!("\"phase\":\"{phase}\"")));
        std::thread::sleep(Duration::from_micros(random.random_range(0..=whole.as_micros() as u64 / 4)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_nothing_half(&folder.path().join("torn"), &one);
    }
    assert_eq!(digest(folder.path(), &hybrid(&["--out", "torn"])), one);
}
