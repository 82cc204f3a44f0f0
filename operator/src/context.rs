//! What all reconciles share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use endcap_crds::reasons::FIELD_MANAGER;
use endcap_routing::table::KeyPair;
use kube::Client;
use kube::api::PatchParams;

use crate::build::routing::Keys;
use crate::memory::Memories;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::queue::Queue;
use crate::watch::Caches;

pub struct Context {
    pub client: Client,
    /// To the data plane.
    pub http: reqwest::Client,
    pub options: Options,
    pub signing: KeyPair,
    pub keys: Keys,
    pub caches: Arc<Caches>,
    pub queue: Arc<Queue>,
    pub memories: Memories,
    /// Who this program is.
    pub identity: String,
    /// How often each event was said by this program.
    pub said: Mutex<HashMap<String, i32>>,
    pub metrics: Metrics,
    /// Trainings that reconciles under way are about to start: no cache knows them yet.
    pub starting: Arc<AtomicUsize>,
}

impl Context {
    /// Trainings that may start now.
    pub fn free_trainings(&self) -> u32 {
        let running = self.caches.children.count(|child| match &child.facts {
            crate::watch::child::Facts::Job(job) => {
                job.finished.is_none() && !job.is_suspended && child.is_training && !child.is_deleting
            }
            _ => false,
        });
        let starting = self.starting.load(Ordering::Acquire);
        let taken = u32::try_from(running + starting).unwrap_or(u32::MAX);
        self.options.max_concurrent_trainings.saturating_sub(taken)
    }
}

/// Server-side apply of what is ours. Children belong to the operator alone, so that it takes fields back that somebody else set.
pub fn apply() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}
