//! What a stream of orders looks like: features with histograms that can be merged. The trainer describes the training data with it (the
//! *reference*), insights what happens now; drift is the difference.
//!
//! All histograms stand on one fixed grid, so that any two of them can be added and compared whoever made them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Name of the field of the artifact's object `reference` that holds a [`Reference`].
pub const FIELD: &str = "profile";
pub const FORMAT: &str = "endcap-profile/1";

/// Each step of the grid is so much larger than the one before.
const STEP: f64 = 1.05;
/// Where everything that is not above zero stands.
const NOT_POSITIVE: i32 = -100_000;
/// 1.05^600 is above 10^12; beyond it, and below its inverse, values are put together.
const LAST: i32 = 600;

/// Counts on the fixed grid: step 5 % for amounts, whole numbers for hours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram {
    /// By place on the grid.
    pub counts: BTreeMap<i32, u64>,
}

/// The place of an amount on the grid.
pub fn place_of(value: f64) -> i32 {
    if value > 0.0 {
        // The small addition keeps exact powers on their own side of a rounding error.
        ((value.ln() / STEP.ln() + 1e-9).floor() as i32).clamp(-LAST, LAST)
    } else {
        NOT_POSITIVE
    }
}

impl Histogram {
    pub fn add(&mut self, value: f64) {
        self.add_at(place_of(value));
    }

    pub fn add_at(&mut self, place: i32) {
        *self.counts.entry(place).or_default() += 1;
    }

    pub fn merge(&mut self, other: &Self) {
        for (place, count) in &other.counts {
            *self.counts.entry(*place).or_default() += count;
        }
    }

    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The last place of each of about `bins` bins of equal mass, without the last bin, which has no end. Heavy single values make fewer
    /// bins; at least two come out of anything that is not empty.
    pub fn cuts(&self, bins: u64) -> Vec<i32> {
        let total = self.total();
        let mut cuts = Vec::new();
        let (mut sum, mut goal) = (0, 1);
        for (place, count) in &self.counts {
            sum += count;
            if sum * bins >= goal * total {
                cuts.push(*place);
                goal = sum * bins / total.max(1) + 1;
            }
        }
        if cuts.len() > 1 {
            // The last cut closed the last bin, whose end is open.
            cuts.pop();
        } else if let Some(before_last) = self.counts.keys().rev().nth(1) {
            cuts = vec![*before_last];
        }
        cuts
    }

    /// Counts of the bins that `cuts` make: one more than there are cuts.
    pub fn binned(&self, cuts: &[i32]) -> Vec<u64> {
        let mut bins = vec![0; cuts.len() + 1];
        for (place, count) in &self.counts {
            if let Some(bin) = bins.get_mut(cuts.partition_point(|cut| cut < place)) {
                *bin += count;
            }
        }
        bins
    }
}

/// The numeric features, in the order of [`Profile::numeric`].
pub const NUMERIC: [&str; 5] = ["lines_per_order", "quantity_per_line", "unit_price", "order_value", "hour_of_day"];

/// One order as it is described.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrderFacts {
    /// Seconds since 1970, UTC.
    pub at_s: i64,
    pub has_customer: bool,
    /// Quantity and unit price of each line.
    pub lines: Vec<(f64, Option<f64>)>,
}

/// What orders look like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    pub orders: u64,
    /// Orders that name their customer.
    pub with_customer: u64,
    pub lines: u64,
    /// Lines without a price.
    pub without_price: u64,
    /// By place in [`NUMERIC`].
    pub numeric: [Histogram; NUMERIC.len()],
    /// Orders by day of the week, Monday first, UTC.
    pub weekday: [u64; 7],
}

