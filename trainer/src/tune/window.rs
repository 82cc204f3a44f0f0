//! Which newest part of the data is held out.

use serde::{Deserialize, Serialize};

use crate::load::View;

/// Orders from `from_s` (inclusive) to the end of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Seconds since 1970.
    pub from_s: i64,
    pub days: u32,
    pub orders: u64,
}

impl Window {
    /// From a given second to the end of the data; or why that is no window.
    pub fn from(sales: View<'_>, from_s: i64) -> Result<Self, String> {
        let (before, inside) = sales.split_at(from_s);
        if before.len() < LEAST_ORDERS_BEFORE || inside.len() < LEAST_ORDERS_INSIDE {
            return Err(format!(
                "{} orders before the validation window and {} in it; {LEAST_ORDERS_BEFORE} and {LEAST_ORDERS_INSIDE} are needed",
                before.len(),
                inside.len()
            ));
        }
        let days = (sales.last_s() - from_s).div_euclid(DAY_S) + 1;
        Ok(Self { from_s, days: days as u32, orders: inside.len() as u64 })
    }
}

const DAY_S: i64 = 86_400;
const MOST_DAYS: i64 = 28;
/// Of the time that the data covers.
const SHARE: f64 = 0.15;
const LEAST_ORDERS_BEFORE: usize = 200;
const LEAST_ORDERS_INSIDE: usize = 30;

/// The last 28 days, or 15% of the time if that is less; or why there is no window.
pub fn choose(sales: View<'_>, asked_days: Option<u32>) -> Result<Window, String> {
    let (first, last) = (sales.heads.first().map_or(0, |head| head.at_s), sales.last_s());
    let span_days = (last - first) / DAY_S;
    let days = match asked_days {
        Some(0) => return Err("validation_days is 0".to_owned()),
        Some(days) => i64::from(days),
        None => ((span_days as f64 * SHARE) as i64).clamp(1, MOST_DAYS),
    };
    let from_s = last + 1 - days * DAY_S;
    let (before, inside) = sales.split_at(from_s);
    if before.len() < LEAST_ORDERS_BEFORE || inside.len() < LEAST_ORDERS_INSIDE {
        return Err(format!(
            "{} orders before the last {days} days and {} in them; {LEAST_ORDERS_BEFORE} and {LEAST_ORDERS_INSIDE} are needed",
            before.len(),
            inside.len()
        ));
    }
    Ok(Window { from_s, days: days as u32, orders: inside.len() as u64 })
}
