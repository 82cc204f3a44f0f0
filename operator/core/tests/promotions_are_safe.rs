//! Promotions: evidence moves them, abort and rollback win from everywhere, and nothing moves on missing data.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use endcap_crds::promotion_policy::offline::SignOffGate;
use endcap_crds::recommender_model::status::{Outcome, RolloutPhase};
use endcap_crds::sign_off::{FORMAT, SignOff};
use endcap_operator_core::decide;
use serde_json::json;
use world::{Behaviour, World, quick_policy};

/// A world in which v1 serves and nothing moves.
fn settled() -> World {
    let mut world = World::new(&json!({"serving": {"replicas": 2}}), Some(quick_policy()));
    world.until("v1 serves", |world| world.active().as_deref() == Some("shop-v1") && world.status.rollout.is_none());
    world
}

fn retrain(world: &mut World, token: &str) {
    world.patch(&json!({"retraining": {"trigger": token}}));
}

#[test]
fn the_first_version_is_trained_and_serves() {
    let mut world = settled();
    world.live(3, 5, 100);
    assert_eq!(world.condition("Ready").unwrap().0, "True");
    assert_eq!(world.condition("PromotionComplete").unwrap().0, "True");
    assert_eq!(world.weight("shop-v1"), 10_000);
    assert_eq!(world.status.history.len(), 1);
    assert_eq!(world.created, ["shop-v1"]);
}

#[test]
fn a_model_is_ready_only_when_requests_can_reach_a_router() {
    let mut world = settled();
    for router in &mut world.routers {
        router.in_service = false;
    }
    world.live(3, 5, 100);
    let (is_ready, reason, text) = world.condition("Ready").unwrap();
    assert_eq!((is_ready.as_str(), reason.as_str()), ("False", "RouterUnavailable"), "{text}");
    assert!(text.contains("none of them is ready"), "{text}");
    world.routers[0].in_service = true;
    world.live(1, 5, 100);
    assert_eq!(world.condition("Ready").unwrap().0, "True");
}

#[test]
fn a_good_version_goes_through_its_steps() {
    let mut world = settled();
    retrain(&mut world, "a");
    world.until("10%", |world| world.weight("shop-v2") == 1_000);
    world.until("50%", |world| world.weight("shop-v2") == 5_000);
    world.until("all", |world| world.active().as_deref() == Some("shop-v2"));
    assert_eq!(world.status.previous_version.as_ref().unwrap().as_str(), "shop-v1");
    assert!(world.arms.contains_key("shop-v1"), "the version before it is kept warm");
    world.until("the previous one is let go", |world| world.status.rollout.is_none());
    assert_eq!(world.arms.keys().collect::<Vec<_>>(), ["shop-v2"]);
    assert_eq!(world.status.history[0].outcome, Outcome::Promoted);
    assert_eq!(world.said("StepAdvanced"), 4, "{:?}", world.events);
    assert_eq!(world.condition("Degraded").unwrap().0, "False");
}

#[test]
fn a_version_that_fails_offline_takes_no_traffic() {
    let mut world = settled();
    world.behaviour.insert("shop-v2".to_owned(), Behaviour { ndcg: 0.1, ..Behaviour::default() });
    retrain(&mut world, "a");
    world.until("it is refused", |world| world.said("VersionRejected") == 1);
    world.live(20, 10, 1_000);
    assert!(world.log.iter().all(|plan| {
        plan.table
            .as_ref()
            .is_none_or(|table| table.weights().iter().all(|one| one.version != "shop-v2" || one.buckets == 0))
    }));
    let latest = world.condition("LatestVersionReady").unwrap();
    assert_eq!(latest.0, "False");
    assert!(latest.2.contains("0.1000") && latest.2.contains("0.2970"), "{latest:?}");
}

