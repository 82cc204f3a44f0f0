//! `endcap-insights`: options, start, end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use endcap_eventlog::program::{self, Health};
use endcap_recommender::policy::GoDuration;
use endcap_serving::follow as live;
use endcap_serving::table::Trust;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::api::{self, App};
use crate::fold::Limits;
use crate::follow::{self, Folded};
use crate::keep::Keeper;
use crate::metrics::InsightsCollector;
use crate::shop::Shop;
use crate::tables::Tables;

#[derive(Debug, Parser)]
#[command(
    name = "endcap-insights",
    version,
    about = "Folds a model's event log into figures: rollups, experiments, drift"
)]
pub struct Args {
    /// Base address of the event log
    #[arg(long, value_name = "URL")]
    pub eventlog: String,
    /// Folder of the kept state; made when missing. One program at a time
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Public key of the control plane, or the file that holds it; two while keys are exchanged
    #[arg(long, value_name = "HEX|FILE", required = true, num_args = 1)]
    pub public_key: Vec<String>,
    /// The model, as NAMESPACE/NAME: tables of others are refused. That of the first table when missing
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub model: Option<String>,
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    #[arg(long, default_value = "127.0.0.1:8081")]
    pub control_listen: SocketAddr,
    #[arg(long, default_value = "127.0.0.1:9090")]
    pub metrics_listen: SocketAddr,
    /// A click, accept or purchase counts to a list for so long. Another value folds the log again
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    pub attribution: Duration,
    /// How often the state is kept on disk; less often when it is so large that writing would take a twentieth of the time
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub keep_interval: Duration,
    /// Lists that wait for outcomes at most, about 300 bytes each. Another value folds the log again
    #[arg(long, value_name = "COUNT", default_value_t = 500_000)]
    pub lists: usize,
    /// Units of one experiment at most, about 50 bytes each. Another value folds the log again
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    pub experiment_units: usize,
    /// How long to wait for the event log before answering from what is kept, seconds
    #[arg(long, default_value_t = 5.0)]
    pub eventlog_grace: f64,
    /// End when standard input is closed
    #[arg(long)]
    pub exit_with_stdin: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    GoDuration::parse(text)
        .map(|duration| Duration::from_millis(duration.milliseconds))
        .map_err(|error| error.to_string())
}

impl Args {
    fn limits(&self) -> Limits {
        Limits {
            attribution_ms: self.attribution.as_millis() as i64,
            lists: self.lists.max(1),
            experiment_units: self.experiment_units.max(1),
            ..Limits::default()
        }
    }
}

/// Runs until stopped. Errors tell the place and the remedy.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let api_listener = program::bind("--listen", args.listen).await?;
    let control_listener = program::bind("--control-listen", args.control_listen).await?;
    let metrics_listener = program::bind("--metrics-listen", args.metrics_listen).await?;
    let addresses = [
        ("listen", api_listener.local_addr()?),
        ("control", control_listener.local_addr()?),
        ("metrics", metrics_listener.local_addr()?),
    ];
    anyhow::ensure!(
        args.public_key.len() <= 2,
        "--public-key is given more than twice; insights trusts one key, or two while they are exchanged"
    );
    anyhow::ensure!(!args.attribution.is_zero(), "--attribution is zero; give a time such as 24h");
    let trust = Trust::read(&args.public_key)?;

    let (stop, fold_stop) = (CancellationToken::new(), CancellationToken::new());
    let keeper = Keeper::open(&args.data)?;
    let limits = args.limits();
    let reading = keeper.clone();
    let folded = tokio::task::spawn_blocking(move || Folded::open(limits, reading)).await?;
    let app = Arc::new(App {
        folded: folded.clone(),
        tables: Arc::new(Tables::open(trust, args.model.clone(), keeper)),
        shop: Arc::new(Shop::default()),
        health: Health::starting(),
        started: Timestamp::now(),
    });
    tokio::spawn(app.shop.clone().follow(app.tables.wanted(), stop.clone()));
    let folding = follow::start(&args.eventlog, folded.clone(), args.keep_interval, fold_stop.clone())?;
    let live = live::start(&args.eventlog, app.shop.clone(), stop.clone())?;

    let mut registry = Registry::default();
    registry.register_collector(Box::new(InsightsCollector { app: app.clone() }));
    let serve = |listener, routes| tokio::spawn(program::serve(listener, routes, stop.clone(), Duration::from_secs(5)));
    let servers = [
        serve(api_listener, api::routes(app.clone())),
        serve(control_listener, api::control_routes(app.clone())),
        serve(metrics_listener, program::health_router(app.health.clone(), Arc::new(registry))),
    ];

    let stopped = program::until_stopped(args.exit_with_stdin);
    tokio::pin!(stopped);
    let grace = Duration::from_secs_f64(args.eventlog_grace.max(0.0));
    let ready = async {
        let (folds, follows) = tokio::join!(folded.caught_up(grace), live.caught_up(grace));
        if !(folds && follows) {
            tracing::warn!(
                eventlog = args.eventlog,
                "the event log's end is not reached yet; answers are as old as what is known"
            );
        }
    };
    let is_ready = tokio::select! {
        () = ready => true,
        () = &mut stopped => false,
    };
    if is_ready {
        app.health.ready();
        program::ready_line("endcap-insights", &addresses);
        stopped.await;
    }
    app.health.not_ready("stopping");
    fold_stop.cancel();
    folding.await.context("failed to end the folding")?;
    stop.cancel();
    for server in servers {
        server.await?.context("failed to serve")?;
    }
    Ok(())
}
