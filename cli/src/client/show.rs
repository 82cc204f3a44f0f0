//! Commands that only look.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use endcap_crds::Kind;
use serde_json::{Value, json};

use super::api::Client;
use super::said::{self, About};
use super::{Output, columns};
use crate::up::objects::text_at;

pub async fn get(client: &Client, kind: Kind, name: Option<&str>, output: Output, watch: bool) -> Result<()> {
    let (items, revision) = match name {
        Some(name) => {
            let object = client.get(kind, name).await?;
            let revision = text_at(&object, "/metadata/resourceVersion");
            (vec![object], revision)
        }
        None => client.list(kind).await?,
    };
    print(kind, &items, output, name.is_some())?;
    if !watch {
        return Ok(());
    }
    let mut known = BTreeMap::new();
    let show = |object: &Value| {
        let own = text_at(object, "/metadata/name");
        if name.is_some_and(|name| name != own) {
            return Ok(());
        }
        // Only what the columns show is news to somebody who looks at them.
        let row = columns::row(kind, object, output == Output::Wide);
        let is_table = output == Output::Table || output == Output::Wide;
        if !is_table || known.insert(own, row.clone()) != Some(row.clone()) {
            if is_table {
                println!("{}", columns::format(&[row], None));
            } else {
                print(kind, std::slice::from_ref(object), output, true)?;
            }
            std::io::stdout().flush()?;
        }
        Ok(())
    };
    client.watch(&client.path(kind, None), revision, show).await
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
    let (events, _) = client.events().await?;
    let own: Vec<&Value> =
        events.iter().filter(|event| event.pointer("/regarding/name").and_then(Value::as_str) == Some(name)).collect();
    println!("events:");
    for event in own.iter().skip(own.len().saturating_sub(20)) {
        println!("  {}", said::line(event));
    }
    Ok(())
}

pub async fn events(client: &Client, model: Option<&str>, watch: bool) -> Result<()> {
    let about = match model {
        Some(model) => Some(About::new(model, &client.list(Kind::Experiment).await?.0)),
        None => None,
    };
    let fits = |event: &Value| about.as_ref().is_none_or(|about| about.fits(event));
    let (events, revision) = client.events().await?;
    for event in events.iter().filter(|event| fits(event)) {
        println!("{}", said::line(event));
    }
    if !watch {
        return Ok(());
    }
    let show = |event: &Value| {
        if fits(event) {
            println!("{}", said::line(event));
        }
        Ok(())
    };
    client.watch(&client.events_path(), revision, show).await
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
