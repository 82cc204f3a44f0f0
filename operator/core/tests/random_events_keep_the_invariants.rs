//! The invariants of a rollout over random sequences of events: commands, trouble, traffic, time, restarts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::collections::BTreeMap;

use endcap_crds::recommender_model::status::{RolloutPhase, Verdict};
use endcap_operator_core::{Plan, decide};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use world::{Behaviour, World, quick_policy};

fn weights(plan: &Plan) -> BTreeMap<String, i32> {
    let Some(table) = &plan.table else { return BTreeMap::new() };
    let mut all = BTreeMap::new();
    for weight in table.weights().into_iter().filter(|weight| weight.experiment.is_none()) {
        *all.entry(weight.version).or_insert(0) += i32::from(weight.buckets);
    }
    all
}

/// What must hold of every plan.
fn check(world: &World, plan: &Plan, before: &BTreeMap<String, i32>, seed: u64) {
    let now = weights(plan);
    // I1: all units are somebody's.
    if plan.table.is_some() {
        assert_eq!(now.values().sum::<i32>(), 10_000, "seed {seed}: {now:?}");
    }
    let observed = world.observe();
    for (version, weight) in &now {
        let was = before.get(version).copied().unwrap_or(0);
        if *weight > was && was > 0 || *weight > 0 && was == 0 && !before.is_empty() {
            let is_way_back = plan
                .status
                .rollout
                .as_ref()
                .is_none_or(|rollout| matches!(rollout.phase, RolloutPhase::RollingBack | RolloutPhase::Cooling))
                || plan.status.active_version.as_ref().is_some_and(|active| active.as_str() == version);
            if !is_way_back {
                // I1: who gets more has somebody to answer.
                assert!(
                    observed.arm(version).ready > 0,
                    "seed {seed}: {version} gets {weight} without a ready predictor"
                );
                // I4: nothing rises while something holds it; the way back to what served before is held by nothing.
                let is_restored = plan.status.rollout.as_ref().is_some_and(|rollout| {
                    rollout.restoring && rollout.from.is_some() && rollout.version.as_str() == version
                });
                assert!(
                    is_restored || !world.spec.rollout.paused,
                    "seed {seed}: {version} rose from {was} to {weight} in a pause"
                );
                if was > 0 {
                    let gates = plan.status.rollout.as_ref().unwrap();
                    assert!(
                        gates.gates.iter().all(|gate| gate.verdict == Verdict::Pass),
                        "seed {seed}: {:?}",
                        gates.gates
                    );
                    assert!(!world.trouble.no_counters, "seed {seed}: it rose on missing data");
                }
                // I7: what was rejected stays out.
                assert!(
                    !world.status.rejected_versions.iter().any(|one| one.version.as_str() == version),
                    "seed {seed}: {version} came back"
                );
            }
        }
    }
    // I2: the active version keeps what serves it.
    if let Some(active) = &plan.status.active_version {
        assert!(
            plan.arms.get(active.as_str()).copied().unwrap_or(0) >= world.spec.serving.replicas.max(1),
            "seed {seed}: {:?}",
            plan.arms
        );
    }
    // I6: at most two versions have units: one in transition.
    assert!(now.values().filter(|weight| **weight > 0).count() <= 2, "seed {seed}: {now:?}");
    // Numbers are used once, the mark never falls.
    assert!(plan.status.version_high_water.unwrap_or(0) >= world.status.version_high_water.unwrap_or(0), "seed {seed}");
}

fn story(seed: u64) -> usize {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut world = World::new(
        &json!({"serving": {"replicas": random.random_range(1..4)}, "retraining": {"cooldown": "1m"}}),
        Some(quick_policy()),
    );
    let mut before = BTreeMap::new();
    let mut steps = 0;
    for at in 0..random.random_range(60..160) {
        match random.random_range(0..24) {
            0 => world.patch(&json!({"retraining": {"trigger": format!("t{at}")}})),
            1 => world.patch(&json!({"rollout": {"paused": random.random_bool(0.5)}})),
            2 => {
                let version = format!("shop-v{}", random.random_range(1..5));
                world.patch(&json!({"promotedVersion": version}));
            }
            3 => world.patch(&json!({"promotedVersion": null})),
            4 => {
                let version = format!("shop-v{}", random.random_range(1..5));
                world.patch(&json!({"rollout": {"abortVersion": version}}));
            }
            5 => world.patch(&json!({"rollout": {"abortVersion": null}})),
            6 => world.patch(&json!({"rollout": {"retryToken": format!("r{at}")}})),
            7 => world.trouble.no_counters = random.random_bool(0.5),
            8 => world.trouble.deaf = random.random_bool(0.5),
            9 => world.trouble.no_ready = random.random_bool(0.3),
            10 => world.trouble.training_fails = random.random_bool(0.3),
            11 => {
                let version = format!("shop-v{}", random.random_range(2..5));
                let behaviour = Behaviour {
                    error_rate: random.random_range(0.0..0.4),
                    ndcg: random.random_range(0.2..0.4),
                    bucket: random.random_range(0..14),
                };
                world.behaviour.insert(version, behaviour);
            }
            12 => world.epoch = format!("e{at}"),
            // I8: the clock jumps.
            13 => world.pass(if random.random_bool(0.5) { 3_600 } else { -3_600 }),
            14 => world.routers.iter_mut().for_each(|router| router.revision = None),
            _ => {}
        }
        let plan = decide(&world.observe(), world.now);
        check(&world, &plan, &before, seed);
        // I5: the same seen twice gives the same plan.
        assert_eq!(plan, decide(&world.observe(), world.now), "seed {seed}");
        // I3: an abort that is asked for takes effect in this very look.
        if let Some(aborted) = &world.spec.rollout.abort_version {
            let weight = weights(&plan).get(aborted.as_str()).copied().unwrap_or(0);
            let is_active = plan.status.active_version.as_ref() == Some(aborted);
            assert!(weight == 0 || is_active, "seed {seed}: {aborted} has {weight} and is to be aborted");
        }
        // A crash between two writes: the plan is lost, and made again.
        if random.random_bool(0.1) {
            continue;
        }
        world.carry_out(&plan);
        before = weights(&plan);
        steps += 1;
        world.pass(random.random_range(0..30));
        world.traffic(random.random_range(0..3_000));
    }
    steps
}

#[test]
fn invariants_hold_over_random_events() {
    let events: usize = if std::env::var_os("ENDCAP_SOAK").is_some() { 1_000_000 } else { 10_000 };
    let (mut seen, mut seed) = (0, 0);
    while seen < events {
        seen += story(seed);
        seed += 1;
    }
    println!("{seen} looks in {seed} stories kept every invariant");
}
