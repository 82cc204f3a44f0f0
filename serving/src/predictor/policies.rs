//! Policies by the hash of their text: the router says which one a question is asked under, and sends it once where it is not known.
//!
//! So the predictor holds no policy of its own that could be old, and two routers with different tables each get their own rules
//! (docs/decisions: policy by hash).

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use endcap_recommender::Policy;
use endcap_recommender::fitted::Model;
use endcap_recommender::pipeline::CompiledPolicy;
use tokio_util::sync::CancellationToken;

/// Policies kept: the newest tables of a few routers, with room for a rollout.
const KEPT: usize = 16;
/// A policy's text at most.
pub const MAX_POLICY_BYTES: usize = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("failed to read the policy file {path}: {source}; correct --policy")]
    Read { path: String, source: std::io::Error },
    #[error("failed to read the policy: {0}; send spec.recommendation as JSON")]
    NotAPolicy(#[from] serde_json::Error),
    #[error("the text has SHA-256 {found}, its path says {named}")]
    WrongHash { named: String, found: String },
}

pub struct Policies {
    model: Arc<Model>,
    /// For questions that name none.
    own: ArcSwap<CompiledPolicy>,
    /// Newest last; the oldest goes first, and comes back when somebody asks under it.
    known: RwLock<Vec<(String, Arc<CompiledPolicy>)>>,
}

impl Policies {
    pub fn new(model: Arc<Model>, own: Policy) -> Self {
        let own = ArcSwap::from_pointee(CompiledPolicy::new(own, &model));
        Self { model, own, known: RwLock::new(Vec::new()) }
    }

    pub fn own(&self) -> Arc<CompiledPolicy> {
        self.own.load_full()
    }

    pub fn find(&self, hash: &str) -> Option<Arc<CompiledPolicy>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(at, _)| at == hash).map(|(_, policy)| policy.clone())
    }

    /// Takes a policy whose text must hash to `hash`. Blocking for as long as it takes to compile it.
    pub fn put(&self, hash: &str, text: &[u8]) -> Result<(), PolicyError> {
        let found = endcap_store::sha256_hex(text);
        if found != hash {
            return Err(PolicyError::WrongHash { named: hash.to_owned(), found });
        }
        let policy = Arc::new(CompiledPolicy::new(serde_json::from_slice(text)?, &self.model));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(at, _)| at != hash);
        known.push((found, policy));
        if known.len() > KEPT {
            known.remove(0);
        }
        Ok(())
    }

    /// Follows the policy file: a change is in force within a second. A file that cannot be read leaves the last good one.
    pub async fn follow_file(self: Arc<Self>, path: PathBuf, stop: CancellationToken) {
        let mut last = std::fs::read(&path).ok();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
            }
            let Ok(text) = tokio::fs::read(&path).await else { continue };
            if last.as_ref() == Some(&text) {
                continue;
            }
            match serde_json::from_slice::<Policy>(&text) {
                Ok(policy) => {
                    self.own.store(Arc::new(CompiledPolicy::new(policy, &self.model)));
                    tracing::info!(path = %path.display(), "policy file read again");
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "failed to read the changed policy file; the last good one stays");
                }
            }
            last = Some(text);
        }
    }
}

pub fn read_policy(path: Option<&Path>) -> Result<Policy, PolicyError> {
    let Some(path) = path else { return Ok(Policy::default()) };
    let text = std::fs::read(path).map_err(|source| PolicyError::Read { path: path.display().to_string(), source })?;
    Ok(serde_json::from_slice(&text)?)
}
