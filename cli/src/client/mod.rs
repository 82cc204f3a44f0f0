//! The commands that speak with a running `endcap up`: what kubectl does in a cluster, with the same words.

mod columns;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use endcap_crds::Kind;
use jiff::Timestamp;
use serde_json::{Value, json};

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

struct Client {
    http: reqwest::Client,
    server: String,
    namespace: String,
}

impl Client {
    fn new(server: &Server) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build().context("failed to make an HTTP client")?;
        Ok(Self { http, server: server.server.trim_end_matches('/').to_owned(), namespace: server.namespace.clone() })
    }

    fn path(&self, kind: Kind, name: Option<&str>) -> String {
        let base = format!("{}/apis/endcap.dev/v1alpha1/namespaces/{}/{}", self.server, self.namespace, kind.plural());
        name.map_or(base.clone(), |name| format!("{base}/{name}"))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let answer = request
            .send()
            .await
            .with_context(|| format!("failed to reach {}: start `endcap up`, or name it with --server", self.server))?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        if !status.is_success() {
            bail!("{}", body.get("message").and_then(Value::as_str).unwrap_or("it was refused without a reason"));
        }
        Ok(body)
    }

    async fn get(&self, kind: Kind, name: &str) -> Result<Value> {
        self.send(self.http.get(self.path(kind, Some(name)))).await
    }

    async fn list(&self, kind: Kind) -> Result<(Vec<Value>, String)> {
        let body = self.send(self.http.get(self.path(kind, None))).await?;
        let revision = body.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or("0").to_owned();
        Ok((body.get("items").and_then(Value::as_array).cloned().unwrap_or_default(), revision))
    }

    async fn patch(&self, kind: Kind, name: &str, patch: &Value) -> Result<Value> {
        let request = self.http.patch(self.path(kind, Some(name))).query(&[("fieldManager", "endcap-cli")]);
        self.send(request.header("content-type", "application/merge-patch+json").body(patch.to_string())).await
    }

    async fn events(&self) -> Result<Vec<Value>> {
        let body = self
            .send(self.http.get(format!("{}/apis/events.k8s.io/v1/namespaces/{}/events", self.server, self.namespace)))
            .await?;
        Ok(body.get("items").and_then(Value::as_array).cloned().unwrap_or_default())
    }
}

/// The kind by its name, plural, short name, or the word of daily use.
fn kind_of(text: &str) -> Result<Kind> {
    let text = text.to_lowercase();
    let word = text
        .strip_suffix("ies")
        .map(|stem| format!("{stem}y"))
        .unwrap_or_else(|| text.trim_end_matches('s').to_owned());
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

/// Carries out one command; returns the exit code.
pub async fn run(server: &Server, verb: Verb) -> Result<i32> {
    let client = Client::new(server)?;
    let model = Kind::RecommenderModel;
    match verb {
        Verb::Apply { filename, force_conflicts, field_manager } => {
            apply(&client, &filename, force_conflicts, &field_manager).await?
        }
        Verb::Get { kind, name, output, watch } if kind == "programs" || kind == "program" => {
            let _ = (name, output, watch);
            programs(&client).await?;
        }
        Verb::Get { kind, name, output, watch } => {
            get(&client, kind_of(&kind)?, name.as_deref(), output, watch).await?
        }
        Verb::Describe { kind, name } => describe(&client, kind_of(&kind)?, &name).await?,
        Verb::Promote { version, wait } => {
            let name = model_of(&version)?;
            client.patch(model, &name, &json!({"spec": {"promotedVersion": version}})).await?;
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
        Verb::Rollback { model: name, to } => rollback(&client, &name, to).await?,
        Verb::Retrain { model: name, token } => {
            let token = token.unwrap_or_else(|| Timestamp::now().strftime("%Y%m%dt%H%M%S").to_string());
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
        for (path, mut object) in crate::up::manifests(path)? {
            let kind: Kind = crate::up::objects::text_at(&object, "/kind")
                .parse()
                .with_context(|| format!("failed to read {}", path.display()))?;
            let name = crate::up::objects::text_at(&object, "/metadata/name");
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.entry("namespace").or_insert_with(|| json!(client.namespace));
            }
            let namespace = crate::up::objects::text_at(&object, "/metadata/namespace");
            let url =
                format!("{}/apis/endcap.dev/v1alpha1/namespaces/{namespace}/{}/{name}", client.server, kind.plural());
            let request = client
                .http
                .patch(url)
                .query(&[("fieldManager", manager), ("force", if force { "true" } else { "false" })]);
            let stored = client
                .send(request.header("content-type", "application/apply-patch+yaml").body(object.to_string()))
                .await;
            let stored = stored.with_context(|| format!("failed to apply {}", path.display()))?;
            let generation = stored.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
            println!("{}/{name} applied (generation {generation})", kind.plural());
        }
    }
    Ok(())
}

async fn get(client: &Client, kind: Kind, name: Option<&str>, output: Output, watch: bool) -> Result<()> {
    let (items, revision) = match name {
        Some(name) => {
            let object = client.get(kind, name).await?;
            let revision = crate::up::objects::text_at(&object, "/metadata/resourceVersion");
            (vec![object], revision)
        }
        None => client.list(kind).await?,
    };
    print(kind, &items, output, name.is_some())?;
    if watch {
        let mut answer = client
            .http
            .get(client.path(kind, None))
            .query(&[("watch", "true"), ("resourceVersion", &revision)])
            .send()
            .await
            .with_context(|| format!("failed to reach {}", client.server))?;
        let mut known = BTreeMap::new();
        let mut rest = Vec::new();
        while let Some(bytes) = answer.chunk().await.context("the watch ended")? {
            rest.extend_from_slice(&bytes);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let change: Value = serde_json::from_slice(&line).context("failed to read the watch")?;
                let object = change.get("object").cloned().unwrap_or_default();
                let own = crate::up::objects::text_at(&object, "/metadata/name");
                if name.is_some_and(|name| name != own) {
                    continue;
                }
                // Only what the columns show is news to somebody who looks at them.
                let row = columns::row(kind, &object, output == Output::Wide);
                if output != Output::Table && output != Output::Wide
                    || known.insert(own, row.clone()) != Some(row.clone())
                {
                    match output {
                        Output::Table | Output::Wide => println!("{}", columns::format(&[row], None)),
                        _ => print(kind, std::slice::from_ref(&object), output, true)?,
                    }
                    std::io::stdout().flush()?;
                }
            }
        }
    }
    Ok(())
}

fn print(kind: Kind, items: &[Value], output: Output, single: bool) -> Result<()> {
    let whole = || {
        if single {
            items.first().cloned().unwrap_or_default()
        } else {
            json!({"apiVersion": "v1", "kind": "List", "items": items})
        }
    };
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&whole())?),
        Output::Yaml => print!("{}", serde_yaml::to_string(&whole())?),
        Output::Table | Output::Wide if items.is_empty() => println!("No {} found.", kind.plural()),
        Output::Table | Output::Wide => {
            let wide = output == Output::Wide;
            let rows: Vec<Vec<String>> = items.iter().map(|object| columns::row(kind, object, wide)).collect();
            println!("{}", columns::format(&rows, Some(&columns::head(kind, wide))));
        }
    }
    Ok(())
}

