//! What each event changes in the tables, and what changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use endcap_feedback::FeedbackError;
use endcap_tables::{
    Cancellation, Customer, DatasetManifest, Exposure, Interaction, Offer, Order, OrderLine, Product, Stock,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use support::{Bed, line, money, order, time, write};

fn base() -> Vec<(Order, Vec<OrderLine>)> {
    vec![
        (
            order("o1", Some("ann"), "2026-01-10T10:00:00Z", "4.50"),
            vec![line("o1", 1, "apple", "2", "1"), line("o1", 2, "bread", "1", "2.5")],
        ),
        (order("o2", Some("bob"), "2026-01-11T10:00:00Z", "7.25"), vec![line("o2", 1, "cheese", "1", "7.25")]),
    ]
}

fn rejected(manifest: &DatasetManifest, reason: &str) -> u64 {
    manifest.rejected.iter().filter(|rows| rows.table == "events" && rows.reason == reason).map(|rows| rows.rows).sum()
}

fn counts(manifest: &DatasetManifest, name: &str) -> u64 {
    manifest.events.as_ref().unwrap().counts.get(name).copied().unwrap_or(0)
}

fn purchase(id: &str, customer: &str, at: &str, lines: &Value) -> Value {
    json!({"event_id": format!("e-{id}"), "type": "purchase", "order_id": id, "customer_id": customer, "at": at, "lines": lines})
}

#[tokio::test]
async fn tables_with_events_are_those_that_hold_the_same_orders() {
    let mut bed = Bed::new();
    let mut all = base();
    write(&bed.path("base"), &all, Vec::new());
    all.push((
        order("a-first", Some("ann"), "2026-02-01T09:00:00.123456Z", "9.5"),
        vec![line("a-first", 1, "cheese", "1", "7.25"), line("a-first", 2, "bread", "0.5", "4.5")],
    ));
    all.push((order("o15", None, "2026-02-02T09:00:00Z", "3"), vec![line("o15", 1, "apple", "3", "1")]));
    let full = write(&bed.path("full"), &all, Vec::new());
    bed.send(&[
        purchase("a-first", "ann", "2026-02-01T09:00:00.123456Z", &json!([
            {"product_id": "cheese", "unit_price": "7.25"}, {"product_id": "bread", "quantity": "0.5", "unit_price": "4.50"}])),
        json!({"event_id": "x", "type": "purchase", "order_id": "o15", "at": "2026-02-02T09:00:00Z", "product_id": "apple", "quantity": 3, "value": "3.00"}),
        // Once more under another id, and one that the tables have.
        purchase("o15", "bob", "2026-02-03T09:00:00Z", &json!([{"product_id": "apple"}])),
        purchase("o2", "bob", "2026-01-11T10:00:00Z", &json!([{"product_id": "cheese"}])),
        // Without an id, from before the tables end: it may be in them.
        json!({"event_id": "y", "type": "purchase", "at": "2026-01-05T09:00:00Z", "product_id": "apple", "customer_id": "ann"}),
    ])
    .await;
    let mut merged = bed.merge("base", "merged").await;
    assert_eq!(counts(&merged, "read"), 5);
    assert_eq!(counts(&merged, "orders_added"), 2);
    for reason in ["duplicate_order", "order_in_the_tables", "older_than_the_tables"] {
        assert_eq!(rejected(&merged, reason), 1, "{reason}");
    }
    // Byte for byte, but for stock, which the sales took from.
    for table in ["customers", "products", "orders", "order_lines"] {
        assert_eq!(merged.tables[table], full.tables[table], "{table}");
    }
    assert_eq!(merged.time_range, full.time_range);
    merged.verify(&bed.path("merged")).unwrap();
    let events = merged.events.take().unwrap();
    assert_eq!((events.from_offset, events.to_offset, events.parts), (0, 5, 5));
    let stock: Vec<(String, Decimal)> =
        bed.read::<Stock>("merged").into_iter().map(|row| (row.product_id, row.on_hand)).collect();
    assert_eq!(stock, [("apple".to_owned(), money("5")), ("bread".to_owned(), money("4.5"))]);
}

#[tokio::test]
async fn the_digest_follows_the_events_and_an_offset_pins_it() {
    let mut bed = Bed::new();
    write(&bed.path("base"), &base(), Vec::new());
    let error = bed.merge_until("base", "none", None).await.unwrap_err();
    assert!(matches!(&error, FeedbackError::Export(_)) && error.to_string().contains("_export.json"), "{error}");
    let look = |number: u32| json!({"event_id": format!("v{number}"), "type": "view_item", "session_id": "s", "product_id": "apple", "at": "2026-02-01T00:00:00Z"});
    bed.send(&[look(1), look(2)]).await;
    let first = bed.merge("base", "one").await;
    assert_eq!(first.digest(), bed.merge("base", "two").await.digest());
    bed.send(&[look(3)]).await;
    let more = bed.merge("base", "three").await;
    assert_ne!(first.digest(), more.digest());
    assert_eq!(bed.merge_until("base", "four", Some(2)).await.unwrap().digest(), first.digest());
    let error = bed.merge_until("base", "five", Some(9)).await.unwrap_err();
    assert!(matches!(error, FeedbackError::NotExported { until: 9, exported: 3 }), "{error}");
    assert!(matches!(bed.merge_until("base", "base", None).await, Err(FeedbackError::SameFolder(_))));
}

#[tokio::test]
async fn merging_what_is_new_gives_what_merging_all_gives() {
    let mut bed = Bed::new();
    write(&bed.path("base"), &base(), Vec::new());
    bed.send(&[
        purchase("n1", "ann", "2026-02-01T09:00:00Z", &json!([{"product_id": "apple", "quantity": 2}])),
        json!({"event_id": "v1", "type": "view_item", "session_id": "s", "product_id": "apple", "at": "2026-02-01T10:00:00Z"}),
    ])
    .await;
    bed.merge("base", "early").await;
    bed.send(&[
        purchase("n2", "ann", "2026-02-03T09:00:00Z", &json!([{"product_id": "bread"}])),
        json!({"event_id": "v2", "type": "view_item", "session_id": "s", "product_id": "bread", "at": "2026-02-03T10:00:00Z"}),
    ])
    .await;
    let all = bed.merge("base", "all").await;
    let later = bed.merge("early", "later").await;
    assert_eq!(all.tables, later.tables);
    assert_eq!(later.events.as_ref().unwrap().from_offset, 2);
    assert_ne!(all.digest(), later.digest(), "they say where they come from");
}

#[tokio::test]
async fn refunds_are_netted_and_said() {
    let mut bed = Bed::new();
    write(&bed.path("base"), &base(), Vec::new());
    bed.send(&[
        purchase("n1", "ann", "2026-02-01T09:00:00Z", &json!([{"product_id": "apple", "quantity": 3}])),
        // Four apples of ann: three of her newest order, one of the tables.
        json!({"event_id": "r1", "type": "refund", "customer_id": "ann", "product_id": "apple", "quantity": 4, "at": "2026-02-02T09:00:00Z"}),
        // By order, whoever brings it.
        json!({"event_id": "r2", "type": "refund", "order_id": "o2", "customer_id": "carl", "product_id": "cheese", "at": "2026-02-02T10:00:00Z"}),
        // Older than the tables: netted there.
        json!({"event_id": "r3", "type": "refund", "customer_id": "ann", "product_id": "bread", "at": "2026-01-10T12:00:00Z"}),
        // Nothing that it takes back.
        json!({"event_id": "r4", "type": "refund", "customer_id": "dora", "product_id": "bread", "at": "2026-02-02T12:00:00Z"}),
    ])
    .await;
    let merged = bed.merge("base", "merged").await;
    let left: Vec<(String, String, Decimal)> =
        bed.read::<OrderLine>("merged").into_iter().map(|row| (row.order_id, row.product_id, row.quantity)).collect();
    let row =
        |order: &str, product: &str, quantity: i64| (order.to_owned(), product.to_owned(), Decimal::from(quantity));
    assert_eq!(left, [row("n1", "apple", 0), row("o1", "apple", 1), row("o1", "bread", 1), row("o2", "cheese", 0)]);
    let said: Vec<(String, Option<String>, Decimal)> = bed
        .read::<Cancellation>("merged")
        .into_iter()
        .map(|row| (row.cancel_order_id, row.order_id, row.quantity))
        .collect();
    let row = |id: &str, order: Option<&str>, quantity: i64| {
        (id.to_owned(), order.map(str::to_owned), Decimal::from(quantity))
    };
    assert_eq!(
        said,
        [row("r1", Some("n1"), 3), row("r1", Some("o1"), 1), row("r2", Some("o2"), 1), row("r4", None, 1)]
    );
    assert_eq!(
        (
            counts(&merged, "refunds"),
            rejected(&merged, "older_than_the_tables"),
            rejected(&merged, "nothing_to_refund")
        ),
        (2, 1, 1)
    );
}

#[tokio::test]
async fn the_shelf_and_profiles_take_the_newest_word() {
    let mut bed = Bed::new();
    write(&bed.path("base"), &base(), Vec::new());
    let offer = |id: &str, buy: u32| {
        json!({"event_id": format!("{id}-{buy}"), "type": "offer_changed", "at": "2026-02-01T00:00:00Z",
        "offer": {"offer_id": id, "type": "BuyXGetY", "terms": {"buy": buy, "get": 1}, "scope": {"products": ["apple"]}}})
    };
    bed.send(&[
        json!({"event_id": "p0", "type": "price_changed", "product_id": "apple", "price": {"unit_price": "0.10"}, "at": "2026-01-01T00:00:00Z"}),
        json!({"event_id": "p1", "type": "price_changed", "product_id": "apple", "price": {"unit_price": "1.10"}, "at": "2026-02-01T00:00:00Z"}),
        json!({"event_id": "p2", "type": "price_changed", "product_id": "apple", "price": {"active": false}, "at": "2026-02-02T00:00:00Z"}),
        json!({"event_id": "p3", "type": "price_changed", "product_id": "ghost", "price": {"active": false}, "at": "2026-02-02T00:00:00Z"}),
        // Priced by what the product costs now.
        purchase("n1", "ann", "2026-02-03T09:00:00Z", &json!([{"product_id": "apple"}, {"product_id": "ghost", "unit_price": "1.00"}])),
        json!({"event_id": "s1", "type": "stock_changed", "product_id": "apple", "stock": {"on_hand": 7, "on_order": 3}, "at": "2026-02-02T00:00:00Z"}),
        json!({"event_id": "s2", "type": "stock_changed", "product_id": "apple", "stock": {"on_hand": 99}, "at": "2026-02-01T00:00:00Z"}),
        json!({"event_id": "s3", "type": "stock_changed", "product_id": "bread", "stock": {"on_hand": 99}, "at": "2025-12-31T00:00:00Z"}),
        offer("B1", 5), offer("B1", 7), offer("GONE", 3),
        json!({"event_id": "w", "type": "offer_changed", "offer": {"offer_id": "GONE", "withdrawn": true}, "at": "2026-02-02T00:00:00Z"}),
        json!({"event_id": "c1", "type": "customer_changed", "customer_id": "ann", "customer": {"age_band": "25-34", "customer_type": null}, "at": "2026-02-02T00:00:00Z"}),
        json!({"event_id": "c2", "type": "customer_changed", "customer_id": "carl", "customer": {"country": "GB"}, "at": "2026-02-02T00:00:00Z"}),
    ])
    .await;
    let merged = bed.merge("base", "merged").await;
    let products: Vec<Product> = bed.read("merged");
    assert_eq!((products[0].list_price, products[0].active), (Some(money("1.1")), false));
    let lines: Vec<OrderLine> = bed.read("merged");
    assert_eq!((lines[0].unit_price, lines.len()), (money("1.1"), 4));
    let apple = &bed.read::<Stock>("merged")[0];
    assert_eq!((apple.on_hand, apple.on_order, apple.city_id.as_deref()), (money("6"), Some(money("3")), None));
    assert_eq!(bed.read::<Stock>("merged")[1].on_hand, money("5"));
    let offers: Vec<Offer> = bed.read("merged");
    assert_eq!(offers.len(), 1);
    assert_eq!(serde_json::from_str::<Value>(&offers[0].terms).unwrap()["buy"], 7);
    let parts = endcap_recommender::offers::Parts {
        offer_id: &offers[0].offer_id,
        offer_type: &offers[0].offer_type,
        terms: &offers[0].terms,
        scope: offers[0].scope.as_deref(),
        priority: offers[0].priority,
        stackable: offers[0].stackable,
        ..Default::default()
    };
    let read = endcap_recommender::offers::Offer::from_parts(&parts).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap()["scope"]["products"], json!(["apple"]));
    let people: Vec<Customer> = bed.read("merged");
    assert_eq!((people[0].age_band.as_deref(), people[0].customer_type.as_deref()), (Some("25-34"), None));
    assert!(people[0].email.is_some(), "what events do not say stays");
    assert_eq!((people[2].customer_id.as_str(), people[2].country.as_deref()), ("carl", Some("GB")));
    assert_eq!((rejected(&merged, "older_than_the_tables"), rejected(&merged, "unknown_product")), (1, 2));
    println!("{}", endcap_feedback::summary(&merged));
}

