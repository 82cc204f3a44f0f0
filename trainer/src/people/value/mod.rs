//! What customers will be worth: fitted on all of the past, judged on its last part against simply going on as before.

mod models;
mod simplex;

use endcap_methods::measure::{Row, bootstrap, mean, paired};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use models::{BgNbd, GammaGamma, Past};

use super::segments::Segments;
use crate::load::View;

pub const FORMAT: &str = "endcap.value/v1";
pub const OBJECT: &str = "value";
const DAY_S: i64 = 86_400;
const WEEK_DAYS: f64 = 7.0;
/// Parameters are fitted on, and judged by, at most so many customers, drawn by the seed.
const MOST_CUSTOMERS: usize = 20_000;
const LEAST_CUSTOMERS: usize = 100;
/// Days held out: a fifth of the data, within these bounds, in whole weeks.
const HELD_DAYS: std::ops::RangeInclusive<i64> = 28..=91;
/// Less than so many times the held-out days is too little to learn from.
const LEAST_PARTS: i64 = 3;
/// How far ahead customers are valued.
const AHEAD_DAYS: u32 = 91;

/// The object `value`: enough to value any customer by the history, and what that comes to over all. No single customer is in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Value {
    pub format: String,
    /// Why nothing was fitted, if so.
    pub skipped: Option<String>,
    /// Times are in weeks.
    pub visits: Option<BgNbd>,
    /// Money is in the dataset's currency.
    pub worth: Option<GammaGamma>,
    pub ahead: Option<Ahead>,
    pub measured: Option<Measured>,
}

/// What is expected after the end of the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ahead {
    pub days: u32,
    pub customers: u64,
    /// Days with an order, and their money, of all customers.
    pub visits: f64,
    pub money: f64,
    /// Mean chance that a customer has not gone for good.
    pub alive: f64,
    /// Shares of customers by what is expected of them, the best tenth first, with their share of the money.
    pub tenths: Vec<f64>,
    /// By learned segment, in their order: mean money expected of a customer.
    pub by_segment: Vec<SegmentValue>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SegmentValue {
    pub segment: String,
    pub visits: f64,
    pub money: f64,
    pub alive: f64,
}

/// How far off predictions of the held-out days were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub held_days: i64,
    pub customers: u64,
    /// Means by customer of what came about.
    pub actual_visits: f64,
    pub actual_money: f64,
    /// `bg_nbd` (with Gamma-Gamma for money), `same_rate` (as often as so far since the first order, for the own mean), `last_period` (the same
    /// as in the newest days as long as those held out).
    pub rows: Vec<Row>,
    /// The model's absolute and squared errors less those of the others; below 0 the model is better.
    pub differences: Vec<Row>,
}

/// Days with a purchase by customer, and what they were worth.
struct Days {
    /// Days since 1970 and money, ascending; customers without an order have none.
    of: Vec<Vec<(i64, f64)>>,
    first: i64,
    /// The day after the last.
    end: i64,
}

fn days(sales: View<'_>, customers: usize) -> Days {
    let mut of: Vec<Vec<(i64, f64)>> = vec![Vec::new(); customers];
    let (mut first, mut end) = (i64::MAX, i64::MIN);
    for (head, lines) in sales.orders() {
        let day = head.at_s.div_euclid(DAY_S);
        (first, end) = (first.min(day), end.max(day + 1));
        let Some(own) = head.customer().and_then(|customer| of.get_mut(customer as usize)) else { continue };
        let money: f64 = lines.iter().map(|line| line.unit_price as f64 / 1e4 * f64::from(line.quantity)).sum();
        match own.last_mut() {
            Some((last, sum)) if *last == day => *sum += money,
            _ => own.push((day, money)),
        }
    }
    Days { of, first, end }
}

