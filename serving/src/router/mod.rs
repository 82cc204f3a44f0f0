//! `endcap-router`: owns the stable address of a model. Every valid question is answered for as long as it lives.

mod app;
mod call;
mod control;
mod counters;
mod endpoint;
mod events;
mod exposure;
mod ladder;
mod metrics;
mod pack;
mod routing;
mod state;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use endcap_eventlog::Event;
use endcap_eventlog::client::{EventSender, Spool, SpoolOptions};
use endcap_eventlog::program::{self, Health};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use counters::{ArmReport, CountersReport, ExposureCounts, LatencyReport};
pub use state::TableReport;

use crate::follow::{self, Followed};
use crate::table::Trust;

#[derive(Debug, Parser)]
#[command(name = "endcap-router", version, about = "Owns the stable address of a model: assigns, forwards, falls back")]
pub struct Args {
    /// Signed routing table for a cold start (a mounted `ConfigMap`)
    #[arg(long, value_name = "FILE")]
    pub table: Option<PathBuf>,
    /// Where the last good table is kept for a restart; the pack is kept beside it
    #[arg(long, value_name = "FILE")]
    pub table_cache: Option<PathBuf>,
    /// Public key of the control plane, or the file that holds it; two while keys are exchanged
    #[arg(long, value_name = "HEX|FILE", required = true, num_args = 1)]
    pub public_key: Vec<String>,
    /// The model that this router serves, as NAMESPACE/NAME: tables of others are refused. That of the first table when missing
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub model: Option<String>,
    /// Base address of the event log
    #[arg(long, value_name = "URL")]
    pub eventlog: Option<String>,
    /// How long to wait for the event log before answering without it, seconds
    #[arg(long, default_value_t = 5.0)]
    pub eventlog_grace: f64,
    /// Artifact whose pack is held, in place of the table's address (its digest always comes from the table)
    #[arg(long, value_name = "URI")]
    pub pack: Option<String>,
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    #[arg(long, default_value = "0.0.0.0:8081")]
    pub control_listen: SocketAddr,
    #[arg(long, default_value = "0.0.0.0:9090")]
    pub metrics_listen: SocketAddr,
    /// A second API address on which the version header is obeyed; none when missing
    #[arg(long)]
    pub qa_listen: Option<SocketAddr>,
    /// Exposures that may wait for the event log
    #[arg(long, default_value_t = 20_000)]
    pub spool_events: usize,
    /// Questions at predictors at once; more are answered by the pack
    #[arg(long, default_value_t = 1_024)]
    pub max_in_flight: usize,
    /// After being told to stop: not ready for so many seconds before connections are closed
    #[arg(long, default_value_t = 0.0)]
    pub drain_delay: f64,
    /// End when standard input is closed
    #[arg(long)]
    pub exit_with_stdin: bool,
}

/// What the handlers share.
pub struct App {
    tables: Arc<state::Tables>,
    ladder: ladder::Ladder,
    exposures: Exposures,
    events: Option<EventSender>,
    followed: Option<Arc<Followed>>,
    health: Arc<Health>,
    draining: AtomicBool,
}

impl App {
    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    fn is_following(&self) -> bool {
        self.followed.as_ref().is_some_and(|followed| followed.is_following())
    }
}

/// Where exposures go; nowhere without an event log.
struct Exposures {
    spool: Option<Spool>,
}

impl Exposures {
    fn send(&self, event: Event) {
        if let Some(spool) = &self.spool {
            // Dropped ones are counted by the spool.
            spool.offer(event);
        }
    }

    fn counts(&self) -> ExposureCounts {
        let counts = self.spool.as_ref().map(Spool::counts);
        counts.map_or_else(ExposureCounts::default, |counts| ExposureCounts {
            sent: counts.sent,
            dropped: counts.dropped,
            waiting: counts.waiting,
        })
    }
}

/// The addresses, bound before anything else, so that a taken one is said at once.
struct Listeners {
    api: TcpListener,
    control: TcpListener,
    metrics: TcpListener,
    qa: Option<TcpListener>,
}

impl Listeners {
    async fn bind(args: &Args) -> anyhow::Result<Self> {
        Ok(Self {
            api: program::bind("--listen", args.listen).await?,
            control: program::bind("--control-listen", args.control_listen).await?,
            metrics: program::bind("--metrics-listen", args.metrics_listen).await?,
            qa: match args.qa_listen {
                Some(addr) => Some(program::bind("--qa-listen", addr).await?),
                None => None,
            },
        })
    }

    fn addresses(&self) -> std::io::Result<Vec<(&'static str, SocketAddr)>> {
        let mut addresses = vec![
            ("listen", self.api.local_addr()?),
            ("control", self.control.local_addr()?),
            ("metrics", self.metrics.local_addr()?),
        ];
        if let Some(qa) = &self.qa {
            addresses.push(("qa", qa.local_addr()?));
        }
        Ok(addresses)
    }
}

type Server = JoinHandle<std::io::Result<()>>;

