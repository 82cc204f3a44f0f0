//! The command line of `endcap-trainer`, which `endcap train` shares.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

use crate::progress::{Bars, Board, JsonLines, Progress, serve};
use crate::report::main_metrics;
use crate::{Architecture, DeviceChoice, TrainError, TrainOptions, Trained, machine, train};

/// Trains a recommender from a canonical dataset and publishes it as an immutable artifact.
///
/// Exit codes: 0 published (or it already stood there), 1 failed (worth another try: finished phases are kept), 2 wrong options or
/// unusable data, 3 the version number is taken, 4 the output holds another artifact, 5 told to stop.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "endcap-trainer", version)]
pub struct Arguments {
    #[command(flatten)]
    pub training: TrainingArguments,
}

#[derive(Clone, Debug, Args)]
pub struct TrainingArguments {
    /// Folder of a canonical dataset (with dataset.json)
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Export of an event log (what endcap-eventlog --export writes): merged into the dataset before anything is learned
    #[arg(long, value_name = "URI")]
    pub events: Option<String>,
    /// Only events before this offset, such as the one that POST /v1/export answered: a retry then learns from the very same events
    #[arg(long, value_name = "OFFSET", requires = "events")]
    pub events_until: Option<u64>,
    /// Where the artifact goes: a folder, `file:///folder` or `s3://bucket/prefix`
    #[arg(long, value_name = "URI", required_unless_present = "store", conflicts_with = "store")]
    pub out: Option<String>,
    /// Prefix of a store of many versions: the artifact goes to PREFIX/NAMESPACE/MODEL/MODEL-vN/ATTEMPT, if N is free
    #[arg(long, value_name = "PREFIX", requires = "namespace")]
    pub store: Option<String>,
    /// Namespace below --store
    #[arg(long, value_name = "NAME", requires = "store")]
    pub namespace: Option<String>,
    /// Attempt below --store
    #[arg(long, value_name = "NAME", default_value = "0", requires = "store")]
    pub attempt: String,
    /// Name of the model
    #[arg(long, default_value = "shop")]
    pub model: String,
    /// UID of the RecommenderModel, kept in the manifest
    #[arg(long)]
    pub model_uid: Option<String>,
    /// Number of the version
    #[arg(long, default_value_t = 1)]
    pub version: u64,
    /// What is learned: Rules, Collaborative or Hybrid
    #[arg(long, default_value = "Hybrid")]
    pub architecture: String,
    #[arg(long, default_value_t = 42, allow_negative_numbers = true)]
    pub seed: i64,
    /// Worker threads; what the machine or the container's CPU limit gives when left out
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// What the two-tower network learns on: Cpu, Gpu (the program must be built with the feature cuda) or Auto
    #[arg(long, default_value = "Cpu")]
    pub device: String,
    /// A hyperparameter, which is then not tuned; an unknown one is refused with the list of those there are
    #[arg(long = "hyperparameter", value_name = "KEY=VALUE")]
    pub hyperparameters: Vec<String>,
    /// Artifact of the version that serves now: the model card compares with it on the same questions
    #[arg(long, value_name = "URI")]
    pub active: Option<String>,
    /// Folder for checkpoints; beside the output when left out
    #[arg(long, value_name = "DIR")]
    pub work: Option<PathBuf>,
    /// Answer /progress, /livez and /metrics here; :0 picks a free port
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Write the outcome here as JSON of at most 4 KB
    #[arg(long, value_name = "FILE")]
    pub termination_message: Option<PathBuf>,
    /// End when standard input is closed
    #[arg(long)]
    pub exit_with_stdin: bool,
    /// Progress and outcome as JSON lines, even on a terminal
    #[arg(long)]
    pub json: bool,
}

