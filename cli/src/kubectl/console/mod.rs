//! `kubectl endcap console`: the console's pages on a loopback port, with the rights of who started it.
//!
//! A loopback port is open to every user of the machine, and what comes in leaves with this user's rights. So all but the pages
//! themselves wants a token that only the printed address holds.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use endcap_crds::Kind;
use serde::Deserialize;
use serde_json::{Value, json};

use super::proxy::Proxy;
use crate::client::{Client, rights};
use crate::up::objects::{Refused, is_safe, text_at};
use crate::web;

/// An API server may ask somebody to log in first.
const API_PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

struct Desk {
    client: Client,
    /// Whether the buttons are shown; the API server decides anyway.
    acting: bool,
    token: String,
    cookie: String,
    /// The way goes with the desk.
    _proxy: Option<Proxy>,
}

type Shared = Arc<Desk>;

/// Serves until it is ended.
pub async fn console(client: Client, proxy: Option<Proxy>, port: u16) -> Result<()> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let listener = tokio::net::TcpListener::bind(address).await.with_context(|| {
        format!("failed to listen on {address}: see who holds it with `ss -ltnp`, or choose another --port")
    })?;
    let address = listener.local_addr()?;
    let (models, patch, reach) = tokio::join!(
        client.list(Kind::RecommenderModel),
        rights::may(&client, "endcap.dev", "recommendermodels", "patch"),
        rights::may(&client, "", "services/proxy", "create"),
    );
    let count = models?.0.len();
    let desk = Desk {
        acting: patch.unwrap_or(true),
        token: format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple()),
        cookie: format!("endcap-console-{}", address.port()),
        client,
        _proxy: proxy,
    };
    println!(
        "Models in namespace {}: {count}. Open this address; it holds the key, so keep it to yourself:",
        desk.client.namespace
    );
    println!("\n  http://{address}/?token={}\n", desk.token);
    if !desk.acting {
        println!("Read only: verb `patch` on recommendermodels.endcap.dev is missing (role endcap-promoter).");
    }
    if reach == Some(false) {
        println!(
            "Order entry and key figures stay empty: `create` on services/proxy is missing (role endcap-edit, or the built-in edit)."
        );
    }
    println!("Ctrl-C ends it.");
    serve(listener, desk).await
}

async fn serve(listener: tokio::net::TcpListener, desk: Desk) -> Result<()> {
    axum::serve(listener, routes(Arc::new(desk))).await.context("failed to serve the console")
}

fn routes(desk: Shared) -> Router {
    let guarded = Router::new()
        .route("/apis/endcap.dev/v1alpha1/namespaces/{namespace}/{plural}", get(list))
        .route("/apis/endcap.dev/v1alpha1/namespaces/{namespace}/{plural}/{name}", get(one).patch(one))
        .route("/apis/events.k8s.io/v1/namespaces/{namespace}/events", get(events))
        .route("/console/config", get(config))
        .route("/console/router/{namespace}/{name}/{*rest}", any(router))
        .route("/console/insights/{namespace}/{name}/{*rest}", get(insights))
        .route_layer(axum::middleware::from_fn_with_state(desk.clone(), guard));
    let pages = Router::new().fallback(get(page));
    guarded.merge(pages).layer(axum::middleware::from_fn(web::fence)).with_state(desk)
}

/// Who has the token: the cookie that the printed address sets, or a header for curl.
async fn guard(State(desk): State<Shared>, request: Request, next: Next) -> Response {
    if holds(&desk, request.headers()) {
        return next.run(request).await;
    }
    let text =
        "open the address that `kubectl endcap console` printed: it holds a token without which nothing is shown";
    Refused::new(401, "Unauthorized", text).into_response()
}

fn holds(desk: &Desk, headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let bearer = text(header::AUTHORIZATION).strip_prefix("Bearer ").unwrap_or_default();
    let cookies = text(header::COOKIE).split(';').filter_map(|one| one.trim().split_once('='));
    let cookie = cookies.filter(|(name, _)| *name == desk.cookie).map(|(_, value)| value);
    std::iter::once(bearer).chain(cookie).any(|given| same(given, &desk.token))
}

