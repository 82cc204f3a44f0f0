//! The two real sets, when they lie beside the project: what must be counted is known.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::common::{of_spec, real, rejected, request, run};
use endcap_data::DataSpec;
use endcap_tables::{Cancellation, Order, OrderLine, Product, read};
use rust_decimal::Decimal;

#[test]
fn online_retail_has_its_orders_lines_and_products() {
    let Some(data) = real("uci-online-retail") else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut request = request(&data, dir.path());
    request.spec.quality = endcap_data::spec::Quality::default();
    request.currency = Some("GBP".to_owned());
    let prepared = run(&request).unwrap();
    let orders: Vec<Order> = read(dir.path()).unwrap();
    let status = |wanted: &str| orders.iter().filter(|order| order.status == wanted).count();
    assert_eq!((status("placed"), status("cancelled"), status("adjusted")), (18_171, 3_249, 3));
    assert_eq!(orders.iter().filter(|order| order.customer_id.is_none()).count(), 3_240);
    let expected: BTreeMap<String, u64> = [
        ("order_lines/bad_price", 2_051),
        ("order_lines/service_product", 2_515),
        ("order_lines/unknown_product", 132),
        ("products/service_product", 16),
    ]
    .into_iter()
    .map(|(reason, rows)| (reason.to_owned(), rows))
    .collect();
    assert_eq!(rejected(&prepared.manifest), expected);
    let rows = |table: &str| prepared.manifest.rows(table);
    // 36 customers are in cancelled orders alone, which the customer view does not know.
    assert_eq!((rows("products"), rows("customers"), rows("offers")), (3_812, 3_974 + 36, 408));
    assert_eq!((rows("categories"), rows("brands"), rows("places")), (16 + 46, 73, 38));
    assert_eq!(rows("order_lines"), 431_673 - 2_051 - 2_515 - 132);
    assert_eq!(prepared.manifest.currency.as_deref(), Some("GBP"));
    let netting = &prepared.report.preparation.as_ref().unwrap().netting;
    assert_eq!((netting.lines, netting.matched, netting.unmatched), (7_340, 6_151, 1_153));
    protocol_figures(dir.path(), &orders);
}

/// The orders that recommender.md section 6 counts: every line that was ordered, cancelled later or not.
fn protocol_figures(dir: &Path, orders: &[Order]) {
    let test: jiff::Timestamp = "2011-10-01T00:00:00Z".parse().unwrap();
    let by_id: BTreeMap<&str, &Order> = orders.iter().map(|order| (order.order_id.as_str(), order)).collect();
    let products: BTreeSet<String> = read::<Product>(dir).unwrap().into_iter().map(|row| row.product_id).collect();
    let lines: Vec<OrderLine> = read(dir).unwrap();
    let placed: Vec<(&Order, &OrderLine)> = lines
        .iter()
        .map(|line| (by_id[line.order_id.as_str()], line))
        .filter(|(order, _)| order.status == "placed")
        .collect();
    assert_eq!(placed.len(), 419_635);
    assert!(placed.iter().all(|(_, line)| line.quantity >= Decimal::ZERO && products.contains(&line.product_id)));
    let before: Vec<_> = placed.iter().filter(|(order, _)| order.ordered_at < test).collect();
    let sold: BTreeSet<&str> = before.iter().map(|(_, line)| line.product_id.as_str()).collect();
    let known: BTreeSet<&str> = before.iter().filter_map(|(order, _)| order.customer_id.as_deref()).collect();
    let mut baskets: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (order, line) in placed.iter().filter(|(order, _)| order.ordered_at >= test) {
        let customer_is_known = order.customer_id.as_deref().is_some_and(|customer| known.contains(customer));
        if customer_is_known && sold.contains(line.product_id.as_str()) {
            baskets.entry(&order.order_id).or_default().insert(&line.product_id);
        }
    }
    assert_eq!(baskets.values().filter(|basket| (4..=60).contains(&basket.len())).count(), 1_139);
    let customers: BTreeSet<&str> = baskets.keys().filter_map(|order| by_id[order].customer_id.as_deref()).collect();
    assert_eq!(customers.len(), 1_002);
    // Ordered quantity = what is left + what was taken off: nothing is lost by netting.
    let cancelled: Decimal =
        read::<Cancellation>(dir).unwrap().iter().filter(|row| row.order_id.is_some()).map(|row| row.quantity).sum();
    let left: Decimal = placed.iter().map(|(_, line)| line.quantity).sum();
    assert_eq!((left + cancelled).to_string(), PLACED_UNITS);
}

/// `SELECT sum(Quantity)` over the goods lines of placed orders with a price, by another engine.
const PLACED_UNITS: &str = "4513735";

#[test]
fn complete_journey_comes_in_by_its_example() {
    let Some(data) = real("complete-journey") else { return };
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/complete-journey.yaml");
    let dir = tempfile::tempdir().unwrap();
    let mut request = of_spec(DataSpec::read(&example).unwrap(), dir.path());
    request.mounts = vec![("file:///data/complete-journey".to_owned(), data.to_string_lossy().into_owned())];
    let prepared = run(&request).unwrap();
    let rows = |table: &str| prepared.manifest.rows(table);
    assert_eq!(rows("orders"), 47_243);
    assert_eq!(rows("products"), 92_331);
    assert_eq!(prepared.manifest.currency.as_deref(), Some("USD"));
    assert!(rows("customers") >= 2_377, "households with demographics, and those that only bought");
    assert_eq!(rejected(&prepared.manifest).get("orders/repeated_row"), Some(&(75_000 - 47_243)));
    let lines = rows("order_lines");
    let out: u64 = rejected(&prepared.manifest)
        .iter()
        .filter(|(reason, _)| reason.starts_with("order_lines/"))
        .map(|(_, n)| n)
        .sum();
    assert_eq!(lines + out, 75_000, "{:?}", rejected(&prepared.manifest));
    assert!(lines > 74_000, "{:?}", rejected(&prepared.manifest));
}
