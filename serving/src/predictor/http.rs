//! What a predictor answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post, put};
use endcap_eventlog::problem::Problem;
use endcap_recommender::artifact::ArtifactManifest;
use endcap_recommender::fitted::Model;
use endcap_recommender::pipeline::{CompiledPolicy, Facts, Person, recommend};
use endcap_recommender::response::{Degraded, Rung};
use endcap_recommender::{RecommendationRequest, RecommendationResponse};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::metrics::Metrics;
use super::policies::{MAX_POLICY_BYTES, Policies, PolicyError};
use super::pool::{NoAnswer, Pool};
use crate::body;
use crate::follow::Sink;
use crate::headers;
use crate::live_view::LiveView;
use crate::parse::{self, MAX_REQUEST_BYTES};

/// Where the asker names no deadline.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(2);

pub struct App {
    pub model: Arc<Model>,
    pub manifest: ArtifactManifest,
    pub digest: String,
    pub live: Arc<LiveView>,
    pub policies: Arc<Policies>,
    pub pool: Pool,
    pub metrics: Arc<Metrics>,
}

pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/recommendations", post(recommendations))
        .route("/v1/model", get(model))
        .route("/v1/policies/{sha256}", put(put_policy).layer(DefaultBodyLimit::max(MAX_POLICY_BYTES)))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .fallback(|| async {
            Problem::not_found().detail("there are /v1/recommendations, /v1/model and /v1/policies/{sha256}")
        })
        .with_state(app)
}

/// Headers of a question, read once.
struct Asked {
    started: Instant,
    deadline: Instant,
    request_id: String,
    arm: Option<String>,
    experiment: Option<String>,
    degraded: Option<Degraded>,
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty())
}

impl Asked {
    fn read(headers: &HeaderMap) -> Self {
        let started = Instant::now();
        let owned = |name| text(headers, name).map(str::to_owned);
        let wait = text(headers, &headers::DEADLINE).and_then(|text| text.parse().ok()).map(Duration::from_millis);
        Self {
            started,
            deadline: started + wait.unwrap_or(DEFAULT_DEADLINE).min(Duration::from_mins(1)),
            request_id: owned(&headers::REQUEST_ID).unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
            arm: owned(&headers::ARM),
            experiment: owned(&headers::EXPERIMENT),
            // The router says why the arm that was assigned does not answer itself.
            degraded: owned(&headers::FALLBACK).map(|why| Degraded { from: Rung::Active, why }),
        }
    }
}

async fn recommendations(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let asked = Asked::read(&headers);
    let id = asked.request_id.clone();
    match answer(&app, &headers, asked, body).await {
        Ok(response) => {
            app.metrics.count("answered");
            Ok(response)
        }
        Err((outcome, problem)) => {
            app.metrics.count(outcome);
            Err(problem.request_id(id))
        }
    }
}

type Refusal = (&'static str, Problem);

async fn answer(app: &Arc<App>, headers: &HeaderMap, asked: Asked, body: Body) -> Result<Response, Refusal> {
    let started = asked.started;
    let bytes = body::read(body, MAX_REQUEST_BYTES).await.map_err(|problem| ("invalid", problem))?;
    let request = parse::request(&bytes).map_err(|problem| ("invalid", problem))?;
    let (policy, policy_hash) = policy(app, headers)?;
    let deadline = asked.deadline;
    let version = app.manifest.version.clone();
    let receiver = {
        let app = app.clone();
        app.clone().pool.submit(deadline, move |scratch| score(&app, asked, &request, &policy, scratch))
    };
    app.metrics.waiting.set(app.pool.waiting() as i64);
    let receiver = receiver.map_err(|full| {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Too many questions at once");
        (
            "queue_full",
            problem
                .detail(format!("{full}; ask again in a second, or serve with more threads or replicas"))
                .retry_after(Duration::from_secs(1)),
        )
    })?;
    let late = || {
        let problem = Problem::new(StatusCode::GATEWAY_TIMEOUT, "deadline", "The deadline passed before the answer");
        ("deadline", problem.detail(format!("{} is how long the asker waits", headers::DEADLINE)))
    };
    let failed = || {
        let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "Scoring failed");
        ("failed", problem.detail("the log of this predictor says why; please report it"))
    };
    let json = match tokio::time::timeout_at(deadline.into(), receiver).await {
        Err(_) | Ok(Ok(Err(NoAnswer::Expired))) => return Err(late()),
        Ok(Err(_) | Ok(Err(NoAnswer::Failed))) => return Err(failed()),
        Ok(Ok(Ok(Err(error)))) => {
            tracing::error!(%error, "failed to write an answer as JSON");
            return Err(failed());
        }
        Ok(Ok(Ok(Ok(json)))) => json,
    };
    app.metrics.latency.observe(started.elapsed().as_secs_f64());
    let mut response = ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response();
    let answered = response.headers_mut();
    for (name, value) in [(headers::VERSION, Some(version)), (headers::POLICY, policy_hash)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            answered.insert(name, value);
        }
    }
    Ok(response)
}

