//! How often gates and drift are wrong, by simulation with fixed seeds: equal arms are rarely taken back, a doubled error rate is
//! found, clean data rarely drifts, and what has drifted is found. The long version runs with `ENDCAP_SOAK=1`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use endcap_crds::common::gates::{BuiltinMetric, Compare, OnlineGate};
use endcap_crds::recommender_model::monitoring::{Monitoring, Signal as Kind, Statistic};
use endcap_crds::recommender_model::status::{ArmCounts, Verdict};
use endcap_operator_core::drift::{Signal, Window, judge as judge_drift};
use endcap_operator_core::gates::{Evidence, Look, judge};
use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution};

fn is_soak() -> bool {
    std::env::var_os("ENDCAP_SOAK").is_some()
}

const BOUNDS: [f64; 6] = [1.0, 2.0, 5.0, 10.0, 50.0, 150.0];

fn gates() -> Vec<OnlineGate> {
    vec![
        OnlineGate {
            compare: Compare::VsActive,
            max_regression_percent: Some("0.5".into()),
            ..OnlineGate::of("success", BuiltinMetric::SuccessRate)
        },
        OnlineGate {
            compare: Compare::VsActive,
            max_regression_percent: Some("50".into()),
            ..OnlineGate::of("latency", BuiltinMetric::LatencyP99)
        },
        OnlineGate { max: Some("0.05".into()), ..OnlineGate::of("empty", BuiltinMetric::EmptyResultRate) },
        OnlineGate { max: Some("0.05".into()), ..OnlineGate::of("fallback", BuiltinMetric::FallbackRate) },
    ]
}

struct Arm {
    counts: ArmCounts,
    error_rate: f64,
}

impl Arm {
    fn new(name: &str, error_rate: f64) -> Self {
        let counts = ArmCounts {
            arm: name.into(),
            version: name.into(),
            requests: 0,
            errors: 0,
            fallback: 0,
            empty: 0,
            latency: vec![0; BOUNDS.len() + 1],
        };
        Self { counts, error_rate }
    }

    fn answer(&mut self, requests: u64, random: &mut ChaCha8Rng) {
        let mut draw = |n: u64, p: f64| Binomial::new(n, p).unwrap().sample(random);
        let errors = draw(requests, self.error_rate);
        self.counts.requests += requests as i64;
        self.counts.errors += errors as i64;
        self.counts.fallback += errors as i64;
        self.counts.empty += draw(requests, 0.002) as i64;
        let mut left = requests;
        for (bucket, share) in [(0, 0.5), (1, 0.8), (2, 0.85), (3, 0.9), (4, 0.95)] {
            let here = draw(left, share);
            self.counts.latency[bucket] += here as i64;
            left -= here;
        }
        self.counts.latency[5] += left as i64;
    }
}

/// A step of so many windows of 500 candidate requests; true when two of the last five failed.
fn is_taken_back(candidate_rate: f64, windows: i32, active_per_window: u64, seed: u64) -> bool {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut own, mut active) = (Arm::new("candidate", candidate_rate), Arm::new("active", 0.01));
    let gates = gates();
    let mut failed: Vec<i32> = Vec::new();
    for window in 1..=windows {
        own.answer(500, &mut random);
        active.answer(active_per_window, &mut random);
        let evidence = |arm: &Arm| Evidence { counts: Some(arm.counts.clone()), ..Evidence::default() };
        let look = Look { window, failures: 2 };
        if gates
            .iter()
            .any(|gate| judge(gate, &evidence(&own), Some(&evidence(&active)), &BOUNDS, look).verdict == Verdict::Fail)
        {
            failed.push(window);
        }
        failed.retain(|number| *number > window - 5);
        if failed.len() >= 2 {
            return true;
        }
    }
    false
}

