//! The analysis of an experiment, by user.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use endcap_eventlog::problem::Problem;
use endcap_recommender::policy::GoDuration;
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::types::{Direction, ExperimentArm, ExperimentFigures, ExperimentMetric};
use super::{App, Asked, bad, finite, query, time_ms};
use crate::fold::{Experiment, UnitSums};
use crate::stats::{Moments, compare, quantile_of_normal, required_sample, sample_ratio_p};
use crate::tables::Shares;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExperimentQuery {
    #[param(inline)]
    metric: ExperimentMetric,
    /// Arm that the others are compared with; the first one of the table when missing.
    control: Option<String>,
    #[serde(default)]
    #[param(inline)]
    direction: Direction,
    /// Above 0, at most 0.2; 0.05 when missing.
    alpha: Option<f64>,
    /// Must be what insights runs with (`--attribution`), such as `24h`.
    attribution: Option<String>,
    /// The smallest relative effect that matters, with `power`: for the required sample.
    mde: Option<f64>,
    /// At least 0.5, below 1; 0.8 when missing.
    power: Option<f64>,
}

pub async fn experiment(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    asked: Asked<ExperimentQuery>,
) -> Result<Json<ExperimentFigures>, Problem> {
    let asked = query(asked)?;
    super::blocking(move || answer(&app, &name, &asked)).await.map(Json)
}

/// Sums of an arm's users.
#[derive(Clone, Debug, Default)]
struct ArmSums {
    name: String,
    version: String,
    exposures: u64,
    events: i64,
    moments: Moments,
}

fn answer(app: &App, name: &str, asked: &ExperimentQuery) -> Result<ExperimentFigures, Problem> {
    let (alpha, power) = (asked.alpha.unwrap_or(0.05), asked.power.unwrap_or(0.8));
    if !(alpha > 0.0 && alpha <= 0.2) {
        return Err(bad("alpha must be above 0 and at most 0.2"));
    }
    if !(0.5..1.0).contains(&power) {
        return Err(bad("power must be at least 0.5 and below 1"));
    }
    if asked.mde.is_some_and(|mde| !(mde > 0.0 && mde <= 1.0)) {
        return Err(bad("mde must be above 0 and at most 1, such as 0.02 for two percent"));
    }
    let attribution_ms = app.folded.with(|state| state.limits.attribution_ms);
    if let Some(text) = &asked.attribution {
        let wanted = GoDuration::parse(text).map_err(|error| bad(format!("attribution: {error}")))?;
        if wanted.milliseconds as i64 != attribution_ms {
            return Err(bad(format!(
                "attribution is {text}, outcomes were attributed within {} s; start insights with --attribution {text}, which folds the log again",
                attribution_ms / 1_000
            )));
        }
    }
    let shares = app.tables.shares(name);
    let read = app.folded.with(|state| {
        state.experiments.get(name).map(|experiment| (sums(experiment, asked.metric), Counted::of(experiment)))
    });
    if read.is_none() && shares.is_none() {
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-experiment", "No such experiment")
            .detail(format!("no table and no list named {name:?}; GET /v1/status lists the experiments")));
    }
    let (arms, counted) = read.unwrap_or_default();
    let arms = with_shares(arms, shares.as_ref());
    let control = match &asked.control {
        Some(wanted) => arms.iter().find(|arm| arm.name == *wanted).cloned().ok_or_else(|| {
            let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
            bad(format!("control {wanted:?} is no arm of it; there are {}", names.join(", ")))
        })?,
        None => arms.first().cloned().unwrap_or_default(),
    };
    let users: Vec<u64> = arms.iter().map(|arm| arm.moments.n).collect();
    let srm_p_value = shares.as_ref().and_then(|shares| {
        let of = |arm: &ArmSums| {
            shares.arms.iter().find(|share| share.arm == arm.name).map_or(0.0, |share| f64::from(share.buckets))
        };
        sample_ratio_p(&users, &arms.iter().map(of).collect::<Vec<_>>())
    });
    let running = app.tables.current();
    let in_table = running
        .and_then(|current| current.table.experiment.as_ref().map(|experiment| experiment.name == name))
        .unwrap_or(false);
    Ok(ExperimentFigures {
        name: name.to_owned(),
        metric: asked.metric,
        direction: asked.direction,
        alpha,
        attribution_s: attribution_ms as f64 / 1_000.0,
        arms: arms.iter().map(|arm| figures(arm, &control, asked.direction, alpha)).collect(),
        srm_p_value,
        required_sample_per_arm: asked.mde.and_then(|mde| required_sample(&control.moments, mde, alpha, power)),
        first_exposure: counted.span.map(|(first, _)| time_ms(first)),
        last_exposure: counted.span.map(|(_, last)| time_ms(last)),
        in_table,
        unkeyed: counted.unkeyed,
        crossed: counted.crossed,
        no_room: counted.no_room,
        control: control.name,
    })
}

