//! The commands that speak with a running `endcap up`: what kubectl does in a cluster, with the same words.

mod api;
mod columns;
mod show;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use endcap_crds::Kind;
use jiff::Timestamp;
use serde_json::{Value, json};

pub use api::Client;
use show::{describe, events, get, programs};

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
    /// Promote a version: its policy's steps begin
    Promote {
        version: String,
        /// Wait until it serves everybody, or does not
        #[arg(long)]
        wait: bool,
    },
    /// Approve one step of one version
    Approve { version: String, step: String },
    /// Hold the weight where it is
    Pause { model: String },
    /// Let the weight go on
    Resume { model: String },
    /// Take a version out of traffic at once
    Abort { version: String },
    /// Let the policy choose again: takes back what promote or rollback named
    Unpin { model: String },
    /// Go back to the version that served before, or to a named one
    Rollback {
        model: String,
        #[arg(long)]
        to: Option<String>,
    },
    /// Train a new version now
    Retrain {
        model: String,
        /// Any value that was not used before
        #[arg(long)]
        token: Option<String>,
    },
    /// What happened
    Events {
        model: Option<String>,
        #[arg(short, long)]
        watch: bool,
    },
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

/// The kind by its name, plural, short name, or the word of daily use.
fn kind_of(text: &str) -> Result<Kind> {
    let text = text.to_lowercase();
    let word =
        text.strip_suffix("ies").map_or_else(|| text.trim_end_matches('s').to_owned(), |stem| format!("{stem}y"));
    let found = Kind::ALL.into_iter().find(|kind| {
        let name = kind.as_str().to_lowercase();
        word == name
            || text == kind.short_name()
            || name.ends_with(&word) && ["model", "version", "policy", "experiment"].contains(&word.as_str())
    });
    found.with_context(|| {
        format!("failed to find kind {text:?}: use model, version, policy or experiment (recm, recmv, recpp, recexp)")
    })
}

/// The model of a version, `<model>-v<N>`.
fn model_of(version: &str) -> Result<String> {
    let model = version.rsplit_once("-v").filter(|(model, number)| {
        !model.is_empty() && number.chars().all(|one| one.is_ascii_digit()) && !number.is_empty()
    });
    model
        .map(|(model, _)| model.to_owned())
        .with_context(|| format!("{version:?} is not a version: write <model>-v<N>, such as shop-v2"))
}

/// A value that was not used before.
fn token() -> String {
    Timestamp::now().strftime("%Y%m%dt%H%M%S").to_string()
}