impl Profile {
    pub fn add(&mut self, order: &OrderFacts) {
        self.orders += 1;
        self.with_customer += u64::from(order.has_customer);
        self.lines += order.lines.len() as u64;
        let [lines, quantities, prices, values, hours] = &mut self.numeric;
        lines.add(order.lines.len() as f64);
        let mut value = 0.0;
        for (quantity, price) in &order.lines {
            quantities.add(*quantity);
            match price {
                Some(price) => {
                    prices.add(*price);
                    value += quantity * price;
                }
                None => self.without_price += 1,
            }
        }
        if order.lines.iter().all(|(_, price)| price.is_some()) {
            values.add(value);
        }
        hours.add_at(order.at_s.rem_euclid(86_400).div_euclid(3_600) as i32);
        // 1970 began on a Thursday.
        let weekday = (order.at_s.div_euclid(86_400) + 3).rem_euclid(7);
        if let Some(count) = self.weekday.get_mut(weekday as usize) {
            *count += 1;
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.orders += other.orders;
        self.with_customer += other.with_customer;
        self.lines += other.lines;
        self.without_price += other.without_price;
        for (own, others) in self.numeric.iter_mut().zip(&other.numeric) {
            own.merge(others);
        }
        for (own, others) in self.weekday.iter_mut().zip(&other.weekday) {
            *own += others;
        }
    }
}

/// What the training data looked like, as the artifact keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reference {
    pub format: String,
    /// The newest orders that were described: from here (inclusive) to here (inclusive).
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub orders: Profile,
    /// Lines by top-level category of their product; `""` for products without one.
    pub categories: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn merged_histograms_are_those_of_all_values() {
        let (mut a, mut b, mut all) = (Histogram::default(), Histogram::default(), Histogram::default());
        for number in 0..1_000 {
            let value = f64::from(number % 97) * 0.37;
            if number % 3 == 0 { &mut a } else { &mut b }.add(value);
            all.add(value);
        }
        a.merge(&b);
        assert_eq!(a, all);
        assert_eq!(all.total(), 1_000);
    }

    #[test]
    fn small_whole_numbers_have_places_of_their_own() {
        let places: std::collections::BTreeSet<i32> = (0..=20).map(|number| place_of(f64::from(number))).collect();
        assert_eq!(places.len(), 21);
        assert_eq!((place_of(0.0), place_of(-3.0), place_of(1.0)), (NOT_POSITIVE, NOT_POSITIVE, 0));
        assert_eq!((place_of(1e300), place_of(1e-300)), (LAST, -LAST));
    }

    #[test]
    fn quantile_bins_hold_a_tenth_each_and_heavy_values_make_fewer() {
        let mut even = Histogram::default();
        (0..100).for_each(|place| even.add_at(place));
        let cuts = even.cuts(10);
        assert_eq!(cuts, [9, 19, 29, 39, 49, 59, 69, 79, 89]);
        assert_eq!(even.binned(&cuts), [10; 10]);
        let mut heavy = Histogram::default();
        (0..90).for_each(|_| heavy.add_at(1));
        (2..12).for_each(|place| heavy.add_at(place));
        let cuts = heavy.cuts(10);
        assert_eq!(heavy.binned(&cuts), [90, 10]);
        let mut late = Histogram::default();
        (0..95).for_each(|_| late.add_at(9));
        (0..5).for_each(|place| late.add_at(place));
        assert_eq!(late.binned(&late.cuts(10)), [5, 95]);
        let mut constant = Histogram::default();
        constant.add_at(7);
        assert_eq!(constant.binned(&constant.cuts(10)), [1, 0]);
        assert!(Histogram::default().cuts(10).is_empty());
    }

    #[test]
    fn an_order_is_described_feature_by_feature() {
        let mut profile = Profile::default();
        // Thursday 1 January 1970, 05:00.
        profile.add(&OrderFacts {
            at_s: 5 * 3_600,
            has_customer: true,
            lines: vec![(2.0, Some(1.5)), (1.0, Some(4.0))],
        });
        profile.add(&OrderFacts { at_s: 86_400, has_customer: false, lines: vec![(3.0, None)] });
        assert_eq!((profile.orders, profile.with_customer, profile.lines, profile.without_price), (2, 1, 3, 1));
        assert_eq!(profile.weekday, [0, 0, 0, 1, 1, 0, 0]);
        let [lines, quantities, prices, values, hours] = &profile.numeric;
        assert_eq!(values.counts, BTreeMap::from([(place_of(7.0), 1)]));
        assert_eq!((lines.total(), quantities.total(), prices.total()), (2, 3, 2));
        assert_eq!(hours.counts, BTreeMap::from([(0, 1), (5, 1)]));
    }
}
