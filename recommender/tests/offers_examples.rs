//! Examples counted by hand, one or more for every type, and the worked examples of docs/offers.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod offers_support;

use endcap_recommender::offers::{Offer, Terms, bundle_missing, next_break, price, reach};
use endcap_recommender::response::OfferHint;
use offers_support::{Entry, dec, entry, lines, offer, setting, stackable};
use rust_decimal::Decimal;
use serde::Deserialize;

fn total(cart: &[Entry], offers: &[Offer]) -> String {
    price(&lines(cart), offers, &setting()).total.to_string()
}

#[test]
fn five_in_the_cart_reach_seven_and_two_free() {
    let b7g2 = [offer("B7G2", "BuyXGetY", r#"{"buy": 7, "get": 2}"#)];
    let cart = [entry("22384", "5", "1.65")];
    let cart = lines(&cart);
    let found = reach(&cart, &cart[0], b7g2.as_slice(), &setting(), Decimal::from(10));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].needed, found[0].gain), (dec("7"), dec("3.30")));
    let hint = serde_json::to_value(OfferHint::from(&found[0])).unwrap();
    let expected = serde_json::json!({"offer_id": "B7G2", "type": "BuyXGetY", "add": 2, "free": 2, "saves": "3.30", "line_total": "11.55"});
    assert_eq!(hint, expected);
    // One step too far is no hint.
    assert!(reach(&cart, &cart[0], b7g2.as_slice(), &setting(), Decimal::ONE).is_empty());
}

