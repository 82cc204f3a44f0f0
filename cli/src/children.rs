//! Child programs: found beside this one, started on loopback, ended with it.
//!
//! A child ends when its standard input closes, so nothing is orphaned even when this program is killed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// The program of that name beside this one (tests lie one folder below the programs).
pub fn sibling(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("failed to find this program's own file")?;
    let folder = own.parent().context("failed to find this program's own folder")?;
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let path = folder.join(name);
    if !path.is_file() {
        bail!("failed to find the program {name} in {}: build it with `make build`", folder.display());
    }
    Ok(path)
}

/// A running child and the addresses that its ready line named.
#[derive(Debug)]
pub struct Running {
    pub name: String,
    pub addresses: BTreeMap<String, String>,
    child: Child,
    /// Closing it ends the child.
    stdin: Option<ChildStdin>,
    log: PathBuf,
}

const READY_WITHIN: Duration = Duration::from_secs(60);
const END_WITHIN: Duration = Duration::from_secs(15);

impl Running {
    /// Starts a program and waits until it is ready. Its log goes to `<logs>/<label>.log`.
    pub async fn start(program: &str, label: &str, args: &[String], logs: &Path) -> Result<Self> {
        Self::until(program, label, args, logs, |fields| fields.get("ready") == Some(&true.into())).await
    }

    /// Starts a program and waits until it has named its addresses; it may still wait for something itself.
    pub async fn listening(program: &str, label: &str, args: &[String], logs: &Path) -> Result<Self> {
        Self::until(program, label, args, logs, |fields| fields.contains_key("ready")).await
    }

    async fn until(
        program: &str,
        label: &str,
        args: &[String],
        logs: &Path,
        is_enough: impl Fn(&BTreeMap<String, serde_json::Value>) -> bool,
    ) -> Result<Self> {
        let path = sibling(program)?;
        let log = logs.join(format!("{label}.log"));
        let log_file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("failed to open the log {}", log.display()))?;
        let mut child = Command::new(&path)
            .args(args)
            .arg("--exit-with-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .kill_on_drop(true)
            // Ctrl-C is for this program: it ends its children in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("failed to start {}", path.display()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("failed to take the child's standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = tokio::time::timeout(READY_WITHIN, async {
            while let Some(line) = lines.next_line().await? {
                let parsed: Option<BTreeMap<String, serde_json::Value>> = serde_json::from_str(&line).ok();
                if let Some(fields) = parsed.filter(|fields| is_enough(fields)) {
                    return Ok(Some(fields));
                }
            }
            anyhow::Ok(None)
        })
        .await;
        let fields = match ready {
            Ok(Ok(Some(fields))) => fields,
            Ok(Ok(None)) => {
                let status = child.wait().await.context("failed to wait for the child")?;
                bail!("{label} ended before it was ready ({status}): {}", last_error(&log));
            }
            Ok(Err(error)) => return Err(error).with_context(|| format!("failed to read what {label} prints")),
            Err(_) => bail!("{label} was not ready within {} s: {}", READY_WITHIN.as_secs(), last_error(&log)),
        };
        // What else it prints must go somewhere, or it would block.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let addresses =
            fields.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
        Ok(Self { name: label.to_owned(), addresses, child, stdin, log })
    }

    /// `http://` and the address that the ready line calls `name`.
    pub fn url(&self, name: &str) -> Result<String> {
        let address = self.addresses.get(name);
        let address = address.with_context(|| format!("{} named no address {name:?} when it was ready", self.name))?;
        Ok(format!("http://{address}"))
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it by closing its standard input; kills it when it does not go.
    pub async fn stop(mut self) -> Result<()> {
        drop(self.stdin.take());
        if tokio::time::timeout(END_WITHIN, self.child.wait()).await.is_err() {
            tracing::warn!(child = self.name, "did not end in time and is killed");
            self.child.kill().await.with_context(|| format!("failed to kill {}", self.name))?;
        }
        Ok(())
    }

    /// Ends it at once, as a crash would.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.with_context(|| format!("failed to kill {}", self.name))
    }

    /// Why it has ended, if it has.
    pub fn is_over(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        Some(format!("{} ended ({status}): {}", self.name, last_error(&self.log)))
    }

    /// Resolves when it has ended by itself, with why.
    pub async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => format!("{} ended ({status}): {}", self.name, last_error(&self.log)),
            Err(error) => format!("failed to wait for {}: {error}", self.name),
        }
    }
}

/// The last line of a log that says what went wrong.
fn last_error(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    let message = serde_json::from_str::<serde_json::Value>(line).ok().and_then(|value| {
        let fields = value.get("fields")?;
        let message = fields.get("message")?.as_str()?.to_owned();
        Some(
            fields
                .get("error")
                .and_then(|error| error.as_str())
                .map_or(message.clone(), |error| format!("{message}: {error}")),
        )
    });
    format!("{} (log: {})", message.unwrap_or_else(|| line.to_owned()), log.display())
}

/// Runs a program to its end with this program's own standard streams; its exit code is passed on.
pub async fn run(program: &str, args: &[String]) -> Result<i32> {
    let path = sibling(program)?;
    let status = Command::new(&path)
        .args(args)
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("failed to start {}", path.display()))?;
    Ok(status.code().unwrap_or(1))
}
