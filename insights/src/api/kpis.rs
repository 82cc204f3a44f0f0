//! Rollups as they are.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use endcap_eventlog::problem::Problem;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::types::{By, KpiRow, Kpis};
use super::{App, Asked, Window, bad, money, query, rate, time};
use crate::fold::{Cell, Grain, Slice};
use crate::stats::diversity;

const MAX_ROWS: usize = 20_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct KpisQuery {
    /// A day before `to` when missing.
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// Now when missing. Exclusive.
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
    #[serde(default)]
    #[param(inline)]
    by: By,
    version: Option<String>,
    arm: Option<String>,
    placement: Option<String>,
}

impl From<By> for Grain {
    fn from(by: By) -> Self {
        match by {
            By::TenSeconds => Self::TenSeconds,
            By::Minute => Self::Minute,
            By::Hour => Self::Hour,
            By::Day => Self::Day,
        }
    }
}

impl From<Grain> for By {
    fn from(grain: Grain) -> Self {
        match grain {
            Grain::TenSeconds => Self::TenSeconds,
            Grain::Minute => Self::Minute,
            Grain::Hour => Self::Hour,
            Grain::Day => Self::Day,
        }
    }
}

pub async fn kpis(State(app): State<Arc<App>>, asked: Asked<KpisQuery>) -> Result<Json<Kpis>, Problem> {
    let asked = query(asked)?;
    let window = Window::of(asked.from, asked.to)?;
    super::blocking(move || answer(&app, &asked, window)).await.map(Json)
}

fn answer(app: &App, asked: &KpisQuery, window: Window) -> Result<Kpis, Problem> {
    let products = app.shop.version().map(|version| version.catalogue.len());
    let wanted = |slice: &Slice| {
        let placement = slice.placement.map(endcap_recommender::Placement::as_str);
        asked.version.as_ref().is_none_or(|version| *version == slice.version)
            && asked.arm.as_ref().is_none_or(|arm| *arm == slice.arm)
            && asked.placement.as_deref().is_none_or(|wanted| placement == Some(wanted))
    };
    let rows: Vec<KpiRow> = app.folded.with(|state| {
        let cells = state.cells.between(asked.by.into(), window.from_s, window.to_s);
        let rows = cells.filter_map(|(start, slice, cell)| {
            let slice = state.slice(slice).filter(|slice| wanted(slice))?;
            Some(row(start, slice, cell, products))
        });
        rows.take(MAX_ROWS + 1).collect()
    });
    if rows.len() > MAX_ROWS {
        return Err(bad(format!("there are more than {MAX_ROWS} rows; ask for less time, or by=day")));
    }
    Ok(Kpis { by: asked.by, rows, catalogue_products: products })
}

fn row(start: i64, slice: &Slice, cell: &Cell, products: Option<usize>) -> KpiRow {
    let totals = &cell.totals;
    let distinct = cell.products.count();
    let sample = cell.sample.first(cell.sample.len());
    KpiRow {
        start: time(start),
        version: slice.version.clone(),
        arm: slice.arm.clone(),
        experiment: slice.experiment.clone(),
        placement: slice.placement.map(|placement| placement.as_str().to_owned()),
        lists: cell.lists,
        items: cell.items,
        clicks: totals.clicks,
        clicked_lists: totals.clicked_lists,
        ctr: rate(totals.clicked_lists, cell.lists),
        accepts: totals.accepts,
        accepted_lists: totals.accepted_lists,
        accept_rate: rate(totals.accepted_lists, cell.lists),
        declines: totals.declines,
        conversions: totals.conversions,
        converted_lists: totals.converted_lists,
        conversion: rate(totals.converted_lists, cell.lists),
        revenue: money(totals.revenue),
        users: cell.units.count(),
        distinct_products: distinct,
        coverage: products.filter(|products| *products > 0).map(|products| (distinct / products as f64).min(1.0)),
        diversity: diversity(&sample),
    }
}
