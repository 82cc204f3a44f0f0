//! Looking at models and steering them: the same commands on one machine (`endcap`) and in a cluster (`kubectl endcap`).

use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use endcap_crds::Kind;
use endcap_crds::common::text::DurationText;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::act::{self, Change};
use super::api::{Client, Place, Refusal};
use super::follow::{self, Promotion};
use super::names::{both, either, version_of};
use super::{diff, lists, rights, show, tree};
use crate::up::objects::text_at;

const MODEL: Kind = Kind::RecommenderModel;

#[derive(Debug, Subcommand)]
pub enum Steer {
    /// All of a model on one page: traffic on the wire, rollout and what holds it, training, versions, pods, events
    Status {
        /// All models of the namespace unless one is named
        model: Option<String>,
        /// How many of the last events
        #[arg(long, default_value_t = 8)]
        events: usize,
    },
    /// A model's versions, newest first
    Versions { model: String },
    /// A model's last promotions, rollbacks and aborts: who, when, why
    History { model: String },
    /// Two versions beside each other: what they are made of, data, metrics, artifact
    Diff {
        model: String,
        /// feed-v2, v2 or 2
        #[arg(value_name = "VERSION")]
        from: String,
        #[arg(value_name = "VERSION")]
        to: String,
    },
    /// What happened, with numbers
    Events {
        model: Option<String>,
        #[arg(short, long)]
        watch: bool,
    },
    /// Promote a version: its policy's steps begin
    Promote {
        /// The model; or a version, which names its model
        #[arg(value_name = "MODEL|VERSION")]
        name: String,
        /// feed-v2, v2 or 2
        version: Option<String>,
        #[command(flatten)]
        wait: Waiting,
    },
    /// Go back to the last version that served everybody before, or to a named one
    Rollback {
        model: String,
        /// feed-v2, v2 or 2
        version: Option<String>,
        #[arg(long, hide = true, conflicts_with = "version")]
        to: Option<String>,
        #[command(flatten)]
        wait: Waiting,
    },
    /// Approve the step that waits for it, or a named one
    Approve {
        /// The model, for the candidate of its rollout; or a version
        #[arg(value_name = "MODEL|VERSION")]
        name: String,
        step: Option<String>,
    },
    /// Take a version out of traffic at once: a candidate, or the active version
    Abort {
        /// The model, for the candidate of its rollout; or a version
        #[arg(value_name = "MODEL|VERSION")]
        name: String,
    },
    /// Hold the weight where it is
    #[command(visible_alias = "pause")]
    Hold { model: String },
    /// Let the weight go on
    Resume { model: String },
    /// Let a rejected version be tried again
    Retry { model: String },
    /// Let the policy choose again: takes back what promote or rollback named
    Unpin { model: String },
    /// Train a new version now
    Retrain {
        model: String,
        /// Any value that was not used before
        #[arg(long)]
        token: Option<String>,
        #[command(flatten)]
        wait: Waiting,
    },
}

#[derive(Debug, Args)]
pub struct Waiting {
    /// Follow it to its end. Exit code 0: done; 1: not done, with the reason; 2: not within --timeout
    #[arg(long)]
    wait: bool,
    /// How long --wait waits at most: 90s, 30m, 2h
    #[arg(long, default_value = "2h", value_parser = limit)]
    timeout: Duration,
}

fn limit(text: &str) -> Result<Duration, String> {
    DurationText(text.to_owned()).as_duration().map_err(|error| error.to_string())
}

