//! What will be sold of each product in the next week and month, with intervals, and when stock runs out.
//!
//! Demand is told in whole weeks, so that days of the week play no part. The method is chosen by kind of product on weeks before the
//! last month, the last month judges the choice, and the forecast is made from all weeks.

mod backtest;
mod forecast;
mod methods;
mod series;

pub use backtest::{KindMeasured, Measured};
pub use forecast::{FORMAT, Forecast, Forecasts, OBJECT, RunsOut, runs_out};

use backtest::{HORIZONS, Moment, STEP, Spread, choose, measure, method_of};
pub use series::Kind;
use series::Weekly;

use crate::load::View;

/// Moments that are looked back at: one judges, two choose, the rest tell the spread.
const MOMENTS: usize = 9;
const JUDGED: usize = 1;
const CHOSEN_BY: usize = 2;
const LEAST_SPREAD: usize = 2;
/// Weeks before the earliest moment.
const LEAST_WEEKS: usize = 8;

/// Forecasts from the end of the sales.
pub fn fit(sales: View<'_>, products: usize, seed: i64) -> Forecasts {
    let weekly = Weekly::of(sales, products);
    let until = jiff::Timestamp::from_second(sales.last_s()).ok();
    let moments = MOMENTS.min(weekly.weeks.saturating_sub(LEAST_WEEKS) / STEP);
    if moments < JUDGED + CHOSEN_BY + LEAST_SPREAD {
        let least = LEAST_WEEKS + STEP * (JUDGED + CHOSEN_BY + LEAST_SPREAD);
        let why = format!("the data hold {} whole weeks; demand is foreseen from {least} on", weekly.weeks);
        return Forecasts::skipped(until, why);
    }
    // The newest first.
    let all: Vec<Moment> = (1..=moments).map(|back| Moment::at(&weekly, weekly.weeks - STEP * back)).collect();
    let all: Vec<&Moment> = all.iter().collect();
    let (judged, before) = all.split_at(JUDGED);
    let (chosen_by, spread_of) = before.split_at(CHOSEN_BY);
    let choice = choose(chosen_by, &Spread::of(spread_of));
    let spread = Spread::of(before);
    let measured = judged.first().map(|moment| measure(moment, &spread, &choice, seed));
    let now = Moment::at(&weekly, weekly.weeks);
    let spread = Spread::of(&all);
    let each = now.kinds.iter().enumerate().map(|(product, kind)| {
        let of = |horizon: usize| {
            let method = method_of(&choice, horizon, *kind);
            let expected = now.expected(horizon, method, product);
            let quantiles = spread.around(horizon, method, *kind, expected);
            if *kind == Kind::Unsold { Forecast::default() } else { Forecast::of(expected, quantiles) }
        };
        (*kind, [of(0), of(1)])
    });
    Forecasts::of(until, each.collect(), measured)
}

/// Days of the two horizons.
pub const DAYS: [usize; 2] = [HORIZONS[0] * 7, HORIZONS[1] * 7];
