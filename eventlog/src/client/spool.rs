//! Events that must not hold up an answer: they wait in a bounded queue and are sent in batches. While the log is away they wait; what
//! does not fit is dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::follower::backoff;
use super::http::ClientError;
use super::sender::EventSender;
use crate::event::Event;

#[derive(Clone, Copy, Debug)]
pub struct SpoolOptions {
    /// Events that may wait.
    pub capacity: usize,
    /// Events of one request.
    pub batch: usize,
    /// At the end, what waits gets so long to be sent.
    pub flush: Duration,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        Self { capacity: 20_000, batch: 500, flush: Duration::from_secs(2) }
    }
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    dropped: AtomicU64,
    waiting: AtomicU64,
}

/// What became of the events so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolCounts {
    /// Accepted by the log (or known there already).
    pub sent: u64,
    /// Did not fit, were rejected by the log, or were left at the end.
    pub dropped: u64,
    pub waiting: u64,
}

/// The queue's entrance. Cheap to clone.
#[derive(Clone)]
pub struct Spool {
    events: mpsc::Sender<Event>,
    counters: Arc<Counters>,
}

impl Spool {
    /// Starts sending on the current runtime, until `stop`. The task ends once what waited was sent or given up.
    pub fn start(
        sender: EventSender,
        options: SpoolOptions,
        stop: CancellationToken,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (events, waiting) = mpsc::channel(options.capacity.max(1));
        let counters = Arc::new(Counters::default());
        let task = tokio::spawn(run(sender, options, waiting, Arc::clone(&counters), stop));
        (Self { events, counters }, task)
    }

    /// Puts an event in, without waiting. `false`: it was dropped, and counted.
    pub fn offer(&self, event: Event) -> bool {
        // Counted before it can be taken out, so that the count never falls below zero.
        self.counters.waiting.fetch_add(1, Ordering::Relaxed);
        let fits = self.events.try_send(event).is_ok();
        if !fits {
            self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
        fits
    }

    pub fn counts(&self) -> SpoolCounts {
        SpoolCounts {
            sent: self.counters.sent.load(Ordering::Relaxed),
            dropped: self.counters.dropped.load(Ordering::Relaxed),
            waiting: self.counters.waiting.load(Ordering::Relaxed),
        }
    }
}

async fn run(
    sender: EventSender,
    options: SpoolOptions,
    mut waiting: mpsc::Receiver<Event>,
    counters: Arc<Counters>,
    stop: CancellationToken,
) {
    let mut batch: Vec<Event> = Vec::new();
    let mut attempt = 0;
    loop {
        if batch.is_empty() {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                received = waiting.recv_many(&mut batch, options.batch.max(1)) => if received == 0 { break },
            }
        }
        if deliver(&sender, &mut batch, &counters).await {
            attempt = 0;
            continue;
        }
        attempt += 1;
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(backoff(attempt)) => {}
        }
    }
    // What still waits, within its time.
    waiting.close();
    let flush = async {
        loop {
            if batch.is_empty() && waiting.recv_many(&mut batch, options.batch.max(1)).await == 0 {
                break;
            }
            if !deliver(&sender, &mut batch, &counters).await {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    let _ = tokio::time::timeout(options.flush, flush).await;
    let left = counters.waiting.swap(0, Ordering::Relaxed);
    if left > 0 {
        counters.dropped.fetch_add(left, Ordering::Relaxed);
        tracing::warn!(events = left, "events were left in the spool");
    }
}

/// Sends the batch and empties it, unless it is to be tried again.
async fn deliver(sender: &EventSender, batch: &mut Vec<Event>, counters: &Counters) -> bool {
    let count = batch.len() as u64;
    let (sent, dropped) = match sender.send(batch).await {
        Ok(answer) => {
            if answer.rejected > 0 {
                let first =
                    answer.results.iter().find(|outcome| matches!(outcome, crate::EventOutcome::Rejected { .. }));
                tracing::error!(rejected = answer.rejected, ?first, "the event log rejected events of ours");
            }
            (count - answer.rejected as u64, answer.rejected as u64)
        }
        // The log will never take this batch.
        Err(ClientError::Refused { status, detail, .. }) if status.is_client_error() => {
            tracing::error!(%status, detail, events = count, "the event log refused a batch of ours");
            (0, count)
        }
        Err(error) => {
            tracing::debug!(%error, "events wait for the event log");
            return false;
        }
    };
    batch.clear();
    counters.waiting.fetch_sub(count, Ordering::Relaxed);
    counters.sent.fetch_add(sent, Ordering::Relaxed);
    counters.dropped.fetch_add(dropped, Ordering::Relaxed);
    true
}
