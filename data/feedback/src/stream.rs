//! The second reading: what people did and what they were shown, written as it is read.

use std::collections::{HashMap, HashSet};

use endcap_eventlog::event::{Event, EventType};
use endcap_eventlog::export::{Content, Export};
use endcap_eventlog::log::EventKey;
use endcap_eventlog::log::event_key;
use endcap_tables::{Exposure, Interaction, TableWriter};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::collect::{Collected, is_interaction, pieces};
use crate::tally::Tally;
use crate::{FeedbackError, Tick};

/// Where the rows go.
pub struct Sinks {
    pub interactions: Option<TableWriter<Interaction>>,
    pub exposures: Option<TableWriter<Exposure>>,
    /// Interactions that the tables hold.
    pub known: HashSet<EventKey>,
}

/// Reads the same files again. Nothing of customers who were erased later.
pub async fn stream(
    export: &Export,
    offsets: std::ops::Range<u64>,
    found: &Collected,
    sinks: &mut Sinks,
    tally: &mut Tally,
    tick: Tick<'_>,
) -> Result<(), FeedbackError> {
    let digests: HashMap<&str, &str> =
        found.parts.iter().map(|part| (part.file.as_str(), part.sha256.as_str())).collect();
    let mut ranges = std::pin::pin!(export.read(offsets.clone()));
    while let Some(range) = ranges.try_next().await? {
        if !tick(range.events.len() as u64) {
            return Err(FeedbackError::Stopped);
        }
        for part in &range.parts {
            if digests.get(part.file.as_str()) != Some(&part.sha256.as_str()) {
                return Err(FeedbackError::Changed { file: part.file.clone() });
            }
        }
        for exported in range.events.iter().filter(|event| offsets.contains(&event.offset)) {
            let Content::Event(event) = &exported.content else { continue };
            let (offset, at) = (exported.offset, exported.at());
            if is_interaction(event.event_type) {
                interaction(event, offset, at, found, sinks, tally)?;
            } else if event.event_type == EventType::RecommendationShown {
                exposure(event, offset, at, found, sinks, tally)?;
            }
        }
    }
    Ok(())
}

/// Its customer and session; `None` when they belong to somebody who was erased later.
fn who(event: &Event, offset: u64, found: &Collected) -> Option<(Option<String>, Option<String>)> {
    let session = event.session_id.as_ref().map(ToString::to_string);
    let customer = event.customer_id.as_ref().map(ToString::to_string);
    let customer = customer.or_else(|| found.session_customer(session.as_deref()?));
    if customer.as_deref().is_some_and(|customer| found.is_erased(customer, offset)) {
        return None;
    }
    Some((customer, session))
}

fn interaction(
    event: &Event,
    offset: u64,
    at: Timestamp,
    found: &Collected,
    sinks: &mut Sinks,
    tally: &mut Tally,
) -> Result<(), FeedbackError> {
    let Some(out) = &mut sinks.interactions else { return Ok(()) };
    if sinks.known.contains(&event_key(&event.event_id)) {
        tally.reject("duplicate_interaction", || format!("event_id={}", event.event_id));
        return Ok(());
    }
    let Some((customer_id, session_id)) = who(event, offset, found) else {
        tally.reject("erased_customer", || format!("offset {offset}"));
        return Ok(());
    };
    let rate = event.event_type == EventType::Rate;
    let products: Vec<(Option<String>, Option<rust_decimal::Decimal>)> = match pieces(event) {
        none if none.is_empty() => vec![(None, None)],
        some => some.into_iter().map(|piece| (Some(piece.product), (!rate).then_some(piece.quantity))).collect(),
    };
    let several = products.len() > 1;
    for (number, (product_id, quantity)) in (1..).zip(products) {
        out.push(Interaction {
            event_id: if several { format!("{}#{number}", event.event_id) } else { event.event_id.clone() },
            ts: at,
            customer_id: customer_id.clone(),
            session_id: session_id.clone(),
            event_type: name(&event.event_type).unwrap_or_default(),
            product_id,
            quantity,
            value: event.value,
            placement: event.placement.as_ref().and_then(name),
            request_id: event.request_id.clone(),
            context: context(event),
        })?;
        tally.count("interactions_added", 1);
    }
    Ok(())
}

/// An enumeration's name on the wire.
fn name(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}

/// The event's context, with the offer that it is about.
fn context(event: &Event) -> Option<String> {
    let mut context: Map<String, Value> = event.context.clone().unwrap_or_default();
    if let Some(offer) = &event.offer_id {
        context.insert("offer_id".to_owned(), Value::String(offer.to_string()));
    }
    (!context.is_empty()).then(|| Value::Object(context).to_string())
}

fn exposure(
    event: &Event,
    offset: u64,
    at: Timestamp,
    found: &Collected,
    sinks: &mut Sinks,
    tally: &mut Tally,
) -> Result<(), FeedbackError> {
    let (Some(out), Some(shown)) = (&mut sinks.exposures, &event.exposure) else { return Ok(()) };
    let Some((customer_id, session_id)) = who(event, offset, found) else {
        tally.reject("erased_customer", || format!("offset {offset}"));
        return Ok(());
    };
    for item in &shown.items {
        let mut row = Exposure {
            event_id: event.event_id.clone(),
            ts: at,
            request_id: event.request_id.clone(),
            customer_id: customer_id.clone(),
            session_id: session_id.clone(),
            placement: event.placement.as_ref().and_then(name),
            model: shown.model.clone(),
            version: shown.version.clone(),
            arm: shown.arm.clone(),
            experiment: shown.experiment.clone(),
            degraded: shown.degraded.clone(),
            product_id: item.product_id.to_string(),
            rank: i64::from(item.rank),
            kind: item.kind.clone(),
            score: item.score,
            propensity: item.propensity,
            offer_id: item.offer_id.as_ref().map(ToString::to_string),
            accepted: None,
            clicked: false,
        };
        judge(&mut row, found);
        out.push(row)?;
        tally.count("exposed_items_added", 1);
    }
    Ok(())
}

/// What became of an item that was shown, as far as the events know.
pub fn judge(row: &mut Exposure, found: &Collected) {
    let Some(request) = &row.request_id else { return };
    if let Some(outcome) = found.outcomes.get(&(request.clone(), row.product_id.clone())) {
        row.accepted = outcome.accepted.or(row.accepted);
        row.clicked |= outcome.clicked;
    }
}
