//! `endcap up`: the operator on one machine. The same manifests, decisions and programs as in a cluster; objects lie in files, a training
//! is a child process, an arm is child processes on loopback.

mod api;
mod carry;
mod dataset;
pub mod events;
pub mod fields;
mod fleet;
mod model;
pub mod objects;
mod poll;
mod training;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use endcap_crds::promotion_policy::status::PromotionPolicyStatus;
use endcap_crds::{Kind, PromotionPolicy};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use events::Events;
use model::{Shared, Shell};
use objects::Objects;

#[derive(Debug, Args)]
pub struct UpArgs {
    /// Manifests (files or folders, YAML or JSON) that are applied at the start
    #[arg(short, long = "filename", value_name = "FILE|FOLDER")]
    pub filename: Vec<PathBuf>,
    /// Folder of objects, event logs, tables and the programs' logs
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<PathBuf>,
    /// The stable address that the OMS calls; a second model gets the next port
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The address of the console and of the commands (`endcap get`, `apply`, ...)
    #[arg(long, default_value = "127.0.0.1:8090")]
    pub console: SocketAddr,
    /// End when standard input is closed
    #[arg(long)]
    pub exit_with_stdin: bool,
}

/// Where the programs of the models are.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    pub router: Option<String>,
    pub insights: Option<String>,
    pub eventlog: Option<String>,
    pub logs: PathBuf,
    pub programs: Vec<(String, u32)>,
}

/// What the API and the loop share.
pub struct Machine {
    pub objects: Objects,
    pub events: Events,
    pub addresses: RwLock<BTreeMap<(String, String), Addresses>>,
    /// Something changed: look at once.
    pub changed: Notify,
    pub client: reqwest::Client,
}

/// Ports after the first one that models may have.
const MOST_MODELS: u16 = 512;
/// A look is taken at least so often: counts and acknowledgements are asked for, not told.
const LOOK_EVERY: Duration = Duration::from_millis(400);

pub async fn up(args: UpArgs) -> Result<()> {
    endcap_eventlog::program::init_tracing();
    let state = match &args.state {
        Some(state) => state.clone(),
        None => crate::serve::default_state("up")?,
    };
    std::fs::create_dir_all(&state)
        .with_context(|| format!("failed to make the folder {}; choose another with --state", state.display()))?;
    // The file is held for as long as this program lives, whatever ends it.
    let lock = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(state.join("lock"))?;
    if lock.try_lock().is_err() {
        bail!(
            "failed to take {}: another `endcap up` uses it; end that one, or choose another --state",
            state.display()
        );
    }
    let listener = tokio::net::TcpListener::bind(args.console).await.with_context(|| {
        format!("failed to listen on {}: see who holds it with `ss -ltnp`, or choose another --console", args.console)
    })?;
    // The router binds it later; who has it now is better told at once.
    if let Err(error) = std::net::TcpListener::bind(args.listen) {
        bail!(
            "failed to listen on {} ({error}): see who holds it with `ss -ltnp`, or choose another --listen",
            args.listen
        );
    }
    let client = reqwest::Client::builder().no_proxy().build().context("failed to make an HTTP client")?;
    let machine = Arc::new(Machine {
        objects: Objects::open(&state.join("objects"))?,
        events: Events::open(&state.join("events.jsonl"))?,
        addresses: RwLock::default(),
        changed: Notify::new(),
        client: client.clone(),
    });
    for path in &args.filename {
        for (path, object) in manifests(path)? {
            let (kind, name, _) = apply(&machine.objects, object, "endcap-up", false)
                .with_context(|| format!("failed to apply {}", path.display()))?;
            tracing::info!("applied {kind} {name}");
        }
    }
    let console = listener.local_addr()?;
    let server = tokio::spawn(api::serve(listener, machine.clone()));
    let stopped = endcap_eventlog::program::until_stopped(args.exit_with_stdin);
    println!("{}", json!({"ready": true, "console": console.to_string(), "listen": args.listen.to_string()}));
    let shared = Shared { keys: Arc::new(crate::stack::signing_key(&state)?), state, client };
    let result = run(&machine, &shared, &args, stopped).await;
    server.abort();
    drop(lock);
    result
}

