//! Facts about what changed, for the operator's drift check. No verdicts here.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use endcap_eventlog::problem::Problem;
use endcap_recommender::profile::{Histogram, NUMERIC, Reference};
use endcap_serving::table::ACTIVE;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::types::{Baseline, BaselineFacts, Drift, Signal, SignalFacts, Statistic};
use super::{App, Asked, Window, bad, by_group, finite, query, time};
use crate::fold::{Cell, Grain, OrderCell, State as Folded};
use crate::shop::Version;
use crate::stats::{grouped_ratio, ks, list_figures, psi, top_share};

/// Categories that are compared one by one: the most sold of the reference; all others are one.
const TOP_CATEGORIES: usize = 20;
const BINS: u64 = 10;
const MAX_WINDOWS: u32 = 52;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DriftQuery {
    /// The active version when missing.
    version: Option<String>,
    /// A day before `to` when missing.
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// Now when missing. Exclusive.
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
    #[serde(default)]
    #[param(inline)]
    baseline: Baseline,
    /// Baseline windows, 1 to 52; 4 when missing.
    windows: Option<u32>,
}

pub async fn drift(State(app): State<Arc<App>>, asked: Asked<DriftQuery>) -> Result<Json<Drift>, Problem> {
    let asked = query(asked)?;
    let window = Window::of(asked.from, asked.to)?;
    super::blocking(move || answer(&app, &asked, window)).await.map(Json)
}

/// One side of a comparison.
#[derive(Default)]
struct Side {
    lists: Cell,
    /// Scores by placement.
    scores: BTreeMap<String, Histogram>,
    orders: OrderCell,
}

impl Side {
    /// `version`: lists of this version alone, else those of it and of whatever was active.
    fn read(&mut self, state: &Folded, grain: Grain, window: Window, version: &str, or_active: bool) {
        for (_, slice, cell) in state.cells.between(grain, window.from_s, window.to_s) {
            let Some(slice) = state.slice(slice) else { continue };
            if slice.version != version && !(or_active && slice.arm == ACTIVE) {
                continue;
            }
            self.lists.merge(cell);
            let placement = slice.placement.map_or("unknown", endcap_recommender::Placement::as_str);
            self.scores.entry(placement.to_owned()).or_default().merge(&cell.scores);
        }
        for (_, _, cell) in state.orders.between(grain, window.from_s, window.to_s) {
            self.orders.merge(cell);
        }
    }
}

/// The baseline windows of a window whose ends stand on the grain.
fn baselines(window: Window, baseline: Baseline, windows: u32) -> Vec<Window> {
    let length = window.to_s - window.from_s;
    let step = match baseline {
        Baseline::TrailingWindows => length,
        Baseline::SameWeekday => 7 * 86_400,
    };
    (1..=i64::from(windows))
        .map(|back| Window { from_s: window.from_s - back * step, to_s: window.to_s - back * step })
        .collect()
}

fn widen(window: Window, grain: Grain) -> Window {
    let end = grain.start(window.to_s);
    let to_s = if end < window.to_s { end + grain.seconds() } else { end };
    Window { from_s: grain.start(window.from_s), to_s }
}

