//! The commands that speak with a running `endcap up`: what kubectl does in a cluster, with the same words.

pub mod act;
mod api;
mod columns;
pub mod diff;
pub mod follow;
mod lists;
mod names;
pub mod rights;
mod said;
mod show;
mod steer;
pub mod tree;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use endcap_crds::Kind;
use serde_json::Value;

pub use api::{Client, Place, Refusal};
use names::kind_of;
use show::{describe, get, programs};
pub use steer::{Steer, run as steer};

#[derive(Debug, Args)]
pub struct Server {
    /// Where `endcap up` listens
    #[arg(
        long,
        env = "ENDCAP_SERVER",
        default_value = "http://127.0.0.1:8090",
        global = true,
        help_heading = "Of the commands that speak with `endcap up`"
    )]
    pub server: String,
    #[arg(
        short,
        long,
        default_value = "default",
        global = true,
        help_heading = "Of the commands that speak with `endcap up`"
    )]
    pub namespace: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Wide,
    Yaml,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Apply manifests
    Apply {
        /// Files or folders, YAML or JSON
        #[arg(short, long = "filename", required = true)]
        filename: Vec<PathBuf>,
        /// Take over fields that others own
        #[arg(long)]
        force_conflicts: bool,
        #[arg(long, default_value = "endcap-apply")]
        field_manager: String,
    },
    /// List objects: models (recm), versions (recmv), policies (recpp), experiments (recexp), programs
    Get {
        kind: String,
        name: Option<String>,
        #[arg(short, long, value_enum, default_value = "table")]
        output: Output,
        /// Go on and print every change
        #[arg(short, long)]
        watch: bool,
    },
    /// Everything about one object, with its events
    Describe { kind: String, name: String },
    #[command(flatten)]
    Steer(Steer),
    /// What a program of a model wrote: router-0, eventlog, insights, predictor-<version>-0
    Logs { model: String, program: Option<String> },
    /// Wait for a condition, such as recm/shop --for condition=PromotionComplete
    Wait {
        object: String,
        #[arg(long = "for", value_name = "condition=NAME[=STATUS]")]
        condition: String,
        #[arg(long, default_value = "30s")]
        timeout: String,
    },
    /// Delete an object; with a model go its versions and programs
    Delete { kind: String, name: String },
}

/// Carries out one command; returns the exit code.
pub async fn run(server: &Server, verb: Verb) -> Result<i32> {
    let client = Client::new(server)?;
    match verb {
        Verb::Apply { filename, force_conflicts, field_manager } => {
            apply(&client, &filename, force_conflicts, &field_manager).await?;
        }
        Verb::Get { kind, .. } if kind == "programs" || kind == "program" => programs(&client).await?,
        Verb::Get { kind, name, output, watch } => {
            get(&client, kind_of(&kind)?, name.as_deref(), output, watch).await?;
        }
        Verb::Describe { kind, name } => describe(&client, kind_of(&kind)?, &name).await?,
        Verb::Steer(steer) => return steer::run(&client, steer).await,
        Verb::Logs { model: name, program } => {
            let program = program.unwrap_or_else(|| "router-0".to_owned());
            let url = format!("{}/console/logs/{}/{name}/{program}", client.server, client.namespace);
            let answer =
                client.http.get(url).send().await.with_context(|| format!("failed to reach {}", client.server))?;
            let is_good = answer.status().is_success();
            let text = answer.text().await.unwrap_or_default();
            if !is_good {
                let body: Value = serde_json::from_str(&text).unwrap_or_default();
                bail!("{}", body.get("message").and_then(Value::as_str).unwrap_or(&text));
            }
            println!("{text}");
        }
        Verb::Wait { object, condition, timeout } => {
            let (kind, name) =
                object.split_once('/').with_context(|| format!("{object:?} is not KIND/NAME, such as recm/shop"))?;
            let wanted = condition
                .strip_prefix("condition=")
                .with_context(|| format!("{condition:?} is not condition=NAME, such as condition=Ready"))?;
            let (type_, status) = wanted.split_once('=').unwrap_or((wanted, "True"));
            let limit = endcap_crds::common::text::DurationText(timeout).as_duration()?;
            return follow::condition_of(&client, kind_of(kind)?, name, (type_, status), limit).await;
        }
        Verb::Delete { kind, name } => {
            let kind: Kind = kind_of(&kind)?;
            client.send(client.http.delete(client.path(kind, Some(&name)))).await?;
            println!("{}/{name} deleted", kind.plural());
        }
    }
    Ok(0)
}

async fn apply(client: &Client, files: &[PathBuf], force: bool, manager: &str) -> Result<()> {
    for path in files {
        for (path, object) in crate::up::manifests(path)? {
            let stored = client.apply(object, manager, force).await;
            let stored = stored.with_context(|| format!("failed to apply {}", path.display()))?;
            let kind: Kind = crate::up::objects::text_at(&stored, "/kind").parse()?;
            let name = crate::up::objects::text_at(&stored, "/metadata/name");
            let generation = stored.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
            println!("{}/{name} applied (generation {generation})", kind.plural());
        }
    }
    Ok(())
}
