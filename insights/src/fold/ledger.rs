//! Which list an outcome follows from. With a request id it is that list; without, the last list before it, within the window, that showed
//! the product to this customer or session. Outcomes may come before their list (the router's spool is slower than a shop's click) and
//! lists may come out of order: then the outcome moves, and its old list is corrected.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::Limits;
use super::cell::Totals;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    Click,
    Accept,
    Decline,
    Bought,
}

/// One outcome of one list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Credit {
    kind: Kind,
    product: u32,
    /// Hash of the order; 0 for what is not bought.
    order: u64,
    /// Ten-thousandths.
    revenue: i64,
}

/// A list that was shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub at_ms: i64,
    pub slice: u16,
    /// Who is counted.
    pub unit: Option<u64>,
    /// The running experiment that it is analysed in.
    pub experiment: Option<u32>,
    /// Customer and session: how outcomes find it.
    pub ids: Vec<u64>,
    pub products: Vec<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    credits: Vec<Credit>,
}

impl Shown {
    pub fn new(at_ms: i64, slice: u16, ids: Vec<u64>, products: Vec<u32>) -> Self {
        Self { at_ms, slice, unit: None, experiment: None, ids, products, credits: Vec::new() }
    }

    /// The same click twice is one; an order line twice (sent again under another event id) is one too.
    fn totals(&self) -> Totals {
        let mut sorted: Vec<&Credit> = self.credits.iter().collect();
        sorted.sort_unstable();
        // Of equal ones the largest revenue stays.
        sorted.reverse();
        sorted.dedup_by_key(|credit| (credit.kind, credit.product, credit.order));
        let mut totals = Totals::default();
        for credit in sorted {
            match credit.kind {
                Kind::Click => totals.clicks += 1,
                Kind::Accept => totals.accepts += 1,
                Kind::Decline => totals.declines += 1,
                Kind::Bought => {
                    totals.conversions += 1;
                    totals.revenue = totals.revenue.saturating_add(credit.revenue);
                }
            }
        }
        totals.clicked_lists = totals.clicks.min(1);
        totals.accepted_lists = totals.accepts.min(1);
        totals.converted_lists = totals.conversions.min(1);
        totals
    }
}

/// Something a customer did with a product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    pub kind: Kind,
    pub product: u32,
    pub order: u64,
    pub revenue: i64,
    pub at_ms: i64,
    /// The list that has it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<u64>,
}

impl Action {
    pub fn new(kind: Kind, product: u32, at_ms: i64) -> Self {
        Self { kind, product, order: 0, revenue: 0, at_ms, target: None }
    }

    fn credit(&self) -> Credit {
        Credit { kind: self.kind, product: self.product, order: self.order, revenue: self.revenue }
    }
}

/// A list whose outcomes changed, and by how much.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub at_ms: i64,
    pub slice: u16,
    pub unit: Option<u64>,
    pub experiment: Option<u32>,
    pub totals: Totals,
}

/// A customer or session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Unit {
    /// Time and request of lists; follows from the lists.
    #[serde(skip)]
    shown: BTreeSet<(i64, u64)>,
    #[serde(default)]
    actions: Vec<Action>,
}

/// What the ledger could not keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerBounds {
    /// Lists that went before their time.
    pub lists: u64,
    /// Outcomes without a list, of one unit or request, that went before their time.
    pub actions: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    lists: HashMap<u64, Shown>,
    units: HashMap<u64, Unit>,
    /// Outcomes that name a list that did not come yet.
    early: HashMap<u64, Vec<Action>>,
    /// Follows from the lists.
    #[serde(skip)]
    by_time: BTreeSet<(i64, u64)>,
    pub bounds: LedgerBounds,
}

impl Ledger {
    /// After reading a kept ledger: what follows from the lists is made again.
    pub fn index(&mut self) {
        for (request, list) in &self.lists {
            self.by_time.insert((list.at_ms, *request));
            for id in &list.ids {
                self.units.entry(*id).or_default().shown.insert((list.at_ms, *request));
            }
        }
    }

    pub fn lists(&self) -> usize {
        self.lists.len()
    }

    pub fn units(&self) -> usize {
        self.units.len()
    }

    pub fn knows(&self, request: u64) -> bool {
        self.lists.contains_key(&request)
    }

    /// A list was shown. Returns what that changes, in this list and in others.
    pub fn show(&mut self, request: u64, list: Shown, limits: &Limits) -> Vec<Change> {
        let mut changes = Vec::new();
        let (at_ms, ids) = (list.at_ms, list.ids.clone());
        self.by_time.insert((at_ms, request));
        for id in &ids {
            self.units.entry(*id).or_default().shown.insert((at_ms, request));
        }
        self.lists.insert(request, list);
        for action in self.early.remove(&request).unwrap_or_default() {
            changes.extend(self.credit_named(request, &action, limits));
        }
        for id in &ids {
            self.resolve_again(*id, request, limits, &mut changes);
        }
        self.keep_within(&ids, limits);
        changes
    }