#[test]
fn equal_arms_are_rarely_taken_back_and_doubled_errors_are_found() {
    let rounds: u64 = if is_soak() { 10_000 } else { 1_000 };
    // Forty windows: a rollout of four steps that each need ten.
    let wrong = (0..rounds).filter(|seed| is_taken_back(0.01, 40, 4_500, *seed)).count();
    let share = wrong as f64 / rounds as f64;
    println!("A/A: {wrong} of {rounds} rollouts with equal arms were taken back ({:.2}%, at most 1%)", 100.0 * share);
    assert!(share <= 0.01, "{share}");
    let found = (0..rounds).filter(|seed| is_taken_back(0.02, 10, 4_500, 1_000_000 + seed)).count();
    let power = found as f64 / rounds as f64;
    println!(
        "2% errors against 1% with 5,000 candidate requests: {found} of {rounds} were taken back ({:.1}%, at least 95%)",
        100.0 * power
    );
    assert!(power >= 0.95, "{power}");
}

fn psi(reference: &[f64], counts: &[u64]) -> f64 {
    let n: u64 = counts.iter().sum();
    reference
        .iter()
        .zip(counts)
        .map(|(p, count)| {
            let q = (*count as f64).max(0.5) / n as f64;
            (q - p) * (q / p).ln()
        })
        .sum()
}

fn multinomial(shares: &[f64], n: u64, random: &mut ChaCha8Rng) -> Vec<u64> {
    let (mut left, mut rest) = (n, 1.0);
    let mut counts = Vec::new();
    for share in shares {
        let p = (share / rest).clamp(0.0, 1.0);
        let here = Binomial::new(left, p).unwrap().sample(random);
        counts.push(here);
        left -= here;
        rest -= share;
    }
    counts
}

fn window(signals: Vec<Signal>) -> Window {
    Window {
        version: "v".to_owned(),
        from: Timestamp::UNIX_EPOCH,
        to: Timestamp::UNIX_EPOCH,
        signals,
        ctr: None,
        coverage: None,
    }
}

fn feature(at: usize, value: f64, n_ref: i64, n_cur: i64) -> Signal {
    Signal {
        kind: Kind::NumericFeature,
        feature: Some(format!("f{at}")),
        statistic: Statistic::Psi,
        value,
        reference: None,
        n_ref,
        n_cur,
        bins: 10,
    }
}

#[test]
fn clean_data_rarely_drifts_and_true_drift_is_found() {
    let monitoring = Monitoring::default();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let reference = [0.1; 10];
    let windows = if is_soak() { 10_000 } else { 1_000 };
    let alarms = (0..windows)
        .filter(|_| {
            let signals = (0..50)
                .map(|at| feature(at, psi(&reference, &multinomial(&reference, 1_000, &mut random)), 100_000, 1_000));
            judge_drift(&window(signals.collect()), &monitoring).is_drifted
        })
        .count();
    println!("clean data, 50 features: {alarms} alarms in {windows} windows (at most one in 1,000)");
    assert!(alarms * 1_000 <= windows, "{alarms}");

    // Shares whose true PSI against ten equal bins is 0.25.
    let shifted = |tilt: f64| -> Vec<f64> { (0..10).map(|bin| 0.1 + tilt * (f64::from(bin) - 4.5) / 45.0).collect() };
    let true_psi = |shares: &[f64]| shares.iter().map(|q| (q - 0.1) * (q / 0.1).ln()).sum::<f64>();
    let (mut low, mut high) = (0.0, 0.99);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if true_psi(&shifted(middle)) < 0.25 { low = middle } else { high = middle }
    }
    let shares = shifted(low);
    assert!((true_psi(&shares) - 0.25).abs() < 1e-6);
    let rounds = if is_soak() { 5_000 } else { 500 };
    let found = (0..rounds)
        .filter(|_| {
            (0..3).all(|_| {
                let mut signals: Vec<Signal> = (1..50)
                    .map(|at| {
                        feature(at, psi(&reference, &multinomial(&reference, 5_000, &mut random)), 100_000, 5_000)
                    })
                    .collect();
                signals.push(feature(0, psi(&reference, &multinomial(&shares, 5_000, &mut random)), 100_000, 5_000));
                judge_drift(&window(signals), &monitoring).is_drifted
            })
        })
        .count();
    println!(
        "true PSI 0.25, 5,000 samples a window: in {found} of {rounds} all of three windows drifted (at least 99%)"
    );
    assert!(found * 100 >= rounds * 99, "{found}");
    let _: f64 = random.random();
}
