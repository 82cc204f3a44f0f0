//! From bytes to checked events.

use endcap_recommender::offers::Offer;
use endcap_recommender::request::FieldError;
use jiff::Timestamp;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use super::{MAX_BATCH_EVENTS, MAX_EVENT_BYTES, Source, check, split};
use crate::event::{Event, EventOutcome};

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`: one event or an array of events. Several lines of objects are taken as JSON lines.
    Json,
    /// `application/x-ndjson` or `application/jsonl`: one event a line.
    Lines,
}

impl Format {
    /// By `Content-Type`; anything unknown is looked at as [`Format::Json`].
    pub fn of(content_type: Option<&str>) -> Self {
        let essence = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
        let lines = ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"];
        if lines.iter().any(|name| essence.eq_ignore_ascii_case(name)) { Self::Lines } else { Self::Json }
    }
}

/// Why a whole body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is empty; send one event as a JSON object, an array of events, or one event a line (JSON lines)")]
    Empty,
    #[error(
        "the body is not JSON: {0}; send one event as a JSON object, an array of events, or one event a line (JSON lines)"
    )]
    NotJson(String),
    #[error("the body holds {0} events; send at most {MAX_BATCH_EVENTS} at once")]
    TooMany(usize),
}

/// Why one event is refused: every mistake with its place in the event and its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Where the event could still be read.
    pub event_id: Option<String>,
    /// At least one.
    pub errors: Vec<FieldError>,
}

impl Rejection {
    fn one(event_id: Option<String>, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { event_id, errors: vec![FieldError { pointer: pointer.into(), detail: detail.into() }] }
    }

    /// As it is answered: the first mistake has the pointer, the others are named in the text.
    pub fn outcome(self, index: usize) -> EventOutcome {
        let mut errors = self.errors.into_iter();
        let (pointer, mut detail) = errors.next().map(|first| (first.pointer, first.detail)).unwrap_or_default();
        for more in errors {
            detail.push_str("; also ");
            detail.push_str(&more.to_string());
        }
        EventOutcome::Rejected { index, event_id: self.event_id, pointer, detail }
    }
}

/// What a body was made of, in its order.
pub type Intake = Vec<Result<Event, Rejection>>;

/// Cuts, parses and checks a body. `now` bounds what may lie in the future. Events keep `at` as sent (or none).
pub fn parse_body(body: &[u8], format: Format, source: Source, now: Timestamp) -> Result<Intake, BodyError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    let slices = cut(body, format)?;
    if slices.len() > MAX_BATCH_EVENTS {
        return Err(BodyError::TooMany(slices.len()));
    }
    Ok(slices.into_iter().map(|slice| parse_event(slice, source, now)).collect())
}

fn cut(body: &[u8], format: Format) -> Result<Vec<&[u8]>, BodyError> {
    let first = body.first().ok_or(BodyError::Empty)?;
    if format == Format::Lines {
        return Ok(lines(body));
    }
    let unclosed = || BodyError::NotJson("a bracket, brace or string is not closed".to_owned());
    match first {
        b'[' => {
            let (elements, rest) = split::array_elements(body).ok_or_else(unclosed)?;
            if rest.trim_ascii().is_empty() {
                Ok(elements)
            } else {
                Err(BodyError::NotJson("there is text after the array".to_owned()))
            }
        }
        b'{' => {
            if let Some((value, rest)) = split::first_value(body)
                && rest.is_empty()
            {
                return Ok(vec![value]);
            }
            // Lines, if the first line is a whole object by itself; its later lines may be broken, that is their own matter.
            let first_line = body.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
            match split::first_value(first_line) {
                Some((_, [])) => Ok(lines(body)),
                _ => Err(unclosed()),
            }
        }
        _ => Err(BodyError::NotJson("it starts neither with { nor with [".to_owned())),
    }
}

fn lines(body: &[u8]) -> Vec<&[u8]> {
    body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect()
}

/// Parses and checks one event.
pub fn parse_event(text: &[u8], source: Source, now: Timestamp) -> Result<Event, Rejection> {
    if text.len() > MAX_EVENT_BYTES {
        let detail =
            format!("the event has {} bytes, at most {MAX_EVENT_BYTES} are taken; send less context", text.len());
        return Err(Rejection::one(None, "", detail));
    }
    let value: Value = serde_json::from_slice(text)
        .map_err(|error| Rejection::one(None, "", format!("not JSON: {}; send one JSON object", in_event(&error))))?;
    let Value::Object(map) = value else {
        return Err(Rejection::one(None, "", "not an object; send {\"event_id\": ..., \"type\": ...}"));
    };
    let event_id = map.get("event_id").and_then(Value::as_str).map(str::to_owned);
    let unknown = unknown_fields(&map);
    if !unknown.is_empty() {
        return Err(Rejection { event_id, errors: unknown });
    }
    let offer = map.get("offer").cloned();
    let event: Event = serde_path_to_error::deserialize(Value::Object(map))
        .map_err(|error| Rejection { event_id: event_id.clone(), errors: vec![located(&error, offer.as_ref())] })?;
    check(&event, source, now).map_err(|errors| Rejection { event_id, errors })?;
    Ok(event)
}

/// Positions of the error within one event are within its line or element: only columns help there.
fn in_event(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => format!("{} (byte {})", text.get(..at).unwrap_or(&text), error.column()),
        None => text,
    }
}

const FIELDS: [&str; 17] = [
    "event_id",
    "type",
    "at",
    "customer_id",
    "session_id",
    "product_id",
    "lines",
    "order_id",
    "request_id",
    "placement",
    "quantity",
    "value",
    "offer_id",
    "stock",
    "price",
    "offer",
    "customer",
];
const MORE_FIELDS: [&str; 2] = ["context", "exposure"];

/// A misspelt field would be lost without a word: it is refused.
fn unknown_fields(map: &Map<String, Value>) -> Vec<FieldError> {
    map.keys()
        .filter(|key| !FIELDS.contains(&key.as_str()) && !MORE_FIELDS.contains(&key.as_str()))
        .map(|key| FieldError {
            pointer: format!("/{}", escape(key)),
            detail: "unknown field; put what has no field of its own under /context".to_owned(),
        })
        .collect()
}

/// From serde's path and words to a JSON pointer and a remedy.
fn located(error: &serde_path_to_error::Error<serde_json::Error>, offer: Option<&Value>) -> FieldError {
    let mut pointer = String::new();
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => pointer = format!("{pointer}/{index}"),
            Segment::Map { key } => pointer = format!("{pointer}/{}", escape(key)),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    let mut words = error.inner().to_string();
    if pointer == "/offer"
        && let Some(offer) = offer.filter(|offer| offer.get("withdrawn").is_none())
    {
        // The choice between "declared" and "withdrawn" hides what is wrong with the offer itself.
        if let Err(error) = serde_json::from_value::<Offer>(offer.clone()) {
            words = error.to_string();
        }
    }
    if let Some(field) = words.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        pointer.push('/');
        pointer.push_str(&escape(field));
    }
    let remedy = remedy(&pointer);
    FieldError { detail: format!("{words}; {remedy}"), pointer }
}

fn remedy(pointer: &str) -> &'static str {
    let field = pointer.rsplit('/').find(|part| !part.is_empty() && !part.bytes().all(|byte| byte.is_ascii_digit()));
    match field.unwrap_or_default() {
        "event_id" => "send an id that is unique for ever, such as a UUID, as a string",
        "type" => "send one of the event types of docs/events.md, such as \"view_item\"",
        "at" | "valid_from" | "valid_to" => "send RFC 3339, such as \"2026-01-31T09:12:00Z\"",
        "placement" => "send one of order_entry, cart, product, checkout, post_purchase, abandoned_cart, home, email",
        "quantity" | "on_hand" | "backordered" | "on_order" => {
            "send a number such as 6, or a decimal string such as \"0.5\""
        }
        "unit_price" | "value" | "price" => "send a decimal string such as \"2.95\"",
        "lines" => "send [{\"product_id\": \"...\", \"quantity\": 1}]",
        "offer" => "send the offer with offer_id, type and terms, or {\"offer_id\": \"...\", \"withdrawn\": true}",
        "stock" => "send {\"on_hand\": 12}",
        "customer" | "context" => "send an object",
        "exposure" | "items" => "exposures are written by the router alone",
        "active" | "withdrawn" => "send true or false",
        _ => "see docs/events.md for what this field holds",
    }
}

pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
