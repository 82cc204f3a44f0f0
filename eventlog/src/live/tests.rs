#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::event::Event;

#[allow(clippy::needless_pass_by_value)] // json!(..) is passed as it is written
fn event(value: Value) -> Event {
    let mut map = value.as_object().unwrap().clone();
    map.entry("event_id").or_insert("e".into());
    serde_json::from_value(Value::Object(map)).unwrap()
}

/// Folds events that were accepted a second apart, beginning at second 1,000,000.
fn folded(events: &[Value]) -> LiveState {
    let mut live = LiveState::default();
    for (offset, value) in (0_u64..).zip(events) {
        live.apply(&LiveUpdate {
            offset,
            accepted_ms: (1_000_000 + offset as i64) * 1_000,
            event: event(value.clone()),
        });
    }
    live
}

fn cart(live: &LiveState, session: &str) -> Vec<(String, f32)> {
    live.session(session).unwrap().cart.iter().map(|(product, quantity)| (product.to_string(), *quantity)).collect()
}

#[test]
fn a_purchase_empties_the_cart_adds_an_order_and_takes_from_the_shelf() {
    let live = folded(&[
        json!({"type": "stock_changed", "product_id": "A", "stock": {"on_hand": 5}, "at": "1970-01-01T00:00:10Z"}),
        json!({"type": "add_to_cart", "customer_id": "c", "session_id": "s", "product_id": "A", "quantity": 2}),
        json!({"type": "purchase", "session_id": "s", "order_id": "o",
               "lines": [{"product_id": "A", "quantity": 2}, {"product_id": "B"}, {"product_id": "A"}]}),
    ]);
    assert!(cart(&live, "s").is_empty());
    let customer = live.customer("c").unwrap();
    assert_eq!(customer.orders.len(), 1, "the session says whose order it is");
    assert_eq!(customer.orders[0].lines, [("A".into(), 3.0), ("B".into(), 1.0)]);
    assert_eq!(live.shelf().stock["A"].on_hand, 2.into());
}

#[test]
fn a_sale_before_the_stock_was_read_is_in_it_already_and_stock_never_falls_below_zero() {
    let live = folded(&[
        json!({"type": "stock_changed", "product_id": "A", "stock": {"on_hand": 5}, "at": "2026-01-02T00:00:00Z"}),
        json!({"type": "purchase", "product_id": "A", "quantity": 3, "at": "2026-01-01T00:00:00Z"}),
        json!({"type": "stock_changed", "product_id": "A", "stock": {"on_hand": 99}, "at": "2026-01-01T12:00:00Z"}),
    ]);
    assert_eq!(live.shelf().stock["A"].on_hand, 5.into());
    let live = folded(&[
        json!({"type": "stock_changed", "product_id": "A", "stock": {"on_hand": 5}, "at": "2026-01-02T00:00:00Z"}),
        json!({"type": "purchase", "product_id": "A", "quantity": 30, "at": "2026-01-03T00:00:00Z"}),
    ]);
    assert_eq!(live.shelf().stock["A"].on_hand, 0.into());
}

#[test]
fn a_cart_is_added_to_and_taken_from() {
    let live = folded(&[
        json!({"type": "add_to_cart", "session_id": "s", "product_id": "A", "quantity": "2.5"}),
        json!({"type": "add_to_cart", "session_id": "s", "lines": [{"product_id": "B"}, {"product_id": "A"}]}),
        json!({"type": "remove_from_cart", "session_id": "s", "product_id": "A", "quantity": 1}),
        json!({"type": "add_to_cart", "session_id": "s", "product_id": "C", "quantity": 4}),
        json!({"type": "remove_from_cart", "session_id": "s", "product_id": "C"}),
        json!({"type": "remove_from_cart", "session_id": "s", "product_id": "never"}),
    ]);
    assert_eq!(cart(&live, "s"), [("A".to_owned(), 2.5), ("B".to_owned(), 1.0)]);
}

