//! Whatever is asked for, and however often: budget, cool-down and concurrency hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use endcap_crds::recommender_model::monitoring::{Signal as Kind, Statistic};
use endcap_operator_core::drift::{Signal, Window};
use endcap_operator_core::observed::{Dataset, Insights};
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use world::{World, quick_policy};

fn drifted(world: &World) -> Insights {
    let signal = Signal {
        kind: Kind::NumericFeature,
        feature: Some("x".to_owned()),
        statistic: Statistic::Psi,
        value: 0.9,
        reference: None,
        n_ref: 10_000,
        n_cur: 10_000,
        bins: 10,
    };
    let window = Window {
        version: world.active().unwrap_or_default(),
        from: Timestamp::UNIX_EPOCH,
        to: world.now,
        signals: vec![signal],
        ctr: None,
        coverage: None,
    };
    Insights { arms: Vec::new(), drift: Some(window) }
}

#[test]
fn random_storms_never_exceed_budget_cooldown_or_concurrency() {
    let storms = if std::env::var_os("ENDCAP_SOAK").is_some() { 10_000 } else { 1_000 };
    let mut trainings = 0;
    for storm in 0..storms {
        let mut random = ChaCha8Rng::seed_from_u64(storm);
        let max_runs = random.random_range(1..6);
        let cooldown_min = random.random_range(1..90);
        let spec = json!({"retraining": {"schedule": "*/7 * * * *", "cooldown": format!("{cooldown_min}m"), "budget": {"window": "6h", "maxRuns": max_runs},
            "onDrift": {"enabled": true, "consecutiveWindows": 2}, "onNewData": {"minPercent": 5}}});
        let mut world = World::new(&spec, Some(quick_policy()));
        world.training_time = SignedDuration::from_secs(random.random_range(10..1_800));
        for step in 0..120_i64 {
            match random.random_range(0..6) {
                0 => world.patch(&json!({"retraining": {"trigger": format!("t{step}")}})),
                1 => world.insights = Some(drifted(&world)),
                2 => world.dataset = Some(Dataset { sha256: format!("{step}"), rows: 1_000 + step * 100 }),
                3 => world.trouble.training_fails = !world.trouble.training_fails,
                4 => {
                    world.behaviour = std::iter::once((
                        format!("shop-v{}", step / 10),
                        world::Behaviour { ndcg: 0.01, ..Default::default() },
                    ))
                    .collect();
                }
                _ => {}
            }
            world.live(2, random.random_range(1..240), 1_000);
            let open = world.versions.values().filter(|stored| {
                !matches!(
                    stored.status.phase,
                    Some(
                        endcap_crds::model_version::status::VersionPhase::Ready
                            | endcap_crds::model_version::status::VersionPhase::Failed
                            | endcap_crds::model_version::status::VersionPhase::Expired
                    )
                )
            });
            assert!(open.count() <= 1, "storm {storm}: two trainings at once");
        }
        let mut times: Vec<(Timestamp, String)> = world
            .versions
            .values()
            .map(|stored| (stored.created_at, format!("{:?}", stored.spec.trigger.type_)))
            .collect();
        times.sort();
        trainings += times.len();
        let window = SignedDuration::from_hours(6);
        for (at, (first, _)) in times.iter().enumerate() {
            let within = times.iter().skip(at).filter(|(time, _)| time.duration_since(*first) < window).count();
            assert!(within <= max_runs, "storm {storm}: {within} trainings within the budget's window of {max_runs}");
        }
        for pair in times.windows(2) {
            let [(before, _), (after, why)] = pair else { continue };
            if why != "Manual" && why != "Initial" {
                let rest = after.duration_since(*before);
                assert!(
                    rest >= SignedDuration::from_mins(cooldown_min),
                    "storm {storm}: {why} after {rest:#}, the cool-down is {cooldown_min} min"
                );
            }
        }
    }
    println!("{storms} storms, {trainings} trainings, budget, cool-down and concurrency held");
    assert!(trainings > storms as usize);
}

#[test]
fn drift_trains_and_the_new_version_is_promoted() {
    let spec = json!({"retraining": {"cooldown": "1m", "budget": {"window": "6h", "maxRuns": 5}, "onDrift": {"enabled": true, "consecutiveWindows": 2}}});
    let mut world = World::new(&spec, Some(quick_policy()));
    world.until("v1 serves", |world| world.active().is_some() && world.status.rollout.is_none());
    world.pass(120);
    for _ in 0..2 {
        world.insights = Some(drifted(&world));
        world.live(1, 30, 1_000);
    }
    assert_eq!(world.said("DriftDetected"), 1);
    world.insights = None;
    world.until("v2 serves", |world| world.active().as_deref() == Some("shop-v2"));
    let version = world.versions.get("shop-v2").unwrap();
    assert_eq!(format!("{:?}", version.spec.trigger.type_), "Drift");
    assert!(version.spec.trigger.reason.as_ref().unwrap().to_string().contains("x psi is 0.9"));
}