/// Takes as long whatever the difference is.
fn same(given: &str, wanted: &str) -> bool {
    given.len() == wanted.len()
        && given.bytes().zip(wanted.bytes()).fold(0, |sum, (one, other)| sum | (one ^ other)) == 0
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Opened {
    token: String,
}

/// The pages are public; the address with the token leaves it as a cookie and goes away from the address line.
async fn page(State(desk): State<Shared>, Query(opened): Query<Opened>, request: Request) -> Response {
    if opened.token.is_empty() {
        return web::page(request).await;
    }
    let mut response =
        (StatusCode::SEE_OTHER, [(header::LOCATION, "/"), (header::CACHE_CONTROL, "no-store")]).into_response();
    let cookie = format!("{}={}; HttpOnly; SameSite=Strict; Path=/", desk.cookie, desk.token);
    if let (true, Ok(cookie)) = (same(&opened.token, &desk.token), HeaderValue::from_str(&cookie)) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn kind_of(plural: &str) -> Result<Kind, Refused> {
    let found = Kind::ALL.into_iter().find(|kind| kind.plural() == plural);
    found.ok_or_else(|| Refused::new(404, "NotFound", format!("there is no resource {plural:?}")))
}

/// Names are parts of paths: nothing else may be in them.
fn safe(names: &[&str]) -> Result<(), Refused> {
    match names.iter().find(|name| !is_safe(name)) {
        Some(name) => Err(Refused::new(400, "BadRequest", format!("{name:?} is not a name"))),
        None => Ok(()),
    }
}

async fn api(desk: &Desk, path: &str, request: Request) -> Result<Response, Refused> {
    web::through(&desk.client.http, web::join(&desk.client.server, path)?, request, API_PATIENCE).await
}

async fn list(
    State(desk): State<Shared>,
    Path((namespace, plural)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    safe(&[&namespace])?;
    let plural = kind_of(&plural)?.plural();
    api(&desk, &format!("apis/endcap.dev/v1alpha1/namespaces/{namespace}/{plural}"), request).await
}

/// Read one object, or patch a model: nothing else is changed from a page.
async fn one(
    State(desk): State<Shared>,
    Path((namespace, plural, name)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    safe(&[&namespace, &name])?;
    let kind = kind_of(&plural)?;
    if *request.method() == Method::PATCH && kind != Kind::RecommenderModel {
        let text = format!("the console changes models alone, not {plural}: use kubectl");
        return Err(Refused::new(403, "Forbidden", text));
    }
    api(&desk, &format!("apis/endcap.dev/v1alpha1/namespaces/{namespace}/{plural}/{name}"), request).await
}

async fn events(
    State(desk): State<Shared>,
    Path(namespace): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    safe(&[&namespace])?;
    api(&desk, &format!("apis/events.k8s.io/v1/namespaces/{namespace}/events"), request).await
}

/// What the pages need to know at first. Models are listed anew: they come and go.
async fn config(State(desk): State<Shared>) -> Result<Json<Value>, Refused> {
    let listed = desk.client.list(Kind::RecommenderModel).await;
    let (models, _) = listed.map_err(|error| Refused::new(502, "BadGateway", format!("{error:#}")))?;
    let namespace = &desk.client.namespace;
    let model = |model: &Value| {
        let name = text_at(model, "/metadata/name");
        json!({"namespace": namespace, "name": name, "router": format!("/console/router/{namespace}/{name}"), "insights": format!("/console/insights/{namespace}/{name}")})
    };
    let models: Vec<Value> = models.iter().map(model).collect();
    Ok(Json(json!({"namespaces": [namespace], "acting": desk.acting, "models": models})))
}

async fn router(
    State(desk): State<Shared>,
    Path((namespace, name, rest)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    let service = format!("http:{name}:80");
    service_proxy(&desk, [&namespace, &name, &service], &rest, request).await
}

async fn insights(
    State(desk): State<Shared>,
    Path((namespace, name, rest)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    let service = format!("http:{name}-insights:8080");
    service_proxy(&desk, [&namespace, &name, &service], &rest, request).await
}

/// Through the API server to a Service: its own API, never a path of the pods' other ports.
async fn service_proxy(
    desk: &Desk,
    [namespace, name, service]: [&str; 3],
    rest: &str,
    request: Request,
) -> Result<Response, Refused> {
    safe(&[namespace, name])?;
    if !rest.starts_with("v1/") {
        return Err(Refused::new(404, "NotFound", format!("there is nothing at {rest}")));
    }
    let base = format!("{}/api/v1/namespaces/{namespace}/services/{service}/proxy", desk.client.server);
    web::through(&desk.client.http, web::join(&base, rest)?, request, web::PATIENCE).await
}

#[cfg(test)]
mod tests;