async fn describe(client: &Client, kind: Kind, name: &str) -> Result<()> {
    let mut object = client.get(kind, name).await?;
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    print!("{}", serde_yaml::to_string(&object)?);
    let events = client.events().await?;
    let own: Vec<&Value> =
        events.iter().filter(|event| event.pointer("/regarding/name").and_then(Value::as_str) == Some(name)).collect();
    println!("events:");
    for event in own.iter().skip(own.len().saturating_sub(20)) {
        println!("  {}", event_line(event));
    }
    Ok(())
}

fn event_line(event: &Value) -> String {
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
    let count =
        event.pointer("/series/count").and_then(Value::as_u64).map(|count| format!(" (x{count})")).unwrap_or_default();
    let time = event.pointer("/series/lastObservedTime").and_then(Value::as_str).unwrap_or_else(|| text("eventTime"));
    let object = event.pointer("/regarding/name").and_then(Value::as_str).unwrap_or_default();
    let clock = time.get(11..19).unwrap_or(time);
    format!("{clock}  {:<8} {:<20} {object:<20} {}{count}", text("type"), text("reason"), text("note"))
}

async fn events(client: &Client, model: Option<&str>, watch: bool) -> Result<()> {
    let fits = |event: &Value| {
        let name = event.pointer("/regarding/name").and_then(Value::as_str).unwrap_or_default();
        model.is_none_or(|model| name == model || name.strip_prefix(model).is_some_and(|rest| rest.starts_with("-v")))
    };
    for event in client.events().await?.iter().filter(|event| fits(event)) {
        println!("{}", event_line(event));
    }
    if watch {
        let url = format!("{}/apis/events.k8s.io/v1/namespaces/{}/events", client.server, client.namespace);
        let list = client.send(client.http.get(&url)).await?;
        let revision = crate::up::objects::text_at(&list, "/metadata/resourceVersion");
        let mut answer = client
            .http
            .get(url)
            .query(&[("watch", "true"), ("resourceVersion", &revision)])
            .send()
            .await
            .context("failed to watch")?;
        let mut rest = Vec::new();
        while let Some(bytes) = answer.chunk().await.context("the watch ended")? {
            rest.extend_from_slice(&bytes);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let change: Value = serde_json::from_slice(&line).context("failed to read the watch")?;
                if let Some(event) = change.get("object").filter(|event| fits(event)) {
                    println!("{}", event_line(event));
                }
            }
        }
    }
    Ok(())
}

async fn programs(client: &Client) -> Result<()> {
    let body = client.send(client.http.get(format!("{}/console/programs", client.server))).await?;
    let mut rows = Vec::new();
    for model in body.as_array().into_iter().flatten() {
        let name = model.get("model").and_then(Value::as_str).unwrap_or_default();
        for program in model.get("programs").and_then(Value::as_array).into_iter().flatten() {
            let pid = program.get("pid").and_then(Value::as_u64).unwrap_or(0);
            rows.push(vec![
                name.to_owned(),
                program.get("program").and_then(Value::as_str).unwrap_or_default().to_owned(),
                pid.to_string(),
            ]);
        }
    }
    println!("{}", columns::format(&rows, Some(&["MODEL".to_owned(), "PROGRAM".to_owned(), "PID".to_owned()])));
    Ok(())
}

async fn rollback(client: &Client, name: &str, to: Option<String>) -> Result<()> {
    let object = client.get(Kind::RecommenderModel, name).await?;
    let active = crate::up::objects::text_at(&object, "/status/activeVersion");
    let version = match to {
        Some(version) => version,
        None => {
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
        }
    };
    client.patch(Kind::RecommenderModel, name, &json!({"spec": {"promotedVersion": version}})).await?;
    println!("{name} goes back from {active} to {version}");
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
