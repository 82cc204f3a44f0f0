//! `endcap serve`: one version on loopback until Ctrl-C.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::stack::{Stack, StackSpec};

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The artifact: file:///folder, a folder, or s3://bucket/prefix
    #[arg(long)]
    artifact: String,
    /// Refuse the artifact unless its manifest has this SHA-256
    #[arg(long)]
    digest: Option<String>,
    /// A RecommenderModel manifest, or its spec.recommendation alone (YAML or JSON): the business rules
    #[arg(long)]
    policy: Option<PathBuf>,
    /// The address that the OMS calls
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Folder for the event log, the signing key and the programs' logs
    #[arg(long)]
    state: Option<PathBuf>,
}

pub async fn serve(args: ServeArgs) -> Result<()> {
    let policy = args.policy.as_deref().map(read_policy).transpose()?.unwrap_or_default();
    let state = match args.state {
        Some(state) => state,
        None => default_state("serve")?,
    };
    let spec = StackSpec { artifact: args.artifact, state, policy, listen: args.listen, digest: args.digest };
    let stack = Stack::start(spec).await?;
    print_addresses(&stack)?;
    stay_up(stack).await
}

/// Business rules from a file: a RecommenderModel, or what stands under its `spec.recommendation`.
pub(crate) fn read_policy(path: &std::path::Path) -> Result<serde_json::Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("failed to read the policy {}", path.display()))?;
    let yaml: serde_json::Value =
        serde_yaml::from_str(&text).with_context(|| format!("failed to read the policy {} as YAML", path.display()))?;
    let policy = yaml.pointer("/spec/recommendation").cloned().unwrap_or_else(|| {
        // A manifest without rules of its own has the defaults.
        if yaml.get("kind").is_some() { serde_json::json!({}) } else { yaml }
    });
    serde_json::from_value::<endcap_recommender::Policy>(policy.clone())
        .with_context(|| format!("failed to understand the policy {}", path.display()))?;
    Ok(policy)
}

/// Where a command keeps what it must know again after a restart.
pub(crate) fn default_state(command: &str) -> Result<PathBuf> {
    let base = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")));
    Ok(base
        .context("failed to choose a state folder: neither XDG_STATE_HOME nor HOME is set; name one with --state")?
        .join("endcap")
        .join(command))
}

/// Addresses and lines to copy.
pub fn print_addresses(stack: &Stack) -> Result<()> {
    let url = stack.url()?;
    println!("  serving   {} ({})", stack.manifest.version, &stack.digest.chars().take(12).collect::<String>());
    println!("  OMS       {url}");
    println!(
        "  metrics   router {}, predictor {}, event log {}",
        stack.router.url("metrics")?,
        stack.predictor.url("metrics")?,
        stack.eventlog.url("metrics")?
    );
    println!();
    println!(
        "  curl -s {url}/v1/recommendations -H 'content-type: application/json' -d '{{\"placement\":\"home\",\"limit\":3}}'"
    );
    println!(
        "  curl -s {url}/v1/events -H 'content-type: application/json' -d '{{\"event_id\":\"e-1\",\"type\":\"view_item\",\"session_id\":\"s-1\",\"product_id\":\"...\"}}'"
    );
    Ok(())
}

/// Until Ctrl-C or SIGTERM. A predictor that ends is started again; without router or event log there is nothing to serve.
pub async fn stay_up(mut stack: Stack) -> Result<()> {
    println!("\n  Ctrl-C ends it.");
    let mut stopped = std::pin::pin!(endcap_eventlog::program::until_stopped(false));
    loop {
        tokio::select! {
            () = &mut stopped => break,
            why = stack.router.ended() => anyhow::bail!(why),
            why = stack.eventlog.ended() => anyhow::bail!(why),
            why = stack.predictor.ended() => {
                println!("  {why}; starting it again (the router answers from its pack meanwhile)");
                tokio::time::sleep(Duration::from_millis(500)).await;
                stack.restart_predictor().await?;
                println!("  the predictor is back");
            }
        }
    }
    println!("\n  ending ...");
    stack.stop().await?;
    println!("  ended; all ports are free");
    Ok(())
}