#[tokio::test]
async fn interactions_and_exposures_are_rows_with_what_became_of_them() {
    let mut bed = Bed::new();
    let known = Interaction {
        event_id: "v1".to_owned(),
        ts: time("2026-02-01T10:00:00Z"),
        customer_id: None,
        session_id: Some("s".to_owned()),
        event_type: "view_item".to_owned(),
        product_id: Some("apple".to_owned()),
        quantity: None,
        value: None,
        placement: None,
        request_id: None,
        context: None,
    };
    write(&bed.path("base"), &base(), vec![known]);
    let at = "2026-02-01T10:00:00Z";
    let item = |product: &str, rank: u32| json!({"product_id": product, "rank": rank, "kind": "cross_sell", "score": 0.25, "propensity": 0.5, "offer_id": "B1"});
    bed.send(&[
        json!({"event_id": "v1", "type": "view_item", "session_id": "s", "product_id": "apple", "at": at}),
        json!({"event_id": "v2", "type": "view_item", "session_id": "s", "customer_id": "ann", "product_id": "bread", "at": at}),
        json!({"event_id": "a1", "type": "add_to_cart", "session_id": "s", "product_id": "bread", "quantity": 2, "at": at}),
        json!({"event_id": "r1", "type": "rate", "customer_id": "ann", "product_id": "bread", "value": 4, "at": at}),
        json!({"event_id": "q1", "type": "recommendation_shown", "request_id": "q1", "customer_id": "ann", "placement": "cart", "at": at,
            "exposure": {"model": "shop", "version": "shop-v2", "arm": "candidate", "experiment": "x", "items": [item("apple", 1), item("cheese", 2), item("bread", 3)]}}),
        json!({"event_id": "k1", "type": "recommendation_accepted", "request_id": "q1", "customer_id": "ann", "product_id": "cheese", "at": at}),
        json!({"event_id": "k2", "type": "recommendation_declined", "request_id": "q1", "customer_id": "ann", "product_id": "apple", "offer_id": "B1", "at": at}),
        json!({"event_id": "k3", "type": "select_item", "request_id": "q1", "customer_id": "ann", "session_id": "s", "product_id": "cheese", "at": at}),
        json!({"event_id": "b1", "type": "begin_checkout", "session_id": "s", "lines": [{"product_id": "apple"}, {"product_id": "bread"}], "at": at}),
        json!({"event_id": "f1", "type": "search", "session_id": "s", "context": {"query": "cheese"}, "at": at}),
    ])
    .await;
    let merged = bed.merge("base", "merged").await;
    let rows: Vec<Interaction> = bed.read("merged");
    let ids: Vec<&str> = rows.iter().map(|row| row.event_id.as_str()).collect();
    assert_eq!(ids, ["v1", "v2", "a1", "r1", "k1", "k2", "k3", "b1#1", "b1#2", "f1"]);
    let of = |id: &str| rows.iter().find(|row| row.event_id == id).unwrap();
    assert_eq!(of("a1").customer_id.as_deref(), Some("ann"), "the session is hers");
    assert_eq!((of("a1").quantity, of("r1").value), (Some(money("2")), Some(money("4"))));
    assert_eq!(of("k2").context.as_deref(), Some(r#"{"offer_id":"B1"}"#));
    assert_eq!(of("f1").context.as_deref(), Some(r#"{"query":"cheese"}"#));
    assert_eq!(rejected(&merged, "duplicate_interaction"), 1);
    let shown: Vec<(String, i64, Option<bool>, bool)> = bed
        .read::<Exposure>("merged")
        .into_iter()
        .map(|row| {
            assert_eq!(
                (row.version.as_str(), row.arm.as_deref(), row.experiment.as_deref()),
                ("shop-v2", Some("candidate"), Some("x"))
            );
            assert!((row.propensity - 0.5).abs() < 1e-12 && (row.score - 0.25).abs() < 1e-12);
            (row.product_id, row.rank, row.accepted, row.clicked)
        })
        .collect();
    let row = |product: &str, rank, accepted, clicked| (product.to_owned(), rank, accepted, clicked);
    assert_eq!(
        shown,
        [row("apple", 1, Some(false), false), row("cheese", 2, Some(true), true), row("bread", 3, None, false)]
    );
}

#[tokio::test]
async fn an_erased_customer_is_nowhere() {
    let mut bed = Bed::new();
    write(&bed.path("base"), &base(), Vec::new());
    bed.send(&[
        purchase("n1", "ann", "2026-02-01T09:00:00Z", &json!([{"product_id": "apple"}])),
        json!({"event_id": "v1", "type": "view_item", "session_id": "s", "customer_id": "ann", "product_id": "bread", "at": "2026-02-01T09:00:00Z"}),
        json!({"event_id": "c1", "type": "customer_changed", "customer_id": "ann", "customer": {"age_band": "25-34"}, "at": "2026-02-01T10:00:00Z"}),
        json!({"event_id": "x", "type": "customer_changed", "customer_id": "ann", "customer": {"erase": true}, "at": "2026-02-02T00:00:00Z"}),
        purchase("n2", "bob", "2026-02-03T09:00:00Z", &json!([{"product_id": "apple"}])),
    ])
    .await;
    let merged = bed.merge("base", "merged").await;
    for file in std::fs::read_dir(bed.path("merged")).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        // Small Parquet columns hold their texts (and their least and greatest) as they are, but for compression.
        assert!(!bytes.windows(9).any(|part| part == b"ann@examp"), "{}", path.display());
    }
    let orders: Vec<(String, Option<String>)> =
        bed.read::<Order>("merged").into_iter().map(|row| (row.order_id, row.customer_id)).collect();
    let row = |id: &str, customer: Option<&str>| (id.to_owned(), customer.map(str::to_owned));
    assert_eq!(orders, [row("n1", None), row("n2", Some("bob")), row("o1", None), row("o2", Some("bob"))]);
    let people: Vec<Customer> = bed.read("merged");
    assert_eq!(people.len(), 1, "her profile went, what she told before it did too");
    assert!(bed.read::<Interaction>("merged").is_empty());
    assert_eq!((counts(&merged, "customers_erased"), rejected(&merged, "erased_customer")), (1, 1));

    // She comes back: a new customer.
    bed.send(&[
        purchase("n3", "ann", "2026-02-04T09:00:00Z", &json!([{"product_id": "bread"}])),
        json!({"event_id": "c2", "type": "customer_changed", "customer_id": "ann", "customer": {"country": "GB"}, "at": "2026-02-04T10:00:00Z"}),
    ])
    .await;
    bed.merge("base", "again").await;
    let hers: Vec<Order> =
        bed.read::<Order>("again").into_iter().filter(|row| row.customer_id.as_deref() == Some("ann")).collect();
    assert_eq!(hers.len(), 1);
    let people: Vec<Customer> = bed.read("again");
    let ann = people.iter().find(|row| row.customer_id == "ann").unwrap();
    assert_eq!((ann.email.clone(), ann.age_band.clone(), ann.country.as_deref()), (None, None, Some("GB")));
}
