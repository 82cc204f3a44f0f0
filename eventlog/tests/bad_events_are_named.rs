//! Every mistake is answered with its place and its remedy, and never sinks its neighbours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use endcap_eventlog::intake::{BodyError, Format, Source, parse_body, parse_event};
use jiff::Timestamp;

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// Pointer and text of the first mistake.
fn mistake(json: &str) -> (String, String) {
    let rejection = parse_event(json.as_bytes(), Source::Client, now()).expect_err(json);
    let first = rejection.errors.first().unwrap();
    (first.pointer.clone(), first.detail.clone())
}

#[test]
fn each_bad_event_is_refused_with_field_and_remedy() {
    let cases = [
        (r#"{"type":"search","session_id":"s"}"#, "/event_id", "UUID"),
        (r#"{"event_id":"","type":"search","session_id":"s"}"#, "/event_id", "UUID"),
        (r#"{"event_id":7,"type":"search","session_id":"s"}"#, "/event_id", "string"),
        (r#"{"event_id":"e","session_id":"s"}"#, "/type", "view_item"),
        (r#"{"event_id":"e","type":"looked","session_id":"s"}"#, "/type", "view_item"),
        (r#"{"event_id":"e","type":"search"}"#, "/session_id", "at least one"),
        (r#"{"event_id":"e","type":"search","session_id":"s","custmer_id":"c"}"#, "/custmer_id", "/context"),
        (r#"{"event_id":"e","type":"search","session_id":"s","a/b~c":1}"#, "/a~1b~0c", "/context"),
        (r#"{"event_id":"e","type":"search","session_id":""}"#, "/session_id", "256"),
        (r#"{"event_id":"e","type":"search","session_id":"s","at":"yesterday"}"#, "/at", "RFC 3339"),
        (r#"{"event_id":"e","type":"search","session_id":"s","at":"2026-02-01T00:00:00Z"}"#, "/at", "future"),
        (r#"{"event_id":"e","type":"search","session_id":"s","at":"1969-02-01T00:00:00Z"}"#, "/at", "1970"),
        (r#"{"event_id":"e","type":"search","session_id":"s","placement":"attic"}"#, "/placement", "order_entry"),
        (r#"{"event_id":"e","type":"view_item","session_id":"s"}"#, "/product_id", "missing"),
        (
            r#"{"event_id":"e","type":"add_to_cart","session_id":"s","product_id":"A","quantity":0}"#,
            "/quantity",
            "above 0",
        ),
        (
            r#"{"event_id":"e","type":"add_to_cart","session_id":"s","product_id":"A","quantity":-2}"#,
            "/quantity",
            "refund",
        ),
        (
            r#"{"event_id":"e","type":"add_to_cart","session_id":"s","product_id":"A","quantity":"many"}"#,
            "/quantity",
            "0.5",
        ),
        (
            r#"{"event_id":"e","type":"add_to_cart","session_id":"s","product_id":"A","quantity":1e300}"#,
            "/quantity",
            "number",
        ),
        (
            r#"{"event_id":"e","type":"add_to_cart","session_id":"s","product_id":"A","quantity":99999999999}"#,
            "/quantity",
            "1000000000",
        ),
        (
            r#"{"event_id":"e","type":"purchase","lines":[{"product_id":"A"},{"quantity":1}]}"#,
            "/lines/1/product_id",
            "docs/events.md",
        ),
        (
            r#"{"event_id":"e","type":"purchase","lines":[{"product_id":"A","quantity":0}]}"#,
            "/lines/0/quantity",
            "above 0",
        ),
        (
            r#"{"event_id":"e","type":"purchase","lines":[{"product_id":"A","unit_price":"-1"}]}"#,
            "/lines/0/unit_price",
            "0 to",
        ),
        (r#"{"event_id":"e","type":"purchase","lines":{"product_id":"A"}}"#, "/lines", "["),
        (
            r#"{"event_id":"e","type":"purchase","product_id":"A","lines":[{"product_id":"A"}]}"#,
            "/lines",
            "one of the two",
        ),
        (r#"{"event_id":"e","type":"rate","customer_id":"c","product_id":"A"}"#, "/value", "1 to 5"),
        (r#"{"event_id":"e","type":"rate","customer_id":"c","product_id":"A","value":6}"#, "/value", "1 to 5"),
        (r#"{"event_id":"e","type":"recommendation_shown","session_id":"s"}"#, "/type", "router alone"),
        (r#"{"event_id":"e","type":"recommendation_declined","session_id":"s"}"#, "/product_id", "/offer_id"),
        (r#"{"event_id":"e","type":"stock_changed","product_id":"A"}"#, "/stock", "on_hand"),
        (r#"{"event_id":"e","type":"stock_changed","product_id":"A","stock":{}}"#, "/stock/on_hand", "number"),
        (
            r#"{"event_id":"e","type":"stock_changed","product_id":"A","stock":{"on_hand":-1}}"#,
            "/stock/on_hand",
            "backordered",
        ),
        (r#"{"event_id":"e","type":"price_changed","product_id":"A","price":{}}"#, "/price", "unit_price"),
        (r#"{"event_id":"e","type":"price_changed","price":{"unit_price":"1"}}"#, "/product_id", "one product"),
        (r#"{"event_id":"e","type":"offer_changed"}"#, "/offer", "withdrawn"),
        (
            r#"{"event_id":"e","type":"offer_changed","offer":{"offer_id":"o","withdrawn":false}}"#,
            "/offer/withdrawn",
            "true",
        ),
        (
            r#"{"event_id":"e","type":"offer_changed","offer":{"offer_id":"o","type":"HalfPrice","terms":{}}}"#,
            "/offer",
            "BuyXGetY",
        ),
        (r#"{"event_id":"e","type":"customer_changed","customer":{"age_band":"x"}}"#, "/customer_id", "whose"),
        (r#"{"event_id":"e","type":"customer_changed","customer_id":"c"}"#, "/customer", "age_band"),
        (
            r#"{"event_id":"e","type":"customer_changed","customer_id":"c","customer":{"Email":"a@b"}}"#,
            "/customer/Email",
            "contacts",
        ),
        (
            r#"{"event_id":"e","type":"customer_changed","customer_id":"c","customer":{"mobile_phone":"1"}}"#,
            "/customer/mobile_phone",
            "contacts",
        ),
        (
            r#"{"event_id":"e","type":"customer_changed","customer_id":"c","customer":{"shoe_size":"44"}}"#,
            "/customer/shoe_size",
            "age_band",
        ),
        (
            r#"{"event_id":"e","type":"customer_changed","customer_id":"c","customer":{"gender":7}}"#,
            "/customer/gender",
            "string",
        ),
        (
            r#"{"event_id":"e","type":"search","session_id":"s","context":{"e-mail":"a@b"}}"#,
            "/context/e-mail",
            "contacts",
        ),
        (r#"{"event_id":"e","type":"search","session_id":"s","context":[1]}"#, "/context", "object"),
        (r#""search""#, "", "object"),
        (r#"{"event_id":"e","type":"search","session_id":"s","value":NaN}"#, "", "not JSON"),
        (r#"{"event_id":"e","type":"search","session_id":"s","value":1e999}"#, "", "not JSON"),
    ];
    for (json, pointer, remedy) in cases {
        let (at, detail) = mistake(json);
        assert_eq!(at, pointer, "{json}: {detail}");
        assert!(detail.contains(remedy), "{json}: {detail:?} does not say {remedy:?}");
    }
}

#[test]
fn all_mistakes_of_an_event_are_named() {
    let json = r#"{"event_id":"e","type":"rate","product_id":"","value":9}"#;
    let rejection = parse_event(json.as_bytes(), Source::Client, now()).unwrap_err();
    let pointers: Vec<&str> = rejection.errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/product_id", "/session_id", "/value"]);
}

const GOOD: &str = r#"{"event_id":"g","type":"search","session_id":"s"}"#;

#[test]
fn a_bad_event_never_sinks_its_batch() {
    let deep = format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    let huge = format!("{{\"event_id\":\"h\",\"context\":{{\"text\":\"{}\"}}}}", "x".repeat(300_000));
    let bad: [&[u8]; 9] = [
        b"{}",
        b"{\"event_id\":}",
        b"nonsense",
        b"5",
        b"null",
        b"[[]]",
        b"{\"event_id\":\"\xff\xfe\",\"type\":\"search\"}",
        deep.as_bytes(),
        huge.as_bytes(),
    ];
    for case in bad {
        let shown = String::from_utf8_lossy(&case[..case.len().min(60)]).into_owned();
        let array = [b"[", GOOD.as_bytes(), b",", case, b",", GOOD.as_bytes(), b"]"].concat();
        let lines = [GOOD.as_bytes(), b"\r\n", case, b"\n\n", GOOD.as_bytes(), b"\n"].concat();
        for (body, format) in [(&array, Format::Json), (&lines, Format::Json), (&lines, Format::Lines)] {
            let intake = parse_body(body, format, Source::Client, now()).unwrap();
            let good: Vec<bool> = intake.iter().map(Result::is_ok).collect();
            assert_eq!(good, [true, false, true], "{shown}");
        }
    }
}

#[test]
fn a_body_that_is_no_json_is_refused_as_a_whole() {
    for body in ["", "  \n", "hello", "42", "\"text\"", "[{}", "[{}] more", "{\"a\":", "<xml/>", "\u{0}"] {
        let error = parse_body(body.as_bytes(), Format::Json, Source::Client, now()).expect_err(body);
        assert!(error.to_string().contains("JSON lines"), "{body:?}: {error}");
    }
    let many = format!("[{}]", vec!["{}"; 10_001].join(","));
    assert_eq!(
        parse_body(many.as_bytes(), Format::Json, Source::Client, now()).unwrap_err(),
        BodyError::TooMany(10_001)
    );
    assert!(parse_body(b"[]", Format::Json, Source::Client, now()).unwrap().is_empty());
}

#[test]
fn one_object_on_many_lines_is_one_event() {
    let body = "\u{feff}{\n  \"event_id\": \"e\",\n  \"type\": \"search\",\n  \"session_id\": \"s\"\n}\n";
    assert_eq!(parse_body(body.as_bytes(), Format::Json, Source::Client, now()).unwrap().len(), 1);
}

/// The examples of the documentation are events that are accepted, one of every type.
#[test]
fn the_examples_of_the_documentation_are_accepted() {
    let text = include_str!("../../docs/events.md");
    let mut types = std::collections::BTreeSet::new();
    for example in text.split("```json event\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let event = parse_event(example.as_bytes(), Source::Router, now())
            .unwrap_or_else(|error| panic!("{example}: {error:?}"));
        types.insert(event.event_type);
    }
    assert_eq!(types.len(), 16, "{types:?}");
}

#[test]
fn nonsense_never_panics() {
    // Every prefix and every single changed byte of a good batch.
    let body = format!("[{GOOD},{GOOD}]").into_bytes();
    for at in 0..body.len() {
        let _ = parse_body(&body[..at], Format::Json, Source::Client, now());
        for byte in [0, b'"', b'{', b']', b'\\', 0xff] {
            let mut changed = body.clone();
            changed[at] = byte;
            let _ = parse_body(&changed, Format::Json, Source::Client, now());
        }
    }
}
