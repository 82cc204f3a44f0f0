//! The evaluation measures what will be served: the model that it asks is the one that a training publishes, lists are the ones that
//! the pipeline gives, the hybrid earns its place on the generated shop, and on shuffled data nothing is found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use endcap::children::sibling;
use endcap_recommender::candidates::Scratch;
use endcap_recommender::pipeline::{CompiledPolicy, Facts, Person, recommend};
use endcap_recommender::policy::Policy;
use endcap_recommender::request::{CartLine, Context, Placement, RecommendationRequest, WantedKind};
use endcap_recommender::shelf::Shelf;
use endcap_simulator::{Preset, World, WorldSpec};
use endcap_tables::{Cancellation, Customer, DatasetWriter, Order, OrderLine, Product, Row, TimeRange, scan};
use endcap_tests::load_model;
use endcap_trainer::evaluate::{EvaluateOptions, Task, list, prepare, protocol};
use endcap_trainer::learn::LearnOptions;
use endcap_trainer::load::Cut;
use endcap_trainer::progress::Silent;
use endcap_trainer::{Architecture, Hyper};
use jiff::Timestamp;
use jiff::civil::date;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use serde_json::Value;

const DAY_S: i64 = 86_400;
/// Fewer passes than usual: what is asserted does not need the last thousandth.
const QUICK: [&str; 4] = ["--hyperparameter", "deep_epochs=2", "--hyperparameter", "ranker_epochs=3"];

/// A year of a shop that is the same in every run: what is asserted of it is a matter of statistics.
fn world(folder: &Path) -> PathBuf {
    let dataset = folder.join("dataset");
    let mut spec = WorldSpec::new(Preset::GiftShop, 1_500, 800, 365, 11);
    spec.start = date(2024, 3, 1);
    World::generate(&spec).unwrap().write(&dataset, &mut |_| {}).unwrap();
    dataset
}

fn rows<R: Row>(dataset: &Path) -> Vec<R> {
    let mut rows = Vec::new();
    scan(dataset, |batch: Vec<R>| rows.extend(batch)).unwrap();
    rows
}

/// Another dataset with these orders and lines.
fn write(to: &Path, from: &Path, orders: Vec<Order>, lines: Vec<OrderLine>) {
    let times = || orders.iter().map(|order| order.ordered_at);
    let range = TimeRange { from: times().min().unwrap(), to: times().max().unwrap() };
    let mut out = DatasetWriter::create(to).unwrap();
    out.write(rows::<Product>(from)).unwrap();
    out.write(rows::<Customer>(from)).unwrap();
    out.write(orders).unwrap();
    out.write(lines).unwrap();
    out.write(Vec::<Cancellation>::new()).unwrap();
    out.finish(Some(range), Some("GBP".to_owned()), Vec::new()).unwrap();
}

fn evaluated(dataset: &Path, folder: &Path, task: &str, more: &[&str]) -> Value {
    let json = folder.join(format!("{task}.json"));
    let output = Command::new(sibling("endcap-evaluate").unwrap())
        .args(["--data", &dataset.display().to_string(), "--task", task, "--json", &json.display().to_string()])
        .args(["--validate-from", "2025-01-04", "--test-from", "2025-02-01", "--test-until", "2025-03-01"])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    println!("{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap()
}

/// The paired lead over each other model: (name, lower bound).
fn leads(evaluation: &Value) -> Vec<(String, f64)> {
    let leads = evaluation["differences"].as_array().unwrap().iter();
    leads.map(|lead| (lead["against"].as_str().unwrap().to_owned(), lead["low"].as_f64().unwrap())).collect()
}

#[test]
fn the_hybrid_beats_every_generator_alone_on_the_generated_shop() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = world(folder.path());
    for task in ["cart-completion", "next-order"] {
        let evaluation = evaluated(&dataset, folder.path(), task, &QUICK);
        let leads = leads(&evaluation);
        assert!(leads.len() >= 5, "{leads:?}");
        for (model, low) in leads.iter().filter(|(model, _)| model != "blend") {
            assert!(*low > 0.0, "{task}: the hybrid is not surely better than {model}: {low}");
        }
        for row in evaluation["rows"].as_array().unwrap() {
            let number = |key: &str| row[key].as_f64().unwrap();
            assert!(number("low") <= number("value") && number("value") <= number("high"), "{row}");
            assert!(row["n"].as_u64().unwrap() > 0 && row["model"].is_string() && row["metric"].is_string());
        }
    }
}

#[test]
fn on_shuffled_products_it_finds_no_more_than_popularity() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = world(folder.path());
    let mut lines: Vec<OrderLine> = rows(&dataset);
    let mut products: Vec<String> = lines.iter().map(|line| line.product_id.clone()).collect();
    products.shuffle(&mut ChaCha8Rng::seed_from_u64(5));
    for (line, product) in lines.iter_mut().zip(products) {
        line.product_id = product;
    }
    let shuffled = folder.path().join("shuffled");
    write(&shuffled, &dataset, rows(&dataset), lines);
    let evaluation = evaluated(&shuffled, folder.path(), "cart-completion", &QUICK);
    let leads = leads(&evaluation);
    let (_, over_popularity) = leads.iter().find(|(model, _)| model == "recent").unwrap();
    assert!(*over_popularity <= 0.0, "something was learned of nothing: {over_popularity}");
}