fn answer(app: &App, asked: &DriftQuery, window: Window) -> Result<Drift, Problem> {
    let windows = asked.windows.unwrap_or(4);
    if !(1..=MAX_WINDOWS).contains(&windows) {
        return Err(bad(format!("windows must be 1 to {MAX_WINDOWS}")));
    }
    if asked.baseline == Baseline::SameWeekday && window.to_s - window.from_s > 7 * 86_400 {
        return Err(bad("with baseline=SameWeekday the window must not be longer than a week"));
    }
    let active = app.tables.current().and_then(|current| current.active_version().map(str::to_owned));
    let Some(version) = asked.version.clone().or(active) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-version", "No version is active")
            .detail("send version, or a routing table with PUT /control/table"));
    };
    let (mut now, mut before) = (Side::default(), Side::default());
    let (grain, window) = app.folded.with(|state| {
        let asked_oldest = baselines(window, asked.baseline, windows).iter().map(|window| window.from_s).min();
        let oldest = asked_oldest.unwrap_or(window.from_s);
        let grain = Grain::for_time(oldest.min(window.from_s), state.clock_s());
        let window = widen(window, grain);
        now.read(state, grain, window, &version, false);
        for baseline in baselines(window, asked.baseline, windows) {
            before.read(state, grain, baseline, &version, true);
        }
        (grain, window)
    });
    let held = app.shop.version();
    let of_version = held.as_deref().filter(|held| held.name == version);
    let reference = of_version.and_then(|held| held.reference.as_ref().map(|reference| (held, reference)));
    let no_reference = match (&held, reference) {
        (_, Some(_)) => None,
        (None, _) => Some("no artifact is read yet; send a routing table with PUT /control/table".to_owned()),
        (Some(held), None) if held.name == version => Some(format!(
            "the artifact of {version} has no profile in its object reference; train again with this release"
        )),
        (Some(held), None) => Some(format!("the artifact that is read is of {}, not of {version}", held.name)),
    };
    let mut signals = Vec::new();
    if let Some((held, reference)) = reference {
        skew(&mut signals, &now.orders, held, reference, window);
    }
    scores(&mut signals, &now, &before);
    let catalogue = held.as_ref().map(|held| held.catalogue.len());
    if let Some(products) = catalogue {
        concentration(&mut signals, &now.lists, &before.lists, products);
    }
    Ok(Drift {
        from: time(window.from_s),
        to: time(window.to_s),
        by: grain.into(),
        baseline: asked.baseline,
        windows,
        no_reference,
        signals,
        ctr: ctr(&now.lists, &before.lists),
        coverage: coverage(&now.lists, &before.lists, catalogue),
        version,
    })
}

/// What orders look like against the training data.
fn skew(signals: &mut Vec<SignalFacts>, now: &OrderCell, held: &Version, reference: &Reference, window: Window) {
    let days = (window.to_s - window.from_s) / 86_400;
    for ((name, was), is) in NUMERIC.iter().zip(&reference.orders.numeric).zip(&now.profile.numeric) {
        // Parts of a day have other hours than whole days, whatever customers do.
        if *name == "hour_of_day" && days < 1 {
            continue;
        }
        histograms(signals, Signal::NumericFeature, name, was, is);
    }
    let (was, is) = categories(held, reference, now);
    push_psi(signals, Signal::CategoricalFeature, "category", &was, &is);
    if days >= 7 {
        push_psi(signals, Signal::CategoricalFeature, "weekday", &reference.orders.weekday, &now.profile.weekday);
    }
    let unknown: u64 =
        now.products.iter().filter(|(product, _)| !held.categories.contains_key(product)).map(|(_, lines)| lines).sum();
    let lines: u64 = now.products.values().sum();
    let (was, is) = (&reference.orders, &now.profile);
    // Training knows every product that it learned from.
    push_rate(signals, Signal::UnknownRate, "product", (0, was.lines), (unknown, lines));
    push_rate(
        signals,
        Signal::UnknownRate,
        "customer",
        (was.orders - was.with_customer.min(was.orders), was.orders),
        (is.orders - is.with_customer.min(is.orders), is.orders),
    );
    push_rate(signals, Signal::NullRate, "unit_price", (was.without_price, was.lines), (is.without_price, is.lines));
}

/// Lines by category: the reference's most sold ones, then all others together.
fn categories(held: &Version, reference: &Reference, now: &OrderCell) -> (Vec<u64>, Vec<u64>) {
    let mut by_sales: Vec<(&str, u64)> =
        reference.categories.iter().map(|(name, lines)| (name.as_str(), *lines)).collect();
    by_sales.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let top: Vec<&str> = by_sales.iter().take(TOP_CATEGORIES).map(|(name, _)| *name).collect();
    let mut was = vec![0; top.len() + 1];
    let mut is = was.clone();
    let place =
        |name: Option<&str>| name.and_then(|name| top.iter().position(|held| *held == name)).unwrap_or(top.len());
    for (name, lines) in by_sales {
        if let Some(count) = was.get_mut(place(Some(name))) {
            *count += lines;
        }
    }
    for (product, lines) in &now.products {
        if let Some(count) = is.get_mut(place(held.category(*product))) {
            *count += lines;
        }
    }
    if let Some(count) = is.last_mut() {
        *count += now.other_products;
    }
    (was, is)
}

