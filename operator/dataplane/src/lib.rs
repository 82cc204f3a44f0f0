//! The control plane's side of the data plane: what both shells (the cluster's and the command line's) ask of routers, insights, event
//! logs and trainings, and how the answers become what the core observes. The control plane calls, the data plane answers.
#![forbid(unsafe_code)]

pub mod counters;
pub mod insights;
pub mod integrity;
pub mod objects;
pub mod outcome;
pub mod routers;

use std::time::Duration;

use serde_json::Value;

/// Nothing of the data plane takes longer to say how it is.
const PATIENCE: Duration = Duration::from_secs(3);
/// An export writes files to a store before it answers.
const EXPORT_PATIENCE: Duration = Duration::from_secs(60);

/// A JSON answer; nothing when there is none, whatever the reason.
pub async fn get(client: &reqwest::Client, url: &str, query: &[(&str, String)]) -> Option<Value> {
    let answer = client.get(url).query(query).timeout(PATIENCE).send().await.ok()?.error_for_status().ok()?;
    answer.json().await.ok()
}

/// An enum as its text.
pub fn text_of(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Everything that was acknowledged until now goes to where trainings read it; the answer is the offset up to which it went.
pub async fn export(client: &reqwest::Client, metrics: &str) -> Result<Option<u64>, reqwest::Error> {
    let ask = client.post(format!("{metrics}/v1/export")).timeout(EXPORT_PATIENCE);
    let status: Value = ask.send().await?.error_for_status()?.json().await?;
    Ok(status.get("exported_offset").and_then(Value::as_u64))
}
