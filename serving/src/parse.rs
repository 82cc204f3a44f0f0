//! From a body to a valid request, or to every mistake in it at once.
//!
//! A good body is read once, straight into the types. Only a bad one is looked at field by field, with the very same types, so that
//! the messages cannot drift from what is accepted.

use axum::http::StatusCode;
use endcap_eventlog::problem::Problem;
use endcap_recommender::RecommendationRequest;
use endcap_recommender::request::FieldError;
use serde_json::{Map, Value, json};

/// Bytes of a request at most: 1,000 cart lines and room to spare.
pub const MAX_REQUEST_BYTES: usize = 512 * 1024;

const FIELDS: [&str; 9] =
    ["placement", "customer_id", "session_id", "cart", "product_id", "context", "occasion", "kinds", "limit"];
const LINE_FIELDS: [&str; 3] = ["product_id", "quantity", "unit_price"];
/// A client that sends more mistakes than this learns of the first ones.
const MAX_ERRORS: usize = 100;

/// Reads and checks a request.
pub fn request(body: &[u8]) -> Result<RecommendationRequest, Problem> {
    match serde_json::from_slice::<RecommendationRequest>(body) {
        Ok(request) => match request.validate() {
            Ok(()) => Ok(request),
            Err(errors) => Err(invalid(errors)),
        },
        Err(first) => Err(explain(body, &first)),
    }
}

pub fn invalid(mut errors: Vec<FieldError>) -> Problem {
    errors.truncate(MAX_ERRORS);
    let fields = if errors.len() == 1 { "1 field is" } else { &format!("{} fields are", errors.len()) };
    Problem::new(StatusCode::BAD_REQUEST, "invalid-request", "The request is not valid")
        .detail(format!("{fields} wrong; see errors"))
        .errors(errors)
}

fn not_json(why: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "not-json", "The body is not JSON").detail(format!(
        "{why}; send a JSON object such as {{\"placement\": \"cart\", \"cart\": [{{\"product_id\": \"85123A\", \"quantity\": 6}}]}}"
    ))
}

struct Mistakes {
    errors: Vec<FieldError>,
}

impl Mistakes {
    fn add(&mut self, pointer: String, detail: impl Into<String>) {
        self.errors.push(FieldError { pointer, detail: detail.into() });
    }

    /// Whether `value` is a good value of a field, by reading the smallest request that holds it.
    fn reads(&mut self, pointer: String, request: Map<String, Value>, remedy: &str) -> bool {
        match serde_json::from_value::<RecommendationRequest>(Value::Object(request)) {
            Ok(_) => true,
            Err(error) => {
                self.add(pointer, format!("{error}{remedy}"));
                false
            }
        }
    }

    fn unknown(&mut self, at: &str, object: &Map<String, Value>, known: &[&str]) {
        for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
            self.add(format!("{at}/{}", escape(key)), format!("is unknown; known are {}", known.join(", ")));
        }
    }
}

/// A key as part of a JSON pointer (RFC 6901).
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn smallest(field: &str, value: Value) -> Map<String, Value> {
    let mut request = Map::new();
    request.insert("placement".to_owned(), json!("cart"));
    request.insert(field.to_owned(), value);
    request
}

fn explain(body: &[u8], first: &serde_json::Error) -> Problem {
    if body.iter().all(u8::is_ascii_whitespace) {
        return not_json("the body is empty");
    }
    let object = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return not_json("the body is JSON but no object"),
        Err(error) => return not_json(&error.to_string()),
    };
    let mut mistakes = Mistakes { errors: Vec::new() };
    mistakes.unknown("", &object, &FIELDS);
    // What is good is put together again, so that the checks of values run on it too.
    let mut good = smallest("placement", json!("cart"));
    if !object.contains_key("placement") {
        mistakes.add(
            "/placement".to_owned(),
            "is missing; send order_entry, cart, product, checkout, post_purchase, abandoned_cart, home or email",
        );
    }
    for field in FIELDS {
        let Some(value) = object.get(field) else { continue };
        let value = match (field, value) {
            ("cart", Value::Array(lines)) => Value::Array(cart(&mut mistakes, lines)),
            ("context", Value::Object(context)) => Value::Object(members(&mut mistakes, context)),
            ("kinds", Value::Array(kinds)) => Value::Array(elements(&mut mistakes, kinds)),
            (_, value) => {
                let remedy = match field {
                    "cart" => "; send an array of {\"product_id\", \"quantity\"}",
                    "kinds" => "; send an array such as [\"cross_sell\"], or leave it out",
                    "customer_id" | "session_id" | "product_id" => "; send it as a string",
                    "limit" => "; send a number from 1 to 100",
                    _ => "",
                };
                if !mistakes.reads(format!("/{field}"), smallest(field, value.clone()), remedy) {
                    continue;
                }
                value.clone()
            }
        };
        good.insert(field.to_owned(), value);
    }
    if let Ok(request) = serde_json::from_value::<RecommendationRequest>(Value::Object(good))
        && let Err(errors) = request.validate()
    {
        mistakes.errors.extend(errors);
    }
    if mistakes.errors.is_empty() {
        // Such as a field that stands there twice.
        mistakes.add(String::new(), first.to_string());
    }
    invalid(mistakes.errors)
}

