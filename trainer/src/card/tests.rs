#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use endcap_recommender::fitted::{Associations, Catalogue, CatalogueRow, Model};

use super::*;
use crate::learn::FitFacts;
use crate::load::{Labels, Line, OrderHead, Sales};
use crate::people::segments::{Learned as LearnedSegments, RfmScale, Segment, Segments, Tried};
use crate::people::value;
use crate::plot::{fixed, signed};
use crate::tune::{Component, Gain, Window, skipped};

const START_S: i64 = 1_300_000_000;
const DAY_S: i64 = 86_400;

fn order(day: i64, customer: u32, product: u32) -> (OrderHead, Vec<Line>) {
    let head = OrderHead {
        at_s: START_S + day * DAY_S,
        customer,
        channel: NONE,
        city: NONE,
        area: NONE,
        country: NONE,
        month_number: 2011 * 12 + 2,
        hour: 7,
    };
    (head, vec![Line { product, quantity: 1.0, unit_price: 10_000, offered: false }])
}

/// Customers `a` (three orders), `b` (one, in the window) and `c` (none); two guests' orders, one of them in the window; product 2 of 3
/// was never sold. Days 0 to 9, the window from day 5 on.
fn dataset() -> Dataset {
    let products = ["p0", "p1", "p2"];
    let rows = products.iter().map(|id| CatalogueRow { id: (*id).to_owned(), ..CatalogueRow::default() }).collect();
    let mut traits = vec![[NONE; TRAITS.len()]; 3];
    traits[1][0] = 0;
    Dataset {
        digest: "47321c8f".to_owned(),
        currency: Some("GBP".to_owned()),
        catalogue: Catalogue::build(rows, |_| None),
        customers: Labels::of(["a", "b", "c"]),
        traits,
        sales: Sales::from_orders([
            order(0, 0, 0),
            order(1, NONE, 1),
            order(4, 0, 1),
            order(6, 0, 0),
            order(7, 1, 0),
            order(9, NONE, 1),
        ]),
        rejected: BTreeMap::from([(("orders".to_owned(), "not|placed".to_owned()), 1234)]),
        prices_from_sales: 2,
        ..Dataset::default()
    }
}

fn metric(name: &str, [low, value, high]: [f64; 3]) -> Metric {
    Metric { name: name.to_owned(), split: "validation".to_owned(), value, low: Some(low), high: Some(high), n: 2757 }
}

fn against(name: &str, situation: Option<&str>, [low, difference, high]: [f64; 3]) -> Comparison {
    Comparison {
        against: name.to_owned(),
        situation: situation.map(str::to_owned),
        metric: "ndcg@10".to_owned(),
        difference,
        low,
        high,
        n: 2757,
    }
}

fn component(name: &str, kept: bool) -> Component {
    let gain = Gain { situation: "cart_unknown".to_owned(), difference: 0.0123, low: 0.0071, high: 0.0187, n: 321 };
    let situations = vec![gain];
    Component { name: name.to_owned(), kept, difference: -0.0002, low: -0.002, high: 0.0018, n: 2757, situations }
}

fn learned() -> Learned {
    let window = Window { from_s: START_S + 5 * DAY_S, days: 5, orders: 3 };
    let tuned = Tuned {
        skipped: None,
        metrics: vec![
            metric("ndcg@10", [0.2, 0.25, 0.3]),
            metric("recall@10", [0.1, 0.15, 0.2]),
            metric("ndcg@10.cart_known", [0.21, 0.26, 0.31]),
            metric("recall@10.cart_known", [0.11, 0.16, 0.21]),
            metric("ndcg@10.cart_known.personal", [0.12, 0.17, 0.22]),
        ],
        cases: BTreeMap::from([("cart_known".to_owned(), 1500), ("empty_known".to_owned(), 1257)]),
        components: vec![component("deep", false), component("ranker", true)],
        comparisons: vec![
            against("personal", Some("cart_known"), [0.05, 0.09, 0.11]),
            against("personal", None, [0.051, 0.091, 0.111]),
            against("active shop-v1 (had learned from part of the window)", None, [-0.01, -0.003, 0.004]),
        ],
        coverage: Some(0.4321),
        cold: vec![metric("cold_recall@10", [0.01, 0.02, 0.03])],
        ..skipped(endcap_recommender::fitted::Settings::default(), Some(window), String::new())
    };
    let associations = Associations { orders: 6, item_orders: vec![3, 3, 0], ..Associations::default() };
    Learned {
        model: Model { catalogue: dataset().catalogue, associations, ..Model::default() },
        tuned,
        facts: FitFacts { capped: 7, deep_losses: vec![1.5, 0.75] },
    }
}

fn row(model: &str, metric: &str, [low, value, high]: [f64; 3]) -> endcap_methods::measure::Row {
    endcap_methods::measure::Row { model: model.to_owned(), metric: metric.to_owned(), value, low, high, n: 321 }
}

