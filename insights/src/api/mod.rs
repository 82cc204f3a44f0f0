//! What is asked by HTTP, version 1. Shapes, units and methods: `docs/insights.md`.

mod arms;
mod control;
mod drift;
mod experiment;
mod kpis;
mod search;
mod status;
pub mod types;

use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::routing::get;
use endcap_eventlog::problem::Problem;
use endcap_eventlog::program::{self, Health};
use http::StatusCode;
use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::fold::Cell;
use crate::follow::Folded;
use crate::shop::Shop;
use crate::tables::Tables;

pub use arms::ArmsQuery;
pub use control::routes as control_routes;
pub use drift::DriftQuery;
pub use experiment::ExperimentQuery;
pub use kpis::KpisQuery;
pub use search::SearchQuery;
pub use status::of as status_of;

/// What the handlers share.
pub struct App {
    pub folded: Arc<Folded>,
    pub tables: Arc<Tables>,
    pub shop: Arc<Shop>,
    pub health: Arc<Health>,
    /// Program's own, so that two programs' answers are told apart.
    pub started: Timestamp,
}

pub fn routes(app: Arc<App>) -> Router {
    let probes = program::probes(app.health.clone());
    Router::new()
        .route("/v1/status", get(status::status))
        .route("/v1/kpis", get(kpis::kpis))
        .route("/v1/arms", get(arms::arms))
        .route("/v1/experiments/{name}", get(experiment::experiment))
        .route("/v1/drift", get(drift::drift))
        .route("/v1/products", get(search::products))
        .route("/v1/customers", get(search::customers))
        .with_state(app)
        .merge(probes)
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed().detail("insights are read with GET") })
        .fallback(|| async {
            Problem::not_found().detail(
                "there are /v1/status, /v1/kpis, /v1/arms, /v1/experiments/{name}, /v1/drift, /v1/products and /v1/customers",
            )
        })
        .layer(tower_http::catch_panic::CatchPanicLayer::new())
}

type Asked<T> = Result<Query<T>, QueryRejection>;

fn query<T>(asked: Asked<T>) -> Result<T, Problem> {
    asked.map(|Query(query)| query).map_err(|error| bad(error.body_text()))
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-query", "The query is wrong").detail(detail)
}

/// Works on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a question failed");
        Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The question failed"))
    })
}

/// A stretch of time in seconds since 1970, its end exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    from_s: i64,
    to_s: i64,
}

const MAX_WINDOW_S: i64 = 400 * 86_400;

impl Window {
    /// Without `to`: until now. Without `from`: a day.
    fn of(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Self, Problem> {
        let to_s = to.unwrap_or_else(Timestamp::now).as_millisecond().div_euclid(1_000);
        let from_s = from.map_or(to_s - 86_400, Timestamp::as_second);
        if from_s >= to_s || to_s - from_s > MAX_WINDOW_S {
            return Err(bad("from must lie before to, by 400 days at most; send both as RFC 3339 times"));
        }
        Ok(Self { from_s, to_s })
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn time_ms(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Money from ten-thousandths, with at least two decimals.
fn money(ten_thousandths: i64) -> String {
    let mut money = Decimal::new(ten_thousandths, 4).normalize();
    if money.scale() < 2 {
        money.rescale(2);
    }
    money.to_string()
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn rate(part: i64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Sums of the lists of known units, by group: clicked and all, and so on.
fn by_group(cell: &Cell, part: impl Fn(&crate::fold::Group) -> i64) -> Vec<(f64, f64)> {
    cell.groups.values().map(|group| (part(group) as f64, group.lists as f64)).collect()
}
