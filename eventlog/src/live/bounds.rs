//! Keeps the state within its limits. What goes is decided by the state and the offset alone, so that all followers agree.

use std::collections::HashMap;
use std::hash::Hash;

use endcap_recommender::live::Declines;

use super::{LiveState, Shown};

/// Expired sessions and showings are looked for every so many events.
const SWEEP_EVERY: u64 = 4_096;
/// A decline keeps so many moments.
const MAX_DECLINE_MOMENTS: usize = 16;

impl LiveState {
    pub(super) fn tidy(&mut self, offset: u64) {
        if offset % SWEEP_EVERY == SWEEP_EVERY - 1 {
            let oldest = self.clock_s.saturating_sub(self.limits.session_idle_s);
            self.sessions.retain(|_, visit| visit.touched_s >= oldest);
            let oldest = self.clock_s.saturating_sub(self.limits.showing_age_s);
            forget_showings(&mut self.shown_customers, oldest);
            forget_showings(&mut self.shown_sessions, oldest);
        }
        evict(&mut self.sessions, self.limits.sessions, |visit| visit.touched_s);
        evict(&mut self.shown_customers, self.limits.shown_units, Shown::last_s);
        evict(&mut self.shown_sessions, self.limits.shown_units, Shown::last_s);
    }
}

fn forget_showings<K: Hash + Eq>(shown: &mut HashMap<K, Shown>, oldest_s: i64) {
    shown.retain(|_, shown| {
        while shown.items.front().is_some_and(|(_, at)| *at < oldest_s) {
            shown.items.pop_front();
        }
        !shown.items.is_empty()
    });
}

/// When `map` holds more than `limit`, its oldest sixteenth goes at once: the cost is spread over the events until it is full again.
fn evict<K: Clone + Ord + Hash + Eq, V>(map: &mut HashMap<K, V>, limit: usize, age: impl Fn(&V) -> i64) {
    if map.len() <= limit {
        return;
    }
    let keep = limit - limit / 16;
    let mut ages: Vec<(i64, K)> = map.iter().map(|(key, value)| (age(value), key.clone())).collect();
    let surplus = ages.len() - keep;
    if surplus < ages.len() {
        ages.select_nth_unstable(surplus);
    }
    for (_, key) in ages.into_iter().take(surplus) {
        map.remove(&key);
    }
}

/// Notes one decline at `at_s`.
pub(super) fn note_decline<K: Clone + Ord + Hash + Eq>(
    declined: &mut HashMap<K, Declines>,
    key: K,
    at_s: i64,
    limit: usize,
) {
    let moments = &mut declined.entry(key).or_default().at_s;
    // Newest last, also when events come out of order.
    let place = moments.partition_point(|moment| *moment <= at_s);
    moments.insert(place, at_s);
    if moments.len() > MAX_DECLINE_MOMENTS {
        moments.pop_front();
    }
    if declined.len() > limit {
        let oldest = declined
            .iter()
            .map(|(key, declines)| (declines.at_s.back().copied().unwrap_or(i64::MIN), key))
            .min()
            .map(|(_, key)| key.clone());
        if let Some(oldest) = oldest {
            declined.remove(&oldest);
        }
    }
}
