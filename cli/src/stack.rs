//! Event log, predictor and router of one version on loopback: what `endcap serve` and the demo run.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use endcap_recommender::artifact::ArtifactManifest;
use endcap_serving::table::{KeyPair, Pack, Table, sign};

use crate::children::Running;
use crate::programs;

const NAMESPACE: &str = "default";

#[derive(Clone, Debug)]
pub struct StackSpec {
    pub artifact: String,
    /// Where log, tables and logs of the programs are kept.
    pub state: PathBuf,
    /// `spec.recommendation` as JSON; null for the defaults.
    pub policy: serde_json::Value,
    pub listen: SocketAddr,
    /// Expected digest of the artifact; whatever lies there when none.
    pub digest: Option<String>,
}

#[derive(Debug)]
pub struct Stack {
    pub manifest: ArtifactManifest,
    pub digest: String,
    spec: StackSpec,
    logs: PathBuf,
    pub eventlog: Running,
    pub predictor: Running,
    pub router: Running,
}

impl Stack {
    pub async fn start(spec: StackSpec) -> Result<Self> {
        std::fs::create_dir_all(&spec.state).with_context(|| {
            format!("failed to make the folder {}; choose another with --state", spec.state.display())
        })?;
        let logs = spec.state.join("logs");
        std::fs::create_dir_all(&logs).with_context(|| format!("failed to make the folder {}", logs.display()))?;

        let from = endcap_store::open(&spec.artifact)?;
        let (bytes, object) = endcap_store::read_manifest(&from).await?;
        let manifest = ArtifactManifest::from_json(&bytes)?;
        let digest = spec.digest.clone().unwrap_or(object.sha256);

        let args = programs::eventlog(&spec.state.join("eventlog"), programs::ANY, &spec.artifact);
        let eventlog = Running::start("endcap-eventlog", "eventlog", &args, &logs).await?;
        let predictor = start_predictor(&spec, &logs, &digest, &eventlog, programs::ANY).await?;
        let router = start_router(&spec, &logs, &manifest, &digest, &eventlog, &predictor).await?;
        Ok(Self { manifest, digest, spec, logs, eventlog, predictor, router })
    }

    /// Where the OMS calls.
    pub fn url(&self) -> Result<String> {
        self.router.url("listen")
    }

    /// Starts the predictor again on its old address, after it has ended.
    pub async fn restart_predictor(&mut self) -> Result<()> {
        let address = self.predictor.addresses.get("listen").context("the predictor named no address")?.clone();
        self.predictor = start_predictor(&self.spec, &self.logs, &self.digest, &self.eventlog, &address).await?;
        Ok(())
    }

    /// Ends the predictor as a crash would.
    pub async fn kill_predictor(&mut self) -> Result<()> {
        self.predictor.kill().await
    }

    /// Ends the programs in the order in which requests flow.
    pub async fn stop(self) -> Result<()> {
        self.router.stop().await?;
        self.predictor.stop().await?;
        self.eventlog.stop().await
    }
}

async fn start_predictor(
    spec: &StackSpec,
    logs: &Path,
    digest: &str,
    eventlog: &Running,
    listen: &str,
) -> Result<Running> {
    let args = programs::predictor(&spec.artifact, digest, &eventlog.url("listen")?, listen);
    Running::start("endcap-predictor", "predictor", &args, logs).await
}

async fn start_router(
    spec: &StackSpec,
    logs: &Path,
    manifest: &ArtifactManifest,
    digest: &str,
    eventlog: &Running,
    predictor: &Running,
) -> Result<Running> {
    let keys = signing_key(&spec.state)?;
    let pack = Pack { uri: spec.artifact.clone(), digest: digest.to_owned() };
    let endpoints = vec![predictor.url("listen")?];
    // Every start is newer than what an earlier one left in the state folder.
    let revision = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(1);
    let mut table = Table::single(NAMESPACE, &manifest.model, revision, &manifest.version, endpoints, pack);
    if spec.policy.is_object() {
        table.policy = spec.policy.clone();
    }
    let file = spec.state.join("routing-table.json");
    let envelope = serde_json::to_vec_pretty(&sign(&table, &keys.signing)?)?;
    std::fs::write(&file, envelope).with_context(|| format!("failed to write {}", file.display()))?;
    let cache = spec.state.join("routing-table.cache.json");
    let listen = spec.listen.to_string();
    let mut args = programs::router(&keys.public_hex(), &cache, &eventlog.url("listen")?, &listen);
    args.extend(["--table".to_owned(), file.display().to_string()]);
    Running::start("endcap-router", "router", &args, logs).await
}

/// The key that signs routing tables on this machine; made once, readable by its owner alone.
pub fn signing_key(state: &Path) -> Result<KeyPair> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let path = state.join("signing-key");
    if let Ok(secret) = std::fs::read_to_string(&path) {
        let signing = endcap_serving::table::parse_secret_key(&secret)
            .with_context(|| format!("failed to read {}; remove it and a new key is made", path.display()))?;
        return Ok(KeyPair { signing });
    }
    let keys = KeyPair::generate();
    let file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(keys.secret_hex().as_bytes()))
        .with_context(|| format!("failed to write the signing key {}", path.display()))?;
    Ok(keys)
}