/// Trains on what lies before the test, evaluates on everything, and compares the two models byte by byte and list by list.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_is_what_was_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = world(folder.path());
    let until: Timestamp = "2025-03-01T00:00:00Z".parse().unwrap();
    let (orders, lines): (Vec<Order>, Vec<OrderLine>) = (rows(&dataset), rows(&dataset));
    let whole = folder.path().join("whole");
    write(&whole, &dataset, orders.clone(), lines.clone());
    let cut_s = until.as_second() - 28 * DAY_S;
    let before: Vec<Order> = orders.iter().filter(|order| order.ordered_at.as_second() < cut_s).cloned().collect();
    let ids: std::collections::HashSet<&str> = before.iter().map(|order| order.order_id.as_str()).collect();
    let own: Vec<OrderLine> = lines.iter().filter(|line| ids.contains(line.order_id.as_str())).cloned().collect();
    let past = folder.path().join("past");
    write(&past, &dataset, before.clone(), own);

    let artifact = folder.path().join("artifact");
    let output = Command::new(sibling("endcap-trainer").unwrap())
        .args(["--data", &past.display().to_string(), "--out", &artifact.display().to_string()])
        .args(["--model", "shop", "--architecture", "Hybrid"])
        .args(QUICK)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (served, baseline) = load_model(&format!("file://{}", artifact.display())).await.unwrap();

    let last_s = before.iter().map(|order| order.ordered_at.as_second()).max().unwrap();
    let options = EvaluateOptions {
        data: whole,
        task: Task::CartCompletion,
        learn: LearnOptions {
            architecture: Architecture::Hybrid,
            hyper: Hyper { deep_epochs: 2, ranker_epochs: 3, ..Hyper::default() },
            seed: 42,
            // As a training chooses it: the last 28 days of what it has.
            validate_from_s: Some(last_s + 1 - 28 * DAY_S),
        },
        cut: Cut { from_s: cut_s, until_s: until.as_second() },
        threads: 2,
        work: folder.path().join("work"),
    };
    let prepared = tokio::task::spawn_blocking(move || prepare(&options, &Silent).unwrap()).await.unwrap();
    let evaluated = &prepared.learned.model;
    assert!(evaluated.ranker.is_some(), "a ranker must have been worth its place, or this proves little");
    for ((name, one), (_, other)) in served.to_objects().unwrap().iter().zip(evaluated.to_objects().unwrap()) {
        assert!(*one == other, "{name} differs between the artifact and the evaluated model");
    }

    let mut full = baseline.shelf.clone();
    full.stock.clear();
    full.offers.clear();
    let shelf = Shelf::new(&served.catalogue, &full);
    let policy = CompiledPolicy::new(Policy::default(), &served);
    let test = protocol::test(Task::CartCompletion, &prepared.data, evaluated);
    let data = &prepared.data;
    let mut scratch = Scratch::default();
    let mut compared = 0;
    let asker = data.held.view();
    let mut asked = test.asked.iter();
    for (head, lines) in asker.orders() {
        let known = head.customer().is_some_and(|customer| {
            baseline.customers.get(data.customers.get(customer).unwrap()).is_some_and(|state| !state.orders.is_empty())
        });
        if !known || !(4..=60).contains(&lines.len()) {
            continue;
        }
        let products: Vec<u32> = lines.iter().map(|line| line.product).collect();
        let cart = &products[..products.len() / 2];
        let Some(question) = asked.clone().next() else { break };
        if question.question.anchors.iter().rev().copied().collect::<Vec<_>>() != cart {
            // Left out by the protocol: nothing to find.
            continue;
        }
        asked.next();
        let text = |label: u32| data.labels.get(label).map(str::to_owned);
        let request = RecommendationRequest {
            placement: Placement::Cart,
            customer_id: data.customers.get(head.customer).map(Into::into),
            session_id: None,
            cart: cart
                .iter()
                .map(|product| CartLine {
                    product_id: served.catalogue.id(*product).into(),
                    quantity: Decimal::ONE,
                    unit_price: None,
                })
                .collect(),
            product_id: None,
            context: Context {
                at: Timestamp::from_second(head.at_s).ok(),
                city_id: text(head.city),
                area_id: text(head.area),
                country: text(head.country),
                channel: text(head.channel).and_then(|name| serde_json::from_value(Value::String(name)).ok()),
                ..Context::default()
            },
            occasion: None,
            kinds: vec![WantedKind::CrossSell, WantedKind::Reorder, WantedKind::Popular],
            limit: Some(10),
        };
        let customer = request.customer_id.as_ref().and_then(|id| baseline.customers.get(id));
        let facts = Facts {
            model: &served,
            shelf: &shelf,
            policy: &policy,
            person: Person { customer, session: None },
            now: Timestamp::from_second(head.at_s).unwrap(),
        };
        let answered: Vec<u32> = recommend(&facts, &request, &mut scratch)
            .iter()
            .filter_map(|item| served.catalogue.find(item.product_id.as_str()))
            .collect();
        let measured = list(Task::CartCompletion, evaluated, question, &mut scratch);
        // What is not sold any more is a rule of serving, not of ranking.
        let lawful = |list: &[u32]| -> Vec<u32> {
            list.iter()
                .copied()
                .filter(|product| shelf.is_active(*product) && evaluated.associations.item_orders(*product) > 0)
                .take(6)
                .collect()
        };
        assert_eq!(lawful(&answered), lawful(&measured), "order of {:?} at {}", request.customer_id, head.at_s);
        compared += 1;
    }
    assert!(compared > 100, "only {compared} lists were compared");
}
