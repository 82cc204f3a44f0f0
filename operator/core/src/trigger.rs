//! When a version is trained: initial, by hand, by schedule, on drift, on new data; and what bounds the spending.
//!
//! Two looks make a version: the first takes its number (the high-water mark is written down), the second creates it. So no number is
//! used twice, whoever dies between them.

use endcap_crds::ModelVersionSpec;
use endcap_crds::common::refs::ModelRef;
use endcap_crds::model_version::{DataRef, Trigger, VersionSource};
use endcap_crds::reasons::{condition, event, reason};
use endcap_crds::recommender_model::status::{LastTrigger, PendingTraining, RetrainingStatus, TriggerType};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::conditions::{self, Said};
use crate::cron::Cron;
use crate::decide::Deciding;
use crate::observed::{after, span};
use crate::plan::About;
use crate::text::message;
use crate::training::is_final;

/// Why a version failed whose number the store holds already.
pub const VERSION_TAKEN: &str = "VersionTaken";

/// What would start a training.
struct Wish {
    type_: TriggerType,
    reason: String,
    token: Option<String>,
}

/// Creates the version whose number was taken, or takes a number when something asks for a training and nothing forbids it.
pub fn look(cx: &mut Deciding<'_>) {
    let mut retraining = cx.plan.status.retraining.clone().unwrap_or_default();
    let schedule_due = schedule(cx, &mut retraining);
    bookkeeping(cx, &mut retraining);
    let created = create(cx, &mut retraining);
    if !created && retraining.pending.is_none() && !cx.seen.model.spec.training.suspend {
        let wish = wish(cx, &retraining, schedule_due);
        if let Some(wish) = wish {
            take(cx, &mut retraining, &wish);
        }
    }
    suspended(cx, &retraining);
    cx.plan.status.retraining = Some(retraining);
}

/// The highest number that was ever used.
fn high_water(cx: &Deciding<'_>) -> i32 {
    let existing = cx.seen.versions.iter().map(|version| version.spec.version).max().unwrap_or(0);
    existing.max(cx.plan.status.version_high_water.unwrap_or(0))
}

/// A number that is taken and stored becomes a version.
fn create(cx: &mut Deciding<'_>, retraining: &mut RetrainingStatus) -> bool {
    let Some(pending) = retraining.pending.clone() else { return false };
    let name = format!("{}-v{}", cx.seen.model.name, pending.version);
    if cx.seen.version(&name).is_some() {
        retraining.pending = None;
        return true;
    }
    // Only what is stored counts: the mark of this very look may be lost.
    if cx.seen.model.status.version_high_water.unwrap_or(0) < pending.version {
        return true;
    }
    let spec = &cx.seen.model.spec;
    let image = |wanted: Option<&endcap_crds::common::text::ImageRef>, release: &str| {
        wanted.map_or_else(|| release.into(), Clone::clone)
    };
    let parent = cx.plan.status.active_version.clone();
    cx.plan.create.push((
        name,
        ModelVersionSpec {
            model_ref: ModelRef { name: cx.seen.model.name.as_str().into() },
            model_uid: cx.seen.model.uid.as_str().into(),
            version: pending.version,
            source: VersionSource::Trained,
            trigger: Trigger {
                type_: pending.type_,
                reason: Some(pending.reason.clone()),
                token: pending.token.clone(),
            },
            architecture: spec.architecture,
            hyperparameters: spec.hyperparameters.clone(),
            seed: spec.training.seed,
            training_image: image(spec.training.image.as_ref(), &cx.seen.release.training_image),
            serving_image: image(spec.serving.image.as_ref(), &cx.seen.release.serving_image),
            data_ref: DataRef { uri: cx.seen.release.data_uri.as_str().into(), window: spec.data.window.clone() },
            parent_version: parent,
        },
    ));
    true
}

