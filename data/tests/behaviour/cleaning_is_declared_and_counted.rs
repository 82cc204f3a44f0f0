//! Every row that is left out has a reason, a count and an example; every reason of cleaning is met here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common::{View, failed, prepared, rejected, shop};
use endcap_tables::{Cancellation, Interaction, Offer, Order, OrderLine, Product, read};

#[test]
fn a_clean_shop_loses_nothing_but_services() {
    let (dir, prepared) = prepared(&shop());
    assert_eq!(rejected(&prepared.manifest), [("products/service_product".to_owned(), 1)].into());
    let rows = |table: &str| prepared.manifest.rows(table);
    assert_eq!((rows("orders"), rows("order_lines"), rows("products")), (5, 8, 3));
    assert_eq!((rows("customers"), rows("places"), rows("categories")), (2, 2, 5));
    assert_eq!((rows("offers"), rows("stock"), rows("interactions")), (1, 2, 3));
    prepared.manifest.verify(&dir.path().join("out")).unwrap();
    assert!(
        !dir.path().join("out").read_dir().unwrap().any(|entry| entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with('.'))
    );
}

#[test]
fn every_reason_of_orders_and_lines_is_counted() {
    let mut shop = shop();
    let sales = shop.get_mut("MV_Sales").unwrap();
    sales.push("1001|2024-03-01 10:00:00|c9|Placed|web|1");
    sales.push("1006|yesterday|c1|Placed|web|1");
    sales.push("|2024-03-01 10:00:00|c1|Placed|web|1");
    sales.push("1007|2024-03-01 10:00:00|c1|Lost|web|1");
    sales.push("1008|9999-12-31 00:00:00|c1|Placed|web|1");
    sales.push("1009|2019-03-01 10:00:00|c1|Placed|web|1");
    sales.push("1010|2024-03-01 10:00:00|c1|Placed|fax|1");
    let lines = shop.get_mut("MV_SalesDetail").unwrap();
    for line in [
        "1001|1|p1|9|2.55",
        "1001|4|p1|many|2.55",
        "1001|5||1|2.55",
        "9999|1|p1|1|2.55",
        "1008|1|p1|1|2.55",
        "1001|6|p9|1|2.55",
        "1001|7|POST|1|2.55",
        "1001|8|p1|1|0",
        "1001|9|p1|0|2.55",
        "1003|3|p1|-1|2.55",
    ] {
        lines.push(line);
    }
    let (dir, prepared) = prepared(&shop);
    let expected = [
        ("order_lines/bad_price", 1),
        ("order_lines/bad_quantity", 1),
        ("order_lines/bad_value", 1),
        ("order_lines/duplicate_key", 1),
        ("order_lines/missing_value", 1),
        ("order_lines/order_left_out", 1),
        ("order_lines/return_line", 1),
        ("order_lines/service_product", 1),
        ("order_lines/unknown_order", 1),
        ("order_lines/unknown_product", 1),
        ("orders/bad_value", 1),
        ("orders/duplicate_key", 1),
        ("orders/future_time", 1),
        ("orders/missing_value", 1),
        ("orders/outside_window", 1),
        ("orders/unknown_status", 1),
        ("products/service_product", 1),
    ];
    let expected = expected.into_iter().map(|(reason, rows)| (reason.to_owned(), rows)).collect();
    assert_eq!(rejected(&prepared.manifest), expected);
    let example = |reason: &str| {
        prepared
            .manifest
            .rejected
            .iter()
            .find(|rows| rows.reason == reason && rows.table == "order_lines")
            .unwrap()
            .examples[0]
            .clone()
    };
    assert_eq!(example("bad_value"), "MV_SalesDetail row 10: Quantity=\"many\"");
    assert!(example("unknown_product").contains("product_id=p9"), "{}", example("unknown_product"));
    let changed = prepared.report.preparation.unwrap().changed;
    assert_eq!((changed[0].reason.as_str(), changed[0].rows), ("channel_unknown", 1));
    let orders: Vec<Order> = read(&dir.path().join("out")).unwrap();
    assert_eq!(
        orders.iter().find(|order| order.order_id == "1001").unwrap().customer_id.as_deref(),
        Some("c1"),
        "the first row wins"
    );
}

