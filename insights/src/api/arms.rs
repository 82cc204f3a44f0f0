//! Arms side by side: what the online gates read.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use endcap_eventlog::problem::Problem;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::types::{ArmFigures, Arms, Metric, MetricFigure};
use super::{App, Asked, Window, by_group, finite, query, time};
use crate::fold::{Cell, GROUPS, Grain};
use crate::stats::{Estimate, ListFigures, grouped_mean, grouped_ratio, list_figures};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArmsQuery {
    /// A day before `to` when missing.
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// Now when missing. Exclusive.
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
}

pub async fn arms(State(app): State<Arc<App>>, asked: Asked<ArmsQuery>) -> Result<Json<Arms>, Problem> {
    let asked = query(asked)?;
    let window = Window::of(asked.from, asked.to)?;
    super::blocking(move || Ok(answer(&app, window))).await.map(Json)
}

type ArmKey = (String, String, Option<String>);

fn answer(app: &App, window: Window) -> Arms {
    let (grain, merged) = app.folded.with(|state| {
        let grain = Grain::for_time(window.from_s, state.clock_s());
        let mut merged: BTreeMap<ArmKey, Cell> = BTreeMap::new();
        for (_, slice, cell) in state.cells.between(grain, window.from_s, window.to_s) {
            let Some(slice) = state.slice(slice) else { continue };
            let key = (slice.version.clone(), slice.arm.clone(), slice.experiment.clone());
            merged.entry(key).or_default().merge(cell);
        }
        (grain, merged)
    });
    let products = app.shop.version().map(|version| version.catalogue.len());
    let lists_compared = merged.values().map(|cell| cell.sample.len()).min().unwrap_or(0);
    let arms = merged.iter().map(|(key, cell)| figures(key, cell, lists_compared, products)).collect();
    let end = window.to_s.div_euclid(grain.seconds()) * grain.seconds();
    let end = if end < window.to_s { end + grain.seconds() } else { end };
    Arms { from: time(grain.start(window.from_s)), to: time(end), by: grain.into(), lists_compared, arms }
}

fn figures((version, arm, experiment): &ArmKey, cell: &Cell, compared: usize, products: Option<usize>) -> ArmFigures {
    let users = cell.units.count();
    let revenue =
        (0..GROUPS).map(|group| cell.groups.get(&(group as u8)).map_or(0.0, |sums| sums.revenue as f64 / 1e4));
    let by_user = [
        (Metric::Ctr, grouped_ratio(by_group(cell, |group| group.clicked))),
        (Metric::AcceptRate, grouped_ratio(by_group(cell, |group| group.accepted))),
        (Metric::Conversion, grouped_ratio(by_group(cell, |group| group.converted))),
        (Metric::RevenuePerUser, grouped_mean(revenue, users)),
    ];
    let shown: Option<ListFigures> = list_figures(&cell.sample.first(compared));
    let coverage = shown.zip(products.filter(|products| *products > 0)).map(|(shown, products)| Estimate {
        value: shown.distinct.value / products as f64,
        se: shown.distinct.se / products as f64,
    });
    let of_lists = [(Metric::Coverage, coverage), (Metric::Diversity, shown.map(|shown| shown.diversity))];
    let figure = |metric, estimate: Option<Estimate>, n| MetricFigure {
        metric,
        value: estimate.map(|estimate| estimate.value),
        standard_error: estimate.and_then(|estimate| finite(estimate.se)),
        n,
    };
    ArmFigures {
        version: version.clone(),
        arm: arm.clone(),
        experiment: experiment.clone(),
        users,
        lists: cell.lists,
        items: cell.items,
        metrics: by_user
            .into_iter()
            .map(|(metric, estimate)| figure(metric, estimate, users))
            .chain(of_lists.into_iter().map(|(metric, estimate)| figure(metric, estimate, compared as f64)))
            .collect(),
    }
}