/// What `endcap validate --sign-off-by` writes for an artifact.
fn signed(artifact: &str, scenarios: &str) -> String {
    let sign_off = SignOff {
        format: FORMAT.to_owned(),
        signed_off_by: "Maria".to_owned(),
        signed_off_at: "2026-01-02T10:00:00Z".parse().unwrap(),
        program: "endcap/test".to_owned(),
        model: "shop".to_owned(),
        version: "shop-v2".to_owned(),
        artifact_sha256: artifact.to_owned(),
        scenarios_sha256: scenarios.to_owned(),
        policy_sha256: "c".repeat(64),
        results: Vec::new(),
    };
    serde_json::to_string(&sign_off).unwrap()
}

#[test]
fn a_version_waits_for_the_sign_off_of_its_own_artifact() {
    let mut world = settled();
    let mut policy = world.policy.clone().unwrap();
    let scenarios = "5".repeat(64);
    policy.offline.sign_off = Some(SignOffGate { scenarios_sha256: Some(scenarios.as_str().into()) });
    world.policy = Some(policy);
    retrain(&mut world, "a");
    let message = |world: &World| {
        let gates = world.versions["shop-v2"].status.conditions.iter().find(|one| one.type_ == "GatesPassed").unwrap();
        (gates.reason.clone(), gates.message.clone())
    };
    world.until("v2 waits", |world| world.said("Held") == 1);
    let artifact = world.versions["shop-v2"].status.artifact.clone().unwrap().sha256;
    for (annotation, said) in [
        (None, "waits for a sign-off"),
        (Some("yes".to_owned()), "is no sign-off"),
        (Some(signed(&artifact, &scenarios).replace("sign-off/v1", "sign-off/v9")), "its format is"),
        (Some(signed(&"e".repeat(64), &scenarios)), "is for another artifact"),
        (Some(signed(&artifact, &"6".repeat(64))), "the policy asks for 5555"),
    ] {
        world.versions.get_mut("shop-v2").unwrap().sign_off = annotation;
        world.live(5, 10, 1_000);
        let (reason, text) = message(&world);
        assert!(reason == "SignOffMissing" && text.contains(said), "{reason}: {text}");
        assert_eq!(world.weight("shop-v2"), 0);
    }
    // To wait is not to be rejected: it does not open the circuit.
    assert_eq!(world.said("VersionRejected"), 0, "{:?}", world.events);
    let rejected = world.status.retraining.as_ref().and_then(|retraining| retraining.consecutive_rejected);
    assert_eq!(rejected.unwrap_or(0), 0);

    world.versions.get_mut("shop-v2").unwrap().sign_off = Some(signed(&artifact, &scenarios));
    world.until("it goes through its steps", |world| world.active().as_deref() == Some("shop-v2"));
    let (reason, text) = message(&world);
    assert!(reason == "GatesPassed" && text.contains("signed off by Maria"), "{reason}: {text}");
}

#[test]
fn a_version_that_fails_online_is_taken_back_and_stays_out() {
    let mut world = settled();
    world.behaviour.insert("shop-v2".to_owned(), Behaviour { error_rate: 0.2, ..Behaviour::default() });
    retrain(&mut world, "a");
    world.until("it takes traffic", |world| world.weight("shop-v2") > 0);
    world.until("it is rejected", |world| !world.status.rejected_versions.is_empty());
    assert_eq!(world.weight("shop-v2"), 0);
    assert_eq!(world.active().as_deref(), Some("shop-v1"));
    world.live(50, 10, 1_000);
    assert_eq!(world.said("PromotionStarted"), 2, "a rejected version is not tried again");
    let degraded = world.condition("Degraded").unwrap();
    assert_eq!((degraded.0.as_str(), degraded.1.as_str()), ("True", "PromotionRolledBack"));
    assert!(degraded.2.contains("success-rate"), "{degraded:?}");
    // Named by hand it stays out too, until a new token says otherwise.
    world.patch(&json!({"promotedVersion": "shop-v2"}));
    world.live(10, 10, 1_000);
    assert_eq!(world.weight("shop-v2"), 0);
    assert!(world.condition("PromotionComplete").unwrap().2.contains("retryToken"));
    world.behaviour.insert("shop-v2".to_owned(), Behaviour::default());
    world.patch(&json!({"rollout": {"retryToken": "again"}}));
    world.until("it is tried again", |world| world.active().as_deref() == Some("shop-v2"));
}

