#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
use std::sync::Arc;

use endcap_crds::SignOff;
use endcap_recommender::Policy;
use endcap_recommender::fitted::{Catalogue, CatalogueRow, Model};
use endcap_recommender::live::{BaselineState, CustomerState};
use rust_decimal::Decimal;
use serde_json::json;

use super::*;

/// Six products in two categories, nothing learned: the list is what is left of them.
fn shop() -> Shop {
    let row = |id: &str, name: &str, category: &str| CatalogueRow {
        id: id.to_owned(),
        name: name.to_owned(),
        category: Some(category.to_owned()),
        list_price: Some(Decimal::new(165, 2)),
        active: true,
        ..CatalogueRow::default()
    };
    let rows = vec![
        row("22384", "Lunch Bag Pink", "C01"),
        row("22385", "Lunch Bag Red", "C01"),
        row("22386", "Lunch Box", "C01"),
        row("30001", "Tea Cup", "C02"),
        row("30002", "Saucer", "C02"),
        row("30003", "Tea Pot", "C02"),
    ];
    let catalogue = Catalogue::build(rows, |id| Some(if id == "C01" { "Bags" } else { "Kitchen" }.to_owned()));
    let mut model = Model { catalogue, ..Model::default() };
    model.settings.trained_until = Some("2025-03-01T09:00:00Z".parse().unwrap());
    model.settings.currency = Some("GBP".to_owned());
    let customers = [("10001".into(), CustomerState::default())].into();
    let manifest = json!({
        "format": "endcap.artifact/v1", "model": "shop", "version": "shop-v1", "architecture": "Rules", "seed": 1,
        "program": "test", "cpu": "any", "metrics": [], "objects": {},
        "dataset": {"manifest_sha256": "", "rows": 0, "orders": 0, "customers": 0, "products": 6,
            "min_time": null, "max_time": null}
    });
    Shop {
        model: Arc::new(model),
        manifest: serde_json::from_value(manifest).unwrap(),
        digest: "a".repeat(64),
        state: BaselineState { customers, ..BaselineState::default() },
        policy: Policy::default(),
        policy_sha256: "b".repeat(64),
    }
}

/// One scenario with this situation and these expectations, both in one line.
fn one(situation: &str, expect: &str) -> String {
    format!("scenarios:\n  - name: One\n    why: A test\n    situation: {situation}\n    expect: {expect}\n")
}

fn judged(situation: &str, expect: &str) -> Outcome {
    let report = judge(&one(situation, expect), &shop());
    report.unwrap_or_else(|mistakes| panic!("{situation} {expect}: {mistakes:?}")).scenarios.remove(0)
}

fn refused(text: &str) -> Vec<String> {
    match judge(text, &shop()) {
        Ok(report) => panic!("this should be refused:\n{text}\n{}", report.text()),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    }
}

/// The first check: whether it passed, and what came.
fn first_check(situation: &str, expect: &str) -> (bool, String) {
    let outcome = judged(situation, expect);
    (outcome.checks[0].passed, outcome.checks[0].came.clone())
}

const SIX_OF_SEVEN: &str = "{placement: cart, cart: [{product: Lunch Bag Pink, quantity: 6}], \
     offers: [{offer_id: B7G2, type: BuyXGetY, terms: {buy: 7, get: 2}, scope: {products: [Lunch Bag Pink]}}]}";

