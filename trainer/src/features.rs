//! What is derived from the sales before anything is fitted: recency, frequency and money of each customer, and the facts
//! of the whole that the report shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::load::{Dataset, View};

/// A customer's standing at the end of the data (RFM: Hughes, *Strategic Database Marketing*, 1994).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rfm {
    pub recency_days: f32,
    pub orders: u32,
    /// Sum of the lines in the dataset's currency.
    pub money: f64,
    /// Fifths, 5 best: recency, frequency, money.
    pub scores: [u8; 3],
}

impl Rfm {
    /// A name for the three scores.
    pub fn segment(&self) -> &'static str {
        let [recency, frequency, money] = self.scores;
        let worth = u8::midpoint(frequency, money);
        match (recency, worth) {
            (4.., 4..) => "champion",
            (3, 4..) => "loyal",
            (..=2, 4..) => "at_risk",
            (4.., 2..=3) => "promising",
            (4.., _) => "new",
            (3, _) => "needs_attention",
            (..=2, 2..=3) => "hibernating",
            _ => "lost",
        }
    }
}

/// By customer; none for one without a placed order.
pub fn rfm(data: &Dataset, sales: View<'_>) -> Vec<Option<Rfm>> {
    let end_s = sales.last_s();
    let mut all: Vec<Option<Rfm>> = sales
        .by_customer(data.customers.len())
        .into_iter()
        .map(|orders| {
            let last = orders.last().and_then(|order| sales.heads.get(*order as usize))?;
            let lines = orders.iter().flat_map(|order| sales.lines(*order as usize));
            let money = lines.map(|line| line.unit_price as f64 / 10_000.0 * f64::from(line.quantity)).sum();
            Some(Rfm {
                recency_days: ((end_s - last.at_s) as f64 / 86_400.0) as f32,
                orders: orders.len() as u32,
                money,
                scores: [0; 3],
            })
        })
        .collect();
    // A shorter time since the last order is better, so its sign is turned.
    score(&mut all, 0, |rfm| -f64::from(rfm.recency_days));
    score(&mut all, 1, |rfm| f64::from(rfm.orders));
    score(&mut all, 2, |rfm| rfm.money);
    all
}

/// Equal values get equal scores: a value's fifth is that of the share of customers below it.
fn score(all: &mut [Option<Rfm>], slot: usize, value: impl Fn(&Rfm) -> f64) {
    let mut sorted: Vec<f64> = all.iter().flatten().map(&value).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let customers = sorted.len();
    for rfm in all.iter_mut().flatten() {
        let below = sorted.partition_point(|other| *other < value(rfm));
        if let Some(score) = rfm.scores.get_mut(slot) {
            *score = 1 + (below * 5 / customers.max(1)).min(4) as u8;
        }
    }
}

/// Facts of the whole dataset for the report and for drift.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub rfm_segments: BTreeMap<String, u64>,
    /// Quantiles 0.05, 0.25, 0.5, 0.75, 0.95 by feature.
    pub quantiles: BTreeMap<String, Vec<f64>>,
    /// Orders by month of the year, 12 numbers.
    pub orders_by_month: Vec<u64>,
    /// Orders by hour (UTC), 24 numbers.
    pub orders_by_hour: Vec<u64>,
    /// Share of lines of customers who had bought the product before, by known customers.
    pub repeat_share: f64,
}

pub const QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

pub fn quantiles(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let at =
        |share: f64| values.get(((values.len().max(1) - 1) as f64 * share).round() as usize).copied().unwrap_or(0.0);
    QUANTILES.iter().map(|share| at(*share)).collect()
}

/// Share of lines of customers who had bought the product before. One customer at a time, so that it takes no memory to speak of.
fn repeat_share(sales: View<'_>, customers: usize) -> f64 {
    let (mut lines, mut first) = (0, 0);
    let mut own: Vec<u32> = Vec::new();
    for orders in sales.by_customer(customers) {
        own.clear();
        own.extend(orders.iter().flat_map(|order| sales.lines(*order as usize)).map(|line| line.product));
        lines += own.len();
        own.sort_unstable();
        own.dedup();
        first += own.len();
    }
    (lines - first) as f64 / lines.max(1) as f64
}

pub fn facts(sales: View<'_>, rfm: &[Option<Rfm>]) -> Facts {
    let mut facts = Facts { orders_by_month: vec![0; 12], orders_by_hour: vec![0; 24], ..Facts::default() };
    let (mut sizes, mut values, mut prices) = (Vec::new(), Vec::new(), Vec::new());
    for (head, lines) in sales.orders() {
        if let Some(count) = facts.orders_by_month.get_mut(usize::from(head.month().unsigned_abs()).saturating_sub(1)) {
            *count += 1;
        }
        if let Some(count) = facts.orders_by_hour.get_mut(usize::from(head.hour)) {
            *count += 1;
        }
        sizes.push(lines.len() as f64);
        values.push(lines.iter().map(|line| line.unit_price as f64 / 1e4 * f64::from(line.quantity)).sum());
        prices.extend(lines.iter().map(|line| line.unit_price as f64 / 1e4));
    }
    facts.repeat_share = repeat_share(sales, rfm.len());
    let of = |value: fn(&Rfm) -> f64| quantiles(rfm.iter().flatten().map(value).collect());
    facts.quantiles = BTreeMap::from([
        ("order_products".to_owned(), quantiles(sizes)),
        ("order_value".to_owned(), quantiles(values)),
        ("line_unit_price".to_owned(), quantiles(prices)),
        ("customer_orders".to_owned(), of(|rfm| f64::from(rfm.orders))),
        ("customer_recency_days".to_owned(), of(|rfm| f64::from(rfm.recency_days))),
        ("customer_money".to_owned(), of(|rfm| rfm.money)),
    ]);
    for rfm in rfm.iter().flatten() {
        *facts.rfm_segments.entry(rfm.segment().to_owned()).or_default() += 1;
    }
    facts
}