#[test]
fn equal_lines_of_one_order_stay_in_entry_order() {
    let (dir, _) = prepared(&shop());
    let lines: Vec<OrderLine> = read(&dir.path().join("out")).unwrap();
    let first: Vec<(i64, &str)> = lines
        .iter()
        .filter(|line| line.order_id == "1001")
        .map(|line| (line.line_no, line.product_id.as_str()))
        .collect();
    assert_eq!(first, [(1, "p1"), (2, "p2"), (3, "p2")]);
}

#[test]
fn cancellations_are_netted_and_say_what_they_cancelled() {
    let (dir, prepared) = prepared(&shop());
    let out = dir.path().join("out");
    let lines: Vec<OrderLine> = read(&out).unwrap();
    let quantity = |order: &str, line: i64| {
        lines.iter().find(|row| row.order_id == order && row.line_no == line).unwrap().quantity.to_string()
    };
    // 12 of p1 are cancelled: 10 off the latest line, 2 off the one before.
    assert_eq!(
        (quantity("1003", 1), quantity("1001", 1), quantity("C1004", 1)),
        ("0".into(), "4".into(), "-12".into())
    );
    let cancellations: Vec<Cancellation> = read(&out).unwrap();
    let taken: Vec<(Option<&str>, String)> =
        cancellations.iter().map(|row| (row.order_id.as_deref(), row.quantity.to_string())).collect();
    assert_eq!(taken, [(Some("1001"), "2".to_owned()), (Some("1003"), "10".to_owned())]);
    let netting = prepared.report.preparation.unwrap().netting;
    assert_eq!((netting.lines, netting.matched, netting.partly, netting.unmatched), (1, 1, 0, 0));
}

#[test]
fn a_cancellation_that_finds_nothing_is_counted() {
    let mut shop = shop();
    shop.get_mut("MV_Sales").unwrap().push("C1006|2024-03-06 08:00:00||Cancelled|web|1");
    shop.get_mut("MV_SalesDetail").unwrap().push("C1004|2|p2|-30|0.85");
    shop.get_mut("MV_SalesDetail").unwrap().push("C1006|1|p3|-1|9.99");
    let (dir, prepared) = prepared(&shop);
    let netting = prepared.report.preparation.unwrap().netting;
    assert_eq!((netting.lines, netting.matched, netting.partly, netting.unmatched), (3, 1, 1, 1));
    let cancellations: Vec<Cancellation> = read(&dir.path().join("out")).unwrap();
    let nowhere: Vec<(&str, String)> = cancellations
        .iter()
        .filter(|row| row.order_id.is_none())
        .map(|row| (row.cancel_order_id.as_str(), row.quantity.to_string()))
        .collect();
    assert_eq!(nowhere, [("C1004", "6".to_owned()), ("C1006", "1".to_owned())]);
}

#[test]
fn bad_offers_stock_and_events_are_left_out_by_reason() {
    let mut shop = shop();
    let offers = shop.get_mut("MV_Promotion").unwrap();
    offers.push("o1|PercentOff|{\"percent\": \"5\"}|2024-01-01|2024-12-31|");
    offers.push("o2|Lottery|{}|2024-01-01|2024-12-31|");
    offers.push("o3|PercentOff|{\"percent\": \"500\"}|2024-01-01|2024-12-31|");
    offers.push("o4|PercentOff|{\"percent\": \"5\"}|2024-01-01|2024-12-31|{\"shops\": []}");
    offers.push("o5|PercentOff|{\"percent\": \"5\"}|2024-12-31|2024-01-01|");
    let stock = shop.get_mut("MV_Stock").unwrap();
    stock.push("p1|3|2024-03-05 00:00:00|");
    stock.push("p9|3|2024-03-05 00:00:00|");
    stock.push("p3|3|2031-03-05 00:00:00|");
    stock.push("p3|3|2024-03-05 00:00:00|-2");
    let events = shop.get_mut("MV_OnlineCustomerView").unwrap();
    events.push("2024-03-02 20:00:00|s2|p3|click||mobile");
    events.push("2024-03-02 20:01:00|s2|p3|sneeze||mobile");
    events.push("2024-03-02 20:01:00|s2|p9|view||mobile");
    for second in 0..120 {
        events.push(&format!("2024-03-03 00:{:02}:{:02}|bot|p1|view||", second / 60, second % 60));
    }
    let (dir, prepared) = prepared(&shop);
    let expected = [
        ("interactions/bot_session", 120),
        ("interactions/duplicate_key", 1),
        ("interactions/unknown_event_type", 1),
        ("interactions/unknown_product", 1),
        ("offers/bad_period", 1),
        ("offers/bad_scope", 1),
        ("offers/bad_terms", 1),
        ("offers/duplicate_key", 1),
        ("offers/unknown_offer_type", 1),
        ("products/service_product", 1),
        ("stock/bad_quantity", 1),
        ("stock/duplicate_key", 1),
        ("stock/future_time", 1),
        ("stock/unknown_product", 1),
    ];
    let expected = expected.into_iter().map(|(reason, rows)| (reason.to_owned(), rows)).collect();
    assert_eq!(rejected(&prepared.manifest), expected);
    let events: Vec<Interaction> = read(&dir.path().join("out")).unwrap();
    let types: Vec<&str> = events.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, ["view_item", "add_to_cart", "select_item"]);
    let context: serde_json::Value = serde_json::from_str(events[0].context.as_deref().unwrap()).unwrap();
    assert_eq!(context["device"], "desk\"top");
    let offers: Vec<Offer> = read(&dir.path().join("out")).unwrap();
    assert_eq!(offers[0].terms, r#"{"tiers":[{"min_quantity":20,"unit_price":"0.75"}]}"#);
    assert_eq!(offers[0].valid_to.unwrap().to_string(), "2024-12-31T23:59:59.999999Z");
}

