//! What was shown, told to the event log: one `recommendation_shown` per answer. The request id is the event's id, so that sending
//! it twice counts once.

use endcap_eventlog::event::{Event, EventType, Exposure};
use endcap_recommender::RecommendationRequest;
use endcap_recommender::response::Rung;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::ladder::Outcome;
use super::routing::{RoutedArm, Routing};

/// `header_unit`: the unit, where the request itself does not name it.
pub fn event(
    routing: &Routing,
    assigned: &RoutedArm,
    request: &RecommendationRequest,
    request_id: String,
    outcome: Outcome,
    header_unit: Option<String>,
) -> Event {
    let degraded = outcome.degraded.map(|(rung, _)| match rung {
        Rung::Active => "active".to_owned(),
        Rung::Pack => "pack".to_owned(),
    });
    let mut context = Map::new();
    if let Some(unit) = header_unit {
        context.insert("unit".to_owned(), Value::String(unit));
    }
    if let Some(channel) = request.context.channel {
        context.insert("channel".to_owned(), serde_json::to_value(channel).unwrap_or_default());
    }
    Event {
        event_id: request_id.clone(),
        event_type: EventType::RecommendationShown,
        at: Some(Timestamp::now()),
        customer_id: request.customer_id.clone(),
        session_id: request.session_id.clone(),
        product_id: None,
        lines: Vec::new(),
        order_id: None,
        request_id: Some(request_id),
        placement: Some(request.placement),
        quantity: None,
        value: None,
        offer_id: None,
        stock: None,
        price: None,
        offer: None,
        customer: None,
        context: (!context.is_empty()).then_some(context),
        exposure: Some(Exposure {
            model: routing.table.model.clone(),
            version: outcome.version,
            arm: Some(assigned.name.clone()),
            experiment: assigned.experiment.clone(),
            degraded,
            items: outcome.shown,
        }),
    }
}
