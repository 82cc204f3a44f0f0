//! The newest events in memory: followers at the end of the log cost no read.

use std::collections::VecDeque;

use super::read::Stored;

pub(super) struct Ring {
    limit_bytes: usize,
    bytes: usize,
    events: VecDeque<Stored>,
}

/// What an event costs beside its JSON.
const OVERHEAD_BYTES: usize = 64;

impl Ring {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, bytes: 0, events: VecDeque::new() }
    }

    pub(super) fn push(&mut self, stored: Stored) {
        self.bytes += stored.json.len() + OVERHEAD_BYTES;
        self.events.push_back(stored);
        while self.bytes > self.limit_bytes
            && let Some(oldest) = self.events.pop_front()
        {
            self.bytes -= oldest.json.len() + OVERHEAD_BYTES;
        }
    }

    /// Events from `from` on; `None` when that one is no more here.
    pub(super) fn read(&self, from: u64, max_events: usize, max_bytes: usize) -> Option<Vec<Stored>> {
        let first = self.events.front()?.offset;
        let skip = usize::try_from(from.checked_sub(first)?).ok()?;
        if skip >= self.events.len() {
            return None;
        }
        let mut bytes = 0;
        let mut read = Vec::new();
        for stored in self.events.range(skip..).take(max_events) {
            bytes += stored.json.len();
            if bytes > max_bytes && !read.is_empty() {
                break;
            }
            read.push(stored.clone());
        }
        Some(read)
    }
}