#[test]
fn free_goods_come_per_full_multiple() {
    let b7g2 = [offer("B7G2", "BuyXGetY", r#"{"buy": 7, "get": 2}"#)];
    for (quantity, free, payable) in [("6", 0, "9.90"), ("7", 2, "11.55"), ("13.5", 2, "22.28"), ("14", 4, "23.10")] {
        let cart = [entry("22384", quantity, "1.65")];
        let priced = price(&lines(&cart), b7g2.as_slice(), &setting());
        assert_eq!(priced.gifts.iter().map(|gift| gift.quantity).sum::<Decimal>(), Decimal::from(free), "{quantity}");
        assert_eq!(priced.total, dec(payable), "{quantity}");
    }
    let once = [Offer { max_per_order: Some(1), ..b7g2[0].clone() }];
    let cart = [entry("22384", "14", "1.65")];
    let priced = price(&lines(&cart), once.as_slice(), &setting());
    assert_eq!((priced.gifts[0].quantity, priced.gifts[0].value), (dec("2"), dec("3.30")));
}

#[test]
fn free_goods_of_another_product_count_at_its_price() {
    let other = [offer("O", "BuyXGetY", r#"{"buy": 2, "get": 1, "get_products": ["G1", "G2"]}"#)];
    let cart = [entry("A", "5", "4.00")];
    let priced = price(&lines(&cart), other.as_slice(), &setting());
    assert_eq!(priced.gifts.len(), 1);
    assert_eq!(priced.gifts[0].product_id.as_str(), "G1");
    assert_eq!((priced.gifts[0].quantity, priced.gifts[0].value, priced.total), (dec("2"), dec("6.40"), dec("20.00")));
}

#[test]
fn a_tier_prices_all_units() {
    let tiers = [offer(
        "T",
        "TierPrice",
        r#"{"tiers": [{"min_quantity": 20, "unit_price": "0.42"}, {"min_quantity": 50, "unit_price": 0.36}]}"#,
    )];
    for (quantity, payable) in [("19", "12.35"), ("20", "8.40"), ("49", "20.58"), ("50", "18.00")] {
        assert_eq!(total(&[entry("10135", quantity, "0.65")], &tiers), payable);
    }
    // A line that already pays less keeps its price.
    assert_eq!(total(&[entry("10135", "20", "0.40")], &tiers), "8.00");
    let cart = [entry("10135", "20", "0.65")];
    let cart = lines(&cart);
    let found = reach(&cart, &cart[0], tiers.as_slice(), &setting(), Decimal::from(40));
    // 50 x (0.65 - 0.36) = 14.50 against 20 x 0.23 = 4.60 now
    assert_eq!(
        (found[0].add, found[0].saves, found[0].line_total, found[0].gain),
        (dec("30"), dec("14.50"), dec("18.00"), dec("9.90"))
    );
}

#[test]
fn percent_and_amount() {
    // 3 x 0.33 = 0.99; 12.5% off leaves 0.86625, working amount 0.8663
    assert_eq!(total(&[entry("A", "3", "0.33")], &[offer("P", "PercentOff", r#"{"percent": "12.5"}"#)]), "0.87");
    // Half away from zero: 0.5 x 0.25 = 0.125
    assert_eq!(total(&[entry("A", "1", "0.25")], &[offer("P", "PercentOff", r#"{"percent": 50}"#)]), "0.13");
    let off = [offer("A", "AmountOff", r#"{"amount": "2.00", "per": "unit"}"#)];
    assert_eq!(total(&[entry("A", "3", "4.50"), entry("B", "2", "1.50")], &off), "7.50");
    let off = [offer("A", "AmountOff", r#"{"amount": "2.00", "per": "order"}"#)];
    assert_eq!(total(&[entry("A", "3", "4.50"), entry("B", "2", "1.50")], &off), "14.50");
    assert_eq!(total(&[entry("B", "1", "1.50")], &off), "0.00");
}

#[test]
fn bundles_cost_their_price() {
    let bundle = [offer("X", "BundlePrice", r#"{"products": {"A": 1, "B": 2}, "price": "9.99"}"#)];
    // 4.00 + 2 x 5.00 = 14.00 -> 9.99
    assert_eq!(total(&[entry("A", "1", "4.00"), entry("B", "2", "5.00")], &bundle), "9.99");
    // Two bundles and one A over
    assert_eq!(total(&[entry("A", "3", "4.00"), entry("B", "5", "5.00")], &bundle), "28.98");
    // Never dearer than apart
    assert_eq!(total(&[entry("A", "1", "1.00"), entry("B", "2", "2.00")], &bundle), "5.00");
    // Units of one product on several lines: the dearest first
    assert_eq!(total(&[entry("A", "1", "4.00"), entry("B", "1", "5.00"), entry("B", "2", "6.00")], &bundle), "14.99");
    assert_eq!(total(&[entry("A", "1", "4.00"), entry("B", "1", "5.00"), entry("B", "1", "6.00")], &bundle), "9.99");

    let cart = [entry("B", "2", "5.00")];
    let cart = lines(&cart);
    let price_of = |product: &str| (product == "A").then(|| dec("4.00"));
    let mut setting = setting();
    setting.price_of = &price_of;
    let missing = bundle_missing(&cart, bundle.as_slice(), &setting, Decimal::from(5));
    assert_eq!(missing.len(), 1);
    assert_eq!((missing[0].product_id.as_str(), missing[0].quantity), ("A", Decimal::ONE));
    assert_eq!((missing[0].reach.saves, missing[0].reach.line_total), (dec("4.01"), dec("9.99")));
    // Two products short: no hint.
    let cart = [entry("B", "1", "5.00")];
    assert!(bundle_missing(&lines(&cart), bundle.as_slice(), &setting, Decimal::from(5)).is_empty());
}

#[test]
fn a_gift_comes_over_a_total() {
    let gift = [offer("G", "GiftOverTotal", r#"{"min_total": "50.00", "gift": "G1", "quantity": 2}"#)];
    let cart = [entry("A", "9", "5.00")];
    let cart = lines(&cart);
    assert!(price(&cart, gift.as_slice(), &setting()).gifts.is_empty());
    let found = reach(&cart, &cart[0], gift.as_slice(), &setting(), Decimal::from(3));
    assert_eq!(
        (found[0].add, found[0].free, found[0].saves, found[0].line_total),
        (dec("1"), dec("2"), dec("6.40"), dec("50.00"))
    );
}

#[test]
fn stackable_offers_act_one_after_the_other() {
    let offers = [
        stackable(offer("P", "PercentOff", r#"{"percent": "10"}"#)),
        stackable(offer("T", "TierPrice", r#"{"tiers": [{"min_quantity": 10, "unit_price": "0.90"}]}"#)),
        stackable(offer("A", "AmountOff", r#"{"amount": "0.05", "per": "unit"}"#)),
    ];
    // 10 x 0.90 = 9.00, less 10% = 8.10, less 10 x 0.05 = 7.60
    assert_eq!(total(&[entry("A", "10", "1.00")], &offers), "7.60");
    // One that stands alone and saves more: 10 x 0.70
    let alone = offer("Z", "PercentOff", r#"{"percent": "30"}"#);
    let all: Vec<Offer> = offers.iter().cloned().chain([alone.clone()]).collect();
    assert_eq!(total(&[entry("A", "10", "1.00")], &all), "7.00");
    // One that stands alone and saves less, but has the higher priority
    let small = Offer { priority: 1, ..offer("Y", "PercentOff", r#"{"percent": "1"}"#) };
    let all: Vec<Offer> = all.into_iter().chain([small]).collect();
    assert_eq!(total(&[entry("A", "10", "1.00")], &all), "9.90");
}

#[test]
fn equal_savings_go_to_the_smaller_id() {
    let offers = [
        offer("B", "PercentOff", r#"{"percent": "10"}"#),
        offer("A", "AmountOff", r#"{"amount": "0.10", "per": "unit"}"#),
    ];
    let cart = [entry("A", "3", "1.00")];
    let priced = price(&lines(&cart), offers.as_slice(), &setting());
    assert_eq!(priced.lines[0].offers[0].offer_id.as_str(), "A");
}

/// Two offers of one use each and two lines: the largest saving first (10 + 1) is not the best (9 + 9).
#[test]
fn scarce_uses_go_where_the_order_saves_most() {
    let one = |id: &str, terms: &str| Offer { max_per_order: Some(1), ..offer(id, "AmountOff", terms) };
    let mut offers =
        vec![one("O1", r#"{"amount": "10", "per": "unit"}"#), one("O2", r#"{"amount": "9", "per": "unit"}"#)];
    // The first may go to both lines, the second to A alone.
    offers[1].scope.products = vec!["A".into()];
    assert_eq!(total(&[entry("A", "1", "10.00"), entry("B", "1", "9.00")], &offers), "1.00");
}

#[test]
fn a_displaced_offer_is_not_promised() {
    let b7g2 = offer("B7G2", "BuyXGetY", r#"{"buy": 7, "get": 2}"#);
    let ranked = Offer { priority: 5, ..offer("P", "PercentOff", r#"{"percent": "1"}"#) };
    let cart = [entry("A", "5", "1.65")];
    let cart = lines(&cart);
    let both = [b7g2.clone(), ranked];
    assert!(reach(&cart, &cart[0], both.as_slice(), &setting(), Decimal::from(9)).is_empty());
    assert_eq!(reach(&cart, &cart[0], std::slice::from_ref(&b7g2), &setting(), Decimal::from(9)).len(), 1);
}

#[test]
fn a_real_break_says_when_it_pays_for_itself() {
    let Terms::TierPrice { tiers } =
        offer("T", "TierPrice", r#"{"tiers": [{"min_quantity": 20, "unit_price": "0.42"}]}"#).terms
    else {
        panic!()
    };
    let step = next_break(&tiers, dec("15"), dec("0.65")).unwrap();
    // 15 x 0.65 = 9.75, 20 x 0.42 = 8.40
    assert_eq!(
        (step.add, step.saves, step.line_total, step.pays_for_itself),
        (dec("5"), dec("4.60"), dec("8.40"), true)
    );
    assert!(!next_break(&tiers, dec("12"), dec("0.65")).unwrap().pays_for_itself);
    assert_eq!(next_break(&tiers, dec("20"), dec("0.65")), None);
    assert_eq!(next_break(&tiers, dec("5"), dec("0.40")), None);
}

/// A block of docs/offers.md.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    offers: Vec<Offer>,
    /// product, quantity, unit price
    cart: Vec<(String, String, String)>,
    total: String,
    saves: String,
    #[serde(default)]
    free: Vec<(String, u32)>,
    #[serde(default)]
    reach: Option<serde_json::Value>,
}

#[test]
fn the_page_counts_right() {
    let page = include_str!("../../docs/offers.md");
    let mut seen = std::collections::BTreeSet::new();
    for block in page.split("```json").skip(1) {
        let text = block.split("```").next().unwrap();
        let example: Example = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e} in {text}"));
        for offer in &example.offers {
            endcap_recommender::offers::validate(offer).unwrap();
            seen.insert(offer.terms.type_name());
        }
        let cart: Vec<Entry> =
            example.cart.iter().map(|(product, quantity, price)| entry(product, quantity, price)).collect();
        let cart = lines(&cart);
        let priced = price(&cart, example.offers.as_slice(), &setting());
        assert_eq!(priced.total, dec(&example.total), "{text}");
        assert_eq!(priced.saving(), dec(&example.saves), "{text}");
        let free: Vec<(String, Decimal)> =
            priced.gifts.iter().map(|gift| (gift.product_id.to_string(), gift.quantity)).collect();
        let expected: Vec<(String, Decimal)> =
            example.free.iter().map(|(p, q)| (p.clone(), Decimal::from(*q))).collect();
        assert_eq!(free, expected, "{text}");
        if let Some(expected) = example.reach {
            let found = reach(&cart, &cart[0], example.offers.as_slice(), &setting(), Decimal::from(20));
            let hints: Vec<OfferHint> = found.iter().map(OfferHint::from).collect();
            assert_eq!(serde_json::to_value(hints).unwrap(), serde_json::json!([expected]), "{text}");
        }
    }
    assert_eq!(seen.len(), 6, "the page has an example of every type: {seen:?}");
}