/// What was seen of a customer before day `until`; none who had not come yet.
fn past(own: &[(i64, f64)], until: i64) -> Option<Past> {
    let mut before = own.iter().take_while(|(day, _)| *day < until);
    let (first, _) = before.next()?;
    let (mut repeats, mut last, mut money) = (0.0, *first, 0.0);
    for (day, worth) in before {
        (repeats, last, money) = (repeats + 1.0, *day, money + worth);
    }
    let weeks = |days: i64| days as f64 / WEEK_DAYS;
    let worth = if repeats > 0.0 { money / repeats } else { 0.0 };
    Some(Past { repeats, last: weeks(last - first), seen: weeks(until - first), worth })
}

/// Fits on all sales and judges on their last part. `segments` and `places` say which learned segment each customer is in.
pub fn fit(sales: View<'_>, customers: usize, segments: &Segments, places: &[Option<u32>], seed: i64) -> Value {
    let mut value = Value { format: FORMAT.to_owned(), ..Value::default() };
    let days = days(sales, customers);
    let pasts: Vec<(usize, Past)> =
        days.of.iter().enumerate().filter_map(|(at, own)| Some((at, past(own, days.end)?))).collect();
    let returned = pasts.iter().filter(|(_, past)| past.repeats > 0.0).count();
    if returned < LEAST_CUSTOMERS {
        value.skipped = Some(format!("{returned} customers came back; values are fitted from {LEAST_CUSTOMERS} on"));
        return value;
    }
    value.measured = judge(&days, seed);
    let all: Vec<Past> = pasts.iter().map(|(_, past)| *past).collect();
    let some = drawn(&all, seed);
    (value.visits, value.worth) = (BgNbd::fit(&some), GammaGamma::fit(&some));
    if let (Some(visits), Some(worth)) = (value.visits, value.worth) {
        value.ahead = Some(ahead(&visits, &worth, &pasts, segments, places));
    }
    value
}

/// At most [`MOST_CUSTOMERS`] of them.
fn drawn<T: Clone>(all: &[T], seed: i64) -> Vec<T> {
    if all.len() <= MOST_CUSTOMERS {
        return all.to_vec();
    }
    let mut places: Vec<usize> = (0..all.len()).collect();
    places.shuffle(&mut ChaCha8Rng::seed_from_u64(seed as u64));
    places.truncate(MOST_CUSTOMERS);
    places.sort_unstable();
    places.into_iter().filter_map(|at| all.get(at).cloned()).collect()
}

fn ahead(
    visits: &BgNbd,
    worth: &GammaGamma,
    pasts: &[(usize, Past)],
    segments: &Segments,
    places: &[Option<u32>],
) -> Ahead {
    let weeks = f64::from(AHEAD_DAYS) / WEEK_DAYS;
    let names: Vec<&str> =
        segments.learned.iter().flat_map(|learned| &learned.segments).map(|segment| segment.name.as_str()).collect();
    let mut sums: Vec<(f64, SegmentValue)> = names
        .iter()
        .map(|name| (0.0, SegmentValue { segment: (*name).to_owned(), ..SegmentValue::default() }))
        .collect();
    let mut found = Ahead { days: AHEAD_DAYS, customers: pasts.len() as u64, ..Ahead::default() };
    let mut moneys = Vec::with_capacity(pasts.len());
    for (at, past) in pasts {
        let (often, alive) = (visits.expected(past, weeks), visits.alive(past));
        let money = often * worth.expected(past);
        found.visits += often;
        found.money += money;
        found.alive += alive;
        moneys.push(money);
        let place = places.get(*at).copied().flatten();
        if let Some((number, sum)) = place.and_then(|place| sums.get_mut(place as usize)) {
            *number += 1.0;
            sum.visits += often;
            sum.money += money;
            sum.alive += alive;
        }
    }
    found.alive /= pasts.len().max(1) as f64;
    moneys.sort_unstable_by(|a, b| b.total_cmp(a));
    let tenth = |at: usize| at * moneys.len() / 10;
    found.tenths = (0..10)
        .map(|at| moneys.get(tenth(at)..tenth(at + 1)).unwrap_or(&[]).iter().sum::<f64>() / found.money.max(1e-12))
        .collect();
    found.by_segment = sums
        .into_iter()
        .map(|(number, sum)| {
            let each = |sum: f64| sum / f64::max(number, 1.0);
            SegmentValue { visits: each(sum.visits), money: each(sum.money), alive: each(sum.alive), ..sum }
        })
        .collect();
    found
}

