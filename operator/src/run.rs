//! Start, work, end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use endcap_crds::model_version::status::VersionPhase;
use endcap_routing::table::{KeyPair, parse_secret_key, read_public_key};
use endcap_service::program::{self, Health};
use futures::FutureExt;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::build::routing::Keys;
use crate::context::Context;
use crate::lease::Election;
use crate::memory::Memories;
use crate::metrics::{Metrics, PhaseLabel, ResultLabel};
use crate::options::{Cli, Command, Options};
use crate::queue::{Queue, Work};
use crate::watch::{self, Caches};
use crate::{client, policies, reconcile};

/// A look that takes longer than this hangs; it is given up and begun anew.
const PATIENCE: Duration = Duration::from_secs(120);
/// While a rollout moves, its pods are asked every second, over a connection that stays. At rest a thousand models would keep thousands open.
const KEPT_OPEN: Duration = Duration::from_secs(5);

pub async fn main(cli: Cli) -> Result<()> {
    // One provider of cryptography in the program; a second call finds it installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match cli.command {
        Some(Command::Check { url, timeout }) => check(&url, Duration::from_secs(timeout)).await,
        None => run(cli.options).await,
    }
}

/// Asks until there is a good answer.
async fn check(url: &str, patience: Duration) -> Result<()> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    let began = tokio::time::Instant::now();
    loop {
        let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
        match answer {
            Ok(answer) => {
                println!("{url} answers: {}", answer.text().await.unwrap_or_default().trim());
                return Ok(());
            }
            Err(error) if began.elapsed() >= patience => {
                bail!("failed to get a good answer from {url} within {} s: {error}", patience.as_secs());
            }
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

async fn run(options: Options) -> Result<()> {
    let signing = signing_key(&options)?;
    let other = match &options.trusted_key {
        Some(key) => Some(hex::encode(read_public_key(key)?.as_bytes())),
        None => None,
    };
    let keys = Keys { own: signing.public_hex(), other };
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let config = kube::Config::infer().await.context("failed to find a cluster: run in one, or set KUBECONFIG")?;
    let client = client::new(config, metrics.clone())?;
    let listener = program::bind("--metrics-listen", options.metrics_listen).await?;
    let addresses = [("metrics", listener.local_addr()?)];
    let health = Health::starting();
    let stop = CancellationToken::new();
    let routes = program::health_router(health.clone(), Arc::new(registry));
    let server = tokio::spawn(program::serve(listener, routes, stop.clone(), Duration::from_secs(2)));

    let identity = options
        .identity
        .clone()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_else(|| format!("endcap-operator-{:08x}", rand::random::<u32>()));
    let (caches, queue) = (Arc::new(Caches::default()), Arc::new(Queue::default()));
    watch::start(&client, &options.watch_namespaces, &caches, &queue);
    let lease_namespace = options.lease_namespace.clone().unwrap_or_else(|| options.operator_namespace.clone());
    let election = Election::new(client.clone(), &lease_namespace, &options.lease_name, &identity);
    let cx = Arc::new(Context {
        identity: identity.clone(),
        said: Mutex::default(),
        http: reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(2))
            .pool_idle_timeout(KEPT_OPEN)
            .build()?,
        client,
        signing,
        keys,
        caches: caches.clone(),
        queue: queue.clone(),
        memories: Memories::default(),
        metrics,
        starting: Arc::default(),
        options,
    });

    health.not_ready("filling the watches");
    let filled = async {
        while !caches.is_filled() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let stopped = program::until_stopped(cx.options.exit_with_stdin);
    tokio::pin!(stopped);
    tokio::select! {
        () = filled => {}
        () = &mut stopped => return Ok(()),
    }
    health.ready();
    program::ready_line("endcap-operator", &addresses);
    if !cx.options.no_leader_election {
        tracing::info!(identity, "waiting for the Lease");
        tokio::select! {
            () = election.acquire() => {}
            () = &mut stopped => return Ok(()),
        }
    }
    tracing::info!(identity, "this program reconciles");
    cx.metrics.is_leader.set(1);
    tokio::spawn(count_trainings(cx.clone()));
    let workers = CancellationToken::new();
    let tasks: Vec<_> =
        (0..cx.options.workers.max(1)).map(|_| tokio::spawn(work(cx.clone(), workers.clone()))).collect();
    let lost =
        async { if cx.options.no_leader_election { std::future::pending().await } else { election.hold().await } };
    let result = tokio::select! {
        // Whatever is under way ends with the program, at once: somebody else may hold the Lease in a moment.
        error = lost => Err(error.context("the Lease is lost; this program ends so that it never writes beside another")),
        () = &mut stopped => Ok(()),
    };
    if result.is_ok() {
        health.not_ready("stopping");
        workers.cancel();
        for task in tasks {
            let _ = task.await;
        }
        if !cx.options.no_leader_election {
            let _ = election.release().await;
        }
        stop.cancel();
        let _ = server.await;
    }
    result
}

/// Versions by phase, for the metrics.
async fn count_trainings(cx: Arc<Context>) {
    loop {
        for (phase, name) in PHASES {
            let count = cx.caches.versions.count(|version| version.phase == phase);
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            cx.metrics.trainings.get_or_create(&PhaseLabel { phase: name }).set(count);
        }
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
}

const PHASES: [(VersionPhase, &str); 6] = [
    (VersionPhase::Pending, "Pending"),
    (VersionPhase::Training, "Training"),
    (VersionPhase::Verifying, "Verifying"),
    (VersionPhase::Ready, "Ready"),
    (VersionPhase::Failed, "Failed"),
    (VersionPhase::Expired, "Expired"),
];

async fn work(cx: Arc<Context>, stop: CancellationToken) {
    loop {
        let work = tokio::select! {
            () = stop.cancelled() => return,
            work = cx.queue.next() => work,
        };
        cx.metrics.queue.set(i64::try_from(cx.queue.depth()).unwrap_or(i64::MAX));
        // A panic is one model's trouble, not the others'.
        let look = std::panic::AssertUnwindSafe(look(&cx, &work)).catch_unwind();
        let result = match tokio::time::timeout(PATIENCE, look).await {
            Ok(Ok(result)) => result.map_err(|error| {
                let label = if matches!(error, reconcile::Error::Conflict) { "conflict" } else { "error" };
                (label, format!("{:#}", anyhow::Error::from(error)))
            }),
            Ok(Err(_)) => Err(("panic", "a look panicked".to_owned())),
            Err(_) => Err(("timeout", format!("a look took longer than {} s", PATIENCE.as_secs()))),
        };
        let label = result.as_ref().map_or_else(|(label, _)| *label, |_| "ok");
        cx.metrics.reconciles.get_or_create(&ResultLabel { result: label }).inc();
        match result {
            Ok(again) => cx.queue.done(work, again),
            Err(("conflict", _)) => cx.queue.done(work, Some(Duration::from_millis(100))),
            Err((_, error)) => {
                let after = cx.queue.failed(work.clone());
                tracing::error!(?work, again_in_ms = u64::try_from(after.as_millis()).unwrap_or(0), "{error}");
            }
        }
    }
}

async fn look(cx: &Context, work: &Work) -> Result<Option<Duration>, reconcile::Error> {
    match work {
        Work::Model(key) => reconcile::measured(cx, key).await,
        Work::Policy(key) => Ok(policies::reconcile(cx, key).await?),
    }
}

fn signing_key(options: &Options) -> Result<KeyPair> {
    let path = options.signing_key.as_deref().context(
        "--signing-key is missing: routers take only tables that are signed; name the file of an ed25519 key",
    )?;
    let text =
        std::fs::read_to_string(path).with_context(|| format!("failed to read the signing key {}", path.display()))?;
    let signing =
        parse_secret_key(&text).with_context(|| format!("failed to read the signing key {}", path.display()))?;
    Ok(KeyPair { signing })
}
