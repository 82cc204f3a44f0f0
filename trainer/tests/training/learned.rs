//! What an artifact holds is what is true of the data it was made from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read, Write};
use std::path::Path;

use endcap_recommender::artifact::ArtifactManifest;
use endcap_recommender::candidates::{Question, Scratch, candidates};
use endcap_recommender::fitted::{Model, PACK_PREFIX};
use endcap_recommender::live::BaselineState;
use endcap_tables::{Order, OrderLine, read};
use endcap_trainer::progress::{Board, Phase, Progress, Silent, serve};
use endcap_trainer::tune::{choose, fit_before, settings_of};
use endcap_trainer::{Hyper, load};

use crate::shop::{DAY_S, LAST_S, Shop, digest, files, folder, product_id, seed};

pub fn objects(artifact: &Path) -> (ArtifactManifest, BTreeMap<String, Vec<u8>>) {
    let manifest = ArtifactManifest::from_json(&std::fs::read(artifact.join("manifest.json")).unwrap()).unwrap();
    let objects = manifest.objects.iter().map(|(name, object)| {
        let bytes = std::fs::read(artifact.join("objects").join(&object.sha256)).unwrap();
        assert_eq!(
            (endcap_store::sha256_hex(&bytes), bytes.len() as u64),
            (object.sha256.clone(), object.bytes),
            "{name}"
        );
        (name.clone(), bytes)
    });
    let objects = objects.collect();
    (manifest, objects)
}

/// Of the customers who bought half the break or more but less than it, and then the product again, the share that reached it that time.
fn reached_again(data: &Path, product: &str, least: i64) -> f64 {
    let mut quantities: HashMap<String, i64> = HashMap::new();
    for line in read::<OrderLine>(data).unwrap().into_iter().filter(|line| line.product_id == product) {
        *quantities.entry(line.order_id).or_default() +=
            i64::try_from(line.quantity.mantissa()).unwrap() / 10i64.pow(line.quantity.scale());
    }
    let mut orders = read::<Order>(data).unwrap();
    orders.sort_by_key(|order| (order.ordered_at, order.order_id.clone()));
    let mut bought: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for order in orders {
        if let (Some(customer), Some(quantity)) = (order.customer_id, quantities.get(&order.order_id)) {
            bought.entry(customer).or_default().push(*quantity);
        }
    }
    let mut outcomes = Vec::new();
    for own in bought.values() {
        if let Some(first) = (1..own.len()).find(|at| own[at - 1] * 2 >= least && own[at - 1] < least) {
            outcomes.push(own[first] >= least);
        }
    }
    outcomes.iter().filter(|reached| **reached).count() as f64 / outcomes.len().max(1) as f64
}

#[test]
fn an_artifact_holds_what_is_true_of_its_data() {
    let folder = folder(&Shop::new(seed()));
    digest(folder.path(), &["--out", "v1"]);
    let (manifest, objects) = objects(&folder.path().join("v1"));
    let model = Model::from_objects(&objects, "").unwrap();
    let at = |product: u32| model.catalogue.find(&product_id(product)).unwrap();

    // Pairs and items, counted again from the tables.
    let data = folder.path().join("data");
    let mut baskets: HashMap<String, BTreeSet<String>> = HashMap::new();
    for line in read::<OrderLine>(&data).unwrap() {
        baskets.entry(line.order_id).or_default().insert(line.product_id);
    }
    assert_eq!(model.associations.orders as usize, read::<Order>(&data).unwrap().len());
    for product in (0..60).step_by(2) {
        let (one, other) = (product_id(product), product_id(product + 1));
        let both = baskets.values().filter(|basket| basket.contains(&one) && basket.contains(&other)).count();
        let found = model.associations.between(at(product), at(product + 1)).unwrap();
        assert_eq!(found.both as usize, both);
        assert!(f64::from(found.expected) < both as f64 / 2.0, "complements are bought together by more than chance");
        let sold = baskets.values().filter(|basket| basket.contains(&one)).count();
        assert!((f64::from(model.popularity.share(at(product))) - sold as f64 / baskets.len() as f64).abs() < 1e-6);
    }

    let breaks: Vec<_> =
        model.habits.breaks.row(at(0)).iter().map(|found| (found.min_quantity, found.unit_price)).collect();
    assert_eq!(breaks, vec![(12, 17_000)]);
    let reached = reached_again(&data, &product_id(0), 12);
    assert!((f64::from(model.habits.breaks.row(at(0))[0].reached) - reached).abs() < 1e-6, "{reached}");
    assert!(
        (1..60).all(|product| model.habits.breaks.row(at(product)).is_empty()),
        "no break is found where there is none"
    );
    assert!(model.habits.better.row(at(4)).iter().any(|better| better.product == at(5)));
    assert!(model.habits.better.row(at(5)).iter().all(|better| better.product != at(4)), "never a cheaper one");
    assert!(model.repeat.interval_days(at(1)).unwrap() > 1.0);
    for key in
        ["category=cat0", "subcategory=sub3", "city=city1", "country=Atlantis", "channel=web", "customer_type=person"]
    {
        let segment = model.popularity.segment(key).unwrap_or_else(|| panic!("no segment {key}"));
        assert!(!model.popularity.segments.row(segment).is_empty());
    }
    assert_eq!(model.settings.currency.as_deref(), Some("EUR"));
    assert_eq!(model.settings.trained_until.unwrap().as_second(), LAST_S);

    // The blend was chosen on held-out orders, and is better there than popularity alone.
    let metric =
        |name: &str| manifest.metrics.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("no {name}"));
    let blend = metric("ndcg@10.cart_known");
    assert!(blend.split == "validation" && blend.low.unwrap() > metric("ndcg@10.cart_known.recent").value);
    assert!(blend.low.unwrap() < blend.value && blend.value < blend.high.unwrap());

    // The router's pack is a model like any other.
    let pack = Model::from_objects(&objects, PACK_PREFIX).unwrap();
    assert_eq!(pack.catalogue.len(), 60);
    let question =
        Question { anchors: vec![pack.catalogue.find(&product_id(8)).unwrap()], month: 6, ..Question::default() };
    let partner = pack.catalogue.find(&product_id(9)).unwrap();
    assert!(candidates(&pack, &question, &mut Scratch::default()).iter().any(|found| found.product == partner));

    let report: serde_json::Value = serde_json::from_slice(&objects["report"]).unwrap();
    assert!(report["offer_errors"][0].as_str().unwrap().contains("BROKEN"));
    assert_eq!(report["counts"]["price_breaks"], 1);
    assert!(report["rejected"].as_array().unwrap().iter().any(|row| row["reason"] == "bad_rating" && row["rows"] == 1));
}