#[derive(Debug, Default)]
struct Counted {
    span: Option<(i64, i64)>,
    unkeyed: u64,
    crossed: u64,
    no_room: u64,
}

impl Counted {
    fn of(experiment: &Experiment) -> Self {
        Self {
            span: (!experiment.units.is_empty()).then_some((experiment.first_ms, experiment.last_ms)),
            unkeyed: experiment.unkeyed,
            crossed: experiment.crossed,
            no_room: experiment.no_room,
        }
    }
}

/// One pass over the users.
fn sums(experiment: &Experiment, metric: ExperimentMetric) -> Vec<ArmSums> {
    let named = |arm: &crate::fold::ArmSeen| ArmSums {
        name: arm.name.clone(),
        version: arm.version.clone(),
        ..ArmSums::default()
    };
    let mut arms: Vec<ArmSums> = experiment.arms.iter().map(named).collect();
    // In a fixed order: sums of doubles must not depend on how a table is laid out in memory.
    let mut units: Vec<(&u64, &UnitSums)> = experiment.units.iter().collect();
    units.sort_unstable_by_key(|(unit, _)| **unit);
    for (_, unit) in units {
        let Some(arm) = arms.get_mut(usize::from(unit.arm)) else { continue };
        arm.exposures += u64::from(unit.lists);
        let has_bought = unit.conversions > 0;
        let (y, x, events) = match metric {
            ExperimentMetric::Ctr => (f64::from(unit.clicked), f64::from(unit.lists), i64::from(unit.clicked)),
            ExperimentMetric::Conversion => (f64::from(u8::from(has_bought)), 1.0, i64::from(has_bought)),
            ExperimentMetric::RevenuePerUser => (unit.revenue as f64 / 1e4, 1.0, i64::from(unit.conversions)),
        };
        arm.events += events;
        arm.moments.add(y, x);
    }
    arms
}

/// Arms in the table's order, those without users too; versions are the table's, where a fallback answered first.
fn with_shares(mut seen: Vec<ArmSums>, shares: Option<&Shares>) -> Vec<ArmSums> {
    let mut arms = Vec::new();
    for share in shares.into_iter().flat_map(|shares| &shares.arms) {
        let at = seen.iter().position(|arm| arm.name == share.arm);
        let mut arm = at.map_or_else(ArmSums::default, |at| seen.remove(at));
        arm.name.clone_from(&share.arm);
        arm.version.clone_from(&share.version);
        arms.push(arm);
    }
    arms.extend(seen);
    arms
}

fn figures(arm: &ArmSums, control: &ArmSums, direction: Direction, alpha: f64) -> ExperimentArm {
    let z = quantile_of_normal(1.0 - alpha / 2.0);
    let figure = arm.moments.ratio();
    let end = |sign: f64| figure.and_then(|figure| finite(figure.value + sign * z * figure.se));
    let comparison = if arm.name == control.name { None } else { compare(&arm.moments, &control.moments) };
    let lift = comparison.and_then(|comparison| comparison.lift);
    let lift_end = |sign: f64| lift.and_then(|lift| finite(lift.value + sign * z * lift.se));
    let rises = figure.zip(control.moments.ratio()).map(|(arm, control)| arm.value > control.value);
    ExperimentArm {
        name: arm.name.clone(),
        version: arm.version.clone(),
        users: arm.moments.n,
        exposures: arm.exposures,
        events: arm.events,
        value: figure.map(|figure| figure.value),
        ci_low: end(-1.0),
        ci_high: end(1.0),
        lift: lift.map(|lift| lift.value),
        lift_low: lift_end(-1.0),
        lift_high: lift_end(1.0),
        p_value: comparison.map(|comparison| comparison.p_value),
        is_better: comparison
            .zip(rises)
            .map(|(comparison, rises)| comparison.p_value < alpha && rises == (direction == Direction::Increase)),
    }
}
