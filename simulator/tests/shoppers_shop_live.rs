#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
//! Live customers speak the wire contract, keep their rate, survive a bad server, and follow their taste.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use endcap_eventlog::EventType::{
    AddToCart, BeginCheckout, Purchase, RecommendationAccepted, RecommendationDeclined, SelectItem, ViewItem,
};
use endcap_eventlog::intake::{Format, Source, parse_body};
use endcap_eventlog::{Event, EventOutcome, EventType, EventsResponse};
use endcap_recommender::request::RecommendationRequest;
use endcap_recommender::response::{Item, Kind, Reason, RecommendationResponse, StockStatus};
use endcap_simulator::live::{LiveReport, LiveSpec, LiveTasteChange, run};
use endcap_simulator::{Preset, World, WorldSpec};
use jiff::Timestamp;
use rust_decimal::Decimal;
use tokio_util::sync::CancellationToken;

/// A shop server that answers by the true complements and habits, and takes events by the event log's own checks.
struct Shop {
    world: Arc<World>,
    requests: AtomicU64,
    events: Mutex<Vec<Event>>,
    request_ids: Mutex<HashSet<String>>,
    placements: Mutex<HashSet<&'static str>>,
    /// Refuse this many batches of events first.
    refuse: AtomicU64,
    /// First event id of every batch that came, refused ones included.
    batches: Mutex<Vec<String>>,
}

async fn recommend(
    State(shop): State<Arc<Shop>>,
    Json(request): Json<RecommendationRequest>,
) -> Json<RecommendationResponse> {
    request.validate().expect("a shopper's request is valid");
    let no = shop.requests.fetch_add(1, Ordering::SeqCst);
    let truth = &shop.world.truth;
    let cart: HashSet<&str> = request.cart.iter().map(|line| &*line.product_id).collect();
    let related = request.cart.iter().flat_map(|line| truth.true_complements(&line.product_id)).map(|link| link.0);
    let usual = request
        .customer_id
        .as_deref()
        .map(|id| truth.true_habits(id))
        .unwrap_or_default()
        .into_iter()
        .map(|habit| habit.0);
    let mut seen = HashSet::new();
    let items: Vec<&str> = related.chain(usual).filter(|id| !cart.contains(id) && seen.insert(*id)).take(8).collect();
    let items = items.iter().zip(1..).map(|(id, rank)| Item {
        rank,
        product_id: (*id).into(),
        name: (*id).to_owned(),
        kind: Kind::CrossSell,
        score: 0.5,
        unit_price: None,
        stock: StockStatus::InStock,
        suggested_quantity: Decimal::ONE,
        in_cart: Decimal::ZERO,
        offer: None,
        instead_of: None,
        reason: Reason { code: "bought_together".to_owned(), text: String::new(), evidence: serde_json::Map::new() },
        propensity: 1.0,
    });
    let request_id = format!("r{no}");
    shop.request_ids.lock().unwrap().insert(request_id.clone());
    shop.placements.lock().unwrap().insert(request.placement.as_str());
    Json(RecommendationResponse {
        request_id,
        model: "shop".to_owned(),
        version: format!("shop-v{}", 1 + no % 2),
        arm: None,
        experiment: None,
        degraded: None,
        currency: None,
        items: items.collect(),
    })
}

async fn take_events(State(shop): State<Arc<Shop>>, _: HeaderMap, body: Bytes) -> Response {
    let parsed = parse_body(&body, Format::Json, Source::Client, Timestamp::now()).expect("a batch");
    let mut results = Vec::new();
    let mut events = Vec::new();
    for (index, event) in parsed.into_iter().enumerate() {
        match event {
            Ok(event) => {
                results.push(EventOutcome::Accepted { event_id: event.event_id.clone(), offset: index as u64 });
                events.push(event);
            }
            Err(rejection) => results.push(rejection.outcome(index)),
        }
    }
    shop.batches.lock().unwrap().push(events[0].event_id.clone());
    if shop.refuse.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        return (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")], "away").into_response();
    }
    let accepted = events.len();
    let rejected = results.len() - accepted;
    shop.events.lock().unwrap().extend(events);
    Json(EventsResponse { accepted, duplicates: 0, rejected, results }).into_response()
}

