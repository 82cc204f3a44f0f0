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

/// Between one order and the next no more time than this counts: data that ended long before the live orders began is not far away.
const LONGEST_GAP_S: i64 = 7 * DAY_S;

/// How much of the time before each order, going back from the last one, is a gap that does not count. Time and uncounted time.
fn uncounted(sales: View<'_>) -> impl Iterator<Item = (i64, i64)> + '_ {
    let mut later_s = sales.last_s();
    let mut gaps_s = 0;
    sales.heads.iter().rev().map(move |head| {
        gaps_s += (later_s - head.at_s - LONGEST_GAP_S).max(0);
        later_s = head.at_s;
        (head.at_s, gaps_s)
    })
}

/// The last 28 days, or 15% of the time if that is less; or why there is no window. Long times without any order do not count.
pub fn choose(sales: View<'_>, asked_days: Option<u32>) -> Result<Window, String> {
    let (first, last) = (sales.heads.first().map_or(0, |head| head.at_s), sales.last_s());
    let all_gaps_s = uncounted(sales).last().map_or(0, |(_, gaps_s)| gaps_s);
    let span_days = (last - first - all_gaps_s) / DAY_S;
    let days = match asked_days {
        Some(0) => return Err("validation_days is 0".to_owned()),
        Some(days) => i64::from(days),
        None => ((span_days as f64 * SHARE) as i64).clamp(1, MOST_DAYS),
    };
    // As asked for, to the letter; else as far back as its days of business go.
    let gaps_s = match asked_days {
        Some(_) => 0,
        None => uncounted(sales)
            .take_while(|(at_s, gaps_s)| last - at_s - gaps_s < days * DAY_S)
            .last()
            .map_or(0, |(_, gaps_s)| gaps_s),
    };
    let from_s = last + 1 - days * DAY_S - gaps_s;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use endcap_recommender::fitted::NONE;

    use super::*;
    use crate::load::{Line, OrderHead, Sales};

    fn sales(times: impl IntoIterator<Item = i64>) -> Sales {
        let line = Line { product: 0, quantity: 1.0, unit_price: 1, offered: false };
        Sales::from_orders(times.into_iter().map(|at_s| {
            let (customer, channel, city, area, country) = (0, NONE, NONE, NONE, NONE);
            (OrderHead { at_s, customer, channel, city, area, country, month_number: 0, hour: 0 }, vec![line])
        }))
    }

    /// Ten orders a day for a year.
    fn year() -> Vec<i64> {
        (0..3650).map(|order| order * DAY_S / 10).collect()
    }

    #[test]
    fn a_year_without_gaps_is_cut_at_28_days() {
        let sales = sales(year());
        let window = choose(sales.view(), None).unwrap();
        assert_eq!((window.from_s, window.days), (sales.view().last_s() + 1 - 28 * DAY_S, 28));
        assert_eq!(window, choose(sales.view(), Some(28)).unwrap());
    }

    #[test]
    fn a_dense_last_hour_does_not_take_the_window_from_the_days_before() {
        let mut times = year();
        let last = times.last().copied().unwrap();
        times.extend((0..2_000).map(|order| last + 600 + order));
        let sales = sales(times);
        let window = choose(sales.view(), None).unwrap();
        assert!((2_270..=2_290).contains(&window.orders), "{window:?}");
    }

    #[test]
    fn a_few_live_orders_long_after_the_data_still_have_a_window() {
        for gap_days in [40, 400, 5_000] {
            let mut times = year();
            let last = times.last().copied().unwrap();
            times.extend((0..5).map(|order| last + gap_days * DAY_S + order * 60));
            let sales = sales(times);
            let window = choose(sales.view(), None).unwrap();
            assert!((205..=220).contains(&window.orders), "{gap_days}: {window:?}");
            assert_eq!(window.days, 28);
            assert!(choose(sales.view(), Some(28)).is_err(), "28 days to the letter hold the live orders alone");
        }
    }

    #[test]
    fn a_window_that_ends_within_a_gap_begins_after_it() {
        let mut times: Vec<i64> = (0..300).map(|order| order * 600).collect();
        times.extend((0..400).map(|order| 200 * DAY_S + order * DAY_S / 5));
        let sales = sales(times);
        let window = choose(sales.view(), None).unwrap();
        assert_eq!(window.orders, sales.view().split_at(window.from_s).1.len() as u64);
        assert!(window.from_s > 200 * DAY_S, "{window:?}");
    }
}
