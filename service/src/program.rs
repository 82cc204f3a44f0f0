//! What every program of the data plane does alike: listen, say that it is ready, answer health and metrics, end cleanly.

use std::future::IntoFuture;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::problem::Problem;

/// Why an address could not be listened on, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error(
        "failed to listen on {addr} ({option}): another program holds this address; end it, or choose another address with {option} (port 0 picks a free one)"
    )]
    Taken { option: String, addr: SocketAddr },
    #[error("failed to listen on {addr} ({option}): {source}; choose an address of this machine with {option}")]
    Other { option: String, addr: SocketAddr, source: std::io::Error },
}

/// Listens on `addr`. `option` is the command line option that sets it (`--listen`): errors name it. Port 0 picks a free port.
pub async fn bind(option: &str, addr: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(addr).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => BindError::Taken { option: option.to_owned(), addr },
        _ => BindError::Other { option: option.to_owned(), addr, source },
    })
}

/// Prints `{"ready":true,"program":"...","listen":"127.0.0.1:1234",...}` as one line on standard output: whoever started the
/// program reads its addresses from it.
pub fn ready_line(program: &str, addresses: &[(&str, SocketAddr)]) {
    let mut line = serde_json::Map::new();
    line.insert("ready".to_owned(), true.into());
    line.insert("program".to_owned(), program.into());
    for (name, addr) in addresses {
        line.insert((*name).to_owned(), addr.to_string().into());
    }
    let mut out = std::io::stdout().lock();
    // Nobody may be reading; that is no reason to end.
    let _ = writeln!(out, "{}", serde_json::Value::Object(line));
    let _ = out.flush();
}

/// Logs as JSON lines on standard error; `RUST_LOG` sets what is logged (`info` when unset).
pub fn init_tracing() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // A second call (tests) keeps the first subscriber.
    let _ = tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// Resolves when the program shall end: SIGTERM, SIGINT, or, when asked for, the end of standard input. Signals are listened for from the
/// call on, not from the first poll: called before [`ready_line`], none that follows it ends the program at once.
pub fn until_stopped(exit_with_stdin: bool) -> impl Future<Output = ()> {
    let terminated = signal(tokio::signal::unix::SignalKind::terminate());
    let interrupted = signal(tokio::signal::unix::SignalKind::interrupt());
    async move {
        let why = tokio::select! {
            () = terminated => "SIGTERM",
            () = interrupted => "SIGINT",
            () = stdin_closed(exit_with_stdin) => "standard input closed",
        };
        tracing::info!(why, "stopping");
    }
}

fn signal(kind: tokio::signal::unix::SignalKind) -> impl Future<Output = ()> {
    let stream = tokio::signal::unix::signal(kind);
    async move {
        match stream {
            Ok(mut stream) => {
                stream.recv().await;
            }
            Err(error) => {
                tracing::error!(%error, "failed to listen for a signal");
                std::future::pending::<()>().await;
            }
        }
    }
}

async fn stdin_closed(wanted: bool) {
    if !wanted {
        return std::future::pending().await;
    }
    let (closed, wait) = tokio::sync::oneshot::channel::<()>();
    // A thread of its own, not tokio's standard input: a read that never returns must not hold up the runtime's end.
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut sink = [0_u8; 256];
        loop {
            match stdin.read(&mut sink) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let _ = closed.send(());
    });
    let _ = wait.await;
}

/// Whether the program is alive and ready, as `/livez` and `/readyz` tell it.
#[derive(Debug)]
pub struct Health {
    ready: AtomicBool,
    why_not: std::sync::Mutex<String>,
}

impl Health {
    /// Not ready until [`Health::ready`].
    pub fn starting() -> Arc<Self> {
        Arc::new(Self { ready: AtomicBool::new(false), why_not: std::sync::Mutex::new("starting".to_owned()) })
    }

    pub fn ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Not ready, and why: `/readyz` says it.
    pub fn not_ready(&self, why: impl Into<String>) {
        *self.why_not.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = why.into();
        self.ready.store(false, Ordering::Release);
    }

    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Why it is not ready; the last reason, also when it is ready by now.
    pub fn why_not(&self) -> String {
        self.why_not.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// `/livez`, `/readyz` and `/metrics` (`OpenMetrics` text), for the metrics port.
pub fn health_router(health: Arc<Health>, registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(health)
        .merge(Router::new().route("/metrics", get(metrics)).with_state(registry))
        .fallback(|| async { Problem::not_found().detail("there are /livez, /readyz and /metrics") })
}

/// `/livez` and `/readyz` alone, for an API port.
pub fn probes(health: Arc<Health>) -> Router {
    Router::new().route("/livez", get(|| async { "ok\n" })).route("/readyz", get(readyz)).with_state(health)
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    if health.is_ready() {
        return "ok\n".into_response();
    }
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready")
        .detail(health.why_not())
        .retry_after(Duration::from_secs(1))
        .into_response()
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "failed to write metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Serves until `stop`, then lets what is under way end within `grace`; what lasts longer is cut off.
/// Handlers that wait (long polls) must watch `stop` themselves.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    grace: Duration,
) -> std::io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Small answers must not wait for more bytes.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "failed to set TCP_NODELAY");
        }
    });
    let stopped = stop.clone();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move { stopped.cancelled().await });
    tokio::select! {
        result = serving.into_future() => result,
        () = async { stop.cancelled().await; tokio::time::sleep(grace).await } => {
            tracing::warn!(grace_s = grace.as_secs_f64(), "connections were cut off at the end of the grace period");
            Ok(())
        }
    }
}