async fn run(machine: &Arc<Machine>, shared: &Shared, args: &UpArgs, stopped: impl Future<Output = ()>) -> Result<()> {
    let mut shells: BTreeMap<(String, String), Shell> = BTreeMap::new();
    let mut stopped = std::pin::pin!(stopped);
    loop {
        let models = machine.objects.list(Kind::RecommenderModel, None).0;
        let keys: Vec<(String, String)> = models
            .iter()
            .map(|model| (objects::text_at(model, "/metadata/namespace"), objects::text_at(model, "/metadata/name")))
            .collect();
        let gone: Vec<(String, String)> = shells.keys().filter(|key| !keys.contains(key)).cloned().collect();
        for key in gone {
            if let Some(shell) = shells.remove(&key) {
                shell.end().await;
                forget(machine, &key);
                set_aside(shared, &key);
            }
        }
        for key in keys {
            if !shells.contains_key(&key) {
                let listen = address_of(shared, &key, args.listen)?;
                shells.insert(key.clone(), Shell::new(&key.0, &key.1, listen, shared)?);
            }
            if let Some(shell) = shells.get_mut(&key) {
                // One bad model must not stop the others.
                if let Err(error) = shell.look(&machine.objects, &machine.events).await {
                    tracing::error!(model = key.1, "{error:#}");
                }
                let addresses = Addresses {
                    router: Some(shell.router_url()),
                    insights: shell.insights_url(),
                    eventlog: shell.eventlog_url(),
                    logs: shell.logs().to_owned(),
                    programs: shell.pids(),
                };
                machine.addresses.write().unwrap_or_else(PoisonError::into_inner).insert(key, addresses);
            }
        }
        if let Err(error) = policies(&machine.objects) {
            tracing::error!("{error:#}");
        }
        tokio::select! {
            () = &mut stopped => break,
            () = machine.changed.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    for shell in shells.into_values() {
        shell.end().await;
    }
    Ok(())
}

/// What a deleted model left (its event log among it) is kept under another name: a new model of the same name begins anew.
fn set_aside(shared: &Shared, key: &(String, String)) {
    let models = shared.state.join("models");
    let from = models.join(&key.0).join(&key.1);
    let to = shared.state.join("deleted").join(&key.0);
    let name = format!("{}-{}", key.1, jiff::Timestamp::now().strftime("%Y%m%dt%H%M%S"));
    let moved = std::fs::create_dir_all(&to).and_then(|()| std::fs::rename(&from, to.join(name)));
    if let Err(error) = moved {
        tracing::warn!("failed to set {} aside: {error}", from.display());
    }
}

/// With a model go its versions and experiments.
fn forget(machine: &Machine, key: &(String, String)) {
    machine.addresses.write().unwrap_or_else(PoisonError::into_inner).remove(key);
    for kind in [Kind::ModelVersion, Kind::Experiment] {
        for object in machine.objects.list(kind, Some(&key.0)).0 {
            if objects::text_at(&object, "/spec/modelRef/name") == key.1 {
                let _ = machine.objects.delete(kind, &key.0, &objects::text_at(&object, "/metadata/name"));
            }
        }
    }
}

/// A model keeps its port: the first one gets that of the command line, others the next ones. With port 0 each gets a free one, once.
fn address_of(shared: &Shared, key: &(String, String), first: SocketAddr) -> Result<SocketAddr> {
    let path = shared.state.join("ports.json");
    let mut ports: BTreeMap<String, u16> =
        std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let name = format!("{}/{}", key.0, key.1);
    if first.port() == 0 {
        let known = ports.get(&name).copied().filter(|port| *port > MOST_MODELS);
        let port = match known {
            Some(port) => port,
            None => std::net::TcpListener::bind(first)?.local_addr()?.port(),
        };
        ports.insert(name, port);
        objects::write_whole(&path, &serde_json::to_vec(&ports)?)?;
        return Ok(SocketAddr::new(first.ip(), port));
    }
    let offset = ports.get(&name).copied().filter(|offset| *offset <= MOST_MODELS).unwrap_or_else(|| {
        (0..=MOST_MODELS).find(|offset| !ports.values().any(|used| used == offset)).unwrap_or(MOST_MODELS)
    });
    ports.insert(name, offset);
    objects::write_whole(&path, &serde_json::to_vec(&ports)?)?;
    Ok(SocketAddr::new(first.ip(), first.port() + offset))
}

/// Policies say what was understood of them.
fn policies(objects: &Objects) -> Result<()> {
    let models = objects.list(Kind::RecommenderModel, None).0;
    for value in objects.list(Kind::PromotionPolicy, None).0 {
        let policy: PromotionPolicy = serde_json::from_value(value).context("failed to read a policy")?;
        let (namespace, name) =
            (policy.metadata.namespace.unwrap_or_default(), policy.metadata.name.unwrap_or_default());
        let used = models.iter().filter(|model| {
            objects::text_at(model, "/metadata/namespace") == namespace
                && objects::text_at(model, "/spec/promotionPolicyRef/name") == name
        });
        let weights = policy.spec.steps.iter().map(|step| step.weight.to_string()).collect::<Vec<_>>().join(",");
        let generation = policy.metadata.generation;
        let old = policy.status.unwrap_or_default();
        let mut conditions = old.conditions.clone();
        let said = endcap_operator_core::accepted(&policy.spec);
        endcap_operator_core::set_condition(&mut conditions, &said, generation.unwrap_or(1), jiff::Timestamp::now());
        let status = PromotionPolicyStatus {
            observed_generation: generation,
            conditions,
            referenced_by: i32::try_from(used.count()).ok(),
            step_weights: Some(weights.as_str().into()),
        };
        objects
            .put_status(Kind::PromotionPolicy, &namespace, &name, serde_json::to_value(status)?)
            .map_err(|refused| anyhow::anyhow!(refused.message))?;
    }
    Ok(())
}

/// Applies one object; its kind is what it says.
pub fn apply(objects: &Objects, object: Value, manager: &str, force: bool) -> Result<(Kind, String, bool)> {
    let kind: Kind = objects::text_at(&object, "/kind").parse()?;
    let name = objects::text_at(&object, "/metadata/name");
    let (_, changed) =
        objects.apply(kind, object, manager, force).map_err(|refused| anyhow::anyhow!(refused.message))?;
    Ok((kind, name, changed))
}

/// All objects of a file, or of the files of a folder in their order.
pub fn manifests(path: &Path) -> Result<Vec<(PathBuf, Value)>> {
    let mut files = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).with_context(|| format!("failed to read the folder {}", path.display()))? {
            let file = entry?.path();
            if file.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known)) {
                files.push(file);
            }
        }
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
        for (number, document) in serde_yaml::Deserializer::from_str(&text).enumerate() {
            let value = Value::deserialize(document)
                .with_context(|| format!("failed to read {} (document {}) as YAML", file.display(), number + 1))?;
            if !value.is_null() {
                found.push((file.clone(), value));
            }
        }
    }
    Ok(found)
}
