//! The customers of the generated shop, who shop at the router while the story goes on.

use std::sync::Arc;

use anyhow::{Context, Result};
use endcap_simulator::World;
use endcap_simulator::live::{LiveReport, LiveSpec, LiveTasteChange};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub struct Crowd {
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<Result<LiveReport>>,
    seen: watch::Receiver<LiveReport>,
}

/// How they shop.
#[derive(Clone, Copy, Debug)]
pub struct Mood {
    pub visits_per_s: f64,
    /// A fashion has come: everybody likes what nobody liked before.
    pub has_changed: bool,
}

impl Crowd {
    pub fn start(world: &Arc<World>, url: &str, mood: Mood, seed: u64) -> Self {
        let mut spec = LiveSpec::new(url);
        spec.visits_per_s = mood.visits_per_s;
        spec.seed = seed;
        spec.restock = true;
        spec.taste_change =
            mood.has_changed.then_some(LiveTasteChange { after: std::time::Duration::ZERO, share: 1.0, fashion: true });
        let cancel = CancellationToken::new();
        let (to, seen) = watch::channel(LiveReport::default());
        let (world, stop) = (world.clone(), cancel.clone());
        let task = tokio::spawn(async move { Ok(endcap_simulator::live::run(world, spec, stop, Some(to)).await?) });
        Self { cancel, task, seen }
    }

    pub fn so_far(&self) -> LiveReport {
        self.seen.borrow().clone()
    }

    pub async fn stop(self) -> Result<LiveReport> {
        self.cancel.cancel();
        self.task.await.context("the customers' task ended badly")?
    }
}
