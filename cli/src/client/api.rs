//! The Kubernetes-shaped API: of a running `endcap up`, or of a cluster through the user's own kubectl.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use endcap_crds::Kind;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Server, said};
use crate::up::objects::text_at;

/// Who serves the API, and so how to speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `endcap up`
    Machine,
    /// A cluster, through `kubectl proxy`.
    Cluster,
}

impl Place {
    /// As whom fields are changed.
    pub fn manager(self) -> &'static str {
        match self {
            Self::Machine => "endcap-cli",
            Self::Cluster => "kubectl-endcap",
        }
    }

    /// What commands begin with.
    pub fn program(self) -> &'static str {
        match self {
            Self::Machine => "endcap",
            Self::Cluster => "kubectl endcap",
        }
    }
}

/// The server's no.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub code: u16,
    pub message: String,
}

impl Refusal {
    /// The server's no, if that is what went wrong.
    pub fn of(error: &anyhow::Error) -> Option<&Self> {
        error.downcast_ref()
    }
}

#[derive(Clone, Debug)]
pub struct Client {
    pub http: reqwest::Client,
    pub server: String,
    pub namespace: String,
    pub place: Place,
}

impl Client {
    /// Of a running `endcap up`.
    pub fn new(server: &Server) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build().context("failed to make an HTTP client")?;
        let address = server.server.trim_end_matches('/').to_owned();
        Ok(Self { http, server: address, namespace: server.namespace.clone(), place: Place::Machine })
    }

    pub fn path(&self, kind: Kind, name: Option<&str>) -> String {
        let base = format!("{}/apis/endcap.dev/v1alpha1/namespaces/{}/{}", self.server, self.namespace, kind.plural());
        name.map_or(base.clone(), |name| format!("{base}/{name}"))
    }

    pub fn events_path(&self) -> String {
        format!("{}/apis/events.k8s.io/v1/namespaces/{}/events", self.server, self.namespace)
    }

    /// The answer to a request, if it is a good one.
    pub async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Response> {
        let answer = request.send().await.with_context(|| match self.place {
            Place::Machine => format!("failed to reach {}: start `endcap up`, or name it with --server", self.server),
            Place::Cluster => "failed to reach the API server: `kubectl proxy` does not answer any more".to_owned(),
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.text().await.unwrap_or_default();
        Err(refusal(status, &text).into())
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        Ok(self.answer(request).await?.json().await.unwrap_or_default())
    }

    pub async fn get(&self, kind: Kind, name: &str) -> Result<Value> {
        self.send(self.http.get(self.path(kind, Some(name)))).await
    }

    /// None when there is no such object.
    pub async fn find(&self, kind: Kind, name: &str) -> Result<Option<Value>> {
        match self.get(kind, name).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if Refusal::of(&error).is_some_and(|refusal| refusal.code == 404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects of a kind, and the revision that the list stands for.
    pub async fn list(&self, kind: Kind) -> Result<(Vec<Value>, String)> {
        self.list_of(&self.path(kind, None)).await
    }

    pub async fn list_of(&self, url: &str) -> Result<(Vec<Value>, String)> {
        let mut body = self.send(self.http.get(url)).await?;
        let revision = body.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or("0").to_owned();
        let items = body.get_mut("items").map(Value::take);
        Ok((
            items
                .and_then(|items| if let Value::Array(items) = items { Some(items) } else { None })
                .unwrap_or_default(),
            revision,
        ))
    }

    /// Events of the namespace, oldest first, and the revision that the list stands for.
    pub async fn events(&self) -> Result<(Vec<Value>, String)> {
        let (mut events, revision) = self.list_of(&self.events_path()).await?;
        events.sort_by(|one, other| said::time(one).cmp(said::time(other)));
        Ok((events, revision))
    }

    pub async fn patch(&self, kind: Kind, name: &str, patch: &Value) -> Result<Value> {
        let request = self.http.patch(self.path(kind, Some(name))).query(&[("fieldManager", self.place.manager())]);
        self.send(request.header("content-type", "application/merge-patch+json").body(patch.to_string())).await
    }

    /// What `kubectl apply --server-side` does, for one object.
    pub async fn apply(&self, mut object: Value, manager: &str, force: bool) -> Result<Value> {
        let kind: Kind = text_at(&object, "/kind").parse()?;
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.entry("namespace").or_insert_with(|| json!(self.namespace));
        }
        let (namespace, name) = (text_at(&object, "/metadata/namespace"), text_at(&object, "/metadata/name"));
        let url = format!("{}/apis/endcap.dev/v1alpha1/namespaces/{namespace}/{}/{name}", self.server, kind.plural());
        let force = if force { "true" } else { "false" };
        let request = self.http.patch(url).query(&[("fieldManager", manager), ("force", force)]);
        self.send(request.header("content-type", "application/apply-patch+yaml").body(object.to_string())).await
    }

    /// Every change after a revision, for as long as the server can be reached.
    pub async fn watch(
        &self,
        url: &str,
        mut revision: String,
        mut each: impl FnMut(&Value) -> Result<()>,
    ) -> Result<()> {
        loop {
            let query = [("watch", "true"), ("allowWatchBookmarks", "true"), ("resourceVersion", revision.as_str())];
            let answer = self.answer(self.http.get(url).query(&query)).await?;
            lines(answer, |change| {
                let object = change.get("object").cloned().unwrap_or_default();
                let what = text_at(&change, "/type");
                if what == "ERROR" {
                    bail!("the watch ended: {}; start the command again", text_at(&object, "/message"));
                }
                let now = text_at(&object, "/metadata/resourceVersion");
                if !now.is_empty() {
                    revision = now;
                }
                if what == "BOOKMARK" { Ok(()) } else { each(&object) }
            })
            .await?;
            // Servers end watches now and then. One that does so at once must not be asked in a tight loop.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// The server's words; where it has none, ours.
fn refusal(status: StatusCode, text: &str) -> Refusal {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    let message = match body.get("message").and_then(Value::as_str) {
        Some(message) => message.to_owned(),
        // The API server has no words for a group that it does not know.
        None if status == StatusCode::NOT_FOUND => {
            "the server knows no recommender models: install Endcap in this cluster (charts/endcap), or choose another with --context".to_owned()
        }
        None if text.trim().is_empty() => format!("the server answered {status} without a reason"),
        None => text.trim().to_owned(),
    };
    Refusal { code: status.as_u16(), message }
}

/// Lines of JSON until the stream ends, in good order or not: who reads on asks again.
async fn lines(mut answer: Response, mut each: impl FnMut(Value) -> Result<()>) -> Result<()> {
    let mut rest = Vec::new();
    while let Ok(Some(bytes)) = answer.chunk().await {
        rest.extend_from_slice(&bytes);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let value = serde_json::from_slice(&line).map_err(|error| anyhow!("failed to read the watch: {error}"))?;
            each(value)?;
        }
    }
    Ok(())
}