#[test]
fn a_slow_version_is_taken_back() {
    let mut world = settled();
    world.behaviour.insert("shop-v2".to_owned(), Behaviour { bucket: 12, ..Behaviour::default() });
    retrain(&mut world, "a");
    world.until("it is rejected", |world| !world.status.rejected_versions.is_empty());
    assert!(world.condition("Degraded").unwrap().2.contains("latency"));
}

#[test]
fn missing_counters_hold_and_never_roll_back() {
    let mut world = settled();
    retrain(&mut world, "a");
    world.until("10%", |world| world.weight("shop-v2") == 1_000);
    world.live(3, 1, 100);
    world.trouble.no_counters = true;
    world.live(200, 30, 1_000);
    assert_eq!(world.weight("shop-v2"), 1_000, "neither forward nor back");
    assert!(world.condition("Progressing").unwrap().2.contains("cannot be read"));
    world.trouble.no_counters = false;
    world.until("it goes on", |world| world.active().as_deref() == Some("shop-v2"));
}

#[test]
fn a_router_that_does_not_listen_holds_and_is_replaced() {
    let mut world = settled();
    retrain(&mut world, "a");
    world.until("10%", |world| world.weight("shop-v2") == 1_000);
    world.live(2, 5, 1_000);
    world.trouble.deaf = true;
    let mut replaced = 0;
    for _ in 0..40 {
        replaced += world.look().replace_routers.len();
        world.pass(5);
        world.traffic(1_000);
    }
    assert!(replaced >= 2, "both are replaced, one at a time: {replaced}");
    assert!(world.weight("shop-v2") <= 5_000);
    world.trouble.deaf = false;
    world.until("it goes on", |world| world.active().as_deref() == Some("shop-v2"));
}

#[test]
fn abort_wins_from_every_state_in_one_transition() {
    for phase in [RolloutPhase::Preparing, RolloutPhase::Stepping, RolloutPhase::Promoting, RolloutPhase::Cooling] {
        let mut world = settled();
        retrain(&mut world, "a");
        world.until("the phase", |world| {
            world
                .status
                .rollout
                .as_ref()
                .is_some_and(|rollout| rollout.phase == phase && rollout.version.as_str() == "shop-v2")
        });
        world.patch(&json!({"rollout": {"abortVersion": "shop-v2", "paused": true}, "promotedVersion": "shop-v2"}));
        world.trouble.no_counters = true;
        let plan = world.look();
        let table = plan.table.unwrap();
        assert!(table.weights().iter().all(|one| one.version != "shop-v2" || one.buckets == 0), "{phase:?}: {table:?}");
        assert_eq!(plan.status.rollout.unwrap().phase, RolloutPhase::RollingBack);
        assert_eq!(plan.status.active_version.unwrap().as_str(), "shop-v1");
        world.live(10, 5, 100);
        assert!(world.status.rollout.is_none());
        assert_eq!(world.status.history[0].outcome, Outcome::Aborted);
        assert_eq!(world.weight("shop-v1"), 10_000);
        // Git still says promotedVersion: it stays out.
        world.live(50, 10, 1_000);
        assert_eq!(world.weight("shop-v2"), 0);
    }
}

#[test]
fn an_active_version_is_left_at_once_for_the_one_before() {
    let mut world = settled();
    retrain(&mut world, "a");
    world.until("v2 serves alone", |world| {
        world.active().as_deref() == Some("shop-v2") && world.status.rollout.is_none()
    });
    world.patch(&json!({"rollout": {"abortVersion": "shop-v2"}}));
    world.until("v1 serves", |world| world.active().as_deref() == Some("shop-v1"));
    world.live(30, 10, 1_000);
    assert_eq!(world.weight("shop-v1"), 10_000);
    assert_eq!(world.weight("shop-v2"), 0);
}

