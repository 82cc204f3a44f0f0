//! A training as a child process: started, watched, tried again, its outcome kept in a file until the version records it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use endcap_dataplane::outcome;
use endcap_operator_core::observed::Training;
use endcap_operator_core::plan::TrainingRun;
use jiff::Timestamp;
use serde_json::Value;
use tokio::process::Child;

use crate::children::sibling;

/// How a training of a model is started.
#[derive(Clone, Debug)]
pub struct Place {
    pub folder: PathBuf,
    pub namespace: String,
    pub model: String,
    pub uid: String,
    pub store: String,
    pub data: String,
    /// Exported events to learn from beside the data.
    pub events: Option<String>,
    /// Only those before this offset, so that another attempt learns from the same.
    pub events_until: Option<u64>,
}

/// One version's training.
#[derive(Debug)]
pub struct Process {
    run: TrainingRun,
    place: Place,
    attempt: i32,
    first: Timestamp,
    began: Instant,
    child: Option<Child>,
    not_before: Instant,
    over: Option<Training>,
}

fn message_file(place: &Place, version: &str) -> PathBuf {
    place.folder.join(format!("{version}.outcome.json"))
}

impl Process {
    /// Takes it up: what ended while nobody looked is not run again.
    pub fn new(run: TrainingRun, place: Place) -> Result<Self> {
        std::fs::create_dir_all(&place.folder)
            .with_context(|| format!("failed to make the folder {}", place.folder.display()))?;
        let now = Timestamp::now();
        let mut process = Self {
            run,
            place,
            attempt: 0,
            first: now,
            began: Instant::now(),
            child: None,
            not_before: Instant::now(),
            over: None,
        };
        let file = message_file(&process.place, &process.run.version);
        if let Some(message) = read(&file).filter(|message| message.get("outcome") == Some(&"Succeeded".into())) {
            process.over = Some(process.succeeded(&message)?);
        }
        Ok(process)
    }

    /// Starts, restarts, or notices the end.
    pub async fn tend(&mut self) -> Result<()> {
        if self.over.is_some() {
            return Ok(());
        }
        let Some(child) = &mut self.child else {
            if Instant::now() >= self.not_before {
                self.start()?;
            }
            return Ok(());
        };
        let Some(status) = child.try_wait().context("failed to look after the training")? else {
            if self.began.elapsed() > Duration::from_secs(u64::try_from(self.run.deadline_s).unwrap_or(u64::MAX)) {
                child.kill().await.context("failed to end the training")?;
                self.child = None;
                self.over = Some(self.failed(
                    "DeadlineExceeded",
                    format!("the training took longer than training.activeDeadline ({} s)", self.run.deadline_s),
                ));
            }
            return Ok(());
        };
        self.child = None;
        let message = read(&message_file(&self.place, &self.run.version)).unwrap_or_default();
        let (reason, text) = outcome::failure(&message);
        self.over = match status.code() {
            Some(0) => Some(self.succeeded(&message)?),
            Some(outcome::exit::REFUSED) => Some(self.failed(&reason, text)),
            Some(outcome::exit::VERSION_TAKEN) => {
                Some(Training::Taken { highest: outcome::highest(&message), finished_at: Timestamp::now() })
            }
            Some(outcome::exit::ARTIFACT_TAKEN) => Some(self.failed("ArtifactTaken", text)),
            _ if self.attempt > self.run.backoff_limit => {
                Some(self.failed(&reason, format!("{text} (after {} attempts)", self.attempt)))
            }
            _ => {
                tracing::warn!(
                    version = self.run.version,
                    attempt = self.attempt,
                    "the training ended ({status}): {text}; it is tried again"
                );
                self.not_before = Instant::now() + Duration::from_secs(1 << self.attempt.clamp(0, 6));
                None
            }
        };
        Ok(())
    }

    fn start(&mut self) -> Result<()> {
        self.attempt += 1;
        let file = message_file(&self.place, &self.run.version);
        let _ = std::fs::remove_file(&file);
        let spec = &self.run.spec;
        let progress = std::fs::File::create(self.place.folder.join(format!("{}.progress.jsonl", self.run.version)))?;
        let mut command = tokio::process::Command::new(sibling("endcap-trainer")?);
        command
            .args(["--data", &self.place.data, "--store", &self.place.store, "--namespace", &self.place.namespace])
            .args([
                "--model",
                &self.place.model,
                "--model-uid",
                &self.place.uid,
                "--version",
                &spec.version.to_string(),
            ])
            .args(["--architecture", &format!("{:?}", spec.architecture), "--seed", &spec.seed.to_string()])
            .args(["--termination-message", &file.display().to_string(), "--json", "--exit-with-stdin"])
            .args(["--work", &self.place.folder.join(format!("{}.work", self.run.version)).display().to_string()]);
        for (key, value) in &spec.hyperparameters {
            command.args(["--hyperparameter", &format!("{key}={value}")]);
        }
        if let Some(active) = &self.run.active {
            command.args(["--active", active]);
        }
        if let Some(events) = &self.place.events {
            command.args(["--events", events]);
            if let Some(until) = self.place.events_until {
                command.args(["--events-until", &until.to_string()]);
            }
        }
        // Progress and what goes wrong come to standard error as JSON lines.
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(progress)
            .kill_on_drop(true)
            .process_group(0)
            .spawn()
            .context("failed to start endcap-trainer")?;
        if self.attempt == 1 {
            // The deadline is for all attempts, as a Job's is.
            self.began = Instant::now();
        }
        self.child = Some(child);
        Ok(())
    }

    pub fn facts(&self) -> Training {
        if let Some(over) = &self.over {
            return over.clone();
        }
        if self.child.is_none() && self.attempt == 0 {
            return Training::Pending { since: self.first };
        }
        let line = last_progress(&self.place.folder.join(format!("{}.progress.jsonl", self.run.version)));
        let number = |key: &str| line.as_ref().and_then(|line| line.get(key)).and_then(Value::as_f64);
        Training::Running {
            attempt: self.attempt.max(1),
            started_at: self.first,
            percent: number("percent").map(|percent| percent as i32),
            eta_s: number("eta_s").map(|eta| eta as i64),
            reported_at: None,
        }
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    fn failed(&self, reason: &str, message: String) -> Training {
        Training::Failed {
            reason: reason.to_owned(),
            message,
            attempts: self.attempt,
            started_at: Some(self.first),
            finished_at: Timestamp::now(),
        }
    }

    fn succeeded(&self, message: &Value) -> Result<Training> {
        let run = outcome::Run {
            attempts: self.attempt,
            started_at: self.first,
            finished_at: Timestamp::now(),
            gpu_seconds: None,
        };
        let read = outcome::read(message, run).context("failed to read the outcome of the training")?;
        Ok(Training::Succeeded(Box::new(read)))
    }
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// The last whole line of the progress file that says how far it is.
fn last_progress(path: &Path) -> Option<Value> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(4_096))).ok()?;
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line.get("percent").is_some())
}
