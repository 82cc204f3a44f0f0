//! Steps of weight, and times in which no weight rises.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::rule::{between, five_fields};
use crate::common::text::{CronText, DnsLabel, DurationText, TimeZone};

/// One share of the units that a candidate gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Name of the step; an approval names it.
    pub name: DnsLabel,
    /// Percent of the units.
    #[schemars(range(min = 1, max = 100))]
    pub weight: i32,
    /// How long the step lasts at least.
    #[serde(default = "no_time")]
    pub min_duration: DurationText,
    /// How many requests the candidate must have answered in the step at least.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub min_samples: i64,
    /// Wait for spec.rollout.approvedStep of the model before the step begins.
    #[serde(default)]
    pub require_approval: bool,
}

fn no_time() -> DurationText {
    "0s".into()
}

pub(super) fn default_steps() -> Vec<Step> {
    [("one", 1, "10m"), ("five", 5, "15m"), ("quarter", 25, "30m"), ("half", 50, "30m"), ("all", 100, "0s")]
        .into_iter()
        .map(|(name, weight, min_duration)| Step {
            name: name.into(),
            weight,
            min_duration: min_duration.into(),
            min_samples: 0,
            require_approval: false,
        })
        .collect()
}

/// A time in which no weight rises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Freeze {
    /// When it begins, as five-field cron.
    #[schemars(extend("x-kubernetes-validations" = five_fields()))]
    pub cron: CronText,
    /// How long it lasts.
    #[schemars(extend("x-kubernetes-validations" = between("1m", "8784h")))]
    pub duration: DurationText,
    /// IANA time zone of the cron.
    #[serde(default = "utc")]
    pub time_zone: TimeZone,
}

fn utc() -> TimeZone {
    "Etc/UTC".into()
}
