//! What is counted of the lists of one slice in one stretch of time. Outcomes (clicks, purchases, ...) stand with the list that they follow
//! from, in the list's own minute: a rate never exceeds one, and what comes late changes the past, not the present.

use std::collections::BTreeMap;

use endcap_recommender::profile::Histogram;
use serde::{Deserialize, Serialize};

use super::distinct::Distinct;
use super::sample::Sample;

/// Users fall into so many groups by hash; figures by group give standard errors that know of heavy users (random groups: Wolter,
/// *Introduction to Variance Estimation*, chapter 2).
pub const GROUPS: u64 = 32;

/// What became of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Lists with at least one click, accept, attributed purchase.
    pub clicked_lists: i64,
    pub accepted_lists: i64,
    pub converted_lists: i64,
    /// Items of lists, each once.
    pub clicks: i64,
    pub accepts: i64,
    pub declines: i64,
    /// Order lines.
    pub conversions: i64,
    /// Ten-thousandths of the currency.
    pub revenue: i64,
}

impl Totals {
    pub fn add(&mut self, other: &Self) {
        self.clicked_lists += other.clicked_lists;
        self.accepted_lists += other.accepted_lists;
        self.converted_lists += other.converted_lists;
        self.clicks += other.clicks;
        self.accepts += other.accepts;
        self.declines += other.declines;
        self.conversions += other.conversions;
        self.revenue = self.revenue.saturating_add(other.revenue);
    }

    /// What has to be added to `before` to get to `self`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            clicked_lists: self.clicked_lists - before.clicked_lists,
            accepted_lists: self.accepted_lists - before.accepted_lists,
            converted_lists: self.converted_lists - before.converted_lists,
            clicks: self.clicks - before.clicks,
            accepts: self.accepts - before.accepts,
            declines: self.declines - before.declines,
            conversions: self.conversions - before.conversions,
            revenue: self.revenue.saturating_sub(before.revenue),
        }
    }
}

/// The lists of one group of users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    #[serde(rename = "l")]
    pub lists: i64,
    #[serde(rename = "c", skip_serializing_if = "is_zero")]
    pub clicked: i64,
    #[serde(rename = "a", skip_serializing_if = "is_zero")]
    pub accepted: i64,
    #[serde(rename = "b", skip_serializing_if = "is_zero")]
    pub converted: i64,
    #[serde(rename = "r", skip_serializing_if = "is_zero")]
    pub revenue: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cell {
    pub lists: u64,
    pub items: u64,
    pub totals: Totals,
    pub products: Distinct,
    pub units: Distinct,
    /// Lists of known units by group.
    pub groups: BTreeMap<u8, Group>,
    pub sample: Sample,
    /// Score of the first item of each list.
    pub scores: Histogram,
}

impl Cell {
    pub fn merge(&mut self, other: &Self) {
        self.lists += other.lists;
        self.items += other.items;
        self.totals.add(&other.totals);
        self.products.merge(&other.products);
        self.units.merge(&other.units);
        for (group, others) in &other.groups {
            let own = self.groups.entry(*group).or_default();
            own.lists += others.lists;
            own.clicked += others.clicked;
            own.accepted += others.accepted;
            own.converted += others.converted;
            own.revenue += others.revenue;
        }
        self.sample.merge(&other.sample);
        self.scores.merge(&other.scores);
    }

    /// An outcome of a list that was shown to a unit (or to nobody known).
    pub fn outcome(&mut self, unit: Option<u64>, change: &Totals) {
        self.totals.add(change);
        if let Some(unit) = unit {
            let group = self.groups.entry(group_of(unit)).or_default();
            group.clicked += change.clicked_lists;
            group.accepted += change.accepted_lists;
            group.converted += change.converted_lists;
            group.revenue += change.revenue;
        }
    }
}

pub fn group_of(unit: u64) -> u8 {
    (unit % GROUPS) as u8
}
