//! Sums by unit of each experiment: what its analysis needs. A unit belongs to the arm that it was first shown; lists that it got from
//! another arm later (which sticky assignment excludes) are counted and left out.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::Limits;
use super::cell::Totals;

/// Experiments that are kept at most; then the one whose last list is the oldest goes.
const MAX_EXPERIMENTS: usize = 32;
const MAX_ARMS: usize = 16;

/// One unit's lists and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnitSums {
    #[serde(rename = "a")]
    pub arm: u8,
    #[serde(rename = "l")]
    pub lists: u32,
    #[serde(rename = "c", skip_serializing_if = "is_zero")]
    pub clicked: i32,
    /// Order lines.
    #[serde(rename = "b", skip_serializing_if = "is_zero")]
    pub conversions: i32,
    #[serde(rename = "r", skip_serializing_if = "is_no_money")]
    pub revenue: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(value: &i32) -> bool {
    *value == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_no_money(value: &i64) -> bool {
    *value == 0
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmSeen {
    pub name: String,
    pub version: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    pub name: String,
    pub arms: Vec<ArmSeen>,
    pub units: HashMap<u64, UnitSums>,
    pub first_ms: i64,
    pub last_ms: i64,
    /// Lists shown to nobody known.
    pub unkeyed: u64,
    /// Lists of a unit from another arm than its first.
    pub crossed: u64,
    /// Lists of units for which there was no room.
    pub no_room: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Experiments {
    next: u32,
    all: BTreeMap<u32, Experiment>,
    /// Experiments that went before their time, and arms for which there was no room.
    pub dropped: u64,
}

impl Experiments {
    pub fn get(&self, name: &str) -> Option<&Experiment> {
        self.all.values().find(|experiment| experiment.name == name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Experiment> {
        self.all.values()
    }

    /// A list of an experiment's arm. Returns the experiment under which its outcomes are counted, if they are.
    pub fn show(
        &mut self,
        (name, arm, version): (&str, &str, &str),
        unit: Option<u64>,
        at_ms: i64,
        limits: &Limits,
    ) -> Option<u32> {
        let found = self.all.iter().find(|(_, experiment)| experiment.name == name).map(|(id, _)| *id);
        let id = found.unwrap_or_else(|| self.begin(name, at_ms));
        let experiment = self.all.get_mut(&id)?;
        let Some(unit) = unit else {
            experiment.unkeyed += 1;
            return None;
        };
        let Some(arm) = arm_of(experiment, arm, version) else {
            self.dropped += 1;
            return None;
        };
        let room = experiment.units.len() < limits.experiment_units;
        let sums = match experiment.units.get_mut(&unit) {
            Some(sums) => sums,
            None if room => experiment.units.entry(unit).or_insert(UnitSums { arm, ..UnitSums::default() }),
            None => {
                experiment.no_room += 1;
                return None;
            }
        };
        if sums.arm != arm {
            experiment.crossed += 1;
            return None;
        }
        sums.lists += 1;
        experiment.first_ms = experiment.first_ms.min(at_ms);
        experiment.last_ms = experiment.last_ms.max(at_ms);
        Some(id)
    }

    fn begin(&mut self, name: &str, at_ms: i64) -> u32 {
        if self.all.len() >= MAX_EXPERIMENTS
            && let Some(oldest) =
                self.all.iter().min_by_key(|(id, experiment)| (experiment.last_ms, **id)).map(|(id, _)| *id)
        {
            self.all.remove(&oldest);
            self.dropped += 1;
        }
        let id = self.next;
        self.next += 1;
        let experiment = Experiment { name: name.to_owned(), first_ms: at_ms, last_ms: at_ms, ..Experiment::default() };
        self.all.insert(id, experiment);
        id
    }

    pub fn outcome(&mut self, id: u32, unit: u64, change: &Totals) {
        if let Some(sums) = self.all.get_mut(&id).and_then(|experiment| experiment.units.get_mut(&unit)) {
            sums.clicked += change.clicked_lists as i32;
            sums.conversions += change.conversions as i32;
            sums.revenue = sums.revenue.saturating_add(change.revenue);
        }
    }
}

/// The arm's place. When a fallback answered, the version in the list is another one than the arm's: the arm counts, and the version that
/// answered most of the time is not asked.
fn arm_of(experiment: &mut Experiment, name: &str, version: &str) -> Option<u8> {
    let place = experiment.arms.iter().position(|arm| arm.name == name).or_else(|| {
        (experiment.arms.len() < MAX_ARMS).then(|| {
            experiment.arms.push(ArmSeen { name: name.to_owned(), version: version.to_owned() });
            experiment.arms.len() - 1
        })
    })?;
    Some(place as u8)
}
