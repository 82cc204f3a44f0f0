//! Keeps something current with the event log: its snapshot, then every event after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use endcap_eventlog::client::{ClientError, Follow, Follower, FollowerOptions};
use endcap_eventlog::live::{LiveState, LiveUpdate};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What is kept current.
pub trait Sink: Send + Sync + 'static {
    /// Start (again) from this state.
    fn replace(&self, state: LiveState);
    /// What came next, in order.
    fn apply(&self, updates: &[LiveUpdate]);
    /// The first offset that is not in it.
    fn next_offset(&self) -> u64;
}

/// How the following goes.
pub struct Followed {
    url: String,
    following: AtomicBool,
    caught_up: watch::Sender<bool>,
}

impl Followed {
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the log answers.
    pub fn is_following(&self) -> bool {
        self.following.load(Ordering::Acquire)
    }

    /// Waits until the end of the log was reached for the first time; `false` when that did not come within `patience`.
    pub async fn caught_up(&self, patience: Duration) -> bool {
        let mut caught_up = self.caught_up.subscribe();
        matches!(tokio::time::timeout(patience, caught_up.wait_for(|reached| *reached)).await, Ok(Ok(_)))
    }
}

/// Follows the log at `url` until `stop`, in tasks of its own; it keeps trying while the log is away.
pub fn start(url: &str, sink: Arc<dyn Sink>, stop: CancellationToken) -> Result<Arc<Followed>, ClientError> {
    let mut told = Follower::start(FollowerOptions::new(url), stop)?;
    let followed = Arc::new(Followed {
        url: url.to_owned(),
        following: AtomicBool::new(false),
        caught_up: watch::Sender::new(false),
    });
    let telling = followed.clone();
    tokio::spawn(async move {
        while let Some(news) = told.recv().await {
            match news {
                Follow::Snapshot { head, state } => {
                    tracing::info!(
                        next_offset = head.next_offset,
                        customers = state.customers_len(),
                        "live state taken from the log's snapshot"
                    );
                    let sink = sink.clone();
                    // Building the shelf of a large catalogue takes its time.
                    if let Err(error) = tokio::task::spawn_blocking(move || sink.replace(*state)).await {
                        tracing::error!(%error, "failed to take a snapshot");
                    }
                    telling.following.store(true, Ordering::Release);
                }
                Follow::Updates { updates, caught_up, .. } => {
                    telling.following.store(true, Ordering::Release);
                    let sink = sink.clone();
                    let applied = tokio::task::spawn_blocking(move || sink.apply(&updates)).await;
                    if let Err(error) = applied {
                        tracing::error!(%error, "failed to apply events");
                    }
                    if caught_up {
                        telling.caught_up.send_replace(true);
                    }
                }
                Follow::Away { why } => {
                    telling.following.store(false, Ordering::Release);
                    tracing::warn!(why, "the event log is away; answering from what is known");
                }
            }
        }
        telling.following.store(false, Ordering::Release);
    });
    Ok(followed)
}