/// Lines that cannot be read are replaced, so that the places of the others stay what they are.
fn cart(mistakes: &mut Mistakes, lines: &[Value]) -> Vec<Value> {
    let placeholder = json!({"product_id": "-"});
    let mut good = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let at = format!("/cart/{index}");
        let before = mistakes.errors.len();
        if let Value::Object(line) = line {
            mistakes.unknown(&at, line, &LINE_FIELDS);
            if !line.contains_key("product_id") {
                mistakes.add(format!("{at}/product_id"), "is missing; send the product's id");
            }
            for field in LINE_FIELDS {
                let Some(value) = line.get(field) else { continue };
                let mut lone = Map::new();
                lone.insert("product_id".to_owned(), json!("-"));
                lone.insert(field.to_owned(), value.clone());
                mistakes.reads(format!("{at}/{field}"), smallest("cart", json!([lone])), "");
            }
        } else {
            mistakes.add(at, "must be an object such as {\"product_id\": \"85123A\", \"quantity\": 6}");
        }
        good.push(if mistakes.errors.len() == before { line.clone() } else { placeholder.clone() });
    }
    good
}

fn members(mistakes: &mut Mistakes, context: &Map<String, Value>) -> Map<String, Value> {
    let mut good = Map::new();
    for (key, value) in context {
        let mut lone = Map::new();
        lone.insert(key.clone(), value.clone());
        if mistakes.reads(format!("/context/{}", escape(key)), smallest("context", Value::Object(lone)), "") {
            good.insert(key.clone(), value.clone());
        }
    }
    good
}

fn elements(mistakes: &mut Mistakes, kinds: &[Value]) -> Vec<Value> {
    let mut good = Vec::new();
    for (index, kind) in kinds.iter().enumerate() {
        if mistakes.reads(format!("/kinds/{index}"), smallest("kinds", json!([kind])), "") {
            good.push(kind.clone());
        }
    }
    good
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn pointers(body: &str) -> Vec<String> {
        match request(body.as_bytes()) {
            Ok(_) => Vec::new(),
            Err(problem) => {
                assert_eq!(problem.status, 400);
                problem.errors.into_iter().map(|error| error.pointer).collect()
            }
        }
    }

    #[test]
    fn every_mistake_is_named_at_once_with_its_place() {
        let body = json!({
            "placement": "shelf", "customer_id": 5, "kind": "x", "limit": 0,
            "cart": [{"product_id": "A"}, {"product_id": "B", "quantity": "many"}, {"sku": "C"}, 7, {"product_id": "", "quantity": -1}],
            "context": {"channel": "fax", "at": "yesterday", "anything": 1}, "kinds": ["cross_sell", "gift"]
        });
        let mut found = pointers(&body.to_string());
        found.sort();
        let expected = [
            "/cart/1/quantity",
            "/cart/2/product_id",
            "/cart/2/sku",
            "/cart/3",
            "/cart/4/product_id",
            "/cart/4/quantity",
            "/context/at",
            "/context/channel",
            "/customer_id",
            "/kind",
            "/kinds/1",
            "/limit",
            "/placement",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_json_object_is_said_to_be_none() {
        for body in ["", "  ", "[]", "7", "{\"placement\":", "\"cart\"", "{\"placement\":\"cart\"} x", "\u{0}"] {
            let problem = request(body.as_bytes()).unwrap_err();
            assert!(problem.kind.ends_with("/not-json"), "{body}: {problem:?}");
        }
        assert_eq!(pointers(r#"{"placement":"cart","placement":"cart"}"#), [""]);
        assert_eq!(pointers("{}"), ["/placement"]);
        assert_eq!(pointers(r#"{"placement":"cart","limit":101}"#), ["/limit"]);
        assert!(pointers(r#"{"placement":"cart","context":{"weather":"rain"}}"#).is_empty());
    }
}
