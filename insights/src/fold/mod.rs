//! From events to figures. Pure: no clock but the log's, no randomness; the state is a function of the events and the limits.

mod cell;
mod distinct;
mod experiments;
mod key;
mod ledger;
mod orders;
mod sample;
mod tiers;

use std::collections::{BTreeMap, HashMap};

use endcap_eventlog::event::{Event, EventType, Exposure};
use endcap_eventlog::live::{ERASE_KEY, LiveUpdate};
use endcap_recommender::Placement;
use endcap_recommender::profile::OrderFacts;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

pub use cell::{Cell, GROUPS, Group, Totals, group_of};
pub use distinct::Distinct;
pub use experiments::{ArmSeen, Experiment, Experiments, UnitSums};
pub use key::{key, product_key};
pub use ledger::{Action, Change, Kind, Ledger, LedgerBounds, Shown};
pub use orders::OrderCell;
pub use sample::{ListShown, Sample};
pub use tiers::{Grain, Tiers};

/// What may be kept. Those who fold the same log with the same limits have the same state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// An outcome counts to a list for so long.
    pub attribution_ms: i64,
    /// Lists and outcomes may come so much later than the window.
    pub grace_ms: i64,
    /// Lists that wait for outcomes.
    pub lists: usize,
    /// Of them, those of one customer or session.
    pub unit_lists: usize,
    /// Outcomes of one customer, session or request that wait for lists.
    pub unit_actions: usize,
    /// Units of one experiment.
    pub experiment_units: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attribution_ms: 24 * 3_600 * 1_000,
            grace_ms: 3_600 * 1_000,
            lists: 500_000,
            unit_lists: 256,
            unit_actions: 256,
            experiment_units: 1_000_000,
        }
    }
}

/// Lists are counted by these.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slice {
    pub version: String,
    pub arm: String,
    pub experiment: Option<String>,
    pub placement: Option<Placement>,
}

const MAX_SLICES: usize = 16_384;
/// What is old is looked for every so many events.
const SWEEP_EVERY: u64 = 4_096;

/// What was read, and what did not fit or could not be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    pub events: u64,
    pub lists: u64,
    /// Lists shown to nobody known: in the sums, in no figure by user.
    pub unkeyed_lists: u64,
    /// Lists that came again.
    pub repeated_lists: u64,
    pub purchases: u64,
    /// Purchases whose order was there already.
    pub repeated_purchases: u64,
    /// Clicks, accepts, declines and purchase lines for which no list was there when they came.
    pub without_list: u64,
    /// Attributed or not, order lines without a price: they bring no revenue.
    pub lines_without_price: u64,
    /// Events that the log had forgotten before they were read.
    pub missed_events: u64,
    /// Lists of slices for which there was no room.
    pub slices_full: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub limits: Limits,
    next_offset: u64,
    clock_ms: i64,
    slices: Vec<Slice>,
    #[serde(skip)]
    slice_index: HashMap<Slice, u16>,
    pub cells: Tiers<Cell>,
    pub orders: Tiers<OrderCell>,
    pub ledger: Ledger,
    pub experiments: Experiments,
    /// Orders by hash and when, so that an order that is sent again is one order.
    orders_seen: BTreeMap<u64, i64>,
    pub counts: Counts,
}

impl State {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            next_offset: 0,
            clock_ms: 0,
            slices: Vec::new(),
            slice_index: HashMap::new(),
            cells: Tiers::default(),
            orders: Tiers::default(),
            ledger: Ledger::default(),
            experiments: Experiments::default(),
            orders_seen: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// After reading a kept state: what follows from the rest is made again.
    pub fn index(&mut self) {
        self.slice_index = self.slices.iter().zip(0..).map(|(slice, at)| (slice.clone(), at)).collect();
        self.ledger.index();
    }

    /// The first offset that is not in it.
    pub fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// When the newest event was accepted, seconds since 1970; 0 before the first.
    pub fn clock_s(&self) -> i64 {
        self.clock_ms.div_euclid(1_000)
    }

    pub fn slice(&self, at: u16) -> Option<&Slice> {
        self.slices.get(usize::from(at))
    }

    pub fn slices(&self) -> usize {
        self.slices.len()
    }

    /// The log goes on at `offset` though less was read: what lies between is gone.
    pub fn skip_to(&mut self, offset: u64) {
        if offset > self.next_offset {
            self.counts.missed_events += offset - self.next_offset;
            self.next_offset = offset;
        }
    }

