//! The model card of an artifact (after Mitchell et al., *Model Cards for Model Reporting*, FAT* 2019): what the version is, what it is
//! for, what it learned from, how good it was found to be and what it cannot do. The card is JSON; its Markdown is made of that JSON,
//! so that the two cannot differ. Equal inputs give equal bytes: no time of now, no host, no path.

mod examples;
mod limits;
mod markdown;
mod page;
pub mod program;
mod replenishment;
mod sections;

use endcap_recommender::artifact::{DatasetSummary, Metric};
use endcap_recommender::fitted::NONE;
use serde_json::{Value, json};

pub(crate) use markdown::markdown;
pub(crate) use page::page;

use crate::PROGRAM;
use crate::demand::{self, Forecasts};
use crate::features::Facts;
use crate::learn::Learned;
use crate::load::{Dataset, TRAITS};
use crate::people::People;
use crate::tune::{Comparison, Tuned};

pub(crate) const FORMAT: &str = "endcap.model-card/v1";

/// Comparisons with the version that serves begin so; what follows says whether it had learned from part of the window.
const ACTIVE: &str = "active ";

const INTENDED: &str = "Ranks the products of this shop while an order is made: what goes with the cart, what a known customer \
is due to order again, and what sells now to anyone else. It is made to suggest, with a person or the shop's rules deciding; it is not \
made to set prices, to grant credit or to judge people.";

/// What a card is written from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CardFacts<'a> {
    pub data: &'a Dataset,
    pub facts: &'a Facts,
    pub people: &'a People,
    pub demand: &'a Forecasts,
    pub learned: &'a Learned,
    pub model: &'a str,
    /// `<model>-v<N>`
    pub version: &'a str,
    pub architecture: &'a str,
    pub seed: i64,
    /// As the artifact's manifest says it.
    pub trained_on: &'a DatasetSummary,
}

/// The card.
pub(crate) fn json(facts: &CardFacts<'_>) -> Value {
    let tuned = &facts.learned.tuned;
    let (active, generators): (Vec<&Comparison>, Vec<&Comparison>) =
        tuned.comparisons.iter().partition(|comparison| comparison.against.starts_with(ACTIVE));
    let (served, alone): (Vec<Value>, Vec<Value>) =
        tuned.metrics.iter().map(measured).partition(|metric| metric.get("generator").is_none_or(Value::is_null));
    json!({
        "format": FORMAT,
        "model": {
            "name": facts.model,
            "version": facts.version,
            "architecture": facts.architecture,
            "seed": facts.seed,
            "program": PROGRAM,
            "dataset_sha256": facts.data.digest,
            "data_from": facts.trained_on.min_time,
            "data_until": facts.trained_on.max_time,
        },
        "intended_use": INTENDED,
        "data": data(facts),
        "validation": validation(tuned),
        "metrics": served,
        "generators": alone,
        "comparisons": generators,
        "active": active,
        "components": tuned.components,
        "coverage": tuned.coverage,
        "cold": tuned.cold,
        "popularity": tuned.popularity,
        "calibration": tuned.calibration,
        "deep_losses": facts.learned.facts.deep_losses,
        "segments": segments(facts.people),
        "value": facts.people.value,
        "demand": demand(facts.demand),
        "examples": examples::of(facts),
        "limits": limits::of(facts),
    })
}

/// A metric's name `<measure>.<situation>.<generator>` in its parts; without a situation it is of all together.
fn measured(metric: &Metric) -> Value {
    let mut parts = metric.name.splitn(3, '.');
    let (measure, situation, generator) = (parts.next(), parts.next(), parts.next());
    json!({
        "name": metric.name,
        "measure": measure,
        "situation": situation,
        "generator": generator,
        "value": metric.value,
        "low": metric.low,
        "high": metric.high,
        "n": metric.n,
    })
}

fn data(facts: &CardFacts<'_>) -> Value {
    let CardFacts { data, trained_on, learned, .. } = facts;
    let rejected: Vec<Value> = data
        .rejected
        .iter()
        .map(|((table, reason), rows)| json!({"table": table, "reason": reason, "rows": rows}))
        .collect();
    let known = |at: usize| data.traits.iter().any(|values| values.get(at).is_some_and(|value| *value != NONE));
    let attributes: Vec<&str> = TRAITS.iter().enumerate().filter(|(at, _)| known(*at)).map(|(_, name)| *name).collect();
    json!({
        "counts": {
            "orders": trained_on.orders,
            "order_lines": trained_on.rows,
            "products": trained_on.products,
            "customers": trained_on.customers,
            "orders_capped": learned.facts.capped,
            "prices_from_sales": data.prices_from_sales,
            "offers": data.shelf.offers.len(),
            "ratings": data.ratings.len(),
            "declines": data.declines.len(),
        },
        "currency": data.currency,
        "customer_attributes": attributes,
        "rejected": rejected,
        "offer_errors": data.offer_errors.len(),
        "repeat_share": facts.facts.repeat_share,
        "rfm_segments": facts.facts.rfm_segments,
    })
}

/// What the object `segments` says, without the centres, which only assigning needs.
fn segments(people: &People) -> Value {
    let mut said = json!(people.segments);
    for segment in said.pointer_mut("/learned/segments").and_then(Value::as_array_mut).into_iter().flatten() {
        segment.as_object_mut().map(|segment| segment.remove("centre"));
    }
    said
}

/// What the object `demand` is good for; its forecasts by product are in it alone.
fn demand(demand: &Forecasts) -> Value {
    json!({"format": demand::FORMAT, "until": demand.until, "skipped": demand.skipped, "measured": demand.measured})
}

fn validation(tuned: &Tuned) -> Value {
    let window = tuned.window.map(|window| {
        json!({
            "from": jiff::Timestamp::from_second(window.from_s).ok(),
            "days": window.days,
            "orders": window.orders,
        })
    });
    json!({"window": window, "skipped": tuned.skipped, "questions": tuned.cases})
}

#[cfg(test)]
mod tests;