#[test]
fn the_baseline_state_holds_customers_and_the_shelf_and_no_contact_is_anywhere() {
    let folder = folder(&Shop::new(seed()));
    digest(folder.path(), &["--out", "v1"]);
    let artifact = folder.path().join("v1");
    let packed = std::fs::read(artifact.join("state/baseline.json.zst")).unwrap();
    let digest = std::fs::read_to_string(artifact.join("state/baseline.sha256")).unwrap();
    assert_eq!(digest.trim(), endcap_store::sha256_hex(&packed));
    let json = zstd::decode_all(packed.as_slice()).unwrap();
    let state: BaselineState = serde_json::from_slice(&json).unwrap();
    assert_eq!(state.customers.len(), 150);
    for customer in state.customers.values() {
        assert!(customer.orders.len() <= 30);
        assert!(
            customer.orders.iter().zip(customer.orders.iter().skip(1)).all(|(a, b)| a.at_s <= b.at_s),
            "newest last"
        );
    }
    let one = &state.customers["C001"];
    assert_eq!(one.profile["customer_type"], "person");
    assert!(one.profile.contains_key("rfm_segment"));
    assert!((one.ratings[product_id(7).as_str()] - 4.0).abs() < f32::EPSILON);
    assert_eq!(one.declined_offers["B7G2"].at_s.len(), 1);
    assert_eq!(one.declined_products[product_id(7).as_str()].at_s.len(), 1);
    let stock = &state.shelf.stock[product_id(3).as_str()];
    assert_eq!(stock.on_hand, 7.into(), "the newest row of each place, summed");
    assert_eq!(state.shelf.offers.keys().map(endcap_recommender::OfferId::as_str).collect::<Vec<_>>(), vec!["B7G2"]);

    let manifest = std::fs::read_to_string(artifact.join("manifest.json")).unwrap();
    assert!(!manifest.contains("baseline"), "the baseline state is beside the artifact");
    let texts = files(&artifact).into_iter().map(|file| std::fs::read(file).unwrap()).chain([json]);
    for bytes in texts {
        for secret in ["example.org", "555 0100", "token-secret"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
    }
}

#[test]
fn tuning_fits_nothing_on_what_it_is_judged_by() {
    let seed = seed();
    let shop = Shop::new(seed);
    let one = folder(&shop);
    let sales = load::load(&one.path().join("data"), &Silent).unwrap();
    let window = choose(sales.sales.view(), None).unwrap();
    assert_eq!(window.from_s, LAST_S + 1 - 28 * DAY_S);
    // Another future, the same past.
    let other = folder(&Shop { changed_from_s: window.from_s, changed_seed: !seed, ..shop });
    let changed = load::load(&other.path().join("data"), &Silent).unwrap();
    assert_ne!(sales.sales, changed.sales);
    let fitted = |data: &load::Dataset| {
        let (before, inside) = data.sales.view().split_at(window.from_s);
        assert!(before.heads.iter().all(|head| head.at_s < window.from_s) && !inside.is_empty());
        let hyper = Hyper::default();
        fit_before(data, before, &settings_of(data, &hyper), &hyper).to_objects().unwrap()
    };
    assert!(fitted(&sales) == fitted(&changed));
}

#[test]
fn too_little_data_is_learned_from_without_tuning_and_the_reason_is_said() {
    let folder = folder(&Shop { orders: 120, ..Shop::new(seed()) });
    digest(folder.path(), &["--out", "v1"]);
    let (manifest, objects) = objects(&folder.path().join("v1"));
    assert!(manifest.metrics.is_empty());
    let report: serde_json::Value = serde_json::from_slice(&objects["report"]).unwrap();
    assert!(report["tuning"]["skipped"].as_str().unwrap().contains("are needed"));
}

#[test]
fn progress_is_answered_over_http() {
    let board = std::sync::Arc::new(Board::new("shop", "shop-v1"));
    board.begin(Phase::Tune, 4);
    board.advance(1);
    let listener = serve("127.0.0.1:0".parse().unwrap(), board.clone()).unwrap();
    let get = |path: &str| {
        let mut stream = std::net::TcpStream::connect(listener.address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    let status: serde_json::Value = serde_json::from_str(&get("/progress")).unwrap();
    assert_eq!((&status["phase"], &status["done"], &status["total"]), (&"tune".into(), &1.into(), &4.into()));
    assert!(status["percent"].as_f64().unwrap() > 0.0 && status["eta_seconds"].is_number());
    assert_eq!(get("/livez"), "ok\n");
    assert!(get("/metrics").contains("endcap_trainer_progress_ratio"));
    let address = listener.address;
    drop(listener);
    std::net::TcpListener::bind(address).unwrap();
}
