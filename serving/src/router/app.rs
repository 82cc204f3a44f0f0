//! The API port: what the OMS calls. The QA port is the same with the version override.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use endcap_eventlog::problem::Problem;
use endcap_eventlog::program;
use endcap_recommender::RecommendationRequest;

use super::App;
use super::counters::one;
use super::events;
use super::ladder::{Asked, Outcome, count};
use super::routing::{RoutedArm, Routing};
use crate::body;
use crate::headers;
use crate::parse::{self, MAX_REQUEST_BYTES};

/// Which port a question came through.
#[derive(Clone)]
struct Port {
    app: Arc<App>,
    /// Only here may a caller choose the version.
    is_qa: bool,
}

pub fn routes(app: Arc<App>, is_qa: bool) -> Router {
    let probes = program::probes(app.health.clone());
    let port = Port { app, is_qa };
    Router::new()
        .route("/v1/recommendations", post(recommendations))
        .route("/v1/events", post(forward_events))
        .with_state(port.clone())
        .merge(probes)
        .method_not_allowed_fallback(|| async {
            Problem::method_not_allowed().detail("questions and events are sent with POST")
        })
        .fallback(|| async { Problem::not_found().detail("there are POST /v1/recommendations and POST /v1/events") })
        .layer(axum::middleware::map_response_with_state(port, close_when_draining))
}

/// Callers that keep connections open learn that they should use another one, before this one is closed under them.
async fn close_when_draining(State(port): State<Port>, mut response: Response) -> Response {
    if port.app.is_draining() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn forward_events(State(port): State<Port>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    events::forward(&port.app, &headers, body).await
}

async fn recommendations(State(port): State<Port>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let started = Instant::now();
    let request_id = uuid::Uuid::now_v7().to_string();
    let app = &port.app;
    let read = async {
        let bytes = body::read(body, MAX_REQUEST_BYTES).await?;
        let request = parse::request(&bytes)?;
        Ok::<_, Problem>((bytes, request))
    };
    let (bytes, request) = read.await.map_err(|problem| {
        one(&app.ladder.counters.invalid);
        with_id(problem, &request_id)
    })?;
    let Some(routing) = app.tables.current() else {
        // Not ready, so no balancer sends anybody here; who calls all the same is told.
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-table", "This router has no routing table yet");
        let problem = problem
            .detail("it gets one from the control plane; ask again")
            .retry_after(std::time::Duration::from_secs(1));
        return Err(with_id(problem, &request_id));
    };
    let (assigned, unit) =
        assign(&port, &routing, &headers, &request, &bytes).map_err(|problem| with_id(problem, &request_id))?;
    let asked =
        Asked { routing: &routing, assigned, request: &request, body: &bytes, request_id: &request_id, started };
    let outcome = app.ladder.answer(&asked).await;
    let response = respond(assigned, &request_id, &outcome);
    if matches!(unit, Assignment::Overridden) {
        // Not traffic: neither gates nor experiments may see it.
        one(&app.ladder.counters.overridden);
    } else {
        count(assigned, &outcome, started.elapsed(), routing.timeout);
        app.exposures.send(super::exposure::event(&routing, assigned, &request, request_id, outcome, unit.header()));
    }
    Ok(response)
}

fn with_id(problem: Problem, request_id: &str) -> Problem {
    problem.request_id(request_id)
}

/// How the arm was found.
enum Assignment {
    /// By a unit; holds it where the header named it.
    Unit(Option<String>),
    Chance,
    Overridden,
}

impl Assignment {
    fn header(self) -> Option<String> {
        match self {
            Self::Unit(unit) => unit,
            Self::Chance | Self::Overridden => None,
        }
    }
}

fn assign<'r>(
    port: &Port,
    routing: &'r Routing,
    headers: &HeaderMap,
    request: &RecommendationRequest,
    body: &Bytes,
) -> Result<(&'r Arc<RoutedArm>, Assignment), Problem> {
    if port.is_qa
        && let Some(version) = headers.get(&routing.override_header)
    {
        let version = version.to_str().unwrap_or_default();
        return routing.of_version(version).map(|arm| (arm, Assignment::Overridden)).ok_or_else(|| {
            let problem = Problem::new(StatusCode::BAD_REQUEST, "unknown-version", "No such version is served");
            problem.detail(format!(
                "{} is {version:?}; served are {}",
                routing.override_header,
                routing.versions().join(", ")
            ))
        });
    }
    let Some(unit) = routing.unit(headers, request, body) else {
        one(&port.app.ladder.counters.unkeyed);
        return Ok((routing.assign_by_chance(), Assignment::Chance));
    };
    let is_known = request.unit() == Some(unit.as_str());
    Ok((routing.assign(&unit), Assignment::Unit((!is_known).then_some(unit))))
}

fn respond(assigned: &RoutedArm, request_id: &str, outcome: &Outcome) -> Response {
    let mut response =
        ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], outcome.json.clone()).into_response();
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put(headers::REQUEST_ID, request_id);
    put(headers::VERSION, &outcome.version);
    put(headers::ARM, &assigned.name);
    if let Some(experiment) = &assigned.experiment {
        put(headers::EXPERIMENT, experiment);
    }
    if outcome.degraded.is_some() {
        put(headers::FALLBACK, "1");
    }
    response
}
