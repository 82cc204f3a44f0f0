//! What the two servers of the console share: its pages, the fence around them, ways through to other servers.

mod pages;

use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use reqwest::Url;
use serde_json::json;

use crate::up::objects::Refused;

/// What the console's pages send with every request that is not a GET; a page of another origin cannot.
pub const CONSOLE_HEADER: &str = "x-endcap-console";
/// Routers and insights answer in less.
pub const PATIENCE: Duration = Duration::from_secs(30);
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The fence against pages of other origins: the host must be a loopback name (a name that was bound to this address anew is not), and
/// what changes anything must be of this origin and carry the console's header when a browser sends it.
pub async fn fence(request: Request, next: Next) -> Response {
    if let Some(refused) = is_fenced(&request) {
        return refused.into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_fenced(request: &Request) -> Option<Refused> {
    let text =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let host = text("host");
    let refused = |message: String| Some(Refused::new(403, "Forbidden", message));
    if !is_loopback(&host) {
        return refused(format!("host {host:?} is not a loopback name: call 127.0.0.1 or localhost"));
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let origin = request.headers().get(header::ORIGIN);
    if origin.is_some() && text("origin") != format!("http://{host}") {
        return refused(format!("a page of {} changes nothing here", text("origin")));
    }
    let is_browser = origin.is_some() || request.headers().contains_key("sec-fetch-site");
    if is_browser && text(CONSOLE_HEADER) != "1" {
        return refused(format!("a browser must send {CONSOLE_HEADER}: 1 with what changes anything"));
    }
    None
}

/// A refusal as Kubernetes says it.
impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.code, "reason": self.reason, "message": self.message});
        (status, Json(body)).into_response()
    }
}

/// A path below an address. Parts that lead elsewhere lead nowhere.
pub fn join(base: &str, rest: &str) -> Result<Url, Refused> {
    let bad = || Refused::new(400, "BadRequest", format!("{rest:?} is not a path"));
    let mut url = Url::parse(base).map_err(|_| bad())?;
    if rest.split('/').any(|part| [".", ".."].contains(&part)) {
        return Err(bad());
    }
    url.path_segments_mut().map_err(|()| bad())?.pop_if_empty().extend(rest.split('/'));
    Ok(url)
}

/// Passes a request on, without what belongs to this connection; what is answered flows back as it comes. The limit is for the head of
/// the answer: a watch goes on.
pub async fn through(
    client: &reqwest::Client,
    mut url: Url,
    request: Request,
    limit: Duration,
) -> Result<Response, Refused> {
    let (head, body) = request.into_parts();
    let place = url.path().to_owned();
    let away =
        |error: &dyn std::fmt::Display| Refused::new(502, "BadGateway", format!("failed to ask {place}: {error}"));
    let bytes = axum::body::to_bytes(body, 8 << 20).await.map_err(|error| away(&error))?;
    url.set_query(head.uri.query());
    let mut call = client.request(head.method, url).body(bytes);
    for name in [header::CONTENT_TYPE, header::ACCEPT] {
        if let Some(value) = head.headers.get(&name) {
            call = call.header(name, value);
        }
    }
    let answer = tokio::time::timeout(limit, call.send())
        .await
        .map_err(|_| away(&format!("no answer within {} s", limit.as_secs())))?;
    let answer = answer.map_err(|error| away(&error))?;
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if name == header::CONTENT_TYPE || name == header::RETRY_AFTER || name.as_str().starts_with("x-endcap") {
            response = response.header(name, value);
        }
    }
    let parts = futures::stream::try_unfold(answer, |mut answer| async move {
        Ok::<_, reqwest::Error>(answer.chunk().await?.map(|bytes: Bytes| (bytes, answer)))
    });
    response.body(Body::from_stream(parts)).map_err(|error| away(&error))
}

/// A file of the console.
pub async fn page(request: Request) -> Response {
    let path = request.uri().path();
    match pages::file(path) {
        Some((kind, bytes)) => ([(header::CONTENT_TYPE, kind)], bytes).into_response(),
        None if path == "/" => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], pages::MISSING).into_response(),
        None => Refused::new(404, "NotFound", format!("there is nothing at {path}")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, headers: &[(&str, &str)]) -> Option<Refused> {
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        is_fenced(&request.body(Body::empty()).unwrap_or_default())
    }

    #[test]
    fn only_loopback_names_are_hosts() {
        for host in ["127.0.0.1:8090", "localhost:1", "localhost", "[::1]:8090", "[::1]", "127.9.9.9"] {
            assert!(asked(Method::GET, &[("host", host)]).is_none(), "{host}");
        }
        for host in ["127.evil.example", "127.0.0.1.evil.example:80", "evil.example", "", "10.0.0.1", "[::2]:1"] {
            assert!(asked(Method::GET, &[("host", host)]).is_some(), "{host}");
        }
    }

    #[test]
    fn a_page_of_another_origin_changes_nothing() {
        let host = ("host", "127.0.0.1:8090");
        let own = ("origin", "http://127.0.0.1:8090");
        let header = (CONSOLE_HEADER, "1");
        assert!(asked(Method::PATCH, &[host]).is_none(), "curl");
        assert!(asked(Method::PATCH, &[host, own, header]).is_none());
        assert!(asked(Method::PATCH, &[host, own]).is_some());
        assert!(asked(Method::POST, &[host, ("sec-fetch-site", "cross-site")]).is_some());
        for origin in ["http://127.0.0.1:9", "http://evil.example", "null", "https://127.0.0.1:8090"] {
            assert!(asked(Method::PATCH, &[host, ("origin", origin), header]).is_some(), "{origin}");
        }
    }

    #[test]
    fn paths_stay_below_their_address() {
        let url = |rest: &str| join("http://localhost/api/proxy", rest).ok().map(|url| url.path().to_owned());
        assert_eq!(url("v1/kpis").as_deref(), Some("/api/proxy/v1/kpis"));
        assert_eq!(url("v1/customers/a b?c").as_deref(), Some("/api/proxy/v1/customers/a%20b%3Fc"));
        for rest in ["../secrets", "v1/../../x", ".", "v1/./x"] {
            assert_eq!(url(rest), None, "{rest}");
        }
        // What was encoded twice stays a part of a name.
        assert_eq!(url("v1/%2e%2e/x").as_deref(), Some("/api/proxy/v1/%252e%252e/x"));
    }
}