/// One more version in a row that was not good enough: the circuit breaker counts.
pub fn rejected(cx: &mut Deciding<'_>) {
    let retraining = cx.plan.status.retraining.get_or_insert_default();
    retraining.consecutive_rejected = Some(retraining.consecutive_rejected.unwrap_or(0) + 1);
}

/// What asks for a training now. Hands come first; they ignore the cool-down, not the budget.
fn wish(cx: &Deciding<'_>, retraining: &RetrainingStatus, schedule_due: Option<Timestamp>) -> Option<Wish> {
    let spec = &cx.seen.model.spec.retraining;
    let is_new = |token: &str| {
        retraining.handled_token.as_ref().is_none_or(|handled| handled.as_str() != token)
            && !cx
                .seen
                .versions
                .iter()
                .any(|version| version.spec.trigger.token.as_ref().is_some_and(|used| used.as_str() == token))
    };
    if let Some(token) = spec.trigger.as_ref().filter(|token| is_new(token.as_str())) {
        let reason = format!("spec.retraining.trigger is {token}");
        return Some(Wish { type_: TriggerType::Manual, reason, token: Some(token.to_string()) });
    }
    // A number that was taken in the store is passed over, and what asked for it asks again.
    let own = cx.seen.versions.iter().filter(|version| version.spec.model_uid.as_str() == cx.seen.model.uid);
    let newest = own.max_by_key(|version| version.spec.version);
    let passed_over = newest.filter(|version| {
        let trained = conditions::find(&version.status.conditions, condition::TRAINED);
        trained.is_some_and(|trained| trained.reason == VERSION_TAKEN)
    });
    if let Some(version) = passed_over {
        return Some(Wish {
            type_: version.spec.trigger.type_,
            reason: format!("the number of {} was taken in the store", version.name),
            token: version.spec.trigger.token.as_ref().map(ToString::to_string),
        });
    }
    if cx.seen.versions.is_empty() && high_water(cx) == 0 {
        return Some(Wish {
            type_: TriggerType::Initial,
            reason: "the model has no version yet".to_owned(),
            token: None,
        });
    }
    if let Some(due) = schedule_due {
        return Some(Wish {
            type_: TriggerType::Schedule,
            reason: format!("the schedule was due at {due}"),
            token: None,
        });
    }
    drifted(cx).or_else(|| new_data(cx))
}

fn drifted(cx: &Deciding<'_>) -> Option<Wish> {
    let on_drift = &cx.seen.model.spec.retraining.on_drift;
    let drift = cx.plan.status.drift.as_ref()?;
    let windows = drift.consecutive.unwrap_or(0);
    // While a version is being compared, a new one would change what is measured.
    let is_comparing = cx.plan.status.rollout.is_some() || cx.running_experiment.is_some();
    if !on_drift.enabled || windows < on_drift.consecutive_windows || is_comparing {
        return None;
    }
    let worst = drift.worst.as_ref().map_or_else(String::new, |worst| {
        format!(": {} {} is {} (limit {})", worst.name, worst.stat, worst.value, worst.threshold)
    });
    Some(Wish { type_: TriggerType::Drift, reason: format!("{windows} windows in a row drifted{worst}"), token: None })
}

fn new_data(cx: &Deciding<'_>) -> Option<Wish> {
    let limit = cx.seen.model.spec.retraining.on_new_data.as_ref()?;
    let newest = cx
        .seen
        .versions
        .iter()
        .filter(|version| version.status.dataset.is_some())
        .max_by_key(|version| version.spec.version)?;
    let known = newest.status.dataset.as_ref()?.rows;
    let rows = cx.seen.dataset.as_ref()?.rows - known;
    let percent = 100.0 * rows as f64 / known.max(1) as f64;
    let enough = limit.min_rows.is_some_and(|least| rows >= least)
        || limit.min_percent.is_some_and(|least| percent >= f64::from(least));
    let reason = format!("{rows} new rows ({percent:.1}%) since {}", newest.name);
    enough.then_some(Wish { type_: TriggerType::NewData, reason, token: None })
}