#[test]
fn going_back_needs_no_steps() {
    let mut world = settled();
    retrain(&mut world, "a");
    world.until("v2 serves alone", |world| {
        world.active().as_deref() == Some("shop-v2") && world.status.rollout.is_none()
    });
    world.patch(&json!({"promotedVersion": "shop-v1"}));
    let before = world.said("StepAdvanced");
    world.until("v1 serves", |world| world.active().as_deref() == Some("shop-v1"));
    assert_eq!(world.said("StepAdvanced") - before, 1);
    world.live(60, 10, 1_000);
    assert_eq!(world.active().as_deref(), Some("shop-v1"), "the policy does not promote over the spec");
}

#[test]
fn a_pause_a_freeze_and_a_missing_approval_hold_the_weight() {
    let mut policy = quick_policy();
    policy.steps[1].require_approval = true;
    let mut world = World::new(&json!({}), Some(policy));
    world.until("v1 serves", |world| world.active().is_some() && world.status.rollout.is_none());
    retrain(&mut world, "a");
    world.until("10%", |world| world.weight("shop-v2") == 1_000);
    world.live(60, 5, 1_000);
    assert_eq!(world.weight("shop-v2"), 1_000);
    assert_eq!(world.condition("Progressing").unwrap().1, "WaitingForApproval");
    // An approval of another version approves nothing.
    world.patch(&json!({"rollout": {"approvedStep": {"version": "shop-v7", "step": "half"}}}));
    world.live(20, 5, 1_000);
    assert_eq!(world.weight("shop-v2"), 1_000);
    world.patch(&json!({"rollout": {"approvedStep": {"version": "shop-v2", "step": "half"}, "paused": true}}));
    world.live(20, 5, 1_000);
    assert_eq!(world.weight("shop-v2"), 1_000, "paused");
    world.patch(&json!({"rollout": {"paused": false}}));
    world.until("50%", |world| world.weight("shop-v2") == 5_000);
    let mut frozen = world.policy.clone().unwrap();
    frozen.freeze =
        vec![serde_json::from_value(json!({"cron": "* * * * *", "duration": "2m", "timeZone": "Etc/UTC"})).unwrap()];
    world.policy = Some(frozen);
    world.live(60, 5, 1_000);
    assert_eq!(world.weight("shop-v2"), 5_000);
    assert_eq!(world.condition("Progressing").unwrap().1, "Frozen");
    // A freeze does not hold a rollback.
    world.behaviour.insert("shop-v2".to_owned(), Behaviour { error_rate: 0.3, ..Behaviour::default() });
    world.until("rolled back", |world| !world.status.rejected_versions.is_empty());
}

#[test]
fn a_second_look_at_the_same_thing_does_nothing() {
    let mut world = settled();
    retrain(&mut world, "a");
    for _ in 0..120 {
        let plan = world.look();
        let again = decide(&world.observe(), world.now);
        let third = {
            world.carry_out(&again);
            decide(&world.observe(), world.now)
        };
        assert!(
            third.events.is_empty() && third.create.is_empty() || third.status != again.status,
            "{:?}",
            third.events
        );
        // Without news nothing changes any more after the chain of immediate transitions has ended.
        let mut last = third;
        for _ in 0..8 {
            world.carry_out(&last);
            let next = decide(&world.observe(), world.now);
            if next.status == last.status && next.events.is_empty() {
                last = next;
                break;
            }
            last = next;
        }
        assert!(last.events.is_empty(), "{:?} after {:?}", last.events, plan.events);
        world.pass(5);
        world.traffic(1_000);
    }
}

#[test]
fn a_finished_training_never_runs_again_and_numbers_are_used_once() {
    let mut world = settled();
    world.trouble.training_fails = true;
    retrain(&mut world, "a");
    world.until("it failed", |world| world.said("TrainingFailed") == 1);
    world.live(50, 60, 100);
    assert_eq!(world.created, ["shop-v1", "shop-v2"]);
    // Somebody deletes the failed version: its number does not come back.
    world.versions.remove("shop-v2");
    world.trouble.training_fails = false;
    retrain(&mut world, "b");
    world.until("the next one", |world| world.created.len() == 3);
    assert_eq!(world.created[2], "shop-v3");
}