/// Runs until stopped. Errors tell the place and the remedy.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let listeners = Listeners::bind(&args).await?;
    let addresses = listeners.addresses()?;
    anyhow::ensure!(
        args.public_key.len() <= 2,
        "--public-key is given more than twice; a router trusts one key, or two while they are exchanged"
    );
    let trust = Trust::read(&args.public_key)?;

    let stop = CancellationToken::new();
    let spool_stop = CancellationToken::new();
    let counters = Arc::new(counters::Counters::default());
    let tables = Arc::new(state::Tables::new(trust, args.model.clone(), args.table_cache.clone(), counters.clone()));
    // Both are tried: the newer one stays.
    for file in [&args.table_cache, &args.table].into_iter().flatten() {
        tables.take_file(file);
    }

    let pack_cache = args.table_cache.as_ref().map(|file| file.with_extension("pack"));
    let pack = Arc::new(pack::PackHolder::new(pack_cache, args.pack.clone()));
    let client = endpoint::http_client();
    tokio::spawn(tables.endpoints.clone().probe(client.clone(), stop.clone()));
    tokio::spawn(tables.endpoints.clone().follow_names(stop.clone()));
    tokio::spawn(pack.clone().follow(tables.wanted_pack(), stop.clone()));

    let mut events = None;
    let mut followed = None;
    let (mut spool, mut spooling) = (None, None);
    if let Some(url) = &args.eventlog {
        let sender = EventSender::new(url, Duration::from_secs(10))?;
        let options = SpoolOptions { capacity: args.spool_events, ..SpoolOptions::default() };
        let (entrance, task) = Spool::start(sender.clone(), options, spool_stop.clone());
        (spool, spooling, events) = (Some(entrance), Some(task), Some(sender));
        followed = Some(follow::start(url, pack.clone(), stop.clone())?);
    }
    let room = tokio::sync::Semaphore::new(args.max_in_flight);
    let app = Arc::new(App {
        tables: tables.clone(),
        ladder: ladder::Ladder { client, pack, counters, room },
        exposures: Exposures { spool },
        events,
        followed,
        health: Health::starting(),
        draining: AtomicBool::new(false),
    });

    let api_stop = CancellationToken::new();
    let servers = serve(listeners, &app, &api_stop, &stop);
    let stopped = program::until_stopped(args.exit_with_stdin);
    tokio::pin!(stopped);
    let was_ready = tokio::select! {
        () = ready(&app, Duration::from_secs_f64(args.eventlog_grace.max(0.0)), &addresses) => true,
        () = &mut stopped => false,
    };
    if was_ready {
        app.health.ready();
        program::ready_line("endcap-router", &addresses);
        stopped.await;
    }

    app.draining.store(true, Ordering::Release);
    app.health.not_ready("draining");
    tokio::time::sleep(Duration::from_secs_f64(args.drain_delay.max(0.0))).await;
    api_stop.cancel();
    for server in servers.api {
        server.await?.context("failed to serve")?;
    }
    // No question is under way any more: what they left in the spool goes out now.
    spool_stop.cancel();
    if let Some(spooling) = spooling {
        spooling.await?;
    }
    stop.cancel();
    for server in servers.own {
        server.await?.context("failed to serve")?;
    }
    Ok(())
}

struct Servers {
    api: Vec<Server>,
    own: Vec<Server>,
}

fn serve(listeners: Listeners, app: &Arc<App>, api_stop: &CancellationToken, stop: &CancellationToken) -> Servers {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(metrics::RouterCollector { app: app.clone() }));
    let own = |listener, routes| tokio::spawn(program::serve(listener, routes, stop.clone(), Duration::from_secs(2)));
    let api = |listener, is_qa| {
        let routes = app::routes(app.clone(), is_qa);
        tokio::spawn(program::serve(listener, routes, api_stop.clone(), Duration::from_secs(30)))
    };
    Servers {
        api: std::iter::once(api(listeners.api, false)).chain(listeners.qa.map(|qa| api(qa, true))).collect(),
        own: vec![
            own(listeners.control, control::routes(app.clone())),
            own(listeners.metrics, program::health_router(app.health.clone(), Arc::new(registry))),
        ],
    }
}

/// Returns once the router can keep its promise: a table, its pack, and the shelf as the log knows it.
async fn ready(app: &App, grace: Duration, addresses: &[(&str, SocketAddr)]) {
    if app.tables.current().is_none() {
        app.health.not_ready("waiting for a routing table (PUT /control/table, or --table)");
        waiting_line(addresses);
    }
    let log = async {
        if let Some(followed) = &app.followed
            && !followed.caught_up(grace).await
        {
            tracing::warn!(
                eventlog = followed.url(),
                "the event log is away; the shelf is the artifact's until it is back"
            );
        }
    };
    let pack = async {
        let mut wanted = app.tables.wanted_pack();
        loop {
            let want = wanted.borrow_and_update().clone();
            let holds = want.as_ref().is_some_and(|want| app.ladder.pack.holds(&want.digest));
            let is_needed = app
                .tables
                .current()
                .is_some_and(|routing| routing.table.fallback == crate::table::Fallback::StableThenPopularity);
            if want.is_some() && (holds || !is_needed) {
                return;
            }
            if want.is_some() {
                app.health.not_ready("loading the pack");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::join!(log, pack);
}

/// Tells where the control port is while the router cannot be ready without it.
fn waiting_line(addresses: &[(&str, SocketAddr)]) {
    use std::io::Write;
    let mut line = serde_json::Map::new();
    line.insert("ready".to_owned(), false.into());
    line.insert("program".to_owned(), "endcap-router".into());
    line.insert("waiting_for".to_owned(), "table".into());
    for (name, addr) in addresses {
        line.insert((*name).to_owned(), addr.to_string().into());
    }
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", serde_json::Value::Object(line)).and_then(|()| out.flush());
}