/// When the schedule fired last without a training since; missed moments collapse into one.
fn schedule(cx: &mut Deciding<'_>, retraining: &mut RetrainingStatus) -> Option<Timestamp> {
    let spec = &cx.seen.model.spec.retraining;
    let Some(text) = &spec.schedule else {
        retraining.next_schedule = None;
        return None;
    };
    let cron = Cron::parse(text.as_str(), spec.time_zone.as_str()).ok()?;
    let due = retraining.next_schedule.as_ref().map(|next| next.0).filter(|next| *next <= cx.now);
    if due.is_some() || retraining.next_schedule.is_none() {
        retraining.next_schedule = cron.after(cx.now).map(Time);
    } else if let Some(next) = cron.after(cx.now) {
        // The schedule itself was changed.
        let known = retraining.next_schedule.as_ref().map(|next| next.0);
        if known.is_some_and(|known| known > next) {
            retraining.next_schedule = Some(Time(next));
        }
    }
    if let Some(next) = &retraining.next_schedule {
        cx.plan.wake(next.0);
    }
    due
}

/// Takes the next number, unless something forbids it; what is refused is said once.
fn take(cx: &mut Deciding<'_>, retraining: &mut RetrainingStatus, wish: &Wish) {
    let by_hand = wish.type_ == TriggerType::Manual;
    if by_hand {
        // A hand closes the circuit again.
        retraining.consecutive_rejected = Some(0);
    }
    let forbidden = forbids(cx, retraining, wish.type_);
    // Asked once: what a schedule or a hand asked for and did not get is not asked again.
    if let Some(token) = &wish.token
        && forbidden.as_ref().is_none_or(|(_, waits)| !waits)
    {
        retraining.handled_token = Some(token.as_str().into());
    }
    if let Some((why, _)) = forbidden {
        let text = message(format!("{:?}: {why}", wish.type_));
        if retraining.skipped.as_ref() != Some(&text) {
            cx.plan.warn(About::Model, event::RETRAIN_SKIPPED, text.to_string());
            retraining.skipped = Some(text);
        }
        return;
    }
    let number = high_water(cx) + 1;
    cx.plan.status.version_high_water = Some(number);
    retraining.skipped = None;
    retraining.pending = Some(PendingTraining {
        version: number,
        type_: wish.type_,
        reason: message(wish.reason.clone()),
        token: wish.token.as_deref().map(Into::into),
        time: Time(cx.now),
    });
    retraining.last_trigger =
        Some(LastTrigger { type_: wish.type_, time: Time(cx.now), reason: Some(message(wish.reason.clone())) });
    if wish.type_ == TriggerType::Drift
        && let Some(drift) = &mut cx.plan.status.drift
    {
        drift.consecutive = Some(0);
    }
    cx.plan.say(About::Model, event::RETRAIN_TRIGGERED, format!("{}-v{number}: {}", cx.seen.model.name, wish.reason));
}

