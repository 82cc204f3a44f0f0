//! The API of a running `endcap up`, which is Kubernetes-shaped.

use anyhow::{Context, Result, bail};
use endcap_crds::Kind;
use serde_json::{Value, json};

use super::Server;
use crate::up::objects::text_at;

pub struct Client {
    pub http: reqwest::Client,
    pub server: String,
    pub namespace: String,
}

impl Client {
    pub fn new(server: &Server) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build().context("failed to make an HTTP client")?;
        Ok(Self { http, server: server.server.trim_end_matches('/').to_owned(), namespace: server.namespace.clone() })
    }

    pub fn path(&self, kind: Kind, name: Option<&str>) -> String {
        let base = format!("{}/apis/endcap.dev/v1alpha1/namespaces/{}/{}", self.server, self.namespace, kind.plural());
        name.map_or(base.clone(), |name| format!("{base}/{name}"))
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let answer = request
            .send()
            .await
            .with_context(|| format!("failed to reach {}: start `endcap up`, or name it with --server", self.server))?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        if !status.is_success() {
            bail!("{}", body.get("message").and_then(Value::as_str).unwrap_or("it was refused without a reason"));
        }
        Ok(body)
    }

    pub async fn get(&self, kind: Kind, name: &str) -> Result<Value> {
        self.send(self.http.get(self.path(kind, Some(name)))).await
    }

    pub async fn list(&self, kind: Kind) -> Result<(Vec<Value>, String)> {
        let body = self.send(self.http.get(self.path(kind, None))).await?;
        let revision = body.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or("0").to_owned();
        Ok((body.get("items").and_then(Value::as_array).cloned().unwrap_or_default(), revision))
    }

    pub async fn patch(&self, kind: Kind, name: &str, patch: &Value) -> Result<Value> {
        let request = self.http.patch(self.path(kind, Some(name))).query(&[("fieldManager", "endcap-cli")]);
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

    pub async fn events(&self) -> Result<Vec<Value>> {
        let body = self
            .send(self.http.get(format!("{}/apis/events.k8s.io/v1/namespaces/{}/events", self.server, self.namespace)))
            .await?;
        Ok(body.get("items").and_then(Value::as_array).cloned().unwrap_or_default())
    }
}