#[test]
fn a_list_is_counted_and_searched() {
    let empty = "{everything_out_of_stock: true}";
    assert_eq!(first_check(empty, "{nothing: true}"), (true, "0 items".to_owned()));
    assert_eq!(first_check("{}", "{nothing: true}"), (false, "6 items".to_owned()));
    assert_eq!(first_check("{}", "{at_least: 6}"), (true, "6 items".to_owned()));
    assert_eq!(first_check("{}", "{at_least: 7}"), (false, "6 items".to_owned()));
    assert_eq!(first_check("{limit: 1}", "{at_most: 1}"), (true, "1 item".to_owned()));
    assert_eq!(first_check("{}", "{at_most: 5}"), (false, "6 items".to_owned()));
    assert!(first_check("{}", "{first: 22384}").0);
    let (passed, came) = first_check("{}", "{first: Saucer}");
    assert!(!passed && came.starts_with("Lunch Bag Pink (22384), popular"), "{came}");
    assert_eq!(first_check("{}", "{must_contain: [saucer]}"), (true, "number 5: Saucer (30002), popular".to_owned()));
    assert!(!first_check("{}", "{must_not_contain: [Saucer]}").0);
    assert!(first_check("{off_sale: [Saucer]}", "{must_not_contain: [Saucer]}").0);
    assert!(first_check("{}", "{must_contain: [{kind: popular, count_at_least: 6}]}").0);
    assert!(!first_check("{}", "{must_contain: [{kind: popular, count_at_least: 7}]}").0);
    assert_eq!(
        first_check("{}", "{must_contain: [{product: Saucer, kind: cross_sell, within_first: 3}]}"),
        (false, "number 5: its kind is popular; it is number 5".to_owned())
    );
    let (passed, came) = first_check("{}", "{only_categories: [Bags]}");
    assert!(!passed && came.starts_with("number 4: Tea Cup"), "{came}");
    assert!(first_check("{blocked_categories: [Kitchen]}", "{only_categories: [C01]}").0);
    assert!(first_check("{}", "{only_kinds: [popular]}").0);
    assert!(!first_check("{}", "{only_kinds: [reorder]}").0);
}

#[test]
fn what_is_missing_is_explained() {
    for (situation, why) in [
        ("{stock: {Saucer: 0}}", "it is out of stock"),
        ("{everything_out_of_stock: true}", "it is out of stock"),
        ("{off_sale: [Saucer]}", "it is not sold any more"),
        ("{blocked: [Saucer]}", "it, its category or its brand is blocked"),
        ("{blocked_categories: [Kitchen]}", "it, its category or its brand is blocked"),
        ("{cart: [Tea Cup], forbidden_pairs: [[Saucer, Tea Cup]]}", "it is forbidden beside something in the order"),
        ("{cart: [Saucer]}", "it is in the order, looked at, or just bought"),
        ("{prices: {Saucer: 0}}", "it has no price"),
        ("{customer: 10001, declined: [{product: Saucer, times: 3}]}", "this customer declined it too often"),
        ("{limit: 2}", "nothing forbids it, it would be number 5 of a longer list"),
    ] {
        let (passed, came) = first_check(situation, "{must_contain: [Saucer]}");
        assert_eq!((passed, came), (false, format!("Saucer (30002) is not in the list: {why}")), "{situation}");
    }
    // Twice is not too often; what is in stock again is there again, whatever holds for the rest.
    assert!(first_check("{customer: 10001, declined: [{product: Saucer, times: 2}]}", "{must_contain: [Saucer]}").0);
    let exception = "{everything_out_of_stock: true, stock: {Saucer: 4}}";
    assert!(judged(exception, "{first: Saucer, at_most: 1}").passed);
}

#[test]
fn offers_are_exact_and_can_be_taken_away() {
    let step = "{must_contain: [{product: Lunch Bag Pink, kind: upsell_quantity, offer: B7G2, suggested_quantity: 7, \
                add: 1, free: 2, saves: 3.30, line_total: \"11.55\"}], uses_offers: [B7G2], total_saved: {at_least: 3.3, at_most: 3.3}, \
                offers_at_most: 1}";
    let outcome = judged(SIX_OF_SEVEN, step);
    assert!(outcome.passed, "{:#?}", outcome.checks);
    let (passed, came) = first_check(SIX_OF_SEVEN, "{must_contain: [{product: Lunch Bag Pink, saves: 3.31}]}");
    assert!(!passed && came.ends_with("saves is 3.3"), "{came}");
    assert!(!first_check(SIX_OF_SEVEN, "{must_not_contain: [{with_offer: true}]}").0);
    assert!(!first_check(SIX_OF_SEVEN, "{offers_at_most: 0}").0);
    let without = SIX_OF_SEVEN.replace("placement", "max_offer_items: 0, placement");
    assert!(judged(&without, "{offers_at_most: 0, total_saved: 0}").passed);
    assert!(
        judged("{cart: [{product: 22384, quantity: 6}], offers: []}", "{must_not_contain: [{with_offer: true}]}")
            .passed
    );
    let declined = SIX_OF_SEVEN.replace("placement", "customer: 10001, declined: [{offer: B7G2, times: 3}], placement");
    assert!(judged(&declined, "{must_not_contain: [{offer: B7G2}]}").passed);
}