fn people() -> People {
    let segment = Segment {
        name: "buys often, mostly <Tea> | more".to_owned(),
        customers: 2,
        share: 1.0,
        money_share: 1.0,
        centre: vec![0.5],
        evidence: Vec::new(),
    };
    let tried =
        Tried { segments: 2, stability: 0.91, low: 0.85, high: 0.96, resamples: 20, silhouette: 0.4, chosen: true };
    let learned = LearnedSegments { tried: vec![tried], segments: vec![segment], ..LearnedSegments::default() };
    let bounds = vec![1.0, 2.0, 3.0, 4.0];
    let rfm = RfmScale {
        recency_days_at_most: bounds.clone(),
        orders_at_least: bounds.clone(),
        money_at_least: bounds,
        ..RfmScale::default()
    };
    let ahead = value::Ahead {
        days: 91,
        customers: 2,
        visits: 3.25,
        money: 1234.5,
        alive: 0.75,
        tenths: vec![0.4; 10],
        by_segment: Vec::new(),
    };
    let measured = value::Measured {
        held_days: 70,
        customers: 321,
        rows: vec![row("bg_nbd", "mae.money", [1.0, 2.0, 3.0])],
        differences: vec![row("same_rate", "mae.money", [-3.0, -2.0, -1.0])],
        ..value::Measured::default()
    };
    People {
        segments: Segments { customers: 2, rfm, learned: Some(learned), ..Segments::default() },
        value: value::Value { ahead: Some(ahead), measured: Some(measured), ..value::Value::default() },
        places: vec![Some(0), Some(0), None],
    }
}

fn forecasts() -> Forecasts {
    let measured = demand::Measured {
        rows: vec![row("chosen", "mase.28d", [0.7, 0.8, 0.9]), row("seasonal_naive", "mase.28d", [0.9, 1.0, 1.1])],
        differences: vec![row("seasonal_naive", "mase.28d", [-0.3, -0.2, -0.1])],
        by_kind: Vec::new(),
    };
    Forecasts { measured: Some(measured), ..Forecasts::default() }
}

fn card(data: &Dataset, learned: &Learned) -> Value {
    let at = |day: i64| jiff::Timestamp::from_second(START_S + day * DAY_S).ok();
    let trained_on = DatasetSummary {
        manifest_sha256: data.digest.clone(),
        rows: 6,
        orders: 6,
        customers: 3,
        products: 3,
        min_time: at(0),
        max_time: at(9),
    };
    let facts = Facts {
        repeat_share: 0.25,
        rfm_segments: BTreeMap::from([("champion".to_owned(), 1), ("new".to_owned(), 1)]),
        ..Facts::default()
    };
    json(&CardFacts {
        data,
        facts: &facts,
        people: &people(),
        demand: &forecasts(),
        learned,
        model: "shop",
        version: "shop-v2",
        architecture: "Hybrid",
        seed: 4200,
        trained_on: &trained_on,
    })
}

fn limit<'a>(card: &'a Value, name: &str) -> Option<&'a Value> {
    card["limits"].as_array().unwrap().iter().find(|limit| limit["name"] == name)
}

#[test]
fn limits_are_counted() {
    let card = card(&dataset(), &learned());
    let counted =
        |name: &str| limit(&card, name).map(|limit| (limit["number"].as_u64().unwrap(), limit["of"].as_u64().unwrap()));
    assert_eq!(counted("products_never_sold"), Some((1, 3)));
    assert_eq!(counted("customers_with_one_order"), Some((1, 3)));
    assert_eq!(counted("customers_without_orders"), Some((1, 3)));
    // Of the window's three orders one is of a new customer and one of a guest.
    assert_eq!(counted("questions_without_history"), Some((2, 3)));
    let missing = limit(&card, "situations_not_measured").unwrap()["text"].as_str().unwrap();
    assert!(missing.contains("cart_unknown, empty_unknown"), "{missing}");
    let ends = limit(&card, "ends_with_its_data").unwrap()["text"].as_str().unwrap();
    assert!(ends.contains("2011-03-22T07:06:40Z"), "{ends}");
}

#[test]
fn without_a_window_every_first_order_is_a_question_without_history() {
    let mut learned = learned();
    learned.tuned = skipped(learned.tuned.settings, None, "validation_days is 0".to_owned());
    let card = card(&dataset(), &learned);
    let limit = limit(&card, "questions_without_history").unwrap();
    assert_eq!((limit["number"].as_u64(), limit["of"].as_u64()), (Some(4), Some(6)));
}

