//! Whose turn it is: each piece of work at most once at a time, now or later, the earliest of its wake-ups counts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::poll_fn;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key as Delayed;

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Work {
    Model((String, String)),
    Policy((String, String)),
}

/// Changes come in bursts (a rollout touches a dozen objects): a look waits so long for the rest of them.
const GATHER: Duration = Duration::from_millis(30);

/// The longest wait after failures in a row.
const MOST: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
struct State {
    delayed: DelayQueue<Work>,
    waiting: HashMap<Work, (Delayed, Instant)>,
    /// Under way; true when something changed meanwhile.
    running: HashMap<Work, bool>,
    /// Since when each that failed did, and how often in a row.
    failures: HashMap<Work, u32>,
}

#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

impl Queue {
    /// Something changed: soon.
    pub fn wake(&self, work: Work) {
        self.wake_in(work, GATHER);
    }

    fn wake_in(&self, work: Work, after: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(is_dirty) = state.running.get_mut(&work) {
            *is_dirty = true;
            return;
        }
        state.put(work, after);
        drop(state);
        self.changed.notify_one();
    }

    /// The next piece of work whose time has come.
    pub async fn next(&self) -> Work {
        loop {
            let changed = self.changed.notified();
            let due = poll_fn(|cx| {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.delayed.poll_expired(cx)
            });
            // An empty queue is ready with nothing at once: then only a change helps.
            tokio::select! {
                Some(expired) = due => {
                    let work = expired.into_inner();
                    let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                    state.waiting.remove(&work);
                    state.running.insert(work.clone(), false);
                    let has_more = !state.delayed.is_empty();
                    drop(state);
                    if has_more {
                        // The next worker polls the timer in place of this one.
                        self.changed.notify_one();
                    }
                    return work;
                }
                () = changed => {}
            }
        }
    }

    /// It was looked at and wants to be looked at again after a while, or only when something changes.
    pub fn done(&self, work: Work, again: Option<Duration>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures.remove(&work);
        let is_dirty = state.running.remove(&work).unwrap_or(false);
        let after = if is_dirty { Some(GATHER) } else { again };
        if let Some(after) = after {
            state.put(work, after);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// It failed: again, later and later.
    pub fn failed(&self, work: Work) -> Duration {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let count = state.failures.entry(work.clone()).or_insert(0);
        *count += 1;
        let after = Duration::from_millis(250 << (*count - 1).min(8)).min(MOST);
        state.running.remove(&work);
        state.put(work, after);
        drop(state);
        self.changed.notify_one();
        after
    }

    /// Pieces of work that wait for their time.
    pub fn depth(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).waiting.len()
    }
}

impl State {
    fn put(&mut self, work: Work, after: Duration) {
        let at = Instant::now() + after;
        match self.waiting.entry(work) {
            Entry::Occupied(mut known) => {
                if at < known.get().1 {
                    self.delayed.reset_at(&known.get().0, at);
                    known.get_mut().1 = at;
                }
            }
            Entry::Vacant(free) => {
                let delayed = self.delayed.insert_at(free.key().clone(), at);
                free.insert((delayed, at));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(name: &str) -> Work {
        Work::Model(("ns".to_owned(), name.to_owned()))
    }

    #[tokio::test]
    async fn a_burst_is_one_look_and_a_change_meanwhile_is_another() {
        let queue = Queue::default();
        for _ in 0..10 {
            queue.wake(work("a"));
        }
        assert_eq!(queue.next().await, work("a"));
        assert_eq!(queue.depth(), 0);
        queue.wake(work("a"));
        assert_eq!(queue.depth(), 0, "never twice at a time");
        queue.done(work("a"), None);
        assert_eq!(queue.next().await, work("a"));
        queue.done(work("a"), None);
        assert_eq!(queue.depth(), 0);
    }

    #[tokio::test]
    async fn the_earliest_wake_up_counts() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.wake(work("a"));
        let first = queue.next().await;
        queue.done(first, Some(Duration::from_secs(600)));
        queue.wake_in(work("a"), Duration::from_millis(200));
        queue.wake_in(work("a"), Duration::from_secs(300));
        queue.next().await;
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn what_fails_comes_back_later_and_later() {
        let queue = Queue::default();
        // A wake-up does not wait for the time that a failure set: something changed.
        let mut waits = Vec::new();
        for _ in 0..12 {
            queue.wake(work("a"));
            let next = queue.next().await;
            waits.push(queue.failed(next).as_millis());
        }
        assert_eq!(waits.first(), Some(&250));
        assert!(waits.is_sorted());
        assert_eq!(waits.last(), Some(&20_000));
        assert_eq!(queue.depth(), 1);
    }
}