#[test]
fn an_invented_customer_has_the_history_that_is_written() {
    let situation = "{customer: new-1, past_orders: [{days_ago: 20, lines: [Saucer, {product: Tea Pot, quantity: 4}]}, {days_ago: 50, lines: [Saucer]}], at: \"2025-03-10T10:00:00Z\"}";
    let outcome = judged(situation, "{must_contain: [{product: Saucer, kind: reorder}]}");
    assert!(outcome.passed, "{:#?}", outcome.checks);
    assert_eq!(outcome.request.context.at.unwrap().to_string(), "2025-03-10T10:00:00Z");
}

#[test]
fn a_scenario_is_asked_at_the_end_of_the_data_and_never_at_no_moment() {
    let outcome = judged("{}", "{at_least: 1}");
    assert_eq!(outcome.request.context.at.unwrap().to_string(), "2025-03-01T09:00:00Z");
    let mut timeless = shop();
    Arc::get_mut(&mut timeless.model).unwrap().settings.trained_until = None;
    let mistakes = judge(&one("{}", "{at_least: 1}"), &timeless).unwrap_err();
    assert!(mistakes[0].to_string().starts_with("line 4: scenarios[0].situation.at: is missing"), "{mistakes:?}");
}

#[test]
fn defaults_hold_where_a_scenario_says_nothing() {
    let text = "defaults: {limit: 2, blocked: [Lunch Bag Pink]}\nscenarios:\n  \
                - {name: A, why: x, expect: {first: 22385, at_most: 2}}\n  \
                - {name: B, why: x, situation: {limit: 3, blocked: []}, expect: {first: 22384, at_least: 3}}\n";
    let report = judge(text, &shop()).unwrap();
    assert_eq!((report.passed, report.failed), (2, 0), "{}", report.text());
    assert_eq!(report.scenarios_sha256, endcap_store::sha256_hex(text.as_bytes()));
}

