//! The programs that serve one model on this machine: event log, insights, routers, predictors. What ends is started again, later and
//! later; starting never blocks a look.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use endcap_dataplane::integrity;
use tokio::task::JoinHandle;

use crate::children::Running;

/// A program that shall run.
#[derive(Debug)]
pub struct Slot {
    state: State,
    /// Starts in a row that failed or did not last.
    failures: u32,
    started: Instant,
    not_before: Instant,
    /// Why it failed last.
    pub trouble: Option<String>,
}

#[derive(Debug)]
enum State {
    Idle,
    Starting(JoinHandle<Result<Running>>),
    Running(Box<Running>),
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub program: &'static str,
    pub args: Vec<String>,
    pub logs: PathBuf,
    /// It names its addresses before it is ready.
    pub may_wait: bool,
}

impl Default for Slot {
    fn default() -> Self {
        let now = Instant::now();
        Self { state: State::Idle, failures: 0, started: now, not_before: now, trouble: None }
    }
}

/// One that ran so long has started well.
const LASTED: Duration = Duration::from_secs(10);

impl Slot {
    /// Keeps it running; cheap when it does: what to start is asked only when something is to be started. None: not yet.
    pub async fn tend(&mut self, label: &str, wanted: impl FnOnce() -> Option<Wanted>) {
        match &mut self.state {
            State::Running(running) => {
                if let Some(why) = running.is_over() {
                    tracing::warn!("{why}");
                    if self.started.elapsed() >= LASTED {
                        self.failures = 0;
                    }
                    self.fail(why);
                }
            }
            State::Starting(task) if task.is_finished() => {
                let result = match task.await {
                    Ok(result) => result,
                    Err(error) => Err(anyhow::anyhow!("failed to start {label}: {error}")),
                };
                match result {
                    Ok(running) => {
                        self.state = State::Running(Box::new(running));
                        self.started = Instant::now();
                        self.trouble = None;
                    }
                    Err(error) => self.fail(format!("{error:#}")),
                }
            }
            State::Starting(_) | State::Idle => {}
        }
        if matches!(self.state, State::Idle)
            && Instant::now() >= self.not_before
            && let Some(Wanted { program, args, logs, may_wait }) = wanted()
        {
            let label = label.to_owned();
            self.state = State::Starting(tokio::spawn(async move {
                if may_wait {
                    Running::listening(program, &label, &args, &logs).await
                } else {
                    Running::start(program, &label, &args, &logs).await
                }
            }));
        }
    }

    fn fail(&mut self, why: String) {
        self.trouble = Some(why);
        self.failures += 1;
        self.not_before = Instant::now() + Duration::from_millis(250 << self.failures.min(7));
        self.state = State::Idle;
    }

    pub fn url(&self, address: &str) -> Option<String> {
        match &self.state {
            State::Running(running) => running.url(address).ok(),
            _ => None,
        }
    }

    pub fn pid(&self) -> Option<u32> {
        match &self.state {
            State::Running(running) => running.pid(),
            _ => None,
        }
    }

    /// Ends it in good order, in the background.
    pub fn end(self) -> JoinHandle<()> {
        tokio::spawn(async move {
            let running = match self.state {
                State::Running(running) => Some(*running),
                State::Starting(task) => task.await.ok().and_then(Result::ok),
                State::Idle => None,
            };
            if let Some(running) = running
                && let Err(error) = running.stop().await
            {
                tracing::warn!("{error:#}");
            }
        })
    }

    /// Ends it at once; it is started anew.
    pub async fn replace(&mut self) {
        if let State::Running(running) = &mut self.state {
            let _ = running.kill().await;
        }
        self.state = State::Idle;
    }
}

/// Predictors by version.
#[derive(Debug, Default)]
pub struct Predictors {
    slots: BTreeMap<String, Vec<Slot>>,
}

impl Predictors {
    /// Starts what is missing and ends what is too many.
    pub async fn tend(&mut self, wanted: &BTreeMap<String, i32>, how: impl Fn(&str) -> Option<Wanted>) {
        let gone: Vec<String> = self.slots.keys().filter(|version| !wanted.contains_key(*version)).cloned().collect();
        for version in gone {
            for slot in self.slots.remove(&version).unwrap_or_default() {
                slot.end();
            }
        }
        for (version, replicas) in wanted {
            let slots = self.slots.entry(version.clone()).or_default();
            let replicas = usize::try_from(*replicas).unwrap_or(0);
            while slots.len() > replicas {
                if let Some(slot) = slots.pop() {
                    slot.end();
                }
            }
            slots.resize_with(replicas, Slot::default);
            for (at, slot) in slots.iter_mut().enumerate() {
                slot.tend(&format!("predictor-{version}-{at}"), || how(version)).await;
            }
        }
    }

    pub fn arms(&self) -> BTreeMap<String, endcap_operator_core::observed::Arm> {
        let of = self.slots.iter().map(|(version, slots)| {
            let endpoints: Vec<String> = slots.iter().filter_map(|slot| slot.url("listen")).collect();
            let trouble =
                slots.iter().filter_map(|slot| slot.trouble.as_deref()).find(|why| integrity::is_failure(why));
            let arm = endcap_operator_core::observed::Arm {
                replicas: i32::try_from(slots.len()).unwrap_or(i32::MAX),
                ready: i32::try_from(endpoints.len()).unwrap_or(i32::MAX),
                endpoints,
                integrity_failure: trouble.map(str::to_owned),
            };
            (version.clone(), arm)
        });
        of.collect()
    }

    pub fn pids(&self) -> Vec<(String, u32)> {
        self.slots
            .iter()
            .flat_map(|(version, slots)| slots.iter().filter_map(|slot| Some((version.clone(), slot.pid()?))))
            .collect()
    }

    pub fn end(self) -> Vec<JoinHandle<()>> {
        self.slots.into_values().flatten().map(Slot::end).collect()
    }
}

/// The folder of the programs' logs.
pub fn logs(state: &Path) -> Result<PathBuf> {
    let logs = state.join("logs");
    std::fs::create_dir_all(&logs).with_context(|| format!("failed to make the folder {}", logs.display()))?;
    Ok(logs)
}