/// Scores against the windows before, by placement: other placements have other scores.
fn scores(signals: &mut Vec<SignalFacts>, now: &Side, before: &Side) {
    for (placement, is) in &now.scores {
        if let Some(was) = before.scores.get(placement) {
            histograms(signals, Signal::Score, placement, was, is);
        }
    }
}

fn concentration(signals: &mut Vec<SignalFacts>, now: &Cell, before: &Cell, products: usize) {
    let lists = now.sample.len().min(before.sample.len());
    let share = |cell: &Cell| top_share(&cell.sample.first(lists), products);
    if let (Some(value), reference @ Some(_)) = (share(now), share(before)) {
        signals.push(SignalFacts {
            signal: Signal::PopularityConcentration,
            feature: "top_percent".to_owned(),
            statistic: Statistic::Rate,
            value,
            reference,
            n_ref: lists as u64,
            n_cur: lists as u64,
            bins: None,
        });
    }
}

/// PSI and KS over the reference's ten quantile bins; KS over all places of the grid.
fn histograms(signals: &mut Vec<SignalFacts>, signal: Signal, feature: &str, was: &Histogram, is: &Histogram) {
    let cuts = was.cuts(BINS);
    push_psi(signals, signal, feature, &was.binned(&cuts), &is.binned(&cuts));
    let mut places: Vec<i32> = was.counts.keys().chain(is.counts.keys()).copied().collect();
    places.sort_unstable();
    places.dedup();
    if let Some(value) = ks(&was.binned(&places), &is.binned(&places)) {
        signals.push(SignalFacts {
            signal,
            feature: feature.to_owned(),
            statistic: Statistic::Ks,
            value,
            reference: None,
            n_ref: was.total(),
            n_cur: is.total(),
            bins: Some(places.len()),
        });
    }
}

fn push_psi(signals: &mut Vec<SignalFacts>, signal: Signal, feature: &str, was: &[u64], is: &[u64]) {
    if let Some(value) = psi(was, is) {
        signals.push(SignalFacts {
            signal,
            feature: feature.to_owned(),
            statistic: Statistic::Psi,
            value,
            reference: None,
            n_ref: was.iter().sum(),
            n_cur: is.iter().sum(),
            bins: Some(was.iter().zip(is).filter(|(was, is)| **was + **is > 0).count()),
        });
    }
}

fn push_rate(signals: &mut Vec<SignalFacts>, signal: Signal, feature: &str, was: (u64, u64), is: (u64, u64)) {
    if is.1 == 0 {
        return;
    }
    signals.push(SignalFacts {
        signal,
        feature: feature.to_owned(),
        statistic: Statistic::Rate,
        value: is.0 as f64 / is.1 as f64,
        reference: (was.1 > 0).then(|| was.0 as f64 / was.1 as f64),
        n_ref: was.1,
        n_cur: is.1,
        bins: None,
    });
}

fn ctr(now: &Cell, before: &Cell) -> BaselineFacts {
    let of = |cell: &Cell| grouped_ratio(by_group(cell, |group| group.clicked));
    let (is, was) = (of(now), of(before));
    BaselineFacts {
        value: is.map(|figure| figure.value),
        se: is.and_then(|figure| finite(figure.se)),
        n: now.units.count(),
        baseline: was.map(|figure| figure.value),
        baseline_se: was.and_then(|figure| finite(figure.se)),
        baseline_n: before.units.count(),
    }
}

/// Different products in as many lists of each side.
fn coverage(now: &Cell, before: &Cell, products: Option<usize>) -> BaselineFacts {
    let Some(products) = products.filter(|products| *products > 0).map(|products| products as f64) else {
        return BaselineFacts::default();
    };
    // Without a baseline, what there is now stands alone.
    let lists = if before.sample.is_empty() { now.sample.len() } else { now.sample.len().min(before.sample.len()) };
    let of = |cell: &Cell| list_figures(&cell.sample.first(lists)).map(|figures| figures.distinct);
    let (is, was) = (of(now), of(before));
    BaselineFacts {
        value: is.map(|figure| figure.value / products),
        se: is.and_then(|figure| finite(figure.se / products)),
        n: lists.min(now.sample.len()) as f64,
        baseline: was.map(|figure| figure.value / products),
        baseline_se: was.and_then(|figure| finite(figure.se / products)),
        baseline_n: lists.min(before.sample.len()) as f64,
    }
}