/// Carries out one command; returns the exit code.
pub async fn run(client: &Client, steer: Steer) -> Result<i32> {
    match steer {
        Steer::Status { model, events } => status(client, model.as_deref(), events).await?,
        Steer::Versions { model } => {
            let (versions, _) = client.list(Kind::ModelVersion).await?;
            println!("{}", lists::versions(&model, &versions, Timestamp::now()));
        }
        Steer::History { model } => {
            println!("{}", lists::history(&client.get(MODEL, &model).await?, Timestamp::now()));
        }
        Steer::Diff { model, from, to } => {
            let (from, to) = (version_of(&model, &from)?, version_of(&model, &to)?);
            let (from, to) = tokio::try_join!(version(client, &model, &from), version(client, &model, &to))?;
            println!("{}", diff::diff(&from, &to));
        }
        Steer::Events { model, watch } => show::events(client, model.as_deref(), watch).await?,
        Steer::Promote { name, version: wanted, wait } => {
            let (name, wanted) = both(&name, wanted.as_deref())?;
            let (model, found) = tokio::try_join!(client.get(MODEL, &name), version(client, &name, &wanted))?;
            return promote(client, &name, &model, &found, act::promote(&model, &wanted), &wait).await;
        }
        Steer::Rollback { model: name, version: wanted, to, wait } => {
            let (model, (versions, _)) = tokio::try_join!(client.get(MODEL, &name), client.list(Kind::ModelVersion))?;
            let wanted = match wanted.or(to) {
                Some(wanted) => version_of(&name, &wanted)?,
                None => act::before(&model, &versions)?,
            };
            let found = version(client, &name, &wanted).await?;
            return promote(client, &name, &model, &found, act::roll_back(&model, &wanted), &wait).await;
        }
        Steer::Approve { name, step } => {
            let (name, wanted) = either(&name);
            let model = client.get(MODEL, name).await?;
            let policy = policy_of(client, &model).await?;
            let change = act::approve(&model, policy.as_ref(), wanted, step.as_deref())?;
            make(client, name, &change).await?;
        }
        Steer::Abort { name } => {
            let (name, wanted) = either(&name);
            let model = client.get(MODEL, name).await?;
            make(client, name, &act::abort(&model, wanted)?).await?;
        }
        Steer::Hold { model: name } => {
            let model = client.get(MODEL, &name).await?;
            make(client, &name, &act::hold(&model)).await?;
        }
        Steer::Resume { model } => drop(make(client, &model, &act::resume()).await?),
        Steer::Retry { model: name } => {
            let model = client.get(MODEL, &name).await?;
            make(client, &name, &act::retry(&model)?).await?;
        }
        Steer::Unpin { model } => drop(make(client, &model, &act::unpin()).await?),
        Steer::Retrain { model: name, token, wait } => {
            let token = token.unwrap_or_else(act::token);
            let model = client.get(MODEL, &name).await?;
            let stored = make(client, &name, &act::retrain(&model, &token)).await?;
            if wait.wait {
                return follow::training(client, &name, &token, &stored, wait.timeout).await;
            }
        }
    }
    Ok(0)
}

/// A version by its name; when there is none, which there are.
async fn version(client: &Client, model: &str, name: &str) -> Result<Value> {
    if let Some(found) = client.find(Kind::ModelVersion, name).await? {
        return Ok(found);
    }
    let (all, _) = client.list(Kind::ModelVersion).await?;
    let own = all.iter().filter(|version| text_at(version, "/spec/modelRef/name") == model);
    let known: Vec<String> = own.map(|version| text_at(version, "/metadata/name")).collect();
    if known.is_empty() {
        bail!("there is no {name}: {model} has no version in namespace {}", client.namespace);
    }
    bail!("there is no {name} in namespace {}; {model} has {}", client.namespace, known.join(", "))
}

async fn policy_of(client: &Client, model: &Value) -> Result<Option<Value>> {
    let name = text_at(model, "/spec/promotionPolicyRef/name");
    if name.is_empty() { Ok(None) } else { client.find(Kind::PromotionPolicy, &name).await }
}