#[test]
fn mistakes_are_named_with_line_field_and_remedy() {
    let at_5 = |situation: &str| refused(&one(situation, "{at_least: 1}")).remove(0);
    for (situation, said) in [
        ("{custommer: 1}", "line 4: scenarios[0].situation: unknown field `custommer`, expected one of"),
        ("{custommer: 1}", "did you mean `customer`?"),
        ("{placement: chekout}", "scenarios[0].situation.placement: unknown variant `chekout`"),
        ("{placement: chekout}", "did you mean `checkout`?"),
        ("{cart: [Lunch Bog Red]}", "line 4: scenarios[0].situation.cart[0]"),
        ("{cart: [Lunch Bog Red]}", "did you mean \"Lunch Bag Red\"?"),
        ("{cart: [{product: 22384, quantiti: 2}]}", "did you mean `quantity`?"),
        ("{cart: [{product: 22384, quantity: -1}]}", "must be above 0"),
        ("{limit: 0}", "scenarios[0].situation.limit: /limit must be 1 to 100"),
        (
            "{customer: nobody}",
            "scenarios[0].situation.customer: \"nobody\" is no customer of this artifact; leave it out",
        ),
        ("{declined: [{offer: X}]}", "needs a customer who declined"),
        ("{customer: 10001, declined: [{times: 2}]}", "must name either a product or an offer"),
        ("{offers: [SUMMER]}", "scenarios[0].situation.offers[0]: \"SUMMER\" is no offer of this artifact"),
        (
            "{offers: [{offer_id: X, type: BuyXGetY, terms: {buy: 0, get: 1}}]}",
            "offers[0].terms.buy: is 0; write a whole number",
        ),
        (
            "{offers: [{offer_id: X, type: BuyXGetY, terms: {buy: 1, get: 1, gift: 3}}]}",
            "is no term of BuyXGetY; known are buy, get, get_products",
        ),
        ("{offers: [{offer_id: X, type: BuyXGetZ, terms: {}}]}", "unknown variant `BuyXGetZ`"),
        (
            "{offers: [{offer_id: X, type: GiftOverTotal, terms: {min_total: 5, gift: Tea Cap, quantity: 1}}]}",
            "did you mean \"Tea Cup\"?",
        ),
        ("{at: yesterday}", "scenarios[0].situation.at: "),
        ("{stock: {Saucer: lots}}", "a decimal such as"),
    ] {
        let message = at_5(situation);
        assert!(message.contains(said), "{situation}\n  said: {message}\n  want: {said}");
    }
    for (expect, said) in [
        ("{}", "line 5: scenarios[0].expect: expects nothing in particular"),
        ("{must_contan: [Saucer]}", "line 5: scenarios[0].expect: unknown field `must_contan`"),
        ("{must_contain: [{kind: gift}]}", "unknown variant `gift`"),
        ("{must_contain: [{count_at_least: 2}]}", "says nothing of the item"),
        (
            "{must_not_contain: [{offer: B7G2}]}",
            "scenarios[0].expect.must_not_contain[0].offer: \"B7G2\" is no offer of this situation; there is no offer at all",
        ),
        ("{only_categories: [Bogs]}", "did you mean \"Bags\"?"),
        ("{nothing: true, at_least: 1}", "keep one of the two"),
        ("{at_least: 3, at_most: 2}", "is above at_most"),
        ("{total_saved: {at_least: 3, at_most: 2}}", "at_least must not be above at_most"),
        ("{total_saved: {}}", "is empty; write a number"),
    ] {
        let message = refused(&one("{}", expect)).remove(0);
        assert!(message.contains(said), "{expect}\n  said: {message}\n  want: {said}");
    }
    let twice = "scenarios:\n  - {name: A, why: x, expect: {at_least: 1}}\n  - name: A\n    why: ' '\n    expect: {at_least: 1}\n";
    assert_eq!(
        refused(twice),
        [
            "line 4: scenarios[1].why: is empty; say which promise or rule the scenario guards",
            "line 3: scenarios[1].name: \"A\" is the name of another scenario, too; rename it",
        ]
    );
    assert!(refused("scenarios: []")[0].contains("is empty; write at least one scenario"));
    assert!(refused("scenarios:\n  - name: [")[0].starts_with("line "));
    // All that is wrong at once, not one a time.
    assert_eq!(refused(&one("{cart: [Nothing, Nowhere], blocked: [Never]}", "{first: None at all}")).len(), 4);
}

#[test]
fn a_page_shows_everything_and_escapes_it() {
    let text = "title: <Bags> & cups\nscenarios:\n  - {name: A <b>, why: x, expect: {first: Saucer}}\n";
    let report = judge(text, &shop()).unwrap();
    let page = page::page(&report, "Made now");
    assert!(page.contains("&lt;Bags&gt; &amp; cups") && page.contains("A &lt;b&gt;") && !page.contains("<Bags>"));
    assert!(
        page.contains("0 of 1 scenarios passed") && page.contains("Made now") && page.contains(&report.artifact_sha256)
    );
    assert!(report.text().contains("FAIL  A <b> (line 3)"), "{}", report.text());
}

#[test]
fn a_sign_off_names_what_it_holds_for_and_is_not_written_over() {
    let report = judge(&one("{}", "{at_least: 1}"), &shop()).unwrap();
    let at = "2025-03-02T12:00:00Z".parse().unwrap();
    let signed = sign::sign_off(&report, "Maria", at);
    assert_eq!((signed.signed_off_by.as_str(), signed.signed_off_at), ("Maria", at));
    assert_eq!(signed.artifact_sha256, "a".repeat(64));
    assert_eq!(signed.scenarios_sha256, report.scenarios_sha256);
    assert_eq!(signed.results.len(), 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signoff.json");
    sign::write(&signed, &path).unwrap();
    let read = SignOff::read(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(read, signed);
    assert!(format!("{:#}", sign::write(&signed, &path).unwrap_err()).contains("--out"));
}
