//! The forecasts of an artifact: kept, read again, and turned into days of stock.

use endcap_recommender::artifact::{ArtifactError, Columns, ColumnsBuilder};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::DAYS;
use super::backtest::{LEVELS, Measured};
use super::series::Kind;

pub const FORMAT: &str = "endcap.demand/v1";
/// The object with the columns.
pub const OBJECT: &str = "demand";
/// Days ahead that are looked at; stock that lasts longer lasts long enough.
pub const LONGEST_DAYS: u32 = 365;

/// Units over a horizon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    pub expected: f32,
    /// 95% interval.
    pub low95: f32,
    pub high95: f32,
    /// 80% interval.
    pub low80: f32,
    pub high80: f32,
}

impl Forecast {
    pub(super) fn of(expected: f64, [low95, low80, _, high80, high95]: [f64; LEVELS.len()]) -> Self {
        let [low95, low80, high80, high95] = [low95, low80, high80, high95].map(|units| units as f32);
        Self { expected: expected as f32, low95, high95, low80, high80 }
    }
}

/// Forecasts by product, over [`DAYS`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Forecasts {
    /// The end of what was sold.
    pub until: Option<Timestamp>,
    /// Why nothing is foreseen, if so.
    pub skipped: Option<String>,
    /// By row of the catalogue; empty where nothing is foreseen.
    pub kinds: Vec<Kind>,
    pub forecasts: Vec<[Forecast; 2]>,
    pub measured: Option<Measured>,
}

/// Where a column's number lies.
type Field = fn(&mut Forecast) -> &mut f32;

const COLUMNS: [(&str, Field); 5] = [
    ("expected", |forecast| &mut forecast.expected),
    ("low95", |forecast| &mut forecast.low95),
    ("low80", |forecast| &mut forecast.low80),
    ("high80", |forecast| &mut forecast.high80),
    ("high95", |forecast| &mut forecast.high95),
];

impl Forecasts {
    pub(super) fn skipped(until: Option<Timestamp>, why: String) -> Self {
        Self { until, skipped: Some(why), ..Self::default() }
    }

    pub(super) fn of(until: Option<Timestamp>, each: Vec<(Kind, [Forecast; 2])>, measured: Option<Measured>) -> Self {
        let (kinds, forecasts) = each.into_iter().unzip();
        Self { until, skipped: None, kinds, forecasts, measured }
    }

    /// The columns of the object `demand`; none where nothing is foreseen.
    pub fn encode(&self) -> Result<Option<Vec<u8>>, ArtifactError> {
        if self.forecasts.is_empty() {
            return Ok(None);
        }
        let mut columns = ColumnsBuilder::default();
        let kinds: Vec<u8> = self.kinds.iter().map(|kind| *kind as u8).collect();
        columns.numbers("kind", &kinds);
        for (at, days) in DAYS.iter().enumerate() {
            for (name, field) in COLUMNS {
                let values: Vec<f32> = self
                    .forecasts
                    .iter()
                    .map(|both| both.get(at).copied().map_or(0.0, |mut forecast| *field(&mut forecast)))
                    .collect();
                columns.numbers(&format!("days_{days}.{name}"), &values);
            }
        }
        columns.finish(OBJECT).map(Some)
    }

    /// Kinds and forecasts of the object; `products` is the catalogue's length.
    pub fn decode(bytes: &[u8], products: usize) -> Result<Self, ArtifactError> {
        let columns = Columns::open(OBJECT, bytes)?;
        let kinds: Vec<u8> = columns.exactly("kind", products)?;
        let mut forecasts = vec![[Forecast::default(); 2]; products];
        for (at, days) in DAYS.iter().enumerate() {
            for (name, field) in COLUMNS {
                let values: Vec<f32> = columns.exactly(&format!("days_{days}.{name}"), products)?;
                for (both, value) in forecasts.iter_mut().zip(values) {
                    if let Some(forecast) = both.get_mut(at) {
                        *field(forecast) = value;
                    }
                }
            }
        }
        let kind = |number: u8| Kind::ALL.get(usize::from(number)).copied().unwrap_or(Kind::Unsold);
        Ok(Self { kinds: kinds.into_iter().map(kind).collect(), forecasts, ..Self::default() })
    }
}

/// Days from the end of the data until stock is gone; none where it lasts longer than a year.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunsOut {
    pub expected: Option<u32>,
    /// With the upper and the lower end of the 80% interval of demand.
    pub early: Option<u32>,
    pub late: Option<u32>,
}

/// The day on which what was sold reaches `stock`, going evenly through the first week, evenly from there to the month, and on at the
/// pace of the month.
pub fn runs_out(stock: f64, [week, month]: &[Forecast; 2]) -> RunsOut {
    let day = |of_week: f32, of_month: f32| {
        let (of_week, of_month) = (f64::from(of_week), f64::from(of_month.max(of_week)));
        let [first, second] = DAYS.map(|days| days as f64);
        let day = if stock <= 0.0 {
            0.0
        } else if stock <= of_week {
            stock / of_week * first
        } else if stock <= of_month {
            first + (stock - of_week) / (of_month - of_week) * (second - first)
        } else {
            stock / of_month * second
        };
        (day <= f64::from(LONGEST_DAYS)).then(|| day.floor() as u32)
    };
    RunsOut {
        expected: day(week.expected, month.expected),
        early: day(week.high80, month.high80),
        late: day(week.low80, month.low80),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn even(week: f32) -> [Forecast; 2] {
        let of = |units: f32| Forecast {
            expected: units,
            low95: 0.0,
            low80: units / 2.0,
            high80: units * 2.0,
            high95: units * 3.0,
        };
        [of(week), of(4.0 * week)]
    }

    #[test]
    fn stock_runs_out_when_sales_reach_it() {
        assert_eq!(runs_out(7.0, &even(14.0)), RunsOut { expected: Some(3), early: Some(1), late: Some(7) });
        assert_eq!(runs_out(28.0, &even(14.0)), RunsOut { expected: Some(14), early: Some(7), late: Some(28) });
        assert_eq!(runs_out(560.0, &even(14.0)), RunsOut { expected: Some(280), early: Some(140), late: None });
        assert_eq!(runs_out(0.0, &even(14.0)).expected, Some(0));
        assert_eq!(runs_out(5.0, &even(0.0)), RunsOut::default());
    }

    #[test]
    fn what_is_written_is_read() {
        let each = vec![(Kind::Lumpy, even(3.0)), (Kind::Unsold, even(0.0))];
        let forecasts = Forecasts::of(None, each, None);
        let bytes = forecasts.encode().unwrap().unwrap();
        assert_eq!(Forecasts::decode(&bytes, 2).unwrap(), forecasts);
        assert!(Forecasts::decode(&bytes, 3).is_err());
        assert!(Forecasts::skipped(None, String::new()).encode().unwrap().is_none());
    }
}