#[test]
fn a_refund_is_netted_against_the_newest_orders() {
    let live = folded(&[
        json!({"type": "purchase", "customer_id": "c", "product_id": "A", "quantity": 2, "at": "2026-01-01T00:00:00Z"}),
        json!({"type": "purchase", "customer_id": "c", "product_id": "A", "quantity": 3, "at": "2026-01-02T00:00:00Z"}),
        json!({"type": "refund", "customer_id": "c", "product_id": "A", "quantity": 4, "at": "2026-01-03T00:00:00Z"}),
    ]);
    let orders = &live.customer("c").unwrap().orders;
    assert_eq!(orders.len(), 1);
    assert_eq!(orders[0].lines, [("A".into(), 1.0)]);
}

#[test]
fn declines_count_for_the_customer_when_known_else_for_the_session() {
    let live = folded(&[
        json!({"type": "recommendation_declined", "session_id": "s", "product_id": "A", "offer_id": "B7G2"}),
        json!({"type": "recommendation_declined", "session_id": "s", "customer_id": "c", "product_id": "A", "offer_id": "B7G2"}),
        json!({"type": "recommendation_declined", "session_id": "s", "product_id": "A"}),
    ]);
    assert_eq!(live.session("s").unwrap().declined_products["A"].at_s.len(), 1);
    assert_eq!(live.customer("c").unwrap().declined_products["A"].at_s.len(), 2);
    assert_eq!(live.customer("c").unwrap().declined_offers["B7G2"].at_s.len(), 1);
}

#[test]
fn exposures_count_for_the_unit_they_were_shown_to() {
    let shown = json!({"model": "m", "version": "m-v1",
        "items": [{"product_id": "A", "rank": 1, "kind": "popular", "score": 0.5, "propensity": 1.0}]});
    let live = folded(&[
        json!({"type": "recommendation_shown", "customer_id": "c", "session_id": "s", "exposure": shown}),
        json!({"type": "recommendation_shown", "customer_id": "c", "exposure": shown}),
        json!({"type": "recommendation_shown", "session_id": "t", "exposure": shown}),
    ]);
    assert_eq!(live.shown(Some("c"), None).unwrap().count("A", 0), 2);
    assert_eq!(live.shown(Some("c"), None).unwrap().count("A", 1_000_001), 1);
    assert_eq!(live.shown(None, Some("t")).unwrap().count("A", 0), 1);
    assert!(live.shown(None, Some("s")).is_none());
}

#[test]
fn prices_offers_and_profiles_follow_their_events() {
    let offer = json!({"offer_id": "B7G2", "type": "BuyXGetY", "terms": {"buy": 7, "get": 2}});
    let live = folded(&[
        json!({"type": "price_changed", "product_id": "A", "price": {"unit_price": "2.95"}}),
        json!({"type": "price_changed", "product_id": "B", "price": {"active": false}}),
        json!({"type": "offer_changed", "offer": offer}),
        json!({"type": "customer_changed", "customer_id": "c", "customer": {"age_band": "25-34", "gender": "f"}}),
        json!({"type": "customer_changed", "customer_id": "c", "customer": {"gender": null}}),
        json!({"type": "rate", "customer_id": "c", "product_id": "A", "value": 4}),
    ]);
    assert_eq!(live.shelf().prices["A"].to_string(), "2.95");
    assert!(!live.shelf().active["B"]);
    assert!(live.shelf().offers.contains_key("B7G2"));
    let customer = live.customer("c").unwrap();
    assert_eq!(customer.profile.len(), 1);
    assert!((customer.ratings["A"] - 4.0).abs() < f32::EPSILON);
    let mut live = live;
    let withdrawn = event(json!({"type": "offer_changed", "offer": {"offer_id": "B7G2", "withdrawn": true}}));
    live.apply(&LiveUpdate { offset: 6, accepted_ms: 0, event: withdrawn });
    assert!(live.shelf().offers.is_empty());
}

