//! The way to the Kubernetes API, with every request counted by verb, kind and answer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Method, Request, Response};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::{BoxError, Layer, Service};

use crate::metrics::{Metrics, RequestLabels};

pub fn new(mut config: Config, metrics: Metrics) -> anyhow::Result<Client> {
    // A watch is quiet for minutes; a request is not.
    config.read_timeout = Some(std::time::Duration::from_secs(295));
    config.connect_timeout = Some(std::time::Duration::from_secs(10));
    Ok(ClientBuilder::try_from(config)?.with_layer(&Counted(metrics)).build())
}

struct Counted(Metrics);

impl<S> Layer<S> for Counted {
    type Service = Counting<S>;

    fn layer(&self, inner: S) -> Counting<S> {
        Counting { inner, metrics: self.0.clone() }
    }
}

#[derive(Clone)]
struct Counting<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, B> Service<Request<Body>> for Counting<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (verb, kind) = what(request.method(), request.uri().path(), request.uri().query().unwrap_or_default());
        let metrics = self.metrics.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let result = answer.await;
            let code = result.as_ref().map_or(0, |response| response.status().as_u16());
            metrics.requests.get_or_create(&RequestLabels { verb, kind, code }).inc();
            result
        })
    }
}

/// `/apis/apps/v1/namespaces/shop/deployments/feed-v1` is a get of deployments.
fn what(method: &Method, path: &str, query: &str) -> (&'static str, String) {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let skip = if parts.first() == Some(&"api") { 2 } else { 3 };
    let mut rest = parts.get(skip..).unwrap_or_default();
    if rest.first() == Some(&"namespaces") && rest.len() > 2 {
        rest = rest.get(2..).unwrap_or_default();
    }
    let kind = match rest {
        [plural, _, sub] => format!("{plural}/{sub}"),
        [plural, ..] => (*plural).to_owned(),
        [] => String::new(),
    };
    let has_name = rest.len() > 1;
    let verb = match *method {
        Method::GET if query.contains("watch=") => "watch",
        Method::GET if has_name => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    };
    (verb, kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_named_as_rights_are() {
        let named = |method: Method, path: &str, query: &str| {
            let (verb, kind) = what(&method, path, query);
            format!("{verb} {kind}")
        };
        assert_eq!(named(Method::GET, "/apis/apps/v1/deployments", "watch=true&x=1"), "watch deployments");
        assert_eq!(named(Method::GET, "/api/v1/namespaces/shop/pods", "limit=500"), "list pods");
        assert_eq!(
            named(Method::PUT, "/apis/endcap.dev/v1alpha1/namespaces/shop/recommendermodels/feed/status", ""),
            "update recommendermodels/status"
        );
        assert_eq!(named(Method::PATCH, "/api/v1/namespaces/shop/services/feed", ""), "patch services");
    }
}
