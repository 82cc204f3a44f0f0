#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use axum::body::{Body, Bytes};
use reqwest::{RequestBuilder, StatusCode};
use tokio::sync::mpsc;

use super::*;
use crate::client::Place;

const TOKEN: &str = "0123456789abcdef";

/// An API server that says what it was asked; a watch sends a line now and one when it is told to.
async fn api_server() -> (String, mpsc::Sender<()>) {
    let (tell, told) = mpsc::channel::<()>(1);
    let told = Arc::new(tokio::sync::Mutex::new(told));
    let answer = move |request: Request| {
        let told = told.clone();
        async move {
            let (method, uri) = (request.method().to_string(), request.uri().to_string());
            if uri.contains("watch=true") {
                let parts = futures::stream::unfold(0, move |number| {
                    let told = told.clone();
                    async move {
                        if number > 0 {
                            told.lock().await.recv().await?;
                        }
                        let line = Bytes::from(format!("{{\"line\":{number}}}\n"));
                        Some((Ok::<_, std::convert::Infallible>(line), number + 1))
                    }
                });
                return Body::from_stream(parts).into_response();
            }
            let items = json!([{"metadata": {"name": "feed"}}]);
            Json(json!({"asked": format!("{method} {uri}"), "items": items})).into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (address, tell)
}

struct Page {
    http: reqwest::Client,
    url: String,
    tell: mpsc::Sender<()>,
}

impl Page {
    async fn open() -> Self {
        let (server, tell) = api_server().await;
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let client = Client { http: http.clone(), server, namespace: "shop".to_owned(), place: Place::Cluster };
        let desk = Desk { client, acting: true, token: TOKEN.to_owned(), cookie: "key".to_owned(), _proxy: None };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, desk));
        Self { http, url, tell }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.url)).header("cookie", format!("other=1; key={TOKEN}"))
    }

    fn patch(&self, path: &str) -> RequestBuilder {
        let request = self.http.patch(format!("{}{path}", self.url)).bearer_auth(TOKEN);
        request.header("content-type", "application/merge-patch+json").body("{}")
    }

    async fn asked(&self, request: RequestBuilder) -> String {
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["asked"].as_str().unwrap_or_default().to_owned()
    }

    async fn status(&self, request: RequestBuilder) -> StatusCode {
        request.send().await.unwrap().status()
    }
}

const MODELS: &str = "/apis/endcap.dev/v1alpha1/namespaces/shop/recommendermodels";

#[tokio::test]
async fn nobody_without_the_token_reaches_the_cluster() {
    let page = Page::open().await;
    for path in
        [MODELS, "/console/config", "/console/router/shop/feed/v1/x", "/apis/events.k8s.io/v1/namespaces/shop/events"]
    {
        let bare = page.http.get(format!("{}{path}", page.url));
        assert_eq!(page.status(bare).await, StatusCode::UNAUTHORIZED, "{path}");
        let wrong = page.http.get(format!("{}{path}", page.url)).header("cookie", "key=0123456789abcdee");
        assert_eq!(page.status(wrong).await, StatusCode::UNAUTHORIZED, "{path}");
    }
    let opened = page.http.get(format!("{}/?token={TOKEN}", page.url)).send().await.unwrap();
    assert_eq!(opened.status(), StatusCode::SEE_OTHER);
    let cookie = opened.headers()["set-cookie"].to_str().unwrap();
    assert_eq!(cookie, format!("key={TOKEN}; HttpOnly; SameSite=Strict; Path=/"));
    let guessed = page.http.get(format!("{}/?token=guess", page.url)).send().await.unwrap();
    assert!(!guessed.headers().contains_key("set-cookie"));
}

#[tokio::test]
async fn requests_reach_their_place_and_no_other() {
    let page = Page::open().await;
    let query = "?watch=false&resourceVersion=7";
    assert_eq!(page.asked(page.get(&format!("{MODELS}{query}"))).await, format!("GET {MODELS}{query}"));
    let model = format!("{MODELS}/feed?fieldManager=endcap-console");
    assert_eq!(page.asked(page.patch(&model)).await, format!("PATCH {model}"));
    let insights = page.asked(page.get("/console/insights/shop/feed/v1/kpis?by=day")).await;
    assert_eq!(insights, "GET /api/v1/namespaces/shop/services/http:feed-insights:8080/proxy/v1/kpis?by=day");
    let post = page.http.post(format!("{}/console/router/shop/feed/v1/recommendations", page.url)).bearer_auth(TOKEN);
    assert_eq!(page.asked(post).await, "POST /api/v1/namespaces/shop/services/http:feed:80/proxy/v1/recommendations");
    for path in [
        "/api/v1/namespaces/shop/secrets",
        "/apis/endcap.dev/v1alpha1/namespaces/shop/pods",
        "/console/insights/shop/feed/control/table",
        "/console/insights/shop/feed/v1/%2e%2e/%2e%2e/x",
        "/console/insights/shop%2fx/feed/v1/kpis",
        "/console/insights/shop/feed:8081%2f/v1/kpis",
    ] {
        let answer = page.get(path).send().await.unwrap();
        assert!(answer.status().is_client_error(), "{path}: {}", answer.status());
    }
    let version = "/apis/endcap.dev/v1alpha1/namespaces/shop/modelversions/feed-v1";
    assert_eq!(page.status(page.patch(version)).await, StatusCode::FORBIDDEN);
    let delete = page.http.delete(format!("{}{MODELS}/feed", page.url)).bearer_auth(TOKEN);
    assert_eq!(page.status(delete).await, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn other_origins_and_other_names_are_fenced_off() {
    let page = Page::open().await;
    let rebound = page.get(MODELS).header("host", "evil.example");
    assert_eq!(page.status(rebound).await, StatusCode::FORBIDDEN);
    let foreign =
        page.patch(&format!("{MODELS}/feed")).header("origin", "http://127.0.0.1:1").header("x-endcap-console", "1");
    assert_eq!(page.status(foreign).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_pages_learn_which_models_there_are() {
    let page = Page::open().await;
    let config: Value = page.get("/console/config").send().await.unwrap().json().await.unwrap();
    assert_eq!(config["models"][0]["insights"], "/console/insights/shop/feed");
    assert_eq!((&config["namespaces"], &config["acting"]), (&json!(["shop"]), &json!(true)));
}

#[tokio::test]
async fn a_watch_flows_line_by_line() {
    let page = Page::open().await;
    let mut answer = page.get(&format!("{MODELS}?watch=true")).send().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "{\"line\":0}\n");
    page.tell.send(()).await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "{\"line\":1}\n");
}
