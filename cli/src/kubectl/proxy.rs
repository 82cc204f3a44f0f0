//! The way to the API server: the user's own kubectl, as a proxy on a unix socket that nobody else can open. So every way of logging in
//! that kubectl knows works here, and this program never holds a credential.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::client::{Client, Place};

/// Which cluster, and as whom: kubectl's own options, handed on.
#[derive(Clone, Debug, Default, Args)]
pub struct Cluster {
    /// Namespace; that of the context unless set
    #[arg(short, long, global = true, help_heading = "Which cluster")]
    pub namespace: Option<String>,
    /// Context of the kubeconfig
    #[arg(long, global = true, help_heading = "Which cluster")]
    context: Option<String>,
    /// Path of the kubeconfig
    #[arg(long, global = true, value_name = "FILE", help_heading = "Which cluster")]
    kubeconfig: Option<PathBuf>,
    /// Act as this user; needs the right to impersonate
    #[arg(long = "as", global = true, value_name = "USER", help_heading = "Which cluster")]
    as_user: Option<String>,
    /// Act as a member of this group; may be repeated
    #[arg(long, global = true, value_name = "GROUP", help_heading = "Which cluster")]
    as_group: Vec<String>,
}

impl Cluster {
    fn options(&self) -> Vec<String> {
        let file = self.kubeconfig.as_ref().map(|file| file.display().to_string());
        let single = [("context", &self.context), ("kubeconfig", &file), ("as", &self.as_user)];
        let single = single.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?)));
        single.chain(self.as_group.iter().map(|group| format!("--as-group={group}"))).collect()
    }
}

/// All that this program asks of the API server. The proxy refuses the rest, so that what a page could be led to ask is bounded, too.
const PATHS: &str = r"^/apis/endcap\.dev/v1alpha1/namespaces/,^/apis/events\.k8s\.io/v1/namespaces/[^/]+/events$,^/apis/authorization\.k8s\.io/v1/selfsubjectaccessreviews$,^/apis/authentication\.k8s\.io/v1/selfsubjectreviews$,^/api/v1/namespaces/[^/]+/pods$,^/api/v1/namespaces/[^/]+/services/http:[^/]+/proxy/";

/// kubectl ends when this program does, however it ends: a killed program closes the pipe that `cat` reads. Signals of the terminal are
/// for this program alone. Who must type something to log in can: the terminal is handed on.
const KEEPER: &str = r#"
trap '' INT HUP
socket=$1; shift
if (: </dev/tty) 2>/dev/null; then exec 3</dev/tty; else exec 3</dev/null; fi
"$@" <&3 3<&- & child=$!
exec >/dev/null 2>&1 3<&-
cat
kill "$child"; wait "$child"
rm -f "$socket"; rmdir "${socket%/*}"
"#;

/// Reading a kubeconfig needs no network; what asks somebody to log in does so at the first request.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running proxy; it ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    socket: PathBuf,
    _folder: TempDir,
    _child: Child,
    _stdin: Option<ChildStdin>,
}

impl Proxy {
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        let folder = folder()?;
        let socket = folder.path().join("api");
        let mut child = Command::new("sh")
            .args(["-c", KEEPER, "kubectl-endcap"])
            .arg(&socket)
            .args(["kubectl", "proxy", "--reject-methods=^(PUT|DELETE)$"])
            .arg(format!("--accept-paths={PATHS}"))
            .arg(format!("--unix-socket={}", socket.display()))
            .args(cluster.options())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("failed to start sh")?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("failed to take kubectl's standard output")?;
        let mut stderr = child.stderr.take().context("failed to take kubectl's standard error")?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = tokio::time::timeout(READY_WITHIN, lines.next_line()).await;
        match ready {
            Ok(Ok(Some(_))) => {}
            Ok(_) => {
                let mut text = String::new();
                // All that it said is there already; a child of it may hold the pipe open.
                let _ = tokio::time::timeout(Duration::from_secs(1), stderr.read_to_string(&mut text)).await;
                bail!("failed to start `kubectl proxy`: {}", reason(&text));
            }
            Err(_) => bail!("`kubectl proxy` did not start within {} s", READY_WITHIN.as_secs()),
        }
        // What it says later (how to log in, for one) is for the user; its words about requests are in the answers already.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if !is_log(&line) {
                    eprintln!("{line}");
                }
            }
        });
        Ok(Self { socket, _folder: folder, _child: child, _stdin: stdin })
    }

    /// Speaks through it; the host is a name that it accepts, not one that is looked up.
    pub fn client(&self, namespace: String) -> Result<Client> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .unix_socket(self.socket.as_path())
            .user_agent(concat!("kubectl-endcap/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("failed to make an HTTP client")?;
        Ok(Client { http, server: "http://localhost".to_owned(), namespace, place: Place::Cluster })
    }
}

/// A folder that the user alone may enter. Where logged-in sessions have one of their own, there: its path is short enough for a socket.
fn folder() -> Result<TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
    let above = own.unwrap_or_else(std::env::temp_dir);
    let mut builder = tempfile::Builder::new();
    builder.prefix("endcap-").permissions(std::fs::Permissions::from_mode(0o700));
    let made = builder.tempdir_in(&above).or_else(|_| builder.tempdir());
    made.with_context(|| format!("failed to make a folder in {}: choose another with TMPDIR", above.display()))
}

/// `E1121 20:59:00.000000   12345 proxy_server.go:147] ...`: klog's, of one request.
fn is_log(line: &str) -> bool {
    let head = line.split(' ').next().unwrap_or_default();
    let mut letters = head.chars();
    let is_level = letters.next().is_some_and(|level| "IWEF".contains(level));
    is_level && head.len() == 5 && letters.all(|one| one.is_ascii_digit()) && line.contains("] ")
}

fn reason(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() {
        return "it said nothing; is kubectl in PATH?".to_owned();
    }
    let lines: Vec<&str> = text.lines().map(|line| line.trim_start_matches("error: ")).collect();
    lines.join("; ")
}

/// The namespace of the context, as kubectl understands it.
pub async fn namespace(cluster: &Cluster) -> Result<String> {
    if let Some(namespace) = &cluster.namespace {
        return Ok(namespace.clone());
    }
    let output = Command::new("kubectl")
        .args(["config", "view", "--minify", "-o", "jsonpath={.contexts[0].context.namespace}"])
        .args(cluster.options())
        .stdin(Stdio::null())
        .output()
        .await
        .context("failed to run kubectl: install it, or put it into PATH")?;
    let named = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    // Without a kubeconfig kubectl uses the pod's service account, and its namespace.
    let of_pod = || std::fs::read_to_string("/var/run/secrets/kubernetes.io/serviceaccount/namespace").ok();
    Ok([Some(named), of_pod()]
        .into_iter()
        .flatten()
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "default".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectls_own_log_is_no_message() {
        assert!(is_log("E1121 20:59:00.000000   12345 proxy_server.go:147] Error while proxying request: EOF"));
        for line in ["To sign in, use a web browser", "Error: no", "", "I am here] x"] {
            assert!(!is_log(line), "{line}");
        }
    }

    #[test]
    fn options_are_handed_on() {
        let cluster = Cluster {
            context: Some("prod".to_owned()),
            kubeconfig: Some("/k c".into()),
            as_group: vec!["a".to_owned(), "b".to_owned()],
            ..Cluster::default()
        };
        assert_eq!(cluster.options(), ["--context=prod", "--kubeconfig=/k c", "--as-group=a", "--as-group=b"]);
    }
}
