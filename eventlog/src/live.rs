//! Live state: what happened since training, folded from events. Pure and deterministic: the same baseline and the same events give
//! the same state, whoever folds them. Every part of it has a bound.

mod bounds;
mod fold;
mod names;
mod snapshot;

use std::collections::{HashMap, VecDeque};

use endcap_recommender::ids::{CustomerId, ProductId, SessionId};
use endcap_recommender::live::{BaselineState, CustomerState, SessionState, ShelfState};
use serde::{Deserialize, Serialize};

use crate::event::Event;
use names::Names;
pub use snapshot::{SnapshotError, SnapshotHead, read_baseline, read_snapshot, write_snapshot};

/// What of a customer's profile is kept. All else is refused at the door.
pub const PROFILE_KEYS: [&str; 7] =
    ["customer_type", "age_band", "income_band", "gender", "city_id", "area_id", "country"];
/// `customer_changed` with `{"customer": {"erase": true}}` erases what is known of a customer, in every follower.
pub const ERASE_KEY: &str = "erase";

/// A stored event with its place in the log: what followers are handed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveUpdate {
    /// Place in the log, counted from 0 without gaps.
    pub offset: u64,
    /// When the log accepted it, milliseconds since 1970, never falling.
    pub accepted_ms: i64,
    pub event: Event,
}

/// Bounds of the state. Those who fold the same log with the same limits have the same state: a snapshot names its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Last orders kept of a customer.
    pub orders: usize,
    /// Views kept of a session.
    pub views: usize,
    /// Lines of a session's cart.
    pub cart_lines: usize,
    /// Sessions at most; the longest idle go first.
    pub sessions: usize,
    /// A session is forgotten so long after its last accepted event.
    pub session_idle_s: i64,
    /// Products and offers (each) whose declines are kept, of a customer or session.
    pub declined: usize,
    /// Ratings kept of a customer.
    pub ratings: usize,
    /// Showings kept of a unit, newest.
    pub showings: usize,
    /// Units with showings at most; those not shown anything for longest go first.
    pub shown_units: usize,
    /// Showings older than this are forgotten.
    pub showing_age_s: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            orders: 30,
            views: 50,
            cart_lines: 1_000,
            sessions: 200_000,
            session_idle_s: 24 * 3_600,
            declined: 200,
            ratings: 500,
            showings: 64,
            shown_units: 100_000,
            showing_age_s: 14 * 24 * 3_600,
        }
    }
}

/// A session and when the log last heard of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Visit {
    state: SessionState,
    /// Second of the last accepted event, by the log's clock: clients' clocks do not end sessions.
    touched_s: i64,
}

/// What was shown to a unit, newest last: product and second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub items: VecDeque<(ProductId, i64)>,
}

impl Shown {
    /// How often `product` was shown since `since_s` (seconds since 1970).
    pub fn count(&self, product: &str, since_s: i64) -> usize {
        self.items
            .iter()
            .rev()
            .take_while(|(_, at)| *at >= since_s)
            .filter(|(shown, _)| shown.as_str() == product)
            .count()
    }

    fn last_s(&self) -> i64 {
        self.items.back().map_or(i64::MIN, |(_, at)| *at)
    }
}

/// The state itself.
#[derive(Clone, Debug, Default)]
pub struct LiveState {
    limits: Limits,
    next_offset: u64,
    /// The log's clock, seconds: the last event's acceptance.
    clock_s: i64,
    customers: HashMap<CustomerId, CustomerState>,
    sessions: HashMap<SessionId, Visit>,
    shelf: ShelfState,
    shown_customers: HashMap<CustomerId, Shown>,
    shown_sessions: HashMap<SessionId, Shown>,
    names: Names,
}

/// Equal in what they know; how their names are shared does not matter.
impl PartialEq for LiveState {
    fn eq(&self, other: &Self) -> bool {
        self.limits == other.limits
            && self.next_offset == other.next_offset
            && self.clock_s == other.clock_s
            && self.customers == other.customers
            && self.sessions == other.sessions
            && self.shelf == other.shelf
            && self.shown_customers == other.shown_customers
            && self.shown_sessions == other.shown_sessions
    }
}

