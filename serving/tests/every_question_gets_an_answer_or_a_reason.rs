//! Questions through a real router to a real predictor: all placements, and every kind of bad request.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use endcap_recommender::Placement;
use endcap_serving::table::KeyPair;
use http::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn all_placements_answer_and_bad_requests_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let artifact = publish(at, 1).await;
    let predictor = predictor(at, &artifact, &[]);
    let keys = KeyPair::generate();
    let router = router(at, &keys, &table(1, &artifact, &[predictor.url("listen")]), &[]);
    let base = router.url("listen");
    let web = Web::new();

    for placement in Placement::ALL {
        for customer in [Some("c-1"), None] {
            let mut question = json!({"placement": placement, "session_id": "s-1", "product_id": "P005",
                "cart": [{"product_id": "P001", "quantity": 2}, {"product_id": "NO-SUCH", "quantity": 1}]});
            if let Some(customer) = customer {
                question["customer_id"] = json!(customer);
            }
            let reply = web.ask(&base, &question).await;
            let products = reply.products();
            assert!(!products.is_empty(), "{placement:?}");
            assert!(!reply.is_degraded(), "{:?}", reply.body);
            let json = reply.json();
            assert_eq!(json["version"], "giftshop-v1");
            assert_eq!(json["model"], "giftshop");
            assert_eq!(json["arm"], "active");
            let id = json["request_id"].as_str().unwrap();
            assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
            assert_eq!(reply.header("x-endcap-request-id"), Some(id));
            assert_eq!(reply.header("x-endcap-version"), Some("giftshop-v1"));
            assert_eq!(reply.header("x-endcap-arm"), Some("active"));
            assert_eq!(reply.header("x-endcap-fallback"), None);
            assert_eq!(json["items"][0]["rank"], 1);
        }
    }

    // The predictor's own answer agrees with what the router passes on.
    let direct = web.ask(&predictor.url("listen"), &cart("c-1", &["P001"])).await;
    assert_eq!(direct.products(), web.ask(&base, &cart("c-1", &["P001"])).await.products());
    let model = web.get(&format!("{}/v1/model", predictor.url("listen"))).await.json();
    assert_eq!(model["digest"], json!(artifact.digest));

    let bad = |body: String| {
        let (web, base) = (web.clone(), base.clone());
        async move { web.call(Method::POST, &format!("{base}/v1/recommendations"), &[], body).await }
    };
    for (body, kind, pointers) in [
        ("", "not-json", vec![]),
        ("{\"placement\":", "not-json", vec![]),
        ("[1]", "not-json", vec![]),
        ("{}", "invalid-request", vec!["/placement"]),
        ("{\"placement\":\"shelf\"}", "invalid-request", vec!["/placement"]),
        ("{\"placement\":\"cart\",\"carts\":[],\"limit\":0}", "invalid-request", vec!["/carts", "/limit"]),
        (
            "{\"placement\":\"cart\",\"cart\":[{\"product_id\":\"A\",\"quantity\":0},{\"quantity\":\"x\"}]}",
            "invalid-request",
            vec!["/cart/0/quantity", "/cart/1/product_id", "/cart/1/quantity"],
        ),
    ] {
        let reply = bad(body.to_owned()).await;
        assert_eq!(reply.status, 400, "{body}");
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        let problem = reply.json();
        assert!(problem["type"].as_str().unwrap().ends_with(kind), "{body}: {problem}");
        assert!(problem["request_id"].is_string());
        let mut found: Vec<&str> = problem["errors"]
            .as_array()
            .map(|errors| errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect())
            .unwrap_or_default();
        found.sort_unstable();
        assert_eq!(found, pointers, "{body}");
    }
    assert_eq!(bad("x".repeat(600_000)).await.status, 413);
    for (method, path, status) in [
        (Method::GET, "/v1/recommendations", 405),
        (Method::POST, "/v1/recommend", 404),
        (Method::DELETE, "/", 404),
        (Method::GET, "/control/table", 404),
    ] {
        let reply = web.call(method, &format!("{base}{path}"), &[], "").await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{path}");
    }

    let metrics = web.get(&format!("{}/metrics", router.url("metrics"))).await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(
        text.contains("endcap_router_requests_total{model=\"giftshop\",version=\"giftshop-v1\",arm=\"active\"} 17"),
        "{text}"
    );
    assert!(text.contains("endcap_router_latency_seconds_bucket"), "{text}");
    let counters = web.get(&format!("{}/control/counters", router.url("control"))).await.json();
    assert_eq!(counters["arms"][0]["requests"], 17);
    assert_eq!(counters["arms"][0]["fallback"], 0);
    assert_eq!(counters["arms"][0]["latency"]["count"], 17);
    assert_eq!(counters["invalid"], 8);
    assert!(router.stop().success());
    assert!(predictor.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_its_option() {
    let folder = tempfile::tempdir().unwrap();
    let artifact = publish(folder.path(), 1).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let (_, said) =
        must_fail(folder.path(), "endcap-predictor", &args(&["--artifact", &artifact.uri, "--listen", &addr]));
    assert!(said.contains(&addr) && said.contains("--listen"), "{said}");
    let mut router = router_args(&KeyPair::generate(), &[]);
    router[5] = addr.clone();
    let (_, said) = must_fail(folder.path(), "endcap-router", &router);
    assert!(said.contains(&addr) && said.contains("--control-listen"), "{said}");
}
