//! The API of one machine: Kubernetes' paths for our kinds and for events, the console, and ways through to router and insights.
//!
//! Loopback only, and fenced against pages of other origins (see [`web::fence`]).

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use endcap_crds::Kind;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};

use super::Machine;
use super::objects::{Change, Refused};
use crate::web;

type Shared = Arc<Machine>;

pub async fn serve(listener: tokio::net::TcpListener, machine: Shared) {
    let routes = Router::new()
        .route("/apis/endcap.dev/v1alpha1/{plural}", get(list_all))
        .route("/apis/endcap.dev/v1alpha1/namespaces/{namespace}/{plural}", get(list))
        .route("/apis/endcap.dev/v1alpha1/namespaces/{namespace}/{plural}/{name}", get(one).patch(patch).delete(delete))
        .route("/apis/events.k8s.io/v1/events", get(all_events))
        .route("/apis/events.k8s.io/v1/namespaces/{namespace}/events", get(events))
        .route("/console/config", get(config))
        .route("/console/programs", get(programs))
        .route("/console/logs/{namespace}/{name}/{program}", get(logs))
        .route("/console/router/{namespace}/{name}/{*rest}", any(router))
        .route("/console/insights/{namespace}/{name}/{*rest}", get(insights))
        .route("/livez", get(|| async { "ok" }))
        .fallback(get(web::page))
        .layer(axum::middleware::from_fn(web::fence))
        .with_state(machine);
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!("failed to serve the console: {error}");
    }
}