/// Carries out one command; returns the exit code.
pub async fn run(server: &Server, verb: Verb) -> Result<i32> {
    let client = Client::new(server)?;
    let model = Kind::RecommenderModel;
    match verb {
        Verb::Apply { filename, force_conflicts, field_manager } => {
            apply(&client, &filename, force_conflicts, &field_manager).await?;
        }
        Verb::Get { kind, name, output, watch } if kind == "programs" || kind == "program" => {
            let _ = (name, output, watch);
            programs(&client).await?;
        }
        Verb::Get { kind, name, output, watch } => {
            get(&client, kind_of(&kind)?, name.as_deref(), output, watch).await?;
        }
        Verb::Describe { kind, name } => describe(&client, kind_of(&kind)?, &name).await?,
        Verb::Promote { version, wait } => {
            let name = model_of(&version)?;
            let object = client.get(model, &name).await?;
            // Who promotes what was aborted or rejected before has made up their mind.
            let mut rollout = json!({});
            let text = |pointer: &str| crate::up::objects::text_at(&object, pointer);
            if text("/spec/rollout/abortVersion") == version {
                rollout["abortVersion"] = Value::Null;
            }
            let rejected = object.pointer("/status/rejectedVersions").and_then(Value::as_array).into_iter().flatten();
            if rejected.into_iter().any(|one| one.get("version").and_then(Value::as_str) == Some(&version)) {
                rollout["retryToken"] = json!(token());
            }
            client.patch(model, &name, &json!({"spec": {"promotedVersion": version, "rollout": rollout}})).await?;
            println!("{version} is to be promoted; follow it with `endcap get recm {name} -w`");
            if wait {
                return wait_for(&client, model, &name, "PromotionComplete", "True", Duration::from_secs(7_200)).await;
            }
        }
        Verb::Approve { version, step } => {
            client
                .patch(
                    model,
                    &model_of(&version)?,
                    &json!({"spec": {"rollout": {"approvedStep": {"version": version, "step": step}}}}),
                )
                .await?;
            println!("step {step} of {version} is approved");
        }
        Verb::Pause { model: name } => {
            client.patch(model, &name, &json!({"spec": {"rollout": {"paused": true}}})).await?;
            println!("{name}: the weight is held");
        }
        Verb::Resume { model: name } => {
            client.patch(model, &name, &json!({"spec": {"rollout": {"paused": false}}})).await?;
            println!("{name}: the weight goes on");
        }
        Verb::Abort { version } => {
            client.patch(model, &model_of(&version)?, &json!({"spec": {"rollout": {"abortVersion": version}}})).await?;
            println!("{version} is taken out of traffic");
        }
        Verb::Unpin { model: name } => {
            client.patch(model, &name, &json!({"spec": {"promotedVersion": null}})).await?;
            println!("{name}: the policy chooses");
        }
        Verb::Rollback { model: name, to } => rollback(&client, &name, to).await?,
        Verb::Retrain { model: name, token } => {
            let token = token.unwrap_or_else(self::token);
            client.patch(model, &name, &json!({"spec": {"retraining": {"trigger": token}}})).await?;
            println!("{name}: a training is asked for (trigger {token})");
        }
        Verb::Events { model, watch } => events(&client, model.as_deref(), watch).await?,
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
            return wait_for(&client, kind_of(kind)?, name, type_, status, limit).await;
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

async fn rollback(client: &Client, name: &str, to: Option<String>) -> Result<()> {
    let object = client.get(Kind::RecommenderModel, name).await?;
    let active = crate::up::objects::text_at(&object, "/status/activeVersion");
    let version = if let Some(version) = to {
        version
    } else {
        let history = object.pointer("/status/history").and_then(Value::as_array).cloned().unwrap_or_default();
        let before = history
            .iter()
            .flat_map(|entry| [entry.get("version"), entry.get("from")])
            .flatten()
            .filter_map(Value::as_str);
        let rejected =
            object.pointer("/status/rejectedVersions").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_rejected =
            |version: &str| rejected.iter().any(|one| one.get("version").and_then(Value::as_str) == Some(version));
        before
            .into_iter()
            .find(|version| *version != active && !is_rejected(version))
            .map(str::to_owned)
            .with_context(|| format!("{name} has no version that served before {active}: name one with --to"))?
    };
    client.patch(Kind::RecommenderModel, name, &json!({"spec": {"promotedVersion": version}})).await?;
    println!(
        "{name} goes back from {active} to {version}, which stays until `endcap promote` or `endcap unpin {name}`"
    );
    Ok(())
}

async fn wait_for(client: &Client, kind: Kind, name: &str, type_: &str, status: &str, limit: Duration) -> Result<i32> {
    let until = tokio::time::Instant::now() + limit;
    let mut last;
    loop {
        let object = client.get(kind, name).await?;
        let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        let found = conditions.iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some(type_));
        let text =
            |key: &str| found.and_then(|found| found.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned();
        last = format!("{type_} is {} ({}): {}", text("status"), text("reason"), text("message"));
        // A condition speaks of the generation that it names.
        let is_current = found.and_then(|found| found.get("observedGeneration")).and_then(Value::as_i64) == generation;
        if is_current && text("status") == status {
            println!("{}/{name}: {last}", kind.plural());
            return Ok(0);
        }
        if is_current && type_ == "PromotionComplete" && ["RolledBack", "Aborted"].contains(&text("reason").as_str()) {
            eprintln!("{}/{name}: {last}", kind.plural());
            return Ok(1);
        }
        if tokio::time::Instant::now() >= until {
            eprintln!("{}/{name}: not within {} s; {last}", kind.plural(), limit.as_secs());
            return Ok(1);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
