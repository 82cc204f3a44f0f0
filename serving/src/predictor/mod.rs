//! `endcap-predictor`: one version's artifact with the live state, answering over HTTP. No database, no control port.

mod http;
mod metrics;
mod policies;
mod pool;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use endcap_eventlog::live::{Limits, LiveState};
use endcap_eventlog::program::{self, Health};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

pub use http::ServedModel;
pub use pool::{NoAnswer, Pool, QueueFull};

use crate::artifact::{self, Part};
use crate::follow::{self, Followed, Sink};
use crate::live_view::LiveView;

/// The artifact is not what it must be, or is not there: trying again does not help.
pub const EXIT_ARTIFACT: u8 = 3;

#[derive(Debug, Parser)]
#[command(name = "endcap-predictor", version, about = "Serves one version of a recommender")]
pub struct Args {
    /// The version's artifact: `file:///folder`, a plain folder, or `s3://bucket/prefix`
    #[arg(long)]
    pub artifact: String,
    /// SHA-256 that the artifact's manifest must have
    #[arg(long)]
    pub digest: Option<String>,
    /// Base address of the event log; without it only the baseline state is served
    #[arg(long)]
    pub eventlog: Option<String>,
    /// How long to wait for the event log before answering without it, seconds
    #[arg(long, default_value_t = 5.0)]
    pub eventlog_grace: f64,
    /// spec.recommendation as JSON, for questions that name no policy; read again when it changes
    #[arg(long)]
    pub policy: Option<PathBuf>,
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    #[arg(long, default_value = "0.0.0.0:9090")]
    pub metrics_listen: SocketAddr,
    /// Threads that score; as many as the machine has when missing
    #[arg(long)]
    pub threads: Option<usize>,
    /// Questions that may wait for a thread
    #[arg(long, default_value_t = 256)]
    pub queue: usize,
    /// After being told to stop: not ready for so many seconds before connections are closed
    #[arg(long, default_value_t = 0.0)]
    pub drain_delay: f64,
    /// End when standard input is closed
    #[arg(long)]
    pub exit_with_stdin: bool,
}

/// Runs until stopped. Errors tell the place and the remedy.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let listener = program::bind("--listen", args.listen).await?;
    let metrics_listener = program::bind("--metrics-listen", args.metrics_listen).await?;
    let addresses = [("listen", listener.local_addr()?), ("metrics", metrics_listener.local_addr()?)];

    let stop = CancellationToken::new();
    let health = Health::starting();
    let mut registry = Registry::default();
    let metrics = metrics::Metrics::register(&mut registry);
    let health_routes = program::health_router(health.clone(), Arc::new(registry));
    let health_server =
        tokio::spawn(program::serve(metrics_listener, health_routes, stop.clone(), Duration::from_secs(1)));

    health.not_ready("reading the artifact");
    let location = endcap_store::open(&args.artifact)?;
    let stopped = program::until_stopped(args.exit_with_stdin);
    tokio::pin!(stopped);
    let load = async {
        let loaded = artifact::fetch(&location, args.digest.as_deref(), Part::Whole).await?.decode().await?;
        let baseline = artifact::read_baseline(&location).await?;
        Ok::<_, artifact::LoadError>((loaded, baseline))
    };
    let (loaded, baseline) = tokio::select! {
        loaded = load => loaded?,
        () = &mut stopped => return Ok(()),
    };
    tracing::info!(
        version = loaded.manifest.version,
        digest = loaded.digest,
        products = loaded.model.catalogue.len(),
        "artifact verified"
    );

    let model = Arc::new(loaded.model);
    let state =
        baseline.map_or_else(|| LiveState::new(Limits::default()), |b| LiveState::from_baseline(b, Limits::default()));
    let live = Arc::new(LiveView::new(model.clone(), state));
    let policies = Arc::new(policies::Policies::new(model.clone(), policies::read_policy(args.policy.as_deref())?));
    if let Some(path) = args.policy.clone() {
        tokio::spawn(policies.clone().follow_file(path, stop.clone()));
    }
    let threads =
        args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, std::num::NonZero::get));
    let app = Arc::new(http::App {
        model,
        manifest: loaded.manifest,
        digest: loaded.digest,
        live: live.clone(),
        policies,
        pool: Pool::start(threads, args.queue)
            .context("failed to start the scoring threads; ask for fewer with --threads")?,
        metrics: metrics.clone(),
    });
    let routes = http::routes(app).merge(program::probes(health.clone()));
    let api_stop = CancellationToken::new();
    let mut server = tokio::spawn(program::serve(listener, routes, api_stop.clone(), Duration::from_secs(30)));

    let followed = match &args.eventlog {
        None => None,
        Some(url) => {
            health.not_ready("following the event log");
            Some(follow::start(url, live.clone(), stop.clone())?)
        }
    };
    let report = tokio::spawn(report(followed.clone(), live, metrics, stop.clone()));
    if let Some(followed) = &followed {
        tokio::select! {
            caught_up = followed.caught_up(Duration::from_secs_f64(args.eventlog_grace.max(0.0))) => if !caught_up {
                tracing::warn!(eventlog = %followed.url(), "the event log is away; answering from the baseline state until it is back");
            },
            () = &mut stopped => return Ok(()),
        }
    }
    health.ready();
    program::ready_line("endcap-predictor", &addresses);

    tokio::select! {
        () = &mut stopped => {}
        ended = &mut server => { ended?.context("failed to serve")?; }
    }
    health.not_ready("draining");
    tokio::time::sleep(Duration::from_secs_f64(args.drain_delay.max(0.0))).await;
    api_stop.cancel();
    if !server.is_finished() {
        server.await?.context("failed to serve")?;
    }
    stop.cancel();
    report.await?;
    health_server.await?.context("failed to serve metrics")?;
    Ok(())
}

async fn report(
    followed: Option<Arc<Followed>>,
    live: Arc<LiveView>,
    metrics: Arc<metrics::Metrics>,
    stop: CancellationToken,
) {
    while tokio::time::timeout(Duration::from_millis(500), stop.cancelled()).await.is_err() {
        metrics.live_offset.set(live.next_offset() as i64);
        if let Some(followed) = &followed {
            metrics.live_following.set(i64::from(followed.is_following()));
        }
    }
}
