//! Events of objects, for people: kept in one file, equal ones counted together.

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::broadcast;

const KEPT: usize = 2_000;

pub struct Events {
    path: PathBuf,
    state: Mutex<State>,
    news: broadcast::Sender<Value>,
}

struct State {
    events: VecDeque<Value>,
    number: u64,
    lines: usize,
}

/// What happened to what.
pub struct Said<'a> {
    pub namespace: &'a str,
    pub kind: &'a str,
    pub name: &'a str,
    pub reason: &'a str,
    pub note: &'a str,
    pub warning: bool,
}

impl Events {
    pub fn open(path: &Path) -> Result<Self> {
        let mut events: VecDeque<Value> = VecDeque::new();
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last line may be torn; an event that is said again replaces its older self.
        for event in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let name = event.pointer("/metadata/name").cloned();
            events.retain(|known| known.pointer("/metadata/name").cloned() != name);
            events.push_back(event);
        }
        let number = events
            .iter()
            .filter_map(|event| event.pointer("/metadata/resourceVersion")?.as_str()?.parse().ok())
            .max()
            .unwrap_or(0);
        while events.len() > KEPT {
            events.pop_front();
        }
        let (news, _) = broadcast::channel(1_024);
        Ok(Self {
            path: path.to_owned(),
            state: Mutex::new(State { events, number, lines: text.lines().count() }),
            news,
        })
    }

    pub fn say(&self, said: &Said<'_>) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Timestamp::now();
        let time = now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let same = |event: &Value| {
            event.get("reason").and_then(Value::as_str) == Some(said.reason)
                && event.get("note").and_then(Value::as_str) == Some(said.note)
                && event.pointer("/regarding/name").and_then(Value::as_str) == Some(said.name)
                && event.pointer("/metadata/namespace").and_then(Value::as_str) == Some(said.namespace)
                && event.pointer("/regarding/kind").and_then(Value::as_str) == Some(said.kind)
        };
        let known = state.events.iter().position(same).and_then(|at| state.events.remove(at));
        state.number += 1;
        let number = state.number.to_string();
        let event = if let Some(mut event) = known {
            let count = event.pointer("/series/count").and_then(Value::as_u64).unwrap_or(1) + 1;
            if let Some(map) = event.as_object_mut() {
                map.insert("series".to_owned(), json!({"count": count, "lastObservedTime": time}));
                if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.insert("resourceVersion".to_owned(), json!(number));
                }
            }
            event
        } else {
            json!({
                "apiVersion": "events.k8s.io/v1",
                "kind": "Event",
                "metadata": {
                    "name": format!("{}.{:x}{:04x}", said.name, now.as_microsecond(), state.number & 0xffff),
                    "namespace": said.namespace,
                    "resourceVersion": number,
                    "creationTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                },
                "eventTime": time,
                "reportingController": "endcap.dev/operator",
                "action": said.reason,
                "reason": said.reason,
                "note": said.note,
                "type": if said.warning { "Warning" } else { "Normal" },
                "regarding": {"apiVersion": endcap_crds::API_VERSION, "kind": said.kind, "namespace": said.namespace, "name": said.name},
            })
        };
        self.keep(&mut state, &event)?;
        state.events.push_back(event.clone());
        if state.events.len() > KEPT {
            state.events.pop_front();
        }
        let _ = self.news.send(event);
        Ok(())
    }

    fn keep(&self, state: &mut State, event: &Value) -> Result<()> {
        if state.lines > 4 * KEPT {
            let all: Vec<u8> = state.events.iter().flat_map(|event| format!("{event}\n").into_bytes()).collect();
            super::objects::write_whole(&self.path, &all)?;
            state.lines = state.events.len();
        }
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .with_context(|| format!("failed to open {}", self.path.display()))?;
        file.write_all(format!("{event}\n").as_bytes())?;
        state.lines += 1;
        Ok(())
    }

    /// All events of a namespace, oldest first, and those to come.
    pub fn list(&self, namespace: Option<&str>) -> (Vec<Value>, u64, broadcast::Receiver<Value>) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let of = state.events.iter().filter(|event| {
            namespace.is_none_or(|wanted| event.pointer("/metadata/namespace").and_then(Value::as_str) == Some(wanted))
        });
        (of.cloned().collect(), state.number, self.news.subscribe())
    }
}