async fn promote(
    client: &Client,
    name: &str,
    model: &Value,
    version: &Value,
    change: Change,
    wait: &Waiting,
) -> Result<i32> {
    let wanted = text_at(version, "/metadata/name");
    let phase = text_at(version, "/status/phase");
    if ["Failed", "Expired"].contains(&phase.as_str()) {
        let why = if phase == "Failed" { "its training failed" } else { "its artifact has been deleted" };
        bail!("{wanted} cannot serve: {why}");
    }
    let stored = make(client, name, &change).await?;
    if phase != "Ready" {
        println!("{wanted} is not Ready yet ({phase}); its rollout begins when it is.");
    }
    if wait.wait {
        return follow::promotion(client, name, &Promotion::new(&wanted, model, &stored), wait.timeout).await;
    }
    println!("Follow it: {} events {name} -w", client.place.program());
    Ok(0)
}

/// Patches the model and says what that means; a refusal comes with its remedy.
async fn make(client: &Client, name: &str, change: &Change) -> Result<Value> {
    let stored = match client.patch(MODEL, name, &json!({"spec": change.spec})).await {
        Ok(stored) => stored,
        Err(error) => {
            let Some(refusal) = Refusal::of(&error).filter(|refusal| [401, 403].contains(&refusal.code)) else {
                return Err(error);
            };
            let user = rights::who(client).await;
            let remedy = rights::remedy(refusal, &client.namespace, name, user.as_deref()).unwrap_or_default();
            bail!("{}\n{remedy}\nThe same with kubectl: {}", refusal.message, change.kubectl(&client.namespace, name));
        }
    };
    for effect in &change.effects {
        println!("{effect}");
    }
    if client.place == Place::Cluster {
        println!("same as: {}", change.kubectl(&client.namespace, name));
    }
    Ok(stored)
}

async fn status(client: &Client, name: Option<&str>, most_events: usize) -> Result<()> {
    let models = match name {
        Some(name) => vec![client.get(MODEL, name).await?],
        None => client.list(MODEL).await?.0,
    };
    if models.is_empty() {
        println!("No models in namespace {}.", client.namespace);
        return Ok(());
    }
    // One right less must not hide the rest.
    let mut missing = Vec::new();
    let mut read = |what: &str, result: Result<(Vec<Value>, String)>| match result {
        Ok((items, _)) => Some(items),
        Err(error) => {
            missing.push(format!("{what} cannot be read: {error:#}"));
            None
        }
    };
    let (versions, policies, experiments, events, pods) = tokio::join!(
        client.list(Kind::ModelVersion),
        client.list(Kind::PromotionPolicy),
        client.list(Kind::Experiment),
        client.events(),
        pods(client),
    );
    let versions = read("versions", versions).unwrap_or_default();
    let policies = read("policies", policies).unwrap_or_default();
    let experiments = read("experiments", experiments).unwrap_or_default();
    let events = read("events", events).unwrap_or_default();
    let pods = pods.and_then(|pods| read("pods", pods));
    let pages = models.into_iter().map(|model| {
        let name = text_at(&model, "/metadata/name");
        let policy = text_at(&model, "/spec/promotionPolicyRef/name");
        let of_model = |pod: &&Value| {
            pod.pointer("/metadata/labels").and_then(|labels| labels.get("endcap.dev/model")).and_then(Value::as_str)
                == Some(name.as_str())
        };
        let own = |pods: &Vec<Value>| pods.iter().filter(of_model).map(tree::Pod::read).collect();
        let facts = tree::Facts {
            versions: versions.clone(),
            experiments: experiments.clone(),
            policy: policies.iter().find(|one| text_at(one, "/metadata/name") == policy).cloned(),
            pods: pods.as_ref().map(own),
            events: events.clone(),
            missing: missing.clone(),
            most_events,
            model,
        };
        tree::tree(&facts, Timestamp::now())
    });
    println!("{}", pages.collect::<Vec<_>>().join("\n\n"));
    Ok(())
}

/// Pods of all models of the namespace; none on one machine.
async fn pods(client: &Client) -> Option<Result<(Vec<Value>, String)>> {
    if client.place == Place::Machine {
        return None;
    }
    let url = format!("{}/api/v1/namespaces/{}/pods?labelSelector=endcap.dev/model", client.server, client.namespace);
    Some(client.list_of(&url).await)
}
