//! What kind of shop is wanted, and how large.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::SimulatorError;

/// Seconds of a day.
pub(crate) const DAY_S: i64 = 86_400;

/// The kind of shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// A gift wholesaler with a web shop: large baskets, seasons, design ranges, trade customers.
    GiftShop,
    /// A supermarket: frequent small baskets, strong repeat habits, households.
    Grocery,
}

impl Preset {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GiftShop => "giftshop",
            Self::Grocery => "grocery",
        }
    }

    /// ISO 4217 code of the shop's money.
    pub fn currency(self) -> &'static str {
        match self {
            Self::GiftShop => "GBP",
            Self::Grocery => "EUR",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Preset {
    type Err = SimulatorError;

    fn from_str(text: &str) -> Result<Self, SimulatorError> {
        match text {
            "giftshop" => Ok(Self::GiftShop),
            "grocery" => Ok(Self::Grocery),
            _ => Err(SimulatorError::BadSpec {
                field: "preset",
                value: text.to_owned(),
                expected: "giftshop or grocery",
            }),
        }
    }
}

/// From `day` of the period on, a `share` of the customers has other tastes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TasteChange {
    /// Days after the start of the period; beyond the period it touches live shopping alone.
    pub day: u32,
    /// 0 to 1. Who changes depends on the seed alone, and a larger share holds all of a smaller one.
    pub share: f32,
}

/// Everything that a world depends on: the same spec gives the same bytes, on any number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorldSpec {
    pub preset: Preset,
    pub customers: u32,
    pub products: u32,
    /// Length of the sales history.
    pub days: u32,
    pub seed: u64,
    /// First day of the sales history (UTC).
    pub start: Date,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taste_change: Option<TasteChange>,
}

impl WorldSpec {
    /// A shop whose history starts on 2025-10-01.
    pub fn new(preset: Preset, customers: u32, products: u32, days: u32, seed: u64) -> Self {
        Self { preset, customers, products, days, seed, start: Date::constant(2025, 10, 1), taste_change: None }
    }

    pub(crate) fn validate(&self) -> Result<(), SimulatorError> {
        let check = |field, value: u32, min: u32, max: u32, expected| {
            if (min..=max).contains(&value) {
                Ok(())
            } else {
                Err(SimulatorError::BadSpec { field, value: value.to_string(), expected })
            }
        };
        check("customers", self.customers, 20, 10_000_000, "20 to 10000000")?;
        check("products", self.products, 60, 1_000_000, "60 to 1000000")?;
        check("days", self.days, 60, 3_650, "60 to 3650")?;
        let year = i32::from(self.start.year());
        if !(1990..=2100).contains(&year) {
            return Err(SimulatorError::BadSpec {
                field: "start",
                value: self.start.to_string(),
                expected: "a date from 1990 to 2100",
            });
        }
        match self.taste_change {
            Some(change) if !(0.0..=1.0).contains(&change.share) => Err(SimulatorError::BadSpec {
                field: "taste_change.share",
                value: change.share.to_string(),
                expected: "0 to 1",
            }),
            _ => Ok(()),
        }
    }

    /// Seconds since 1970 at the start of the period.
    pub fn start_s(&self) -> i64 {
        let epoch = Date::constant(1970, 1, 1);
        let days = (self.start - epoch).get_days();
        i64::from(days) * DAY_S
    }

    /// Seconds since 1970 at the end of the period (exclusive).
    pub fn end_s(&self) -> i64 {
        self.start_s() + i64::from(self.days) * DAY_S
    }

    /// Day of the period (may be fractional, negative before it) at a time.
    pub(crate) fn day_at(&self, at_s: i64) -> f64 {
        (at_s - self.start_s()) as f64 / DAY_S as f64
    }

    /// Day of the year, 0 to 365, on a day of the period.
    pub(crate) fn day_of_year(&self, day: f64) -> f32 {
        let first = f64::from(self.start.day_of_year()) - 1.0;
        ((first + day).rem_euclid(365.25)) as f32
    }
}
