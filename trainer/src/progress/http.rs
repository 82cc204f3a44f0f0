//! `/progress`, `/livez`, `/readyz` and `/metrics` on a thread of their own, so that worker threads never wait for a client.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::oneshot;

use super::Board;

/// A server that runs until it is dropped.
pub struct Listener {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn metrics(State(board): State<Arc<Board>>) -> impl IntoResponse {
    let status = board.status();
    let mut registry = Registry::with_prefix("endcap_trainer");
    for (name, help, value) in [
        ("progress_ratio", "Share of the whole training that is done", status.percent / 100.0),
        ("elapsed_seconds", "Seconds since the start", status.elapsed_seconds),
        ("resident_peak_bytes", "Peak resident memory", crate::machine::peak_bytes().unwrap_or(0) as f64),
        ("failed", "1 when the training failed", if status.phase == "failed" { 1.0 } else { 0.0 }),
    ] {
        let gauge = Gauge::<f64, std::sync::atomic::AtomicU64>::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    }
    let mut text = String::new();
    let code = match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => axum::http::StatusCode::OK,
        Err(_) => axum::http::StatusCode::INTERNAL_SERVER_ERROR,
    };
    (code, [(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}

/// Starts the server; `:0` picks a free port. Prints nothing.
pub fn serve(address: SocketAddr, board: Arc<Board>) -> std::io::Result<Listener> {
    let socket = TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel();
    let router = Router::new()
        .route("/progress", get(|State(board): State<Arc<Board>>| async move { Json(board.status()) }))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .with_state(board);
    let thread = std::thread::Builder::new().name("endcap-progress".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let listener = match tokio::net::TcpListener::from_std(socket) {
                Ok(listener) => listener,
                Err(error) => return tracing::warn!(%error, "failed to listen for /progress"),
            };
            tokio::select! {
                result = async { axum::serve(listener, router).await } => {
                    if let Err(error) = result {
                        tracing::warn!(%error, "/progress ended");
                    }
                }
                // An open connection is cut: the outcome is in the exit code and the termination message.
                _ = stopped => {}
            }
        });
    })?;
    Ok(Listener { address, stop: Some(stop), thread: Some(thread) })
}