    /// Nothing was at these offsets that this version can read.
    pub fn pass_to(&mut self, offset: u64) {
        self.next_offset = self.next_offset.max(offset);
    }

    /// Folds one event; what was folded before (a smaller offset) is passed over.
    pub fn apply(&mut self, update: &LiveUpdate) {
        if update.offset < self.next_offset {
            return;
        }
        self.next_offset = update.offset + 1;
        let minute = Grain::Minute.start(self.clock_s());
        self.clock_ms = self.clock_ms.max(update.accepted_ms);
        if Grain::Minute.start(self.clock_s()) != minute {
            self.cells.prune(self.clock_s());
            self.orders.prune(self.clock_s());
        }
        self.counts.events += 1;
        self.fold(update);
        if update.offset % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.ledger.sweep(self.clock_ms, &self.limits);
            let oldest = self.clock_ms - self.limits.attribution_ms - self.limits.grace_ms;
            self.orders_seen.retain(|_, at_ms| *at_ms >= oldest);
        }
    }

    fn fold(&mut self, update: &LiveUpdate) {
        let event = &update.event;
        let at_ms = event.at.map_or(update.accepted_ms, jiff::Timestamp::as_millisecond);
        match (event.event_type, &event.exposure) {
            (EventType::RecommendationShown, Some(exposure)) => self.shown(event, exposure, at_ms),
            (EventType::SelectItem, _) => self.acted(event, Kind::Click, at_ms),
            (EventType::RecommendationAccepted, _) => self.acted(event, Kind::Accept, at_ms),
            (EventType::RecommendationDeclined, _) => self.acted(event, Kind::Decline, at_ms),
            (EventType::Purchase, _) => self.bought(event, at_ms),
            (EventType::CustomerChanged, _) => {
                let erases = event.customer.as_ref().is_some_and(|profile| profile.contains_key(ERASE_KEY));
                if let Some(customer) = event.customer_id.as_ref().filter(|_| erases) {
                    self.ledger.forget(key("customer", customer));
                }
            }
            _ => {}
        }
    }

    fn slice_of(&mut self, slice: Slice) -> Option<u16> {
        if let Some(at) = self.slice_index.get(&slice) {
            return Some(*at);
        }
        if self.slices.len() >= MAX_SLICES {
            self.counts.slices_full += 1;
            return None;
        }
        let at = self.slices.len() as u16;
        self.slices.push(slice.clone());
        self.slice_index.insert(slice, at);
        Some(at)
    }

    fn shown(&mut self, event: &Event, exposure: &Exposure, at_ms: i64) {
        let request = key("request", event.request_id.as_deref().unwrap_or(&event.event_id));
        if self.ledger.knows(request) {
            self.counts.repeated_lists += 1;
            return;
        }
        self.counts.lists += 1;
        let arm = exposure.arm.as_deref().unwrap_or_default();
        let slice = Slice {
            version: exposure.version.clone(),
            arm: arm.to_owned(),
            experiment: exposure.experiment.clone(),
            placement: event.placement,
        };
        let Some(slice) = self.slice_of(slice) else { return };
        let products: Vec<u32> = exposure.items.iter().map(|item| product_key(&item.product_id)).collect();
        let mut list = Shown::new(at_ms, slice, ids(event), products);
        list.unit = unit(event);
        self.counts.unkeyed_lists += u64::from(list.unit.is_none());
        if let Some(name) = &exposure.experiment {
            list.experiment = self.experiments.show((name, arm, &exposure.version), list.unit, at_ms, &self.limits);
        }
        let top = exposure.items.first().map(|item| item.score);
        self.cells.change(at_ms.div_euclid(1_000), slice, self.clock_ms.div_euclid(1_000), true, |grain, cell| {
            cell.lists += 1;
            cell.items += list.products.len() as u64;
            list.products.iter().for_each(|product| cell.products.add(*product));
            if let Some(unit) = list.unit {
                cell.units.add((unit >> 32) as u32);
                cell.groups.entry(group_of(unit)).or_default().lists += 1;
            }
            let sampled = ListShown { unit: list.unit.unwrap_or_default(), products: list.products.clone() };
            cell.sample.add(request, sampled, grain.sampled());
            if let Some(top) = top {
                cell.scores.add(top);
            }
        });
        let changes = self.ledger.show(request, list, &self.limits);
        self.take(&changes);
    }

    fn acted(&mut self, event: &Event, kind: Kind, at_ms: i64) {
        let request = event.request_id.as_deref().map(|request| key("request", request));
        let ids = ids(event);
        let products = event.product_id.iter().chain(event.lines.iter().map(|line| &line.product_id));
        for product in products {
            let action = Action::new(kind, product_key(product), at_ms);
            self.act(action, request, &ids);
        }
    }

    fn act(&mut self, action: Action, request: Option<u64>, ids: &[u64]) {
        let (change, found) = self.ledger.act(action, request, ids, &self.limits);
        self.counts.without_list += u64::from(!found);
        self.take(change.as_slice());
    }

    fn bought(&mut self, event: &Event, at_ms: i64) {
        self.counts.purchases += 1;
        let order = key("order", event.order_id.as_deref().unwrap_or(&event.event_id));
        // Distinct products; lines of one product are put together.
        let mut lines: Vec<(u32, Decimal, Option<Decimal>)> = Vec::new();
        let single = event.product_id.iter().map(|product| (product, event.quantity.unwrap_or(Decimal::ONE), None));
        let several = event.lines.iter().map(|line| (&line.product_id, line.quantity, line.unit_price));
        let mut facts =
            OrderFacts { at_s: at_ms.div_euclid(1_000), has_customer: event.customer_id.is_some(), lines: Vec::new() };
        for (product, quantity, price) in single.chain(several) {
            let product = product_key(product);
            self.counts.lines_without_price += u64::from(price.is_none());
            let money = price.map(|price| price.saturating_mul(quantity));
            match lines.iter_mut().find(|(held, ..)| *held == product) {
                Some((_, held, sum)) => {
                    *held = held.saturating_add(quantity);
                    *sum = match (*sum, money) {
                        (Some(sum), Some(money)) => Some(sum.saturating_add(money)),
                        (sum, money) => sum.or(money),
                    };
                }
                None => lines.push((product, quantity, money)),
            }
        }
        for (_, quantity, money) in &lines {
            let double = |value: Decimal| value.to_f64().unwrap_or_default();
            facts.lines.push((double(*quantity), money.and_then(|money| money.checked_div(*quantity)).map(double)));
        }
        if self.orders_seen.insert(order, at_ms).is_some() {
            self.counts.repeated_purchases += 1;
        } else {
            let products: Vec<u32> = lines.iter().map(|(product, ..)| *product).collect();
            self.orders.change(facts.at_s, 0, self.clock_ms.div_euclid(1_000), true, |_, cell| {
                cell.add(&facts, &products);
            });
        }
        let request = event.request_id.as_deref().map(|request| key("request", request));
        let ids = ids(event);
        for (product, _, money) in lines {
            let mut action = Action::new(Kind::Bought, product, at_ms);
            action.order = order;
            action.revenue = money.map_or(0, ten_thousandths);
            self.act(action, request, &ids);
        }
    }

    /// Brings the outcomes of lists to where they are counted.
    fn take(&mut self, changes: &[Change]) {
        let clock_s = self.clock_s();
        for change in changes.iter().filter(|change| change.totals != Totals::default()) {
            self.cells.change(change.at_ms.div_euclid(1_000), change.slice, clock_s, false, |_, cell| {
                cell.outcome(change.unit, &change.totals);
            });
            if let (Some(experiment), Some(unit)) = (change.experiment, change.unit) {
                self.experiments.outcome(experiment, unit, &change.totals);
            }
        }
    }
}

fn ten_thousandths(money: Decimal) -> i64 {
    let mut money = money.round_dp(4);
    money.rescale(4);
    money.mantissa().to_i64().unwrap_or(i64::MAX)
}

/// Customer and session of an event, the customer first.
fn ids(event: &Event) -> Vec<u64> {
    let customer = event.customer_id.iter().map(|id| key("customer", id));
    customer.chain(event.session_id.iter().map(|id| key("session", id))).collect()
}

/// Who is counted: what the router assigned by where a header named it, else the customer, else the session.
fn unit(event: &Event) -> Option<u64> {
    let named = event.context.as_ref().and_then(|context| context.get("unit")).and_then(|unit| unit.as_str());
    named.map(|unit| key("unit", unit)).or_else(|| ids(event).first().copied())
}
