//! Routers: the signed table goes out, the answer is the acknowledgement; counters come in.

use std::time::Duration;

use endcap_operator_core::observed::Router;
use jiff::Timestamp;
use serde_json::Value;

/// A router that takes a table writes it to its disk first.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a router that runs says: the table in effect, and its counts when they could be had.
pub async fn look(client: &reqwest::Client, name: &str, control: &str) -> (Router, Option<Value>) {
    let report = crate::get(client, &format!("{control}/control/table"), &[]).await;
    let counters = crate::get(client, &format!("{control}/control/counters"), &[]).await;
    (said(name, report.as_ref()), counters)
}

/// One that does not run yet, or is not ready; nobody waits for it.
pub fn away(name: &str) -> Router {
    Router {
        name: name.to_owned(),
        ready: false,
        in_service: false,
        revision: None,
        hash: None,
        weights: Vec::new(),
        behind_since: None,
    }
}

/// What a report of the table in effect says.
pub fn said(name: &str, report: Option<&Value>) -> Router {
    let weights = report.and_then(|report| serde_json::from_value(report.get("weights")?.clone()).ok());
    Router {
        ready: true,
        in_service: true,
        revision: report.and_then(|report| report.get("revision")?.as_u64()),
        hash: report.and_then(|report| Some(report.get("hash")?.as_str()?.to_owned())),
        weights: weights.unwrap_or_default(),
        ..away(name)
    }
}

/// Since when routers are behind the table that was signed last.
#[derive(Debug, Default)]
pub struct Behind(std::collections::BTreeMap<String, Timestamp>);

impl Behind {
    /// Notes who is behind, and forgets who is not.
    pub fn note(&mut self, routers: &mut [Router], wanted: Option<u64>, now: Timestamp) {
        self.0.retain(|name, _| routers.iter().any(|router| &router.name == name && router.ready));
        for router in routers.iter_mut().filter(|router| router.ready) {
            if router.revision == wanted {
                self.0.remove(&router.name);
            } else {
                router.behind_since = Some(*self.0.entry(router.name.clone()).or_insert(now));
            }
        }
    }

    /// It is started anew: its time begins again.
    pub fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }
}

/// Sends a signed table; the report of what is in effect after it.
pub async fn put_table(client: &reqwest::Client, control: &str, envelope: &Value) -> Option<Value> {
    let ask = client.put(format!("{control}/control/table")).json(envelope).timeout(PATIENCE);
    let answer = async { ask.send().await?.error_for_status()?.json::<Value>().await };
    match answer.await {
        Ok(report) => Some(report),
        Err(error) => {
            tracing::warn!(control, "failed to send the routing table: {error}");
            None
        }
    }
}