impl TrainingArguments {
    /// The options, checked.
    pub fn options(&self) -> Result<TrainOptions, TrainError> {
        let mut hyperparameters = BTreeMap::new();
        for pair in &self.hyperparameters {
            let (key, value) = pair.split_once('=').ok_or_else(|| TrainError::Option {
                what: "--hyperparameter".to_owned(),
                value: pair.clone(),
                remedy: "write key=value".to_owned(),
            })?;
            hyperparameters.insert(key.trim().to_owned(), value.trim().to_owned());
        }
        let version_name = format!("{}-v{}", self.model, self.version);
        let (out, versions_at, beside) = match (&self.store, &self.namespace, &self.out) {
            (Some(store), Some(namespace), _) => {
                check_part("--namespace", namespace)?;
                check_part("--attempt", &self.attempt)?;
                let models = format!("{}/{namespace}/{}", store.trim_end_matches('/'), self.model);
                let version = format!("{models}/{version_name}");
                (format!("{version}/{}", self.attempt), Some(models), version)
            }
            (_, _, out) => {
                let out = out.clone().unwrap_or_default();
                (out.clone(), None, out)
            }
        };
        let options = TrainOptions {
            data: self.data.clone(),
            events: self.events.clone(),
            events_until: self.events_until,
            work: self.work.clone().unwrap_or_else(|| work_beside(&beside)),
            out,
            model: self.model.clone(),
            model_uid: self.model_uid.clone(),
            version: self.version,
            architecture: Architecture::parse(&self.architecture)?,
            seed: self.seed,
            threads: self.threads.map_or_else(machine::threads, usize::from),
            device: DeviceChoice::parse(&self.device)?,
            hyperparameters,
            versions_at,
            active: self.active.clone(),
        };
        options.validate()?;
        Ok(options)
    }
}

/// One part of a path in the store.
fn check_part(flag: &str, value: &str) -> Result<(), TrainError> {
    let plain = value.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.'));
    if plain && !value.is_empty() && !value.starts_with('.') && value.len() <= 253 {
        return Ok(());
    }
    Err(TrainError::Option {
        what: flag.to_owned(),
        value: value.to_owned(),
        remedy: "write letters, digits, dashes, dots and underscores only".to_owned(),
    })
}

/// `.NAME.work` beside a local output, else a folder of the system's for temporary files.
fn work_beside(out: &str) -> PathBuf {
    let local = out.strip_prefix("file://").or_else(|| (!out.contains("://")).then_some(out));
    let path = local.map(|path| PathBuf::from(path.trim_end_matches('/')));
    let named = path.as_deref().and_then(|path| Some((path.parent()?, path.file_name()?.to_str()?)));
    match named {
        Some((parent, name)) => parent.join(format!(".{name}.work")),
        None => std::env::temp_dir().join("endcap-trainer-work"),
    }
}

/// Runs a training as a program does: progress, `/progress`, outcome, exit code.
pub fn run(arguments: &Arguments) -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // Another subscriber may stand already when the CLI calls this.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    let arguments = &arguments.training;
    if arguments.exit_with_stdin {
        // Whoever started it is gone: what is published stands, what is not goes on from its checkpoints another time.
        std::thread::spawn(|| {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            std::process::exit(5);
        });
    }
    let result = arguments.options().and_then(|options| run_options(arguments, &options));
    if let Some(path) = &arguments.termination_message {
        write_message(path, &message(&result));
    }
    let mut out = std::io::stdout().lock();
    match &result {
        Ok(_) if arguments.json => {
            let _ = writeln!(out, "{}", message(&result));
        }
        Ok(trained) => {
            let _ = write!(out, "{}", summary(trained));
        }
        Err(error) => {
            if arguments.json {
                let _ = writeln!(out, "{}", message(&result));
            }
            let _ = writeln!(std::io::stderr().lock(), "endcap-trainer: {error}");
        }
    }
    result.map_or_else(|error| ExitCode::from(error.exit_code()), |_| ExitCode::SUCCESS)
}

