//! Units sold by product and week, and what kind of series that is.

use crate::load::View;

const DAY_S: i64 = 86_400;
/// Weeks that are looked at; older ones say little of the next month.
pub const MOST_WEEKS: usize = 104;
/// Weeks since the first sale below which nothing is known of a product's rhythm.
const NEW_WEEKS: usize = 8;
/// Weeks without a sale after which a product sleeps.
const ASLEEP_WEEKS: usize = 13;
/// Where Syntetos, Boylan and Croston (J. Oper. Res. Soc. 56, 2005) cut: mean weeks between sales, squared variation of what is sold.
const INTERVAL: f64 = 1.32;
const VARIATION: f64 = 0.49;

/// The kind of a product's demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Sold nearly every week, in like quantities.
    Smooth,
    /// Sold nearly every week, in quantities that vary much.
    Erratic,
    /// Sold now and then, in like quantities.
    Intermittent,
    /// Sold now and then, in quantities that vary much.
    Lumpy,
    /// First sold a few weeks ago.
    New,
    /// Not sold for a quarter.
    Asleep,
    /// Never sold.
    Unsold,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Smooth, Self::Erratic, Self::Intermittent, Self::Lumpy, Self::New, Self::Asleep, Self::Unsold];

    pub fn is_sold(self) -> bool {
        self != Self::Unsold
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Smooth => "smooth",
            Self::Erratic => "erratic",
            Self::Intermittent => "intermittent",
            Self::Lumpy => "lumpy",
            Self::New => "new",
            Self::Asleep => "asleep",
            Self::Unsold => "unsold",
        }
    }
}

/// Units by product and week, the last week ending with the last day of the data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weekly {
    pub weeks: usize,
    units: Vec<f32>,
    /// The week of each product's first sale, 0 also for one before the weeks looked at; `weeks` for none.
    first: Vec<u32>,
}

impl Weekly {
    pub fn of(sales: View<'_>, products: usize) -> Self {
        let end = sales.last_s().div_euclid(DAY_S) + 1;
        let start = sales.heads.first().map_or(end, |head| head.at_s.div_euclid(DAY_S));
        let weeks = usize::try_from((end - start) / 7).unwrap_or(0).min(MOST_WEEKS);
        let mut found = Self { weeks, units: vec![0.0; products * weeks], first: vec![weeks as u32; products] };
        for (head, lines) in sales.orders() {
            let ago = (end - 1 - head.at_s.div_euclid(DAY_S)) / 7;
            let week = usize::try_from(ago).ok().and_then(|ago| weeks.checked_sub(ago + 1));
            for line in lines {
                let product = line.product as usize;
                if let Some(first) = found.first.get_mut(product) {
                    *first = (*first).min(week.unwrap_or(0) as u32);
                }
                let place = week.map(|week| product * weeks + week);
                if let Some(units) = place.and_then(|place| found.units.get_mut(place)) {
                    *units += line.quantity;
                }
            }
        }
        found
    }

    pub fn products(&self) -> usize {
        self.first.len()
    }

    /// A product's units from its first sale to before week `until`; empty where it was not sold before.
    pub fn before(&self, product: usize, until: usize) -> &[f32] {
        let first = self.first.get(product).map_or(until, |first| *first as usize).min(until);
        self.units.get(product * self.weeks + first..product * self.weeks + until).unwrap_or(&[])
    }

    /// Units sold in the `horizon` weeks from `from` on.
    pub fn after(&self, product: usize, from: usize, horizon: usize) -> f64 {
        let to = (from + horizon).min(self.weeks);
        let own = self.units.get(product * self.weeks + from..product * self.weeks + to).unwrap_or(&[]);
        own.iter().copied().map(f64::from).sum()
    }
}

/// The kind of a series that begins with its first sale.
pub fn kind(series: &[f32]) -> Kind {
    if series.is_empty() {
        return Kind::Unsold;
    }
    if series.iter().rev().take(ASLEEP_WEEKS).all(|units| *units <= 0.0) {
        return Kind::Asleep;
    }
    if series.len() < NEW_WEEKS {
        return Kind::New;
    }
    let sold: Vec<f64> = series.iter().filter(|units| **units > 0.0).map(|units| f64::from(*units)).collect();
    let number = sold.len().max(1) as f64;
    let mean = sold.iter().sum::<f64>() / number;
    let variance = sold.iter().map(|units| (units - mean).powi(2)).sum::<f64>() / number;
    let is_often = series.len() as f64 / number < INTERVAL;
    let is_steady = variance / (mean * mean).max(1e-12) < VARIATION;
    match (is_often, is_steady) {
        (true, true) => Kind::Smooth,
        (true, false) => Kind::Erratic,
        (false, true) => Kind::Intermittent,
        (false, false) => Kind::Lumpy,
    }
}

#[cfg(test)]
mod tests {
    use endcap_recommender::fitted::NONE;

    use super::*;
    use crate::load::{Line, OrderHead, Sales};

    #[test]
    fn weeks_end_with_the_last_day() {
        let order = |day: i64, units: &[(u32, f32)]| {
            let head = OrderHead {
                at_s: day * DAY_S + 60,
                customer: NONE,
                channel: NONE,
                city: NONE,
                area: NONE,
                country: NONE,
                month_number: 0,
                hour: 0,
            };
            let line = |(product, quantity): &(u32, f32)| Line {
                product: *product,
                quantity: *quantity,
                unit_price: 1,
                offered: false,
            };
            (head, units.iter().map(line).collect())
        };
        // Days 0 to 15: days 2 to 8 are the first whole week, 9 to 15 the second.
        let sales = Sales::from_orders([
            order(0, &[(0, 5.0)]),
            order(2, &[(1, 1.0)]),
            order(8, &[(0, 2.0), (1, 3.0)]),
            order(15, &[(2, 7.0)]),
        ]);
        let weekly = Weekly::of(sales.view(), 4);
        assert_eq!(weekly.weeks, 2);
        assert_eq!(weekly.before(0, 2), [2.0, 0.0]);
        assert_eq!(weekly.before(1, 1), [4.0]);
        assert_eq!(weekly.before(2, 1), [0.0; 0]);
        assert_eq!(weekly.before(2, 2), [7.0]);
        assert!((weekly.after(2, 1, 4) - 7.0).abs() < 1e-9);
        assert_eq!(kind(weekly.before(3, 2)), Kind::Unsold);
    }

    #[test]
    fn kinds_by_hand() {
        assert_eq!(kind(&[2.0; 10]), Kind::Smooth);
        assert_eq!(kind(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 20.0]), Kind::Erratic);
        assert_eq!(kind(&[2.0, 0.0, 2.0, 0.0, 2.0, 0.0, 2.0, 0.0]), Kind::Intermittent);
        assert_eq!(kind(&[1.0, 0.0, 30.0, 0.0, 1.0, 0.0, 1.0, 0.0]), Kind::Lumpy);
        assert_eq!(kind(&[1.0; 7]), Kind::New);
        let mut asleep = vec![3.0];
        asleep.extend([0.0; 13]);
        assert_eq!(kind(&asleep), Kind::Asleep);
    }
}
