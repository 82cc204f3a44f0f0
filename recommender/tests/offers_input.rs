//! What is refused when an offer is read, and in which words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod offers_support;

use endcap_recommender::offers::{Offer, Parts, Terms, validate};
use endcap_recommender::request::{Channel, FieldError};
use jiff::Timestamp;
use offers_support::{any_terms, dec, offers};
use proptest::prelude::*;

fn read(offer_type: &str, terms: &str, scope: Option<&str>) -> Result<Offer, Vec<FieldError>> {
    Offer::from_parts(&Parts { offer_id: "O", offer_type, terms, scope, ..Parts::default() })
}

/// The pointers of the errors; each says what to do.
fn pointers(result: Result<Offer, Vec<FieldError>>) -> Vec<String> {
    let errors = result.unwrap_err();
    assert!(errors.iter().all(|error| error.detail.len() > 20), "{errors:?}");
    errors.into_iter().map(|error| error.pointer).collect()
}

#[test]
fn a_row_of_the_promotion_view_is_read() {
    let offer = Offer::from_parts(&Parts {
        offer_id: "TP-10135-0",
        offer_type: "TierPrice",
        terms: r#"{"tiers": [{"min_quantity": 20, "unit_price": "0.42"}]}"#,
        scope: Some(r#"{"products": ["10135"], "channels": ["back_office", "web"]}"#),
        valid_from: Some(Timestamp::from_second(1).unwrap()),
        valid_to: Some(Timestamp::from_second(2).unwrap()),
        priority: Some(3),
        stackable: Some(true),
        max_per_order: Some(2),
    })
    .unwrap();
    let Terms::TierPrice { tiers } = &offer.terms else { panic!("{offer:?}") };
    assert_eq!((tiers[0].min_quantity, tiers[0].unit_price), (20, dec("0.42")));
    assert_eq!(offer.scope.products, ["10135".into()]);
    assert_eq!(offer.scope.channels, [Channel::BackOffice, Channel::Web]);
    assert_eq!((offer.priority, offer.stackable, offer.max_per_order), (3, true, Some(2)));
}

#[test]
fn every_type_is_read_and_case_does_not_matter() {
    for (name, terms) in [
        ("buyxgety", r#"{"buy": 7, "get": 2}"#),
        ("BuyXGetY", r#"{"buy": 7, "get": 2, "get_products": ["A"]}"#),
        ("TIERPRICE", r#"{"tiers": [{"min_quantity": 20, "unit_price": 0.42}]}"#),
        ("PercentOff", r#"{"percent": "12.5"}"#),
        ("AmountOff", r#"{"amount": 2, "per": "order"}"#),
        ("BundlePrice", r#"{"products": {"A": 1, "B": 2}, "price": "9.99"}"#),
        ("GiftOverTotal", r#"{"min_total": "50.00", "gift": "A", "quantity": 1}"#),
    ] {
        for scope in [None, Some(""), Some("null"), Some("{}")] {
            let offer = read(name, terms, scope).unwrap();
            assert!(offer.terms.type_name().eq_ignore_ascii_case(name));
        }
    }
}

#[test]
fn mistakes_name_their_place() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("HalfPrice", "{}", &["/type"]),
        ("BuyXGetY", "{", &["/terms"]),
        ("BuyXGetY", "[]", &["/terms"]),
        ("BuyXGetY", r#"{"buy": 7}"#, &["/terms"]),
        ("BuyXGetY", r#"{"buy": -7, "get": 1}"#, &["/terms"]),
        ("BuyXGetY", r#"{"buy": 7, "gets": 1}"#, &["/terms/gets"]),
        ("BuyXGetY", r#"{"buy": 0, "get": 0}"#, &["/terms/buy", "/terms/get"]),
        ("TierPrice", r#"{"tiers": []}"#, &["/terms/tiers"]),
        (
            "TierPrice",
            r#"{"tiers": [{"min_quantity": 9, "unit_price": "1"}, {"min_quantity": 9, "unit_price": "1"}]}"#,
            &["/terms/tiers/1/min_quantity", "/terms/tiers/1/unit_price"],
        ),
        (
            "TierPrice",
            r#"{"tiers": [{"min_quantity": 0, "unit_price": "0"}]}"#,
            &["/terms/tiers/0/min_quantity", "/terms/tiers/0/unit_price"],
        ),
        ("PercentOff", r#"{"percent": "0"}"#, &["/terms/percent"]),
        ("PercentOff", r#"{"percent": "100.01"}"#, &["/terms/percent"]),
        ("PercentOff", r#"{"percent": "a lot"}"#, &["/terms"]),
        ("AmountOff", r#"{"amount": "-1", "per": "unit"}"#, &["/terms/amount"]),
        ("AmountOff", r#"{"amount": "1.00001", "per": "unit"}"#, &["/terms/amount"]),
        ("AmountOff", r#"{"amount": "1", "per": "line"}"#, &["/terms"]),
        ("BundlePrice", r#"{"products": {"A/B": 1}, "price": "1"}"#, &["/terms/products"]),
        ("BundlePrice", r#"{"products": {"A/B": 0, "C": 2}, "price": "1"}"#, &["/terms/products/A~1B"]),
        (
            "GiftOverTotal",
            r#"{"min_total": "0", "gift": "", "quantity": 0}"#,
            &["/terms/min_total", "/terms/gift", "/terms/quantity"],
        ),
    ];
    for (name, terms, expected) in cases {
        assert_eq!(pointers(read(name, terms, None)), *expected, "{name} {terms}");
    }
}

#[test]
fn a_misspelt_scope_never_widens_an_offer() {
    let terms = r#"{"percent": "10"}"#;
    assert_eq!(pointers(read("PercentOff", terms, Some(r#"{"product": ["A"]}"#))), ["/scope/product"]);
    assert_eq!(pointers(read("PercentOff", terms, Some(r#"{"products": "A"}"#))), ["/scope"]);
    assert_eq!(pointers(read("PercentOff", terms, Some(r#"{"channels": ["fax"]}"#))), ["/scope"]);
    assert_eq!(
        pointers(read("PercentOff", terms, Some(r#"{"brands": [""], "products": [""]}"#))),
        ["/scope/brands/0", "/scope/products/0"]
    );
    let bundle = r#"{"products": {"A": 2}, "price": "1"}"#;
    assert_eq!(
        pointers(read("BundlePrice", bundle, Some(r#"{"products": ["A"], "brands": ["m"]}"#))),
        ["/scope/products", "/scope/brands"]
    );
}

#[test]
fn windows_and_limits() {
    let good = offers_support::offer("O", "PercentOff", r#"{"percent": "10"}"#);
    let at = |second: i64| Some(Timestamp::from_second(second).unwrap());
    let bad = Offer { valid_from: at(5), valid_to: at(5), max_per_order: Some(0), offer_id: "".into(), ..good.clone() };
    let found: Vec<String> = validate(&bad).unwrap_err().into_iter().map(|error| error.pointer).collect();
    assert_eq!(found, ["/offer_id", "/valid_to", "/max_per_order"]);
    assert!(validate(&Offer { valid_from: at(5), valid_to: at(6), ..good }).is_ok());
    let negative = Parts {
        offer_id: "O",
        offer_type: "PercentOff",
        terms: r#"{"percent": "10"}"#,
        max_per_order: Some(-1),
        ..Parts::default()
    };
    assert_eq!(pointers(Offer::from_parts(&negative)), ["/max_per_order"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is valid survives JSON and the columns of a table.
    #[test]
    fn offers_survive_writing(offers in offers(any_terms(), 4, 3)) {
        for offer in offers {
            prop_assert_eq!(validate(&offer), Ok(()));
            let json = serde_json::to_value(&offer).unwrap();
            prop_assert_eq!(&serde_json::from_value::<Offer>(json.clone()).unwrap(), &offer);
            let (terms, scope) = (json["terms"].to_string(), json["scope"].to_string());
            let parts = Parts {
                offer_id: &offer.offer_id,
                offer_type: offer.terms.type_name(),
                terms: &terms,
                scope: Some(&scope),
                priority: Some(offer.priority),
                stackable: Some(offer.stackable),
                max_per_order: offer.max_per_order.map(i64::from),
                ..Parts::default()
            };
            prop_assert_eq!(Offer::from_parts(&parts), Ok(offer));
        }
    }

    /// No text makes reading panic.
    #[test]
    fn nonsense_is_refused(name in "[a-zA-Z]{0,12}|TierPrice|BundlePrice", terms in "\\PC{0,40}|[\\[\\]{}\":,0-9a-z]{0,40}", scope in prop::option::of("\\PC{0,20}")) {
        let parts = Parts { offer_id: "O", offer_type: &name, terms: &terms, scope: scope.as_deref(), ..Parts::default() };
        if let Err(errors) = Offer::from_parts(&parts) {
            prop_assert!(!errors.is_empty());
        }
    }
}

/// Fields of a CSV row, quotes doubled inside quotes.
fn fields(row: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    let mut rest = row.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                fields.last_mut().unwrap().push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().unwrap().push(c),
        }
    }
    fields
}

#[test]
fn real_promotions_are_read() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/uci-online-retail/MV_Promotion.csv");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {} is not there", path.display());
        return;
    };
    let mut read = 0;
    for row in text.lines().skip(1) {
        let row = fields(row);
        let parts =
            Parts { offer_id: &row[0], offer_type: &row[1], terms: &row[2], scope: Some(&row[3]), ..Parts::default() };
        let offer = Offer::from_parts(&parts).unwrap_or_else(|errors| panic!("{row:?}: {errors:?}"));
        assert_eq!(offer.scope.products.len(), 1);
        read += 1;
    }
    assert_eq!(read, 408);
}