/// A prediction for one customer: days with an order, and money.
type Predicted = [f64; 2];

fn judge(days: &Days, seed: i64) -> Option<Measured> {
    let span = days.end - days.first;
    let held = (span / 5).clamp(*HELD_DAYS.start(), *HELD_DAYS.end()) / 7 * 7;
    let cut = days.end - held;
    let known: Vec<(Past, &[(i64, f64)])> =
        days.of.iter().filter_map(|own| Some((past(own, cut)?, own.as_slice()))).collect();
    let returned = known.iter().filter(|(past, _)| past.repeats > 0.0).count();
    if span < held * LEAST_PARTS || returned < LEAST_CUSTOMERS {
        return None;
    }
    let known = drawn(&known, seed);
    let pasts: Vec<Past> = known.iter().map(|(past, _)| *past).collect();
    let (visits, worth) = (BgNbd::fit(&pasts)?, GammaGamma::fit(&pasts)?);
    let weeks = held as f64 / WEEK_DAYS;
    let within = |own: &[(i64, f64)], from: i64, until: i64| -> Predicted {
        let inside = own.iter().filter(|(day, _)| (from..until).contains(day));
        inside.fold([0.0, 0.0], |[number, sum], (_, money)| [number + 1.0, sum + money])
    };
    let actual: Vec<Predicted> = known.iter().map(|(_, own)| within(own, cut, days.end)).collect();
    let model = known.iter().map(|(past, _)| {
        let often = visits.expected(past, weeks);
        [often, often * worth.expected(past)]
    });
    let same_rate = known.iter().map(|(past, own)| {
        let [number, money] = within(own, i64::MIN, cut);
        let often = if past.seen > 0.0 { past.repeats / past.seen * weeks } else { 0.0 };
        [often, often * money / f64::max(number, 1.0)]
    });
    let last_period = known.iter().map(|(_, own)| within(own, cut - held, cut));
    let predicted: [(&str, Vec<Predicted>); 3] =
        [("bg_nbd", model.collect()), ("same_rate", same_rate.collect()), ("last_period", last_period.collect())];
    let mut measured = Measured {
        held_days: held,
        customers: known.len() as u64,
        actual_visits: mean(&actual.iter().map(|own| own[0]).collect::<Vec<_>>()),
        actual_money: mean(&actual.iter().map(|own| own[1]).collect::<Vec<_>>()),
        ..Measured::default()
    };
    for (slot, what) in ["visits", "money"].into_iter().enumerate() {
        let errors = |predicted: &[Predicted]| -> Vec<f64> {
            predicted.iter().zip(&actual).map(|(one, other)| one[slot] - other[slot]).collect()
        };
        let absolute = |predicted: &[Predicted]| errors(predicted).into_iter().map(f64::abs).collect::<Vec<f64>>();
        let row = |model: &str, measure: &str, value: f64, interval: endcap_methods::measure::Interval| Row {
            model: model.to_owned(),
            metric: format!("{measure}.{what}"),
            value,
            low: interval.low,
            high: interval.high,
            n: known.len() as u64,
        };
        let own = absolute(&predicted[0].1);
        let own_squares: Vec<f64> = own.iter().map(|error| error * error).collect();
        for (name, predicted) in &predicted {
            let (absolute, errors) = (absolute(predicted), errors(predicted));
            let squares: Vec<f64> = errors.iter().map(|error| error * error).collect();
            let of_squares = bootstrap(&squares, seed);
            let rooted = endcap_methods::measure::Interval { low: of_squares.low.sqrt(), high: of_squares.high.sqrt() };
            measured.rows.push(row(name, "mae", mean(&absolute), bootstrap(&absolute, seed)));
            measured.rows.push(row(name, "rmse", mean(&squares).sqrt(), rooted));
            measured.rows.push(row(name, "bias", mean(&errors), bootstrap(&errors, seed)));
            if *name != "bg_nbd" {
                let (difference, interval) = paired(&own, &absolute, seed);
                measured.differences.push(row(name, "mae", difference, interval));
                let (difference, interval) = paired(&own_squares, &squares, seed);
                measured.differences.push(row(name, "mse", difference, interval));
            }
        }
    }
    Some(measured)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use endcap_recommender::fitted::NONE;

    use super::*;
    use crate::load::{Line, OrderHead, Sales};

    fn order(day: i64, customer: u32, price: i64) -> (OrderHead, Vec<Line>) {
        let head = OrderHead {
            at_s: day * DAY_S + 3600,
            customer,
            channel: NONE,
            city: NONE,
            area: NONE,
            country: NONE,
            month_number: 0,
            hour: 1,
        };
        (head, vec![Line { product: 0, quantity: 2.0, unit_price: price, offered: false }])
    }

    #[test]
    fn orders_of_one_day_count_once_and_the_first_day_is_no_repeat() {
        let sales = Sales::from_orders([
            order(0, 0, 10_000),
            order(0, 0, 10_000),
            order(7, 0, 20_000),
            order(7, 0, 30_000),
            order(21, 0, 10_000),
            order(27, 1, 10_000),
        ]);
        let days = days(sales.view(), 3);
        assert_eq!((days.first, days.end), (0, 28));
        let seen = past(&days.of[0], days.end).unwrap();
        assert_eq!(seen, Past { repeats: 2.0, last: 3.0, seen: 4.0, worth: 6.0 });
        let early = past(&days.of[0], 21).unwrap();
        assert_eq!(early, Past { repeats: 1.0, last: 1.0, seen: 3.0, worth: 10.0 });
        assert!(past(&days.of[1], 21).is_none() && past(&days.of[2], days.end).is_none());
    }

    #[test]
    fn a_few_customers_are_not_enough() {
        let sales = Sales::from_orders([order(0, 0, 10_000), order(7, 0, 20_000)]);
        let value = fit(sales.view(), 1, &Segments::default(), &[None], 1);
        assert!(value.visits.is_none() && value.skipped.unwrap().starts_with("1 customers came back"));
    }

    /// Half of the customers come every week, half come twice and never again: the model knows better than the rates so far.
    #[test]
    fn those_who_went_are_told_from_those_who_come() {
        let mut orders: Vec<(OrderHead, Vec<Line>)> = Vec::new();
        for day in 0..210i64 {
            for customer in 0..600u32 {
                let shift = i64::from(customer % 13);
                let comes =
                    if customer < 300 { (day - shift).rem_euclid(7) == 0 } else { day == shift || day == shift + 7 };
                if comes {
                    orders.push(order(day, customer, 10_000 + 100 * i64::from(customer)));
                }
            }
        }
        let sales = Sales::from_orders(orders);
        let value = fit(sales.view(), 600, &Segments::default(), &[None; 600], 1);
        let measured = value.measured.unwrap();
        assert_eq!((measured.held_days, measured.customers), (42, 600));
        assert!(
            measured
                .differences
                .iter()
                .any(|row| row.model == "same_rate" && row.metric == "mae.visits" && row.high < 0.0)
        );
        let ahead = value.ahead.unwrap();
        assert!((ahead.visits / 300.0 - 13.0).abs() < 2.0, "{ahead:?}");
        assert!((ahead.tenths.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