impl LiveState {
    /// Empty, before the first event.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What happened before the first event, as the trainer wrote it. Histories longer than the limits lose their oldest.
    pub fn from_baseline(baseline: BaselineState, limits: Limits) -> Self {
        let mut live = Self::new(limits);
        live.customers.reserve(baseline.customers.len());
        for (id, customer) in baseline.customers {
            live.put_customer(id, customer);
        }
        live.shelf = baseline.shelf;
        live
    }

    /// Applies one event. What was applied before (a smaller offset) is passed over, so that overlapping reads do no harm.
    pub fn apply(&mut self, update: &LiveUpdate) {
        if update.offset < self.next_offset {
            return;
        }
        self.next_offset = update.offset + 1;
        self.clock_s = self.clock_s.max(update.accepted_ms.div_euclid(1_000));
        let at_s = update.event.at.map_or(self.clock_s, jiff::Timestamp::as_second);
        self.fold(&update.event, at_s);
        self.tidy(update.offset);
    }

    /// Goes past an event that cannot be read (written by a newer version): all followers do the same with it.
    pub fn pass_over(&mut self, offset: u64) {
        self.next_offset = self.next_offset.max(offset + 1);
    }

    /// The offset of the first event that is not in this state.
    pub fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// When the newest event was accepted, seconds since 1970; 0 before the first.
    pub fn clock_s(&self) -> i64 {
        self.clock_s
    }

    pub fn limits(&self) -> Limits {
        self.limits
    }

    pub fn customer(&self, id: &str) -> Option<&CustomerState> {
        self.customers.get(id)
    }

    /// What the session did; none once it was idle for too long.
    pub fn session(&self, id: &str) -> Option<&SessionState> {
        let visit = self.sessions.get(id)?;
        (self.clock_s.saturating_sub(visit.touched_s) <= self.limits.session_idle_s).then_some(&visit.state)
    }

    pub fn shelf(&self) -> &ShelfState {
        &self.shelf
    }

    /// What was lately shown to a unit: the customer, else the session.
    pub fn shown(&self, customer: Option<&str>, session: Option<&str>) -> Option<&Shown> {
        match (customer, session) {
            (Some(customer), _) => self.shown_customers.get(customer),
            (None, Some(session)) => self.shown_sessions.get(session),
            (None, None) => None,
        }
    }

    pub fn customers_len(&self) -> usize {
        self.customers.len()
    }

    pub fn sessions_len(&self) -> usize {
        self.sessions.len()
    }

    pub fn customers(&self) -> impl Iterator<Item = (&CustomerId, &CustomerState)> {
        self.customers.iter()
    }

    /// Forgets a customer and their sessions. Returns whether anything was known.
    pub fn erase(&mut self, customer: &str) -> bool {
        let known = self.customers.remove(customer).is_some();
        let shown = self.shown_customers.remove(customer).is_some();
        let sessions = self.sessions.len();
        let mut gone = Vec::new();
        self.sessions.retain(|id, visit| {
            let keep = visit.state.customer_id.as_deref() != Some(customer);
            if !keep {
                gone.push(id.clone());
            }
            keep
        });
        for id in gone {
            self.shown_sessions.remove(&id);
        }
        known || shown || sessions != self.sessions.len()
    }

    /// Takes a customer's state in whole (baseline, snapshot), within the limits, sharing product ids.
    fn put_customer(&mut self, id: CustomerId, mut customer: CustomerState) {
        while customer.orders.len() > self.limits.orders {
            customer.orders.pop_front();
        }
        customer.orders.shrink_to_fit();
        for order in &mut customer.orders {
            order.lines.shrink_to_fit();
            for (product, _) in &mut order.lines {
                self.names.share(product);
            }
        }
        self.customers.insert(id, customer);
    }
}

#[cfg(test)]
mod tests;