#[test]
fn without_a_status_negative_quantities_make_a_cancellation() {
    let mut shop = shop();
    let sales = shop["MV_Sales"].without("Status");
    shop.insert("MV_Sales", sales);
    let (dir, _) = prepared(&shop);
    let orders: Vec<Order> = read(&dir.path().join("out")).unwrap();
    let status = |id: &str| orders.iter().find(|order| order.order_id == id).unwrap().status.clone();
    assert_eq!((status("C1004"), status("1001")), ("cancelled".into(), "placed".into()));
}

#[test]
fn only_the_two_views_of_sales_are_needed() {
    let mut shop = shop();
    shop.retain(|name, _| matches!(*name, "MV_Sales" | "MV_SalesDetail"));
    let (dir, prepared) = prepared(&shop);
    let products: Vec<Product> = read(&dir.path().join("out")).unwrap();
    let prices: Vec<(&str, String)> =
        products.iter().map(|row| (row.product_id.as_str(), row.list_price.unwrap().to_string())).collect();
    assert_eq!(prices, [("p1", "2.55".to_owned()), ("p2", "0.85".to_owned()), ("p3", "9.99".to_owned())]);
    assert_eq!(prepared.manifest.rows("customers"), 2);
    assert!(prepared.report.coverage.iter().any(|column| column.table == "stock" && column.filled_percent == 0.0));
}

#[test]
fn what_cannot_be_used_is_named_with_the_remedy() {
    let mut without = shop();
    without.remove("MV_SalesDetail");
    let error = failed(&without).to_string();
    assert!(error.contains("no view MV_SalesDetail"), "{error}");

    let mut lacking = shop();
    let detail = lacking["MV_SalesDetail"].without("UnitPrice");
    lacking.insert("MV_SalesDetail", detail);
    let error = failed(&lacking).to_string();
    assert!(error.contains("MV_SalesDetail.csv lacks the column UnitPrice") && error.contains("`columns`"), "{error}");

    let mut empty = shop();
    empty.get_mut("MV_Sales").unwrap().rows.truncate(1);
    let error = failed(&empty);
    assert_eq!((error.reason(), error.exit_code()), ("NoData", 3), "{error}");

    let mut words = shop();
    words.insert(
        "MV_SalesDetail",
        View::of(
            "MV_SalesDetail",
            "SalesID|LineNo|ProductID|Quantity|UnitPrice\n1001|1|p1|six|2.55\n1001|2|p1|two|2.55",
        ),
    );
    let error = failed(&words).to_string();
    assert!(error.contains("MV_SalesDetail.csv: column Quantity is never readable (row 1 has \"six\")"), "{error}");

    let mut future = shop();
    future.insert("MV_Sales", View::of("MV_Sales", "SalesID|SalesDate|CustomerID\n1001|2031-03-01|c1"));
    let error = failed(&future).to_string();
    assert!(error.contains("no order has a time before 2024-06-01"), "{error}");
}