fn run_options(arguments: &TrainingArguments, options: &TrainOptions) -> Result<Trained, TrainError> {
    let board = Arc::new(Board::new(&options.model, &options.version_name()));
    let listener = match arguments.listen {
        None => None,
        Some(address) => Some(serve(address, board.clone()).map_err(|source| TrainError::Option {
            what: "--listen".to_owned(),
            value: address.to_string(),
            remedy: format!("it cannot be used ({source}); choose another port, or port 0 for a free one"),
        })?),
    };
    if let Some(listener) = &listener {
        let address = listener.address;
        let line = json!({"ready": "endcap-trainer", "progress": format!("http://{address}/progress"), "listen": address.to_string()});
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
    let bars = std::io::stderr().is_terminal() && !arguments.json;
    let progress: Box<dyn Progress> =
        if bars { Box::new(Bars::new(board.clone())) } else { Box::new(JsonLines::new(board.clone())) };
    let result = train(options, progress.as_ref());
    board.finish(result.as_ref().err().map(ToString::to_string));
    drop(listener);
    result
}

/// What Kubernetes keeps of a pod's termination message.
const MESSAGE_BYTES: usize = 4096;

fn message(result: &Result<Trained, TrainError>) -> Value {
    match result {
        Ok(trained) => {
            let metrics = main_metrics(&trained.manifest.metrics);
            let mut message = json!({
                "outcome": "Succeeded",
                "uri": trained.uri,
                "version": trained.manifest.version,
                "manifest_sha256": trained.manifest_sha256,
                "dataset_sha256": trained.manifest.dataset.manifest_sha256,
                "rows": trained.manifest.dataset.rows,
                "orders": trained.manifest.dataset.orders,
                "customers": trained.manifest.dataset.customers,
                "products": trained.manifest.dataset.products,
                "min_time": trained.manifest.dataset.min_time,
                "max_time": trained.manifest.dataset.max_time,
                "objects": trained.manifest.objects.len(),
                "bytes": trained.bytes,
                "seconds": (trained.run.seconds * 1000.0).round() / 1000.0,
                "metrics": metrics,
            });
            if let (Some(events), Some(map)) = (&trained.run.events, message.as_object_mut()) {
                map.insert(
                    "events".to_owned(),
                    json!({"log_id": events.log_id, "to_offset": events.to_offset, "counts": events.counts}),
                );
            }
            while message.to_string().len() > MESSAGE_BYTES
                && message
                    .get_mut("metrics")
                    .and_then(Value::as_array_mut)
                    .is_some_and(|metrics| metrics.pop().is_some())
            {}
            message
        }
        Err(error) => {
            let mut text = error.to_string();
            while text.len() > MESSAGE_BYTES / 2 {
                text.pop();
            }
            let mut message = json!({"outcome": error.outcome(), "error": text, "exit_code": error.exit_code()});
            if let (TrainError::VersionTaken { highest, .. }, Some(map)) = (error, message.as_object_mut()) {
                map.insert("highest".to_owned(), json!(highest));
            }
            message
        }
    }
}

/// Written in place: a pod's termination log is a mount that cannot be replaced.
fn write_message(path: &Path, message: &Value) {
    if let Err(error) = std::fs::write(path, message.to_string()) {
        tracing::warn!(%error, path = %path.display(), "failed to write the termination message");
    }
}

fn summary(trained: &Trained) -> String {
    use std::fmt::Write;
    let manifest = &trained.manifest;
    let mut text = String::new();
    let verb = if trained.run.already_finished { "already stood at" } else { "published to" };
    let _ = writeln!(text, "{} {verb} {}", manifest.version, trained.uri);
    let _ = writeln!(text, "  digest     {}", trained.manifest_sha256);
    let data = &manifest.dataset;
    let _ = writeln!(
        text,
        "  learned    {} orders, {} lines, {} customers, {} products",
        data.orders, data.rows, data.customers, data.products
    );
    if let Some(events) = &trained.run.events {
        let count = |name: &str| events.counts.get(name).copied().unwrap_or(0);
        let _ = writeln!(
            text,
            "  events     {} read up to offset {}, {} orders added",
            count("read"),
            events.to_offset,
            count("orders_added")
        );
    }
    for metric in manifest
        .metrics
        .iter()
        .filter(|metric| metric.name.starts_with("ndcg@10") && metric.name.matches('.').count() < 2)
    {
        let (low, high) = (metric.low.unwrap_or(metric.value), metric.high.unwrap_or(metric.value));
        let _ = writeln!(
            text,
            "  {:<24} {:.4} ({low:.4} to {high:.4}, {} {} questions)",
            metric.name, metric.value, metric.n, metric.split
        );
    }
    let _ = writeln!(text, "  size       {} bytes in {} objects", trained.bytes, manifest.objects.len());
    if !trained.run.already_finished {
        let peak = trained.run.peak_resident_bytes.unwrap_or(0) >> 20;
        let _ = writeln!(
            text,
            "  took       {:.1} s on {} threads ({}), {peak} MiB at most",
            trained.run.seconds, trained.run.threads, trained.run.device
        );
    }
    text
}