async fn open_shop(refuse: u64) -> (Arc<Shop>, String) {
    let world = Arc::new(World::generate(&WorldSpec::new(Preset::GiftShop, 200, 200, 120, 31)).unwrap());
    let shop = Arc::new(Shop {
        world,
        requests: AtomicU64::new(0),
        events: Mutex::new(Vec::new()),
        request_ids: Mutex::new(HashSet::new()),
        placements: Mutex::new(HashSet::new()),
        refuse: AtomicU64::new(refuse),
        batches: Mutex::new(Vec::new()),
    });
    let routes = Router::new().route("/v1/recommendations", post(recommend)).route("/v1/events", post(take_events));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = routes.with_state(Arc::clone(&shop));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (shop, url)
}

fn fast(url: &str, visits: u64) -> LiveSpec {
    LiveSpec {
        visits_per_s: 400.0,
        visits: Some(visits),
        think_time: Duration::ZERO,
        run_id: "t".to_owned(),
        ..LiveSpec::new(url)
    }
}

async fn shop_with(shop: &Shop, spec: LiveSpec) -> LiveReport {
    run(Arc::clone(&shop.world), spec, CancellationToken::new(), None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shoppers_speak_the_contract() {
    let (shop, url) = open_shop(0).await;
    let report = shop_with(&shop, fast(&url, 250)).await;
    assert_eq!(report.errors(), 0, "{:?}", report.first_error);
    assert_eq!(report.events_rejected, 0, "{:?}", report.first_rejection);
    assert_eq!((report.visits_started, report.visits_finished + report.visits_dropped), (250, 250));
    assert_eq!(report.recommendations.requests, shop.requests.load(Ordering::SeqCst));
    assert_eq!(report.recommendation_latency.calls, report.recommendations.requests);
    assert!(
        report.recommendation_latency.p50_ms > 0.0
            && report.recommendation_latency.p50_ms <= report.recommendation_latency.p99_ms
    );
    assert_eq!(report.by_version.values().map(|tally| tally.requests).sum::<u64>(), report.recommendations.requests);
    assert_eq!(report.by_version.len(), 2);
    assert!(
        report.recommendations.accepted > 50
            && report.recommendations.declined > 5
            && report.recommendations.clicked > 5
    );

    let events = shop.events.lock().unwrap();
    assert_eq!(report.events_accepted, events.len() as u64);
    let ids: HashSet<&str> = events.iter().map(|event| event.event_id.as_str()).collect();
    assert_eq!(ids.len(), events.len(), "event ids are unique");
    let mut seen: HashMap<EventType, u64> = HashMap::new();
    events.iter().for_each(|event| *seen.entry(event.event_type).or_default() += 1);
    for wanted in
        [AddToCart, BeginCheckout, Purchase, RecommendationAccepted, RecommendationDeclined, SelectItem, ViewItem]
    {
        assert!(seen.contains_key(&wanted), "no {wanted:?}: {seen:?}");
    }
    assert_eq!(seen[&RecommendationAccepted], report.recommendations.accepted);
    assert_eq!(seen[&RecommendationDeclined], report.recommendations.declined);
    assert_eq!(seen[&Purchase], report.orders);
    let request_ids = shop.request_ids.lock().unwrap();
    let mut orders = HashSet::new();
    for event in events.iter() {
        match event.event_type {
            RecommendationAccepted | RecommendationDeclined | SelectItem => {
                assert!(request_ids.contains(event.request_id.as_deref().unwrap()) && event.placement.is_some());
            }
            Purchase => {
                assert!(!event.lines.is_empty() && orders.insert(event.order_id.clone().unwrap()));
                assert!(event.lines.iter().all(|line| line.unit_price.is_some() && line.quantity > Decimal::ZERO));
            }
            _ => {}
        }
    }
    let placements = shop.placements.lock().unwrap();
    for wanted in ["home", "product", "cart", "checkout", "order_entry", "post_purchase", "abandoned_cart"] {
        assert!(placements.contains(wanted), "nobody asked at {wanted}");
    }
    let strangers = events.iter().filter(|event| event.customer_id.is_none()).count();
    assert!(strangers > 0 && strangers * 3 < events.len());
    drop((events, request_ids, placements));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_events_are_sent_again_with_the_same_ids() {
    let (shop, url) = open_shop(3).await;
    let report = shop_with(&shop, fast(&url, 20)).await;
    assert_eq!(report.events_failed.values().sum::<u64>(), 0, "{:?}", report.first_error);
    assert_eq!(report.events_accepted, shop.events.lock().unwrap().len() as u64);
    let batches = shop.batches.lock().unwrap();
    let distinct: HashSet<&String> = batches.iter().collect();
    assert_eq!(batches.len(), distinct.len() + 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_shop_is_counted_not_fatal() {
    let (shop, _) = open_shop(0).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let report = shop_with(&shop, LiveSpec { event_attempts: 1, ..fast(&url, 5) }).await;
    assert_eq!(report.visits_finished, 5);
    assert!(report.recommendation_errors["connection_failed"] >= 5);
    assert!(report.first_error.is_some());
    let nonsense = run(Arc::clone(&shop.world), fast("not an address", 1), CancellationToken::new(), None).await;
    assert!(nonsense.unwrap_err().to_string().contains("http://127.0.0.1:8080"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_ends_the_day_at_once() {
    let (shop, url) = open_shop(0).await;
    let cancel = CancellationToken::new();
    let spec = LiveSpec { visits: None, visits_per_s: 50.0, think_time: Duration::from_mins(1), ..fast(&url, 1) };
    let day = tokio::spawn(run(Arc::clone(&shop.world), spec, cancel.clone(), None));
    while shop.requests.load(Ordering::SeqCst) < 10 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cancel.cancel();
    let began = Instant::now();
    let report = day.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(report.visits_started > report.visits_finished);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_visitors_than_the_shop_holds_are_turned_away_and_counted() {
    let (shop, url) = open_shop(0).await;
    let spec = LiveSpec { max_visits_in_flight: 2, think_time: Duration::from_millis(300), ..fast(&url, 60) };
    let report = shop_with(&shop, spec).await;
    assert!(report.visits_dropped > 0);
    assert_eq!(report.visits_dropped + report.visits_finished, 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_taste_shows_in_what_is_bought_live() {
    let mut shares = Vec::new();
    for share in [0.0, 1.0] {
        let (shop, url) = open_shop(0).await;
        let change = Some(LiveTasteChange { after: Duration::ZERO, share, fashion: false });
        shop_with(&shop, LiveSpec { taste_change: change, stranger_share: 0.0, ..fast(&url, 250) }).await;
        let truth = &shop.world.truth;
        let (mut old, mut all) = (0.0, 0.0);
        for event in shop.events.lock().unwrap().iter().filter(|event| event.event_type == EventType::Purchase) {
            let customer = truth.customer(truth.customer_no(event.customer_id.as_deref().unwrap()).unwrap()).unwrap();
            for line in &event.lines {
                let subcategory = truth.product(truth.product_no(&line.product_id).unwrap()).unwrap().subcategory;
                old += f64::from(u8::from(customer.tastes.needs.iter().take(4).any(|need| need.0 == subcategory)));
                all += 1.0;
            }
        }
        assert!(all > 300.0);
        shares.push(old / all);
    }
    assert!(shares[1] < 0.75 * shares[0], "share of the old needs: {shares:?}");
}
