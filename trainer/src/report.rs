//! What an artifact says of itself beside its numbers: the objects `report` and `reference`, and the record of the run.

use std::collections::BTreeMap;

use endcap_recommender::artifact::Metric;
use serde::Serialize;
use serde_json::{Value, json};

use crate::features::{Facts, QUANTILES};
use crate::learn::Learned;
use crate::load::Dataset;
use crate::tune::Tuned;

/// The object `report`: everything that follows from data, settings and program. No times, hosts or threads.
pub(crate) fn report(data: &Dataset, facts: &Facts, learned: &Learned, device: &str, packed: usize) -> Value {
    let Learned { model, tuned, facts: fitted } = learned;
    let rejected: Vec<Value> = data
        .rejected
        .iter()
        .map(|((table, reason), rows)| json!({"table": table, "reason": reason, "rows": rows}))
        .collect();
    let with_interval = model.repeat.interval_days.iter().filter(|days| days.is_finite()).count();
    let mut report = json!({
        "dataset_sha256": data.digest,
        "counts": {
            "orders": data.sales.heads.len(),
            "order_products": data.sales.view().line_count(),
            "products": data.catalogue.len(),
            "customers": data.customers.len(),
            "orders_capped": fitted.capped,
            "prices_from_sales": data.prices_from_sales,
            "offers": data.shelf.offers.len(),
            "stock_levels": data.shelf.stock.len(),
            "association_pairs": model.associations.neighbours.entries.len(),
            "segments": model.popularity.segment_keys.len(),
            "repeat_intervals": with_interval,
            "price_breaks": model.habits.breaks.entries.len(),
            "similar_from_orders": model.similar.baskets.entries.len(),
            "similar_from_customers": model.similar.customers.entries.len(),
            "better_variants": model.habits.better.entries.len(),
            "pack_products": packed,
        },
        "rejected": rejected,
        "offer_errors": data.offer_errors,
        "features": facts,
        "tuning": {"window": tuned.window, "skipped": tuned.skipped, "cases": tuned.cases, "settings": model.settings},
        "metrics": tuned.metrics,
        "comparisons": tuned.comparisons,
        "components": tuned.components,
        "device": device,
        "deep_losses": fitted.deep_losses,
        "phases": crate::progress::Phase::ALL,
    });
    if let (Some(events), Some(map)) = (&data.events, report.as_object_mut()) {
        let without_effect: BTreeMap<&str, u64> =
            data.events_rejected.iter().map(|rows| (rows.reason.as_str(), rows.rows)).collect();
        map.insert("events".to_owned(), json!({"merged": events, "without_effect": without_effect}));
    }
    report
}

/// The object `reference`: what later data and scores are compared with to see drift.
pub(crate) fn reference(data: &Dataset, facts: &Facts, tuned: &Tuned) -> Value {
    json!({
        (endcap_recommender::profile::FIELD): crate::profile::reference(data),
        "quantiles": QUANTILES,
        "features": facts.quantiles,
        "top_score": tuned.top_scores,
        "orders_by_month": facts.orders_by_month,
        "orders_by_hour": facts.orders_by_hour,
    })
}

/// How a training went on this machine: `run.json`, beside the artifact and not named by its manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Run {
    pub threads: usize,
    /// What the two-tower network learned on, `Cpu` or `Gpu`; empty where nothing was trained.
    pub device: String,
    pub seconds: f64,
    pub phases: Vec<PhaseRun>,
    pub peak_resident_bytes: Option<u64>,
    /// What the dataset took from an event log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<endcap_tables::MergedEvents>,
    /// The artifact stood already; nothing was trained.
    pub already_finished: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PhaseRun {
    pub phase: String,
    pub seconds: f64,
    /// Peak of the process at the phase's end, and what was in use then.
    pub peak_resident_bytes: Option<u64>,
    pub resident_bytes: Option<u64>,
    /// Taken from a checkpoint of a run that was interrupted.
    pub resumed: bool,
}

/// Metrics that fit a termination message: the blend's, without single signals. What gates name comes first: what does not fit is cut
/// at the end.
pub(crate) fn main_metrics(metrics: &[Metric]) -> Vec<BTreeMap<&'static str, Value>> {
    let of_a_situation = |metric: &&Metric| metric.name.contains('.') && !metric.name.ends_with(".active");
    let mut main: Vec<&Metric> = metrics.iter().filter(|metric| metric.name.matches('.').count() < 2).collect();
    main.sort_by_key(of_a_situation);
    main.into_iter()
        .map(|metric| {
            BTreeMap::from([
                ("name", json!(metric.name)),
                ("split", json!(metric.split)),
                ("value", json!((metric.value * 1e6).round() / 1e6)),
            ])
        })
        .collect()
}