fn kind_of(plural: &str) -> Result<Kind, Refused> {
    Kind::ALL
        .into_iter()
        .find(|kind| kind.plural() == plural)
        .ok_or_else(|| Refused::new(404, "NotFound", format!("there is no resource {plural:?}")))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Asked {
    watch: bool,
    resource_version: String,
    field_manager: Option<String>,
    force: bool,
}

async fn list_all(
    State(machine): State<Shared>,
    Path(plural): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    listed(&machine, kind_of(&plural)?, None, &asked)
}

async fn list(
    State(machine): State<Shared>,
    Path((namespace, plural)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    listed(&machine, kind_of(&plural)?, Some(namespace), &asked)
}

fn listed(machine: &Shared, kind: Kind, namespace: Option<String>, asked: &Asked) -> Result<Response, Refused> {
    if !asked.watch {
        let (items, revision) = machine.objects.list(kind, namespace.as_deref());
        let body = json!({"apiVersion": endcap_crds::API_VERSION, "kind": format!("{kind}List"), "metadata": {"resourceVersion": revision.to_string()}, "items": items});
        return Ok(Json(body).into_response());
    }
    let since = if asked.resource_version.is_empty() || asked.resource_version == "0" {
        None
    } else {
        asked.resource_version.parse().ok()
    };
    let (existing, revision) = machine.objects.list(kind, namespace.as_deref());
    let Some((missed, news)) = machine.objects.watch(since.unwrap_or(revision)) else {
        return Err(Refused::new(410, "Expired", "too old resource version: list again"));
    };
    let first: Vec<Value> = if since.is_none() {
        existing.into_iter().map(|object| json!({"type": "ADDED", "object": object})).collect()
    } else {
        missed.iter().filter_map(|change| line(change, kind, namespace.as_deref())).collect()
    };
    Ok(stream(first, news, move |change: Change| line(&change, kind, namespace.as_deref())))
}

fn line(change: &Change, kind: Kind, namespace: Option<&str>) -> Option<Value> {
    let fits = change.kind == kind && namespace.is_none_or(|wanted| wanted == change.namespace);
    fits.then(|| json!({"type": change.what, "object": change.object}))
}

/// JSON lines: what is there, then what comes. One that falls behind is ended, and lists again.
fn stream<T: Clone + Send + 'static>(
    first: Vec<Value>,
    mut news: broadcast::Receiver<T>,
    line: impl Fn(T) -> Option<Value> + Send + 'static,
) -> Response {
    let (to, mut from) = mpsc::channel::<Bytes>(256);
    tokio::spawn(async move {
        for value in first {
            if to.send(Bytes::from(format!("{value}\n"))).await.is_err() {
                return;
            }
        }
        loop {
            let next = tokio::select! {
                next = news.recv() => next,
                () = to.closed() => return,
            };
            match next {
                Ok(change) => {
                    if let Some(value) = line(change)
                        && to.send(Bytes::from(format!("{value}\n"))).await.is_err()
                    {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    });
    let body = Body::from_stream(futures::stream::poll_fn(move |context| {
        from.poll_recv(context).map(|bytes| bytes.map(Ok::<_, Infallible>))
    }));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn one(
    State(machine): State<Shared>,
    Path((namespace, plural, name)): Path<(String, String, String)>,
) -> Result<Json<Value>, Refused> {
    let kind = kind_of(&plural)?;
    machine.objects.get(kind, &namespace, &name).map(Json).ok_or_else(|| Refused::not_found(kind, &name))
}

async fn patch(
    State(machine): State<Shared>,
    Path((namespace, plural, name)): Path<(String, String, String)>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let kind = kind_of(&plural)?;
    let content = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let bad =
        |error: &dyn std::fmt::Display| Refused::new(400, "BadRequest", format!("failed to read the patch: {error}"));
    let manager = asked.field_manager.clone();
    let stored = if content.starts_with("application/apply-patch+yaml") {
        let mut wanted: Value = serde_yaml::from_slice(&body).map_err(|error| bad(&error))?;
        let manager = manager.ok_or_else(|| Refused::new(400, "BadRequest", "an apply needs ?fieldManager="))?;
        if let Some(metadata) = wanted.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("namespace".to_owned(), json!(namespace));
            metadata.insert("name".to_owned(), json!(name));
        }
        // A manifest is applied again and again; only what it changes is somebody's doing.
        let now = machine.objects.get(kind, &namespace, &name).unwrap_or_default();
        if wanted.pointer(PROMOTED) != now.pointer(PROMOTED) {
            sign(&mut wanted, kind);
        }
        machine.objects.apply(kind, wanted, &manager, asked.force)?.0
    } else if content.starts_with("application/merge-patch+json") {
        let mut patch: Value = serde_json::from_slice(&body).map_err(|error| bad(&error))?;
        sign(&mut patch, kind);
        machine.objects.patch(kind, &namespace, &name, &patch, manager.as_deref().unwrap_or("endcap-patch"))?
    } else {
        let text =
            "send content-type application/merge-patch+json, or application/apply-patch+yaml for a server-side apply";
        return Err(Refused::new(415, "UnsupportedMediaType", text));
    };
    machine.changed.notify_one();
    Ok(Json(stored))
}

const PROMOTED: &str = "/spec/promotedVersion";

/// Who promotes is written down; on one machine it is who runs it.
fn sign(patch: &mut Value, kind: Kind) {
    let changes = kind == Kind::RecommenderModel
        && [PROMOTED, "/spec/rollout", "/spec/promotionPolicyRef"].iter().any(|field| patch.pointer(field).is_some());
    if !changes {
        return;
    }
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".to_owned());
    super::fields::merge(
        patch,
        &json!({"metadata": {"annotations": {endcap_crds::reasons::annotation::PROMOTED_BY: user}}}),
    );
}

async fn delete(
    State(machine): State<Shared>,
    Path((namespace, plural, name)): Path<(String, String, String)>,
) -> Result<Json<Value>, Refused> {
    let kind = kind_of(&plural)?;
    if kind == Kind::ModelVersion {
        let used =
            machine.objects.get(kind, &namespace, &name).and_then(|object| object.pointer("/status/usedBy").cloned());
        if let Some(used) = used.as_ref().and_then(Value::as_array).filter(|used| !used.is_empty()) {
            let list = used.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
            return Err(Refused::new(
                409,
                "Conflict",
                format!("{name} is in use by {list}: promote another version or end that first"),
            ));
        }
    }
    let object = machine.objects.delete(kind, &namespace, &name)?;
    machine.changed.notify_one();
    Ok(Json(object))
}

async fn all_events(State(machine): State<Shared>, Query(asked): Query<Asked>) -> Response {
    events_of(&machine, None, &asked)
}

async fn events(State(machine): State<Shared>, Path(namespace): Path<String>, Query(asked): Query<Asked>) -> Response {
    events_of(&machine, Some(namespace), &asked)
}

fn events_of(machine: &Shared, namespace: Option<String>, asked: &Asked) -> Response {
    let (list, revision, news) = machine.events.list(namespace.as_deref());
    if !asked.watch {
        let body = json!({"apiVersion": "events.k8s.io/v1", "kind": "EventList", "metadata": {"resourceVersion": revision.to_string()}, "items": list});
        return Json(body).into_response();
    }
    let since: u64 = asked.resource_version.parse().unwrap_or(0);
    let newer = |event: &Value| {
        event
            .pointer("/metadata/resourceVersion")
            .and_then(Value::as_str)
            .and_then(|text| text.parse::<u64>().ok())
            .is_some_and(|own| own > since)
    };
    let first =
        list.iter().filter(|event| newer(event)).map(|event| json!({"type": "ADDED", "object": event})).collect();
    stream(first, news, move |event: Value| {
        let fits = namespace
            .as_deref()
            .is_none_or(|wanted| event.pointer("/metadata/namespace").and_then(Value::as_str) == Some(wanted));
        let what = if event.get("series").is_some() { "MODIFIED" } else { "ADDED" };
        fits.then(|| json!({"type": what, "object": event}))
    })
}

async fn config(State(machine): State<Shared>) -> Json<Value> {
    let addresses = machine.addresses.read().unwrap_or_else(PoisonError::into_inner);
    let models = addresses.keys().map(|(namespace, name)| {
        json!({"namespace": namespace, "name": name, "router": format!("/console/router/{namespace}/{name}"), "insights": format!("/console/insights/{namespace}/{name}")})
    });
    let models: Vec<Value> = models.collect();
    let mut namespaces: Vec<&String> = addresses.keys().map(|(namespace, _)| namespace).collect();
    namespaces.dedup();
    Json(json!({"namespaces": namespaces, "acting": true, "models": models}))
}

async fn programs(State(machine): State<Shared>) -> Json<Value> {
    let addresses = machine.addresses.read().unwrap_or_else(PoisonError::into_inner);
    let of = addresses.iter().map(|((namespace, name), addresses)| {
        let programs: Vec<Value> = addresses.programs.iter().map(|(program, pid)| json!({"program": program, "pid": pid})).collect();
        json!({"namespace": namespace, "model": name, "router": addresses.router, "insights": addresses.insights, "eventlog": addresses.eventlog, "logs": addresses.logs, "programs": programs})
    });
    Json(Value::Array(of.collect()))
}

async fn logs(
    State(machine): State<Shared>,
    Path((namespace, name, program)): Path<(String, String, String)>,
) -> Result<String, Refused> {
    let folder = {
        let addresses = machine.addresses.read().unwrap_or_else(PoisonError::into_inner);
        addresses.get(&(namespace, name.clone())).map(|addresses| addresses.logs.clone())
    };
    let folder = folder.ok_or_else(|| Refused::new(404, "NotFound", format!("no model {name:?}")))?;
    let named = |folder: &std::path::Path, before: &str, end: &str| -> Vec<(String, std::path::PathBuf)> {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let name = |path: &std::path::Path| Some(format!("{before}{}", path.file_name()?.to_str()?.strip_suffix(end)?));
        files.filter_map(|path| Some((name(&path)?, path))).collect()
    };
    let trainings = folder.parent().map(|model| model.join("trainings")).unwrap_or_default();
    let mut all = named(&folder, "", ".log");
    all.extend(named(&trainings, "training-", ".progress.jsonl"));
    let Some((_, file)) = all.iter().find(|(name, _)| *name == program) else {
        let known: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        return Err(Refused::new(404, "NotFound", format!("no program {program:?}; there are {}", known.join(", "))));
    };
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines.get(lines.len().saturating_sub(500)..).unwrap_or_default().join("\n"))
}

fn found(
    machine: &Shared,
    namespace: &str,
    name: &str,
    of: impl Fn(&super::Addresses) -> Option<String>,
) -> Result<String, Refused> {
    let addresses = machine.addresses.read().unwrap_or_else(PoisonError::into_inner);
    let known = addresses.get(&(namespace.to_owned(), name.to_owned()));
    known.and_then(of).ok_or_else(|| {
        Refused::new(503, "ServiceUnavailable", format!("{name} does not run yet; look at `endcap get recm {name}`"))
    })
}

async fn router(
    State(machine): State<Shared>,
    Path((namespace, name, rest)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    let url = found(&machine, &namespace, &name, |addresses| addresses.router.clone())?;
    web::through(&machine.client, web::join(&url, &rest)?, request, web::PATIENCE).await
}

async fn insights(
    State(machine): State<Shared>,
    Path((namespace, name, rest)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    let url = found(&machine, &namespace, &name, |addresses| addresses.insights.clone())?;
    web::through(&machine.client, web::join(&url, &rest)?, request, web::PATIENCE).await
}