fn policy(app: &App, headers: &HeaderMap) -> Result<(Arc<CompiledPolicy>, Option<String>), Refusal> {
    let Some(hash) = text(headers, &headers::POLICY) else { return Ok((app.policies.own(), None)) };
    if let Some(policy) = app.policies.find(hash) {
        return Ok((policy, Some(hash.to_owned())));
    }
    let problem = Problem::new(StatusCode::PRECONDITION_REQUIRED, "policy-unknown", "The policy is not known here");
    Err(("policy_unknown", problem.detail(format!("send it with PUT /v1/policies/{hash} and ask again"))))
}

/// On a thread of the pool.
fn score(
    app: &App,
    asked: Asked,
    request: &RecommendationRequest,
    policy: &CompiledPolicy,
    scratch: &mut endcap_recommender::candidates::Scratch,
) -> Result<Bytes, serde_json::Error> {
    let (customer, session) = app.live.person(request, policy.policy.over_promotion.frequency_cap.is_some());
    let shelf = app.live.shelf();
    let person = Person { customer: customer.as_ref(), session: session.as_ref() };
    let facts = Facts { model: &app.model, shelf: &shelf, policy, person, now: Timestamp::now() };
    let items = recommend(&facts, request, scratch);
    drop(shelf);
    if items.is_empty() {
        app.metrics.empty.inc();
    }
    let response = RecommendationResponse {
        request_id: asked.request_id,
        model: app.manifest.model.clone(),
        version: app.manifest.version.clone(),
        arm: asked.arm,
        experiment: asked.experiment,
        degraded: asked.degraded,
        currency: app.model.settings.currency.clone(),
        items,
    };
    serde_json::to_vec(&response).map(Bytes::from)
}

/// What a predictor serves.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ServedModel {
    pub model: String,
    pub version: String,
    /// SHA-256 of the artifact's manifest, as it was read and checked.
    pub digest: String,
    pub architecture: String,
    pub products: usize,
    /// Bytes by object, each checked against its SHA-256 as it was read.
    pub objects: std::collections::BTreeMap<String, u64>,
    /// First offset of the event log that is not in the live state.
    pub live_next_offset: u64,
}

async fn model(State(app): State<Arc<App>>) -> Json<ServedModel> {
    let manifest = &app.manifest;
    Json(ServedModel {
        model: manifest.model.clone(),
        version: manifest.version.clone(),
        digest: app.digest.clone(),
        architecture: manifest.architecture.clone(),
        products: app.model.catalogue.len(),
        objects: manifest.objects.iter().map(|(name, entry)| (name.clone(), entry.bytes)).collect(),
        live_next_offset: app.live.next_offset(),
    })
}

async fn put_policy(State(app): State<Arc<App>>, Path(hash): Path<String>, text: Bytes) -> Result<StatusCode, Problem> {
    let put = tokio::task::spawn_blocking(move || app.policies.put(&hash, &text)).await;
    let bad = |detail: String| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid-policy", "The policy is not valid").detail(detail)
    };
    match put {
        Ok(Ok(())) => Ok(StatusCode::NO_CONTENT),
        Ok(Err(error @ (PolicyError::WrongHash { .. } | PolicyError::NotAPolicy(_) | PolicyError::Read { .. }))) => {
            Err(bad(error.to_string()))
        }
        Err(error) => Err(bad(error.to_string())),
    }
}