#[test]
fn a_customer_is_erased_with_sessions_and_showings_and_may_come_back() {
    let live = folded(&[
        json!({"type": "view_item", "customer_id": "c", "session_id": "s", "product_id": "A"}),
        json!({"type": "purchase", "customer_id": "c", "product_id": "A"}),
        json!({"type": "view_item", "customer_id": "d", "session_id": "t", "product_id": "A"}),
        json!({"type": "customer_changed", "customer_id": "c", "customer": {"erase": true}}),
    ]);
    assert!(live.customer("c").is_none() && live.session("s").is_none());
    assert!(live.session("t").is_some());
}

#[test]
fn a_session_ends_after_a_day_of_the_logs_clock_and_its_name_starts_anew() {
    let mut live = LiveState::default();
    let mut apply = |offset: u64, second: i64, value: Value| {
        live.apply(&LiveUpdate { offset, accepted_ms: second * 1_000, event: event(value) });
        live.session("s").map(|session| session.cart.len())
    };
    // Its own clock is years behind: that does not end it.
    let add = json!({"type": "add_to_cart", "session_id": "s", "product_id": "A", "at": "2011-01-01T00:00:00Z"});
    let other = json!({"type": "search", "session_id": "other"});
    assert_eq!(apply(0, 2_000_000_000, add), Some(1));
    assert_eq!(apply(1, 2_000_000_000 + 86_400, other.clone()), Some(1));
    assert_eq!(apply(2, 2_000_000_000 + 86_401, other), None);
    let back = json!({"type": "add_to_cart", "session_id": "s", "product_id": "B"});
    assert_eq!(apply(3, 2_000_000_000 + 86_402, back), Some(1));
}

#[test]
fn nothing_grows_beyond_its_limit() {
    let limits = Limits {
        orders: 3,
        views: 4,
        sessions: 32,
        showings: 5,
        shown_units: 32,
        declined: 3,
        ratings: 3,
        ..Limits::default()
    };
    let mut live = LiveState::new(limits);
    for offset in 0..2_000_u64 {
        let n = offset % 97;
        let kind = ["purchase", "view_item", "recommendation_declined", "rate"][(offset % 4) as usize];
        let value = json!({"type": kind, "customer_id": format!("c{}", offset % 3), "session_id": format!("s{n}"),
                           "product_id": format!("p{n}"), "value": if kind == "rate" { 3 } else { 1 }});
        live.apply(&LiveUpdate { offset, accepted_ms: offset as i64 * 10, event: event(value) });
        assert!(live.sessions_len() <= 32);
    }
    for (_, customer) in live.customers() {
        assert!(customer.orders.len() <= 3 && customer.declined_products.len() <= 3 && customer.ratings.len() <= 3);
        assert!(customer.declined_products.values().all(|declines| declines.at_s.len() <= 16));
    }
    assert!(live.session("s48").is_none_or(|session| session.viewed.len() <= 4));
}

#[test]
fn an_event_that_was_applied_is_passed_over() {
    let mut live = LiveState::default();
    let update = LiveUpdate {
        offset: 0,
        accepted_ms: 0,
        event: event(json!({"type": "purchase", "customer_id": "c", "product_id": "A"})),
    };
    live.apply(&update);
    live.apply(&update);
    assert_eq!(live.customer("c").unwrap().orders.len(), 1);
    assert_eq!(live.next_offset(), 1);
}

#[test]
fn half_a_snapshot_is_refused() {
    let live = folded(&[json!({"type": "purchase", "customer_id": "c", "product_id": "A"})]);
    let whole = write_snapshot(&live, "log", Vec::new()).unwrap();
    assert_eq!(read_snapshot(&whole[..], None).unwrap().1, live);
    for length in 0..whole.len() {
        assert!(read_snapshot(&whole[..length], None).is_err(), "{length} of {} bytes", whole.len());
    }
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        // A flip that changes nothing (a reserved bit) is no harm; any other is found.
        if let Ok((head, read)) = read_snapshot(&flipped[..], None) {
            assert_eq!((head.log_id.as_str(), read), ("log", live.clone()), "byte {at}");
        }
    }
}