    /// Outcomes of a unit that belong to the list that came now.
    fn resolve_again(&mut self, id: u64, request: u64, limits: &Limits, changes: &mut Vec<Change>) {
        let Some(mut actions) = self.units.get_mut(&id).map(|unit| std::mem::take(&mut unit.actions)) else { return };
        for action in &mut actions {
            let old = action.target.and_then(|target| self.lists.get(&target).map(|list| (list.at_ms, target)));
            // An outcome whose list is forgotten stays with it.
            let stays = action.target.is_some() && old.is_none();
            let Some(new) = self.lists.get(&request).map(|list| (list.at_ms, request)) else { continue };
            if stays || !self.fits(request, action, limits) || old.is_some_and(|old| old >= new) {
                continue;
            }
            if let Some((_, target)) = old {
                let credit = action.credit();
                changes.extend(self.change(target, |list| {
                    if let Some(at) = list.credits.iter().position(|held| *held == credit) {
                        list.credits.swap_remove(at);
                    }
                }));
            }
            let credit = action.credit();
            changes.extend(self.change(request, |list| list.credits.push(credit)));
            action.target = Some(request);
        }
        if let Some(unit) = self.units.get_mut(&id) {
            unit.actions = actions;
        }
    }

    /// Whether an outcome can follow from a list: later, within the window, of a product of it.
    fn fits(&self, request: u64, action: &Action, limits: &Limits) -> bool {
        self.lists.get(&request).is_some_and(|list| {
            list.at_ms <= action.at_ms
                && action.at_ms - list.at_ms <= limits.attribution_ms
                && list.products.contains(&action.product)
        })
    }

    /// An outcome that names its list. A client's clock may run behind the router's, so that it need not be later.
    fn credit_named(&mut self, request: u64, action: &Action, limits: &Limits) -> Option<Change> {
        let fits = self.lists.get(&request).is_some_and(|list| {
            action.at_ms - list.at_ms <= limits.attribution_ms && list.products.contains(&action.product)
        });
        let credit = action.credit();
        if fits { self.change(request, |list| list.credits.push(credit)) } else { None }
    }

    /// Something was done. `ids`: customer and session. Returns what it changes, and whether a list was found for it.
    pub fn act(
        &mut self,
        mut action: Action,
        request: Option<u64>,
        ids: &[u64],
        limits: &Limits,
    ) -> (Option<Change>, bool) {
        if let Some(request) = request {
            if self.lists.contains_key(&request) {
                let change = self.credit_named(request, &action, limits);
                let found = change.is_some();
                return (change, found);
            }
            let waiting = self.early.entry(request).or_default();
            if waiting.len() < limits.unit_actions {
                waiting.push(action);
            } else {
                self.bounds.actions += 1;
            }
            return (None, false);
        }
        let lists = ids.iter().filter_map(|id| self.units.get(id)).flat_map(|unit| unit.shown.iter().rev());
        let target = lists.copied().filter(|(_, request)| self.fits(*request, &action, limits)).max();
        let change = target.and_then(|(_, request)| {
            action.target = Some(request);
            let credit = action.credit();
            self.change(request, |list| list.credits.push(credit))
        });
        if let Some(id) = ids.first() {
            let actions = &mut self.units.entry(*id).or_default().actions;
            actions.push(action);
            if actions.len() > limits.unit_actions {
                actions.remove(0);
                self.bounds.actions += 1;
            }
        }
        (change, target.is_some())
    }

    /// Changes a list's credits; what its totals change by, if they do.
    fn change(&mut self, request: u64, change: impl FnOnce(&mut Shown)) -> Option<Change> {
        let list = self.lists.get_mut(&request)?;
        let before = list.totals();
        change(list);
        let totals = list.totals().since(&before);
        Some(Change { at_ms: list.at_ms, slice: list.slice, unit: list.unit, experiment: list.experiment, totals })
    }

    fn forget_list(&mut self, at_ms: i64, request: u64) {
        self.by_time.remove(&(at_ms, request));
        let Some(list) = self.lists.remove(&request) else { return };
        for id in list.ids {
            if let Some(unit) = self.units.get_mut(&id) {
                unit.shown.remove(&(at_ms, request));
            }
        }
    }

    fn keep_within(&mut self, ids: &[u64], limits: &Limits) {
        for id in ids {
            while let Some(oldest) = self
                .units
                .get(id)
                .filter(|unit| unit.shown.len() > limits.unit_lists)
                .and_then(|unit| unit.shown.first().copied())
            {
                self.forget_list(oldest.0, oldest.1);
                self.bounds.lists += 1;
            }
        }
        if self.lists.len() > limits.lists {
            // A sixteenth at once: the cost is spread over the events until it is full again.
            for (at_ms, request) in self.by_time.iter().copied().take(limits.lists / 16 + 1).collect::<Vec<_>>() {
                self.forget_list(at_ms, request);
                self.bounds.lists += 1;
            }
        }
    }

    /// Forgets what no outcome can follow from any more. What comes later than `grace` after the window finds nothing.
    pub fn sweep(&mut self, clock_ms: i64, limits: &Limits) {
        let oldest = clock_ms - limits.attribution_ms - limits.grace_ms;
        while let Some((at_ms, request)) = self.by_time.first().copied().filter(|(at_ms, _)| *at_ms < oldest) {
            self.forget_list(at_ms, request);
        }
        self.units.retain(|_, unit| {
            unit.actions.retain(|action| action.at_ms >= oldest);
            !unit.actions.is_empty() || !unit.shown.is_empty()
        });
        self.early.retain(|_, actions| {
            actions.retain(|action| action.at_ms >= oldest);
            !actions.is_empty()
        });
        if self.early.len() > limits.lists {
            self.bounds.actions += self.early.values().map(|actions| actions.len() as u64).sum::<u64>();
            self.early.clear();
        }
    }

    /// Forgets a customer: no outcome is attributed to what they were shown. Sums that hold them stay, they name nobody.
    pub fn forget(&mut self, id: u64) {
        let Some(unit) = self.units.remove(&id) else { return };
        for (at_ms, request) in unit.shown {
            self.forget_list(at_ms, request);
        }
    }
}
