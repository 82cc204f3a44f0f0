//! Commands that only look.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result};
use endcap_crds::Kind;
use serde_json::{Value, json};

use super::api::Client;
use super::{Output, columns};
use crate::up::objects::text_at;

pub async fn get(client: &Client, kind: Kind, name: Option<&str>, output: Output, watch: bool) -> Result<()> {
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

pub async fn describe(client: &Client, kind: Kind, name: &str) -> Result<()> {
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

pub async fn events(client: &Client, model: Option<&str>, watch: bool) -> Result<()> {
    let (experiments, _) = client.list(Kind::Experiment).await?;
    let of_model = experiments.iter().filter(|one| Some(text_at(one, "/spec/modelRef/name").as_str()) == model);
    let experiments: Vec<String> = of_model.map(|one| text_at(one, "/metadata/name")).collect();
    let fits = |event: &Value| {
        let name = event.pointer("/regarding/name").and_then(Value::as_str).unwrap_or_default();
        let is_own = |model: &str| {
            let is_version = name.strip_prefix(model).is_some_and(|rest| rest.starts_with("-v"));
            let is_experiment = event.pointer("/regarding/kind").and_then(Value::as_str) == Some("Experiment")
                && experiments.iter().any(|experiment| experiment == name);
            name == model || is_version || is_experiment
        };
        model.is_none_or(is_own)
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

pub async fn programs(client: &Client) -> Result<()> {
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
