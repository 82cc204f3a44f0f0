//! Brings the program up and takes it down.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::task::JoinHandle as Task;
use tokio_util::sync::CancellationToken;

use super::api::{Api, router};
use super::commit::CommitQueue;
use super::exporter::{self, Slot};
use super::keeper::{Hold, Keeper, KeeperError};
use super::metrics::Metrics;
use super::now_ms;
use super::options::Options;
use crate::log::{self, LogError, Opened};
use crate::program::{BindError, Health, bind, health_router, serve};

/// Requests under way get so long to end.
const GRACE: Duration = Duration::from_secs(10);

/// Why the program did not come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "--retention ({retention_s} s) is shorter than --dedup-age ({dedup_age_s} s): a restart could not know its duplicates; make --retention at least as long"
    )]
    Retention { retention_s: u64, dedup_age_s: u64 },
    #[error("--export-interval is {0:?}; write at least 1s")]
    ExportInterval(Duration),
    #[error("failed to use --export: {0}")]
    Export(endcap_store::StoreError),
    #[error("failed to read the baseline state of --baseline-of: {0}")]
    Baseline(endcap_store::StoreError),
    #[error("failed to keep the baseline state as {path}: {source}")]
    Keep { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    State(#[from] KeeperError),
    #[error("failed to start a thread: {0}")]
    Thread(std::io::Error),
    #[error("failed to start: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A running event log.
pub struct Running {
    pub listen: SocketAddr,
    pub metrics_listen: SocketAddr,
    stop: CancellationToken,
    keeper_stop: CancellationToken,
    health: Arc<Health>,
    servers: Vec<Task<std::io::Result<()>>>,
    committer: JoinHandle<()>,
    keeper: JoinHandle<()>,
    exporter: Option<Task<()>>,
}

/// Starts on the current runtime; ready when this returns.
pub async fn start(mut options: Options) -> Result<Running, StartError> {
    if options.retention < options.dedup_age {
        let (retention_s, dedup_age_s) = (options.retention.as_secs(), options.dedup_age.as_secs());
        return Err(StartError::Retention { retention_s, dedup_age_s });
    }
    let export_to = options.export.as_deref().map(endcap_store::open).transpose().map_err(StartError::Export)?;
    if options.export_interval < Duration::from_secs(1) {
        return Err(StartError::ExportInterval(options.export_interval));
    }
    if let Some(artifact) = options.baseline_of.take() {
        options.baseline = baseline_of(&artifact, &options.data).await?;
    }
    // Addresses first: what is wrong with them is said before the log is read.
    let listener = bind("--listen", options.listen).await?;
    let metrics_listener = bind("--metrics-listen", options.metrics_listen).await?;
    let local = |listener: &tokio::net::TcpListener, given| listener.local_addr().unwrap_or(given);
    let listen = local(&listener, options.listen);
    let metrics_listen = local(&metrics_listener, options.metrics_listen);

    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let health = Health::starting();
    let stop = CancellationToken::new();
    let keeper_stop = CancellationToken::new();
    let export_slot = Slot::new(OnceLock::new());
    // Alive, not ready, while the log is read.
    let health_server = tokio::spawn(serve(
        metrics_listener,
        health_router(Arc::clone(&health), Arc::new(registry)).merge(exporter::control(Arc::clone(&export_slot))),
        keeper_stop.clone(),
        Duration::from_secs(1),
    ));

    let opening = (options.clone(), metrics.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let (options, metrics) = opening;
        let (Opened { writer, reader, .. }, disk) = log::open(&options.data, options.log(), now_ms())?;
        let keeper = Keeper::open(reader.clone(), Arc::clone(&disk), &options, metrics)?;
        Ok::<_, StartError>((writer, reader, disk, keeper))
    })
    .await?;
    let (writer, reader, disk, mut keeper) = opened.inspect_err(|_| keeper_stop.cancel())?;

    let (queue, committer) = CommitQueue::start(writer, metrics.clone()).map_err(StartError::Thread)?;
    let (export, exporter) = match export_to {
        None => (None, None),
        Some(to) => {
            let interval = options.export_interval;
            let (handle, task) = exporter::start(reader.clone(), to, interval, metrics.clone(), keeper_stop.clone());
            keeper.hold(Hold { exported: handle.exported(), longest: options.export_hold });
            (Some(handle), Some(task))
        }
    };
    let _ = export_slot.set(export.clone());
    let snapshot = keeper.info();
    let keeper = keeper.start(queue.clone(), keeper_stop.clone()).map_err(StartError::Thread)?;
    let api = Arc::new(Api {
        queue,
        reader: reader.clone(),
        disk,
        snapshot,
        metrics,
        export,
        stop: stop.clone(),
        retention: options.retention,
        dedup_age: options.dedup_age,
        dedup_ids: options.dedup_ids,
    });
    let api_server = tokio::spawn(serve(listener, router(api, Arc::clone(&health)), stop.clone(), GRACE));
    health.ready();
    tracing::info!(%listen, %metrics_listen, first = reader.first(), next = reader.next(), "the event log is ready");
    Ok(Running {
        listen,
        metrics_listen,
        stop,
        keeper_stop,
        health,
        servers: vec![api_server, health_server],
        committer,
        keeper,
        exporter,
    })
}

/// The state that a trainer writes beside an artifact.
const BASELINE: &str = "state/baseline.json.zst";

/// The baseline state beside an artifact, kept beside the log: a log that has begun does not need the artifact any more.
async fn baseline_of(artifact: &str, data: &Path) -> Result<Option<PathBuf>, StartError> {
    let kept = data.with_extension("baseline.json.zst");
    if kept.exists() {
        return Ok(Some(kept));
    }
    let has_begun = std::fs::read_dir(data).is_ok_and(|mut files| files.next().is_some());
    let found = match endcap_store::open(artifact) {
        Ok(from) => endcap_store::read_beside(&from, BASELINE).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(Some(bytes)) => {
            let write = |source| StartError::Keep { path: kept.clone(), source };
            let fresh = kept.with_extension("new");
            if let Some(folder) = kept.parent() {
                std::fs::create_dir_all(folder).map_err(write)?;
            }
            std::fs::write(&fresh, bytes).and_then(|()| std::fs::rename(&fresh, &kept)).map_err(write)?;
            Ok(Some(kept))
        }
        Ok(None) => {
            tracing::warn!(artifact, "no baseline state beside the artifact: customers' histories start empty");
            Ok(None)
        }
        Err(error) if has_begun => {
            tracing::warn!(artifact, "the baseline state cannot be read, and the log has begun without it: {error}");
            Ok(None)
        }
        Err(error) => Err(StartError::Baseline(error)),
    }
}

impl Running {
    /// Where events go to: `http://127.0.0.1:1234`.
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Takes no more requests, answers those under way, writes a last snapshot, lets go of the log.
    pub async fn stop(self) {
        self.health.not_ready("stopping");
        self.stop.cancel();
        let mut servers = self.servers.into_iter();
        if let Some(api) = servers.next() {
            log_end(api).await;
        }
        self.keeper_stop.cancel();
        for server in servers {
            log_end(server).await;
        }
        if let Some(exporter) = self.exporter
            && exporter.await.is_err()
        {
            tracing::error!("the export ended badly");
        }
        let (keeper, committer) = (self.keeper, self.committer);
        let ended = tokio::task::spawn_blocking(move || {
            let kept = keeper.join().is_ok();
            // The last way to it went with the servers and the keeper.
            kept & committer.join().is_ok()
        });
        match tokio::time::timeout(Duration::from_mins(1), ended).await {
            Ok(Ok(true)) => {}
            Ok(_) => tracing::error!("a thread of the event log ended badly"),
            Err(_) => tracing::error!("the event log did not close within 60 s"),
        }
    }

    /// Resolves when the log's thread is gone though nobody stopped it: then nothing can be accepted any more.
    pub async fn broken(&self) {
        while !self.committer.is_finished() && !self.keeper.is_finished() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

async fn log_end(server: Task<std::io::Result<()>>) {
    match server.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "a server failed"),
        Err(error) => tracing::error!(%error, "a server ended badly"),
    }
}