/// Why no training may start, and whether it is only a matter of waiting.
fn forbids(cx: &Deciding<'_>, retraining: &RetrainingStatus, type_: TriggerType) -> Option<(String, bool)> {
    let spec = &cx.seen.model.spec.retraining;
    let busy = cx.seen.versions.iter().find(|version| {
        !version.deleting && !is_final(cx.plan.versions.get(&version.name).and_then(|status| status.phase))
    });
    if let Some(busy) = busy {
        return Some((format!("{} is still being trained", busy.name), true));
    }
    if cx.seen.free_trainings == 0 {
        return Some(("as many trainings run as the operator allows at once".to_owned(), true));
    }
    if let Some(budget) = &spec.budget {
        let used = retraining.runs_in_window.unwrap_or(0);
        if used >= budget.max_runs {
            return Some((
                format!("the budget is spent: {used} of {} trainings within {}", budget.max_runs, budget.window),
                false,
            ));
        }
    }
    if matches!(type_, TriggerType::Manual | TriggerType::Initial) {
        return None;
    }
    if let Some(until) = retraining.cooldown_until.as_ref().filter(|until| until.0 > cx.now) {
        return Some((format!("the cool-down lasts until {}", until.0), type_ != TriggerType::Schedule));
    }
    let rejected = retraining.consecutive_rejected.unwrap_or(0);
    let limit = spec.circuit_breaker.max_consecutive_rejected;
    if rejected >= limit {
        return Some((
            format!("{rejected} versions in a row were rejected; change spec.retraining.trigger to try again"),
            false,
        ));
    }
    let newest = cx
        .seen
        .versions
        .iter()
        .filter_map(|version| Some((version.spec.version, version.status.dataset.as_ref()?)))
        .max_by_key(|one| one.0);
    let same = newest.is_some_and(|(_, known)| {
        cx.seen.dataset.as_ref().is_some_and(|now| now.sha256 == known.manifest_sha256.as_str())
    });
    (type_ == TriggerType::Schedule && same)
        .then(|| ("the data has not changed since the newest version".to_owned(), false))
}

/// Runs in the budget's window and the cool-down, from the versions themselves: a lost status resets neither.
fn bookkeeping(cx: &mut Deciding<'_>, retraining: &mut RetrainingStatus) {
    let spec = &cx.seen.model.spec.retraining;
    let window =
        spec.budget.as_ref().map_or_else(|| jiff::SignedDuration::from_hours(168), |budget| span(&budget.window));
    let own = cx.seen.versions.iter().filter(|version| version.spec.model_uid.as_str() == cx.seen.model.uid);
    let times: Vec<Timestamp> = own.map(|version| version.created_at).collect();
    let pending = retraining
        .pending
        .as_ref()
        .filter(|pending| !cx.seen.versions.iter().any(|version| version.spec.version == pending.version));
    let mut times: Vec<Timestamp> = times.into_iter().chain(pending.map(|pending| pending.time.0)).collect();
    times.sort_unstable();
    let runs = times.iter().filter(|time| after(**time, window) > cx.now).count();
    retraining.runs_in_window = Some(i32::try_from(runs).unwrap_or(i32::MAX));
    let until = times.last().map(|last| after(*last, span(&spec.cooldown)));
    retraining.cooldown_until = until.filter(|until| *until > cx.now).map(Time);
    if let Some(until) = &retraining.cooldown_until {
        cx.plan.wake(until.0);
    }
}

fn suspended(cx: &mut Deciding<'_>, retraining: &RetrainingStatus) {
    let spec = &cx.seen.model.spec;
    let rejected = retraining.consecutive_rejected.unwrap_or(0);
    let used = retraining.runs_in_window.unwrap_or(0);
    let budget = spec.retraining.budget.as_ref().filter(|budget| used >= budget.max_runs);
    let (is_suspended, why, text) = if spec.training.suspend {
        (true, "Suspended", "spec.training.suspend is true".to_owned())
    } else if rejected >= spec.retraining.circuit_breaker.max_consecutive_rejected {
        (
            true,
            reason::CIRCUIT_OPEN,
            format!("{rejected} versions in a row were rejected; change spec.retraining.trigger to try again"),
        )
    } else if let Some(budget) = budget {
        (true, reason::BUDGET_EXHAUSTED, format!("{used} of {} trainings within {}", budget.max_runs, budget.window))
    } else if let Some(until) = &retraining.cooldown_until {
        (true, reason::COOLDOWN_ACTIVE, format!("until {}", until.0))
    } else {
        (false, "Allowed", format!("{used} trainings in the window"))
    };
    let said = Said::new(condition::RETRAINING_SUSPENDED, is_suspended, why, text);
    conditions::set(&mut cx.plan.status.conditions, &said, cx.seen.model.generation, cx.now);
}