#[test]
fn a_baseline_is_read_plain_and_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let live = folded(&[
        json!({"type": "purchase", "customer_id": "c", "product_id": "A"}),
        json!({"type": "stock_changed", "product_id": "A", "stock": {"on_hand": "2.5"}}),
    ]);
    let json = serde_json::to_vec(&live.to_baseline()).unwrap();
    let plain = folder.path().join("baseline.json");
    std::fs::write(&plain, &json).unwrap();
    let packed = folder.path().join("baseline.json.zst");
    std::fs::write(&packed, zstd::encode_all(&json[..], 3).unwrap()).unwrap();
    for path in [plain, packed] {
        assert_eq!(read_baseline(&path).unwrap(), live.to_baseline());
    }
    let error = read_baseline(&folder.path().join("none.json")).unwrap_err().to_string();
    assert!(error.contains("none.json") && error.contains("--baseline"), "{error}");
}

fn any_event() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(vec![
        "view_item",
        "select_item",
        "search",
        "add_to_cart",
        "remove_from_cart",
        "begin_checkout",
        "purchase",
        "refund",
        "rate",
        "recommendation_declined",
        "recommendation_accepted",
        "stock_changed",
        "price_changed",
        "customer_changed",
        "recommendation_shown",
    ]);
    (kind, 0..4_u8, 0..4_u8, 0..5_u8, 1..20_u8, prop::option::of(0..2_000_000_i64), 0..3_u8).prop_map(
        |(kind, customer, session, product, quantity, at, unit)| {
            let mut value = json!({"type": kind, "product_id": format!("p{product}"), "quantity": f64::from(quantity) / 4.0});
            if unit != 0 {
                value["customer_id"] = format!("c{customer}").into();
            }
            if unit != 1 {
                value["session_id"] = format!("s{session}").into();
            }
            if let Some(at) = at {
                value["at"] = jiff::Timestamp::from_second(at).unwrap().to_string().into();
            }
            match kind {
                "rate" => value["value"] = (1 + quantity % 5).into(),
                "stock_changed" => value["stock"] = json!({"on_hand": quantity}),
                "price_changed" => value["price"] = json!({"unit_price": f64::from(quantity) / 4.0, "active": quantity % 2 == 0}),
                "customer_changed" if quantity % 5 == 0 => value["customer"] = json!({"erase": true}),
                "customer_changed" => value["customer"] = json!({"age_band": format!("{quantity}")}),
                "recommendation_declined" => value["offer_id"] = format!("o{product}").into(),
                "recommendation_shown" => {
                    value["exposure"] = json!({"model": "m", "version": "v", "items": [
                        {"product_id": format!("p{product}"), "rank": 1, "kind": "popular", "score": 0.1, "propensity": 0.5}]});
                }
                _ => {}
            }
            value
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever starts from a snapshot anywhere and follows the tail has the same state as who folded everything.
    #[test]
    fn a_snapshot_and_the_tail_after_it_equal_the_full_fold(
        events in prop::collection::vec((any_event(), 0..40_000_i64), 1..120), cut in 0..120_usize, again in 0..10_usize,
    ) {
        let limits = Limits { orders: 4, sessions: 3, shown_units: 3, showings: 4, declined: 2, ratings: 2, views: 3, ..Limits::default() };
        let mut clock = 0;
        let updates: Vec<LiveUpdate> = (0_u64..).zip(events).map(|(offset, (value, pause_s))| {
            clock += pause_s;
            LiveUpdate { offset, accepted_ms: clock * 1_000, event: event(value) }
        }).collect();
        let mut full = LiveState::new(limits);
        for update in &updates {
            full.apply(update);
        }

        let cut = cut.min(updates.len());
        let mut head = LiveState::new(limits);
        updates[..cut].iter().for_each(|update| head.apply(update));
        let snapshot = write_snapshot(&head, "log", Vec::new()).unwrap();
        let (_, mut resumed) = read_snapshot(&snapshot[..], None).unwrap();
        prop_assert_eq!(&resumed, &head);
        // The tail may overlap what the snapshot has.
        updates[cut.saturating_sub(again)..].iter().for_each(|update| resumed.apply(update));
        prop_assert_eq!(&resumed, &full);
    }
}