#[test]
fn metrics_are_split_into_served_and_alone_and_the_active_version_stands_apart() {
    let card = card(&dataset(), &learned());
    assert_eq!(card["metrics"].as_array().unwrap().len(), 4);
    assert_eq!(card["metrics"][2]["situation"], "cart_known");
    assert_eq!(card["metrics"][2]["measure"], "ndcg@10");
    assert!(card["metrics"][0]["situation"].is_null());
    assert_eq!(card["generators"].as_array().unwrap().len(), 1);
    assert_eq!(card["generators"][0]["generator"], "personal");
    assert_eq!(card["comparisons"].as_array().unwrap().len(), 2);
    assert_eq!(card["active"].as_array().unwrap().len(), 1);
    assert_eq!(card["data"]["customer_attributes"], json!(["customer_type"]));
}

#[test]
fn markdown_has_what_the_json_has() {
    let card = card(&dataset(), &learned());
    let text = markdown(&card);
    let has = |part: &str| assert!(text.contains(part), "{part} is missing in\n{text}");
    for name in ["name", "version", "architecture", "program", "dataset_sha256", "data_from", "data_until"] {
        has(card["model"][name].as_str().unwrap());
    }
    has("4200");
    has("1,234");
    has("not\\|placed");
    has("25.0%");
    has("43.2%");
    has("champion");
    for metric in ["metrics", "generators", "cold"].iter().flat_map(|list| card[list].as_array().unwrap()) {
        let [value, low, high] = ["value", "low", "high"].map(|at| fixed(metric[at].as_f64().unwrap(), 4));
        has(&format!("{value} ({low} to {high})"));
    }
    for entry in ["comparisons", "active", "components"].iter().flat_map(|list| card[list].as_array().unwrap()) {
        let [value, low, high] = ["difference", "low", "high"].map(|at| signed(entry[at].as_f64().unwrap(), 4));
        has(&format!("{value} ({low} to {high})"));
    }
    has("|                 cart_unknown |\n");
    has("| ranker    | +0.0123 (+0.0071 to +0.0187) |");
    has("active shop-v1 (had learned from part of the window)");
    has("dropped");
    has("0.7500");
    for limit in card["limits"].as_array().unwrap() {
        has(limit["text"].as_str().unwrap());
    }
}

#[test]
fn tables_are_aligned() {
    let text = markdown(&card(&dataset(), &learned()));
    let mut widths: Vec<usize> = Vec::new();
    for line in text.lines() {
        if line.starts_with('|') {
            widths.push(line.chars().count());
        } else {
            assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "before {line}");
            widths.clear();
        }
    }
    assert!(text.contains("| cart_known | 0.2600 (0.2100 to 0.3100) | 0.1600 (0.1100 to 0.2100) |\n"), "{text}");
}

#[test]
fn a_skipped_tuning_says_why_nothing_was_measured() {
    let mut learned = learned();
    learned.tuned = skipped(learned.tuned.settings, None, "validation_days is 0".to_owned());
    let card = card(&dataset(), &learned);
    assert_eq!(card["validation"]["skipped"], "validation_days is 0");
    let text = markdown(&card);
    assert!(text.contains("Nothing was measured and nothing chosen: validation_days is 0.\n"), "{text}");
    assert!(!text.contains("### What is served") && limit(&card, "chosen_on_the_window").is_none());
}

#[test]
fn equal_inputs_give_equal_bytes() {
    let bytes = || {
        let card = card(&dataset(), &learned());
        (serde_json::to_vec_pretty(&card).unwrap(), markdown(&card))
    };
    assert_eq!(bytes(), bytes());
    // And the Markdown is the same of a card that was stored and read again.
    let (stored, text) = bytes();
    assert_eq!(markdown(&serde_json::from_slice(&stored).unwrap()), text);
}

#[test]
fn the_page_says_what_the_card_says_and_needs_nothing_from_elsewhere() {
    let card = card(&dataset(), &learned());
    let page = page(&card);
    for part in [
        "<h1>shop-v2</h1>",
        "<strong>0.2500</strong> <span>95% interval 0.2000 to 0.3000",
        "<h2>What each component is worth</h2>",
        "<h3>cart, unknown</h3>",
        "<h2>Learned segments</h2>",
        "buys often, mostly &lt;Tea&gt; | more",
        "The best tenth of them brings 40.0% of it.",
        "<h2>How well value is foreseen</h2>",
        "mase.28d, chosen less seasonal_naive",
        "<h2>Limits</h2>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for outside in ["http://", "https://", "src=", "href=", "url(", "@import", "<script", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let text = markdown(&card);
    assert!(text.contains("### Learned segments") && text.contains("buys often, mostly &lt;Tea> \\| more"), "{text}");
    // A card of an earlier release has nothing of this, and is still a page.
    let mut old = card.clone();
    for name in ["segments", "value", "demand", "calibration", "popularity", "examples"] {
        old.as_object_mut().unwrap().remove(name);
    }
    assert!(!markdown(&old).contains("Learned segments") && super::page(&old).ends_with("</html>\n"));
}
